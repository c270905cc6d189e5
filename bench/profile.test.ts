import assert from "node:assert/strict";
import { test } from "node:test";
import { selfTimes } from "./profile.ts";

test("self time is that of the samples, added up by function, idle left aside", () => {
  const frame = (functionName: string, url = "", lineNumber = 0) => ({
    callFrame: { functionName, url, lineNumber, columnNumber: 0 },
  });
  const profile = {
    nodes: [
      { id: 1, ...frame("(root)") },
      { id: 2, ...frame("(idle)") },
      { id: 3, ...frame("read", "file:///x/dist/portlight.js", 10) },
      // The same function, called from elsewhere.
      { id: 4, ...frame("read", "file:///x/dist/portlight.js", 10) },
      { id: 5, ...frame("(garbage collector)") },
    ],
    samples: [2, 3, 4, 5, 3],
    timeDeltas: [1000, 10, 20, 50, 20],
  };
  assert.deepEqual(
    selfTimes(profile, (line) => `source.ts:${line}`),
    [
      { name: "read", place: "source.ts:10", share: 0.5 },
      { name: "(garbage collector)", place: "V8", share: 0.5 },
    ],
  );
});
