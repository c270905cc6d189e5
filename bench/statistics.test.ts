import assert from "node:assert/strict";
import { test } from "node:test";
import { median, percentile, ratios } from "./statistics.ts";

test("median", () => {
  for (const [samples, expected] of [
    [[3], 3],
    [[5, 1, 3], 3],
    [[4, 1, 3, 2], 2.5],
    [[], NaN],
  ] as const)
    assert.deepEqual(median(samples), expected);
});

test("percentile by nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  for (const [share, expected] of [
    [0, 1],
    [0.5, 50],
    [0.99, 99],
    [1, 100],
  ] as const)
    assert.equal(percentile(hundred, share), expected);
  assert.deepEqual(percentile([], 0.5), NaN);
});

test("ratios are taken within a round; a round without a partner does not count", () => {
  assert.deepEqual(ratios([10, 30, 40], [10, 10, 20]), { median: 2, min: 1, max: 3 });
  assert.deepEqual(ratios([10, NaN, 40], [5, 10]), { median: 2, min: 2, max: 2 });
  assert.equal(ratios([10], [0]), undefined);
});
