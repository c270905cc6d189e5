import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "./backoff.ts";

function setUp(random: () => number) {
  let now = 0;
  const backoff = new Backoff({ random, now: () => now });
  return { backoff, pass: (ms: number) => (now += ms) };
}

test("waits double from 250 ms to 30 s", () => {
  const { backoff } = setUp(() => 1);
  const waits = Array.from({ length: 9 }, () => backoff.next());
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
});

test("the jitter is full", () => {
  const { backoff } = setUp(() => 0);
  assert.deepEqual([backoff.next(), backoff.next()], [0, 0]);
  const half = setUp(() => 0.5).backoff;
  assert.deepEqual([half.next(), half.next()], [125, 250]);
});

test("only a connection that held 30 s resets it", () => {
  const { backoff, pass } = setUp(() => 1);
  backoff.next();
  backoff.next();
  backoff.connected();
  pass(29_999);
  assert.equal(backoff.next(), 1000);
  backoff.connected();
  pass(30_000);
  assert.equal(backoff.next(), 250);
  pass(100_000);
  assert.equal(backoff.next(), 500, "time without a connection does not count");
});

/** A generator with a seed (mulberry32): a figure that was good once stays good. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** When each of a thousand agents dials first after the relay's return; the relay went away at 0. Milliseconds after it. */
function returns(outageMs: number, longestMs?: number): number[] {
  const random = seeded(1);
  return Array.from({ length: 1_000 }, () => {
    const backoff = new Backoff({ random, now: () => 0, ...(longestMs === undefined ? {} : { longestMs }) });
    let at = 0;
    while (at < outageMs) at += backoff.next();
    return at - outageMs;
  }).sort((left, right) => left - right);
}

const percentile95 = (times: readonly number[]): number => times[949] ?? Infinity;

function busiestSecond(times: readonly number[]): number {
  return Math.max(...times.map((from) => times.filter((time) => time >= from && time < from + 1_000).length));
}

test("a thousand agents are back within 3 s of a relay that was away for a second", () => {
  assert.ok(percentile95(returns(1_000)) <= 3_000, `p95 ${percentile95(returns(1_000))} ms`);
  // On this machine they never wait for more than two seconds.
  assert.ok(percentile95(returns(60_000, 2_000)) <= 3_000);
});

test("and spread out after a long outage: no second has more than a fifth of them", () => {
  for (const outageMs of [60_000, 600_000]) {
    const most = busiestSecond(returns(outageMs));
    assert.ok(most <= 200, `${most} within a second after ${outageMs} ms`);
  }
  // After a short one they cannot: 95 % within 3 s means a third of them in one second at least.
  assert.ok(busiestSecond(returns(1_000)) > 333);
});
