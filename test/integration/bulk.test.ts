/** 1 GiB each way and a reader that stops, with relay and agent in processes of their own: memory stays bounded. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import http from "node:http";
import http2 from "node:http2";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import nodePath from "node:path";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import { splitAddress } from "../support/http.ts";
import { peakMemory, startPortlight, startSampleProcess } from "../support/process.ts";
import type { Program } from "../support/process.ts";
import { until } from "../support/time.ts";

const GIBIBYTE = 1024 ** 3;
/** What issue and design promise: MiB, of the whole process. */
const MEMORY_BOUND = 150;

let state: string;
let sample: Program;
let relay: Program;
let agent: Program;
let address: string;

/** As the extension forks its children (`extension/child.ts`): with V8's default the peaks are some 40 MiB higher. */
const CHILD = { nodeArguments: ["--max-semi-space-size=1"] } as const;

before(async () => {
  state = mkdtempSync(nodePath.join(tmpdir(), "portlight-bulk-"));
  const started = await startSampleProcess();
  sample = started.program;
  relay = startPortlight(
    ["relay", "--json", "--listen", "127.0.0.1:0", "--tunnel-listen", "127.0.0.1:0"],
    state,
    CHILD,
  );
  const { tunnel } = await relay.nextJson("listening");
  agent = startPortlight(
    ["share", String(started.ports.http), "--json", "--no-capture", "--relay", String(tunnel)],
    state,
    CHILD,
  );
  address = new URL(String((await agent.nextJson("shared"))["url"])).host;
});

after(async () => {
  await agent.stop();
  await relay.stop();
  await sample.stop();
  rmSync(state, { recursive: true });
});

function checkMemory(t: TestContext, what: string): void {
  const memory = { relay: peakMemory(relay.pid), agent: peakMemory(agent.pid) };
  t.diagnostic(`peak MiB: relay ${Math.round(memory.relay)}, agent ${Math.round(memory.agent)}`);
  for (const [name, peak] of Object.entries(memory))
    assert.ok(peak < MEMORY_BOUND, `${what}: the ${name} took ${Math.round(peak)} MiB, more than ${MEMORY_BOUND}`);
}

/** Resolves when nothing has come from the service for `ms`: every buffer on the way is full. */
async function still(ms: number): Promise<void> {
  const taken = (): number => {
    // What the agent has read, of files and sockets (Linux).
    const match = /^rchar: (\d+)$/m.exec(readFileSync(`/proc/${agent.pid}/io`, "utf8"));
    return Number(match?.[1]);
  };
  let last = taken();
  let since = performance.now();
  await until(30_000, "the transfer stands still", () => {
    const now = taken();
    assert.ok(Number.isFinite(now));
    // A PING every 10 s and its like are not the transfer.
    if (now - last > 64 * 1024) {
      last = now;
      since = performance.now();
    }
    return performance.now() - since > ms;
  });
}

test("two readers that stop in 1 GiB", { timeout: 60_000 }, async (t) => {
  const [host, port] = splitAddress(address);
  const session = http2.connect(`http://${address}`);
  const stream = session.request({ ":path": `/download?bytes=${GIBIBYTE}&chunked` });
  await new Promise((resolve) => stream.once("response", resolve));
  const unread = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get({ host, port, path: `/download?bytes=${GIBIBYTE}`, agent: false }, resolve).on("error", reject);
  });
  await still(500);
  checkMemory(t, "two readers that do not read");
  unread.destroy();
  session.destroy();
});

test("1 GiB to a visitor, whole", { timeout: 90_000 }, async (t) => {
  const [host, port] = splitAddress(address);
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get({ host, port, path: `/download?bytes=${GIBIBYTE}&chunked`, agent: false }, resolve).on("error", reject);
  });
  let octets = 0;
  let wrong = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    // The pattern of `/download`: each octet is its position modulo 251; the ends of every chunk are enough.
    if (chunk[0] !== octets % 251) wrong++;
    octets += chunk.length;
    if (chunk.at(-1) !== (octets - 1) % 251) wrong++;
  }
  assert.deepEqual([octets, wrong, response.complete], [GIBIBYTE, 0, true]);
  checkMemory(t, "1 GiB to a visitor");
});

test("1 GiB from a visitor, whole", { timeout: 90_000 }, async (t) => {
  const [host, port] = splitAddress(address);
  const block = Buffer.alloc(1024 * 1024, "upload");
  const hash = createHash("sha256");
  const outgoing = http.request({
    host,
    port,
    path: "/upload",
    method: "POST",
    agent: false,
    headers: { "content-length": GIBIBYTE },
  });
  const answer = new Promise<http.IncomingMessage>((resolve, reject) => {
    outgoing.on("response", resolve);
    outgoing.on("error", reject);
  });
  for (let index = 0; index < 1024; index++) {
    hash.update(block);
    if (!outgoing.write(block)) await new Promise((resolve) => outgoing.once("drain", resolve));
  }
  outgoing.end();
  let body = "";
  for await (const chunk of await answer) body += String(chunk);
  assert.deepEqual(JSON.parse(body), { bytes: GIBIBYTE, sha256: hash.digest("hex"), trailers: {} });
  checkMemory(t, "1 GiB from a visitor");
});
