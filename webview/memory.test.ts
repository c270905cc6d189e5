import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { moved, movedAcross } from "./keys.ts";
import { readMemory } from "./memory.ts";

const DEFAULTS = { filter: "", exchange: undefined, tab: "messages", split: 0.4, mode: "tree" };

describe("memory", () => {
  for (const value of [undefined, null, 7, "x", [], { tab: "none", split: 7, filter: 1, exchange: "1", mode: {} }])
    it(`replaces ${JSON.stringify(value)} by defaults`, () => assert.deepEqual(readMemory(value), DEFAULTS));

  it("keeps what fits", () => {
    const memory = { filter: "a", exchange: 3, tab: "headers", split: 0.5, mode: "hex" };
    assert.deepEqual(readMemory(memory), memory);
  });
});

describe("keys", () => {
  const range = { first: 10, end: 100, page: 20 };
  const cases: readonly (readonly [key: string, from: number, to: number | undefined])[] = [
    ["ArrowDown", 10, 11],
    ["ArrowDown", 99, 99],
    ["ArrowUp", 10, 10],
    ["PageDown", 85, 99],
    ["PageUp", 50, 30],
    ["Home", 50, 10],
    ["End", 50, 99],
    ["a", 50, undefined],
  ];
  for (const [key, from, to] of cases) it(`${key} at ${from}`, () => assert.equal(moved(key, from, range), to));

  it("an empty list moves nowhere", () => assert.equal(moved("End", 0, { first: 0, end: 0, page: 1 }), undefined));

  it("a row of tabs wraps around", () => {
    assert.equal(movedAcross("ArrowRight", 2, 3), 0);
    assert.equal(movedAcross("ArrowLeft", 0, 3), 2);
    assert.equal(movedAcross("Enter", 0, 3), undefined);
  });
});
