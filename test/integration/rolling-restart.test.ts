/** Relays come and go, by order and by force; what visitors notice of it. Two links per agent throughout. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { freePort } from "../support/ports.ts";
import { startPortlight } from "../support/process.ts";
import type { Program } from "../support/process.ts";
import { answerTo, startVisitors } from "../support/returning-visitors.ts";
import { within } from "../support/time.ts";

const HOST = "shop.relay.test";

/** Rounds of the relay's death: `npm test` takes a few; a percentile wants twenty. */
const DEATHS = Number(process.env["PORTLIGHT_DEATHS"] ?? 4);

interface Ports {
  readonly visitors: number;
  readonly agents: number;
}

describe("a relay that is replaced", () => {
  let state: string;
  let ports: Ports;
  let service: http.Server;
  let programs: Program[];
  /** Ends the answer to `/stream`. */
  let streams: http.ServerResponse[];

  beforeEach(async () => {
    state = mkdtempSync(path.join(tmpdir(), "portlight-rolling-"));
    programs = [];
    streams = [];
    service = http.createServer((request, response) => {
      if (request.url === "/stream") {
        response.write("begun\n");
        streams.push(response);
      } else response.end(answerTo(request.url ?? ""));
    });
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    ports = { visitors: await freePort(), agents: await freePort() };
  });

  afterEach(async () => {
    for (const { child } of programs) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await Promise.all(programs.map(({ exited }) => exited));
    service.closeAllConnections();
    await new Promise((resolve) => service.close(resolve));
    rmSync(state, { recursive: true });
  });

  function start(...args: string[]): Program {
    const program = startPortlight([...args, "--json"], state);
    programs.push(program);
    return program;
  }

  async function startRelay(): Promise<Program> {
    const listen = ["--listen", `127.0.0.1:${ports.visitors}`, "--tunnel-listen", `127.0.0.1:${ports.agents}`];
    const relay = start("relay", "--domain", "relay.test", "--reuse-port", ...listen);
    await relay.nextJson("listening");
    return relay;
  }

  async function startAgent(): Promise<Program> {
    const { port } = service.address() as AddressInfo;
    const relay = ["--relay", `tcp://127.0.0.1:${ports.agents}`, "--links", "2"];
    const agent = start("share", String(port), ...relay, "--name", "shop", "--no-capture");
    await agent.nextJson("shared");
    return agent;
  }

  /** One request on a connection of its own; rejects when it is cut. */
  function ask(url: string, begun: () => void = () => undefined): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { port: ports.visitors, path: url, agent: false, headers: { host: HOST } };
      const request = http.get({ hostname: "127.0.0.1", ...options }, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString();
          begun();
        });
        response.on("error", reject);
        response.on("end", () => resolve(`${response.statusCode ?? 0} ${text}`));
      });
      request.on("error", reject);
    });
  }

  test("twice under 10 000 requests, in order: none fails, and what is open ends well", async (t) => {
    let relay = await startRelay();
    const agent = await startAgent();
    const visitors = startVisitors({ address: `127.0.0.1:${ports.visitors}`, host: HOST, http1: 8, http2: 8 });
    t.after(() => visitors.stop());
    for (const count of [2_500, 6_000]) {
      await within(60_000, `${count} answers`, visitors.reached(count));
      const before = { ...visitors.dismissed };
      let stream: Promise<string> | undefined;
      await within(
        10_000,
        "the stream",
        new Promise<void>((resolve, reject) => {
          stream = ask("/stream", resolve);
          stream.catch(reject);
        }),
      );
      const next = await startRelay();
      relay.child.kill("SIGTERM");
      await within(30_000, "answers after the restart", visitors.reached(visitors.answered + 1_000));
      assert.equal(relay.child.exitCode, null, "the former relay waits for what is open");
      for (const response of streams.splice(0)) response.end("ended\n");
      assert.equal(await stream, "200 begun\nended\n");
      assert.deepEqual(await within(15_000, "the end of the former relay", relay.exited), { code: 0, signal: null });
      assert.ok(visitors.dismissed.http1 > before.http1, "HTTP/1.1 visitors were told");
      assert.ok(visitors.dismissed.http2 > before.http2, "HTTP/2 visitors were told");
      relay = next;
    }
    await within(60_000, "10 000 answers", visitors.reached(10_000));
    await visitors.stop();
    assert.deepEqual(visitors.failures.slice(0, 10), []);
    assert.ok(visitors.answered >= 10_000);
    assert.ok(visitors.slowestMs < 5_000, `the slowest took ${visitors.slowestMs} ms`);
    const states = agent.json().filter(({ type }) => type === "state");
    assert.deepEqual(states, [], `the agent had nothing to tell its user: ${agent.errorLines.items.join(" | ")}`);
    const { answered, overtaken, slowestMs } = visitors;
    t.diagnostic(`${answered} answers, the slowest after ${Math.round(slowestMs)} ms; ${overtaken} begun anew, unsent`);
  });

  test("a second signal cuts what is open, visibly", async () => {
    const relay = await startRelay();
    await startAgent();
    let begin: () => void = () => undefined;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const stream = ask("/stream", begin);
    const cut = assert.rejects(stream);
    await within(10_000, "the stream", begun);
    relay.child.kill("SIGTERM");
    await assert.rejects(within(500, "its end", relay.exited), /Not within/, "the first signal waits for the stream");
    relay.child.kill("SIGTERM");
    await within(5_000, "its end", relay.exited);
    await cut;
  });

  test("killed, and back after a second: requests that come with it are answered within 3 s", async (t) => {
    let relay = await startRelay();
    await startAgent();
    assert.equal(await ask("/first"), `200 ${answerTo("/first")}`);
    const took: number[] = [];
    for (let round = 0; round < DEATHS; round++) {
      relay.child.kill("SIGKILL");
      await relay.exited;
      // The outage is what is tested.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      relay = await startRelay();
      const from = performance.now();
      assert.equal(await ask(`/${round}`), `200 ${answerTo(`/${round}`)}`);
      took.push(performance.now() - from);
    }
    took.sort((left, right) => left - right);
    const p95 = took[Math.ceil(took.length * 0.95) - 1] ?? Infinity;
    t.diagnostic(`back after ${took.map((ms) => Math.round(ms)).join(", ")} ms`);
    assert.ok(p95 <= 3_000, `p95 ${p95} ms`);
  });
});
