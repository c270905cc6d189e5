import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatDuration, formatSize, plural, shortName } from "./format.ts";

describe("format", () => {
  const sizes: readonly (readonly [number, string])[] = [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [9949, "9.9 kB"],
    [9960, "10 kB"],
    [999_499, "999 kB"],
    [999_500, "1.0 MB"],
    [64 * 1024 * 1024, "67 MB"],
    [5e12, "5.0 TB"],
    [5e15, "5000 TB"],
  ];
  for (const [octets, text] of sizes) it(`${octets} octets are ${text}`, () => assert.equal(formatSize(octets), text));

  const durations: readonly (readonly [number, string])[] = [
    [-5, "0 ms"],
    [0, "0 ms"],
    [0.04, "0.0 ms"],
    [0.4, "0.4 ms"],
    [9.94, "9.9 ms"],
    [9.96, "10 ms"],
    [999.4, "999 ms"],
    [999.6, "1.00 s"],
    [9_994, "9.99 s"],
    [9_996, "10.0 s"],
    [59_940, "59.9 s"],
    [59_960, "1 min 0 s"],
    [3_599_400, "59 min 59 s"],
    [3_600_000, "1 h 0 min"],
    [48 * 3_600_000, "2 d 0 h"],
  ];
  for (const [milliseconds, text] of durations)
    it(`${milliseconds} ms are ${text}`, () => assert.equal(formatDuration(milliseconds), text));

  it("counts one and many", () => {
    assert.equal(plural(1, "exchange"), "1 exchange");
    assert.equal(plural(1234, "exchange"), "1,234 exchanges");
  });

  it("shortens names", () => {
    assert.equal(shortName("shop.v1.Order"), "Order");
    assert.equal(shortName("Order"), "Order");
  });
});
