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
