import assert from "node:assert/strict";
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { silentLogger } from "../../wire/logger.ts";
import type { SchemaStatus } from "../protocol.ts";
import { Schemas } from "../schemas.ts";
import { DecoderClient, DecoderError } from "./client.ts";
import { TREE_CHARACTERS } from "./limits.ts";

const WORKER = path.join(import.meta.dirname, "worker.ts");

/** Workers that do what a bomb would make the decoder do. */
const BOMBS: Readonly<Record<string, string>> = {
  memory: "const kept = []; for (;;) kept.push(new Array(100000).fill(Math.random()));",
  time: "for (;;) ;",
  exit: "process.exit(3);",
  error: "setImmediate(() => { throw new Error('bomb'); });",
};

describe("the decoder's worker", () => {
  let folder: string;
  before(async () => {
    folder = await realpath(await mkdtemp(path.join(tmpdir(), "portlight-worker-")));
    await writeFile(path.join(folder, "m.proto"), 'syntax = "proto3"; package w; message M { string s = 1; }');
    // Does as the decoder does, but for one job, which does the worst.
    for (const [name, code] of Object.entries(BOMBS)) {
      await writeFile(
        path.join(folder, `${name}.cjs`),
        `const { parentPort } = require("node:worker_threads");
         parentPort.on("message", ({ id, name, params }) => {
           if (params.query === "bomb") { ${code} return; }
           parentPort.postMessage({ id, result: [name] });
         });`,
      );
    }
  });
  after(() => rm(folder, { recursive: true }));

  for (const name of Object.keys(BOMBS)) {
    it(`is started again when it dies of ${name}, and does the jobs that wait`, async () => {
      let starts = 0;
      let deaths = 0;
      const client = new DecoderClient({
        workerFile: path.join(folder, `${name}.cjs`),
        log: silentLogger,
        started: () => (starts += 1),
        died: () => (deaths += 1),
        jobMs: name === "memory" ? 30_000 : 300,
      });
      try {
        const bomb = client.run("types", { query: "bomb", limit: 1 });
        const waiting = client.run("types", { query: "", limit: 1 });
        await assert.rejects(bomb, (error) => error instanceof DecoderError && error.message.includes("started again"));
        assert.deepEqual(await waiting, ["types"]);
        assert.deepEqual([starts, deaths], [2, 1]);
      } finally {
        await client.close();
      }
    });
  }

  it("gives up on a worker that never starts, instead of starting it for ever", async () => {
    let starts = 0;
    const client = new DecoderClient({
      workerFile: path.join(folder, "no-such.cjs"),
      log: silentLogger,
      started: () => (starts += 1),
      died: () => {},
    });
    await assert.rejects(client.run("types", { query: "", limit: 1 }), DecoderError);
    await assert.rejects(client.run("types", { query: "", limit: 1 }), DecoderError);
    assert.ok(starts <= 12, String(starts));
    await client.close();
  });

  it("rejects what waits when it is closed", async () => {
    const client = new DecoderClient({ workerFile: WORKER, log: silentLogger, started: () => {}, died: () => {} });
    const waiting = client.run("types", { query: "", limit: 1 });
    const rejected = assert.rejects(waiting, DecoderError);
    await client.close();
    await rejected;
    await assert.rejects(client.run("types", { query: "", limit: 1 }), DecoderError);
  });

  it("decodes with the types again after it died", async () => {
    const states: SchemaStatus["state"][] = [];
    const schemas = new Schemas({
      workspaceFolders: [folder],
      protoRoots: [],
      workerFile: WORKER,
      log: silentLogger,
      changed: ({ state }) => void states.push(state),
      jobMs: 2000,
    });
    try {
      const decode = (bytes: Uint8Array) => schemas.decode(bytes, { type: "w.M" }, TREE_CHARACTERS);
      assert.equal((await decode(Buffer.from("0a0161", "hex"))).reading, "typed");
      // A params object that the worker cannot digest kills no one; a job of the wrong form is answered as failed.
      const odd = await schemas.decode(new Uint8Array(0), null as unknown as { type: string }, TREE_CHARACTERS);
      assert.match(odd.problem ?? "", /failed/);
      assert.equal((await decode(Buffer.from("0a0162", "hex"))).reading, "typed");
      assert.deepEqual(states, ["ready"]);
    } finally {
      await schemas.close();
    }
  });

  it("survives the payloads that are known to kill decoders", async () => {
    const schemas = new Schemas({
      workspaceFolders: [folder],
      protoRoots: [],
      workerFile: WORKER,
      log: silentLogger,
      changed: () => {},
    });
    try {
      const empty = await schemas.decode(Buffer.alloc(1024 * 1024, Buffer.from("0a00", "hex")), {}, TREE_CHARACTERS);
      assert.equal(empty.tree.length, 10_000);
      assert.equal(empty.truncated, true);
      const groups = await schemas.decode(Buffer.alloc(1024 * 1024, 0x0b), {}, TREE_CHARACTERS);
      assert.equal(groups.reading, "wire");
      const misfit = await schemas.decode(Buffer.from("0801", "hex"), { type: "w.M" }, TREE_CHARACTERS);
      assert.equal(misfit.reading, "wire");
      assert.match(
        misfit.schema.problem ?? "",
        /do not fit w\.M: Field 1 \(s\) is string in the \.proto file, and a varint here/,
      );
    } finally {
      await schemas.close();
    }
  });
});

describe("schemas that change", () => {
  it("picks up edited, new and broken files without a restart", async () => {
    const folder = await realpath(await mkdtemp(path.join(tmpdir(), "portlight-watch-")));
    let told: (status: SchemaStatus) => void = () => {};
    let last: SchemaStatus | undefined;
    const schemas = new Schemas({
      workspaceFolders: [folder],
      protoRoots: [],
      workerFile: WORKER,
      log: silentLogger,
      changed: (status) => {
        last = status;
        told(status);
      },
    });
    const until = (condition: (status: SchemaStatus) => boolean): Promise<void> =>
      new Promise((resolve) => {
        if (last !== undefined && condition(last)) resolve();
        else told = (status) => condition(status) && resolve();
      });
    try {
      await writeFile(path.join(folder, "a.proto"), 'syntax = "proto3"; message A { string old = 1; }');
      schemas.reload();
      await until(({ state, files }) => state === "ready" && files === 1);
      const read = async (): Promise<unknown> =>
        (await schemas.decode(Buffer.from("0a0161", "hex"), { type: "A" }, TREE_CHARACTERS)).json;
      assert.deepEqual(JSON.parse(JSON.stringify(await read())), { old: "a" });
      const before = schemas.status.revision;
      await writeFile(path.join(folder, "a.proto"), 'syntax = "proto3"; message A { string fresh = 1; }');
      await until(({ state, revision }) => state === "ready" && revision > before);
      assert.deepEqual(JSON.parse(JSON.stringify(await read())), { fresh: "a" });
      await writeFile(path.join(folder, "b.proto"), "message {");
      await until(({ state, problems }) => state === "ready" && problems.some(({ file }) => file === "b.proto"));
      assert.deepEqual(JSON.parse(JSON.stringify(await read())), { fresh: "a" });
    } finally {
      await schemas.close();
      await rm(folder, { recursive: true });
    }
  });
});
