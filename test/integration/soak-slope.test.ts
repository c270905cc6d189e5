/** The line that the soak draws through memory, and how sure it is of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { slope } from "../soak/slope.ts";

/** The same numbers each time, uniform in [-1, 1). */
function noise(): () => number {
  let state = 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return (state / 2_147_483_647) * 2 - 1;
  };
}

const series = (count: number, of: (index: number) => number) =>
  Array.from({ length: count }, (_, index) => [index, of(index)] as const);

test("a straight line is found exactly", () => {
  const { perUnit, margin } = slope(series(20, (index) => 5 + 3 * index));
  assert.ok(Math.abs(perUnit - 3) < 1e-9);
  assert.ok(margin < 1e-6);
});

test("a leak in noise is found, and its interval holds the truth", () => {
  const next = noise();
  const { perUnit, margin } = slope(series(200, (index) => 0.5 * index + 10 * next()));
  assert.ok(Math.abs(perUnit - 0.5) < margin, `${perUnit} ± ${margin}`);
  assert.ok(margin < 0.05, `${margin}`);
});

test("noise alone is no leak", () => {
  const next = noise();
  const { perUnit, margin } = slope(series(200, () => 10 * next()));
  assert.ok(Math.abs(perUnit) < margin);
});

test("samples that resemble their neighbours count for less", () => {
  const next = noise();
  let walk = 0;
  const wandering = slope(series(200, () => (walk = 0.9 * walk + next())));
  const independent = slope(series(200, () => 2 * next()));
  assert.ok(wandering.margin > 2 * independent.margin, `${wandering.margin}, ${independent.margin}`);
});

test("two points make no line that one could be sure of", () => {
  assert.equal(slope(series(2, (index) => index)).margin, Infinity);
});
