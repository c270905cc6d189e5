import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { silentLogger } from "../wire/logger.ts";
import { childEnvironment, forkChild } from "./child.ts";

test("the environment of a child is the user's, without what belongs to the editor", () => {
  const environment = childEnvironment({
    PATH: "/bin",
    HOME: "/home/user",
    NODE_OPTIONS: "--require /bootloader.js",
    VSCODE_IPC_HOOK_CLI: "/run/hook.sock",
    VSCODE_PID: "1",
    ELECTRON_RUN_AS_NODE: "0",
    ELECTRON_NO_ATTACH_CONSOLE: "1",
    NODE_OPTIONS_OF_MINE: "kept",
  });
  assert.deepEqual(environment, {
    PATH: "/bin",
    HOME: "/home/user",
    NODE_OPTIONS_OF_MINE: "kept",
    ELECTRON_RUN_AS_NODE: "1",
    ELECTRON_NO_ASAR: "1",
  });
});

const ECHO = `
console.log("ready");
console.error("warned");
process.on("message", ({ id, method }) => {
  if (method === "die") process.exit(3);
  if (method === "who") process.send({ jsonrpc: "2.0", id, result: { args: process.argv.slice(2), execArgv: process.execArgv } });
});
process.on("disconnect", () => process.exit(0));
`;

describe("a forked child", () => {
  let folder = "";
  let module = "";
  before(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "portlight-child-"));
    module = path.join(folder, "echo.cjs");
    await writeFile(module, ECHO);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test("answers requests, and is told nothing by argument but its name", async () => {
    const child = forkChild({ module, name: "agent", log: silentLogger });
    const answer = await child.connection.sendRequest("who", null);
    assert.deepEqual(answer, { args: ["portlight-agent"], execArgv: ["--max-semi-space-size=1"] });
    child.kill();
    assert.deepEqual(await child.exited, { code: null, signal: "SIGKILL" });
  });

  test("rejects what is under way when it dies, and tells how it ended", async () => {
    const child = forkChild({ module, name: "agent", log: silentLogger });
    await child.connection.sendRequest("who", null);
    await assert.rejects(child.connection.sendRequest("die", null));
    assert.deepEqual(await child.exited, { code: 3, signal: null });
  });

  test("prints into the log, line by line", async () => {
    const lines: string[] = [];
    const log = {
      ...silentLogger,
      debug: (text: string) => lines.push(text),
      warn: (text: string) => lines.push(text),
    };
    const child = forkChild({ module, name: "relay", log });
    await assert.rejects(child.connection.sendRequest("die", null));
    await child.exited;
    assert.deepEqual(lines.toSorted(), ["relay: ready", "relay: warned"]);
  });

  test("that cannot be started ends", async () => {
    const child = forkChild({ module: path.join(folder, "missing.cjs"), name: "agent", log: silentLogger });
    assert.equal((await child.exited).code, 1);
  });
});
