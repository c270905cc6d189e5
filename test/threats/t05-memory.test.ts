/**
 * T-5 and T-6, again and again: the relay in a process of its own under every attack at once; its memory stays where it was.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startHttp } from "../../sample/http/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { HEADER_BOMB, HTTP1_ATTACKS, HTTP2_ATTACKS } from "../support/attacks.ts";
import { RawVisitor, request } from "../support/http.ts";
import { memory, peakMemory } from "../support/process.ts";
import { startProcesses } from "../support/processes.ts";
import type { Processes } from "../support/processes.ts";

/** MiB, of the whole process. */
const MEMORY_BOUND = 150;
/** MiB. The heap is kept small, so that the garbage collector's liberty does not look like a leak. */
const HEAP = 40;
/** What the last third of the rounds may take more than the second, MiB. Each round is 75 connections. */
const GROWTH_BOUND = 8;
const ROUNDS = 18;

let service: RunningService;
let processes: Processes;
let address: string;

before(async () => {
  service = await startHttp();
  processes = await startProcesses([service.port], {
    relayNodeOptions: `--max-old-space-size=${HEAP} --max-semi-space-size=4`,
  });
  [address = ""] = processes.addresses;
});

after(async () => {
  await processes.close();
  await service.close();
});

async function attack(bytes: Uint8Array | string): Promise<void> {
  const visitor = await RawVisitor.connect(address);
  visitor.send(bytes);
  await visitor.rest(15_000);
  visitor.close();
}

async function round(): Promise<void> {
  const endless = await Promise.all(Array.from({ length: 50 }, () => RawVisitor.connect(address)));
  for (const visitor of endless) visitor.send(`GET / HTTP/1.1\r\nHost: a\r\nX-Big: ${"x".repeat(30_000)}`);
  await Promise.all([
    ...HTTP1_ATTACKS.map(([, text]) => attack(text)),
    ...HTTP2_ATTACKS.map(([, bytes]) => attack(bytes)),
  ]);
  // Its stream is refused; the connection may live.
  const bomber = await RawVisitor.connect(address);
  bomber.send(HEADER_BOMB);
  assert.equal((await request(address, "/status/200")).status, 200);
  for (const visitor of [...endless, bomber]) visitor.close();
}

test("memory under hostile input is bounded and does not grow", { timeout: 90_000 }, async (t) => {
  const seen: number[] = [];
  for (let index = 0; index < ROUNDS; index++) {
    await round();
    seen.push(memory(processes.relay.pid));
  }
  const early = Math.max(...seen.slice(ROUNDS / 3, (2 * ROUNDS) / 3));
  const late = Math.min(...seen.slice((2 * ROUNDS) / 3));
  const peak = peakMemory(processes.relay.pid);
  t.diagnostic(`MiB after each round: ${seen.map(Math.round).join(" ")}; peak ${Math.round(peak)}`);
  assert.ok(peak < MEMORY_BOUND, `the relay took ${Math.round(peak)} MiB`);
  assert.ok(late - early < GROWTH_BOUND, `the relay grew from ${Math.round(early)} to ${Math.round(late)} MiB`);
});
