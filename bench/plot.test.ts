import assert from "node:assert/strict";
import { test } from "node:test";
import { plot } from "./plot.ts";

test("a line has a point per step, the highest value stays inside, names are text", () => {
  const svg = plot([
    {
      title: "a < b",
      steps: [1, 10, 100],
      lines: [{ label: "ours & theirs", values: [10, 25, 70], ours: true }],
    },
  ]);
  const points = /points="([^"]*)"/
    .exec(svg)?.[1]
    ?.split(" ")
    .map((point) => point.split(",").map(Number));
  assert.equal(points?.length, 3);
  const heights = points.map(([, y]) => y ?? NaN);
  assert.ok(heights.every((y) => y >= 36 && y <= 204));
  assert.deepEqual(
    [...heights].sort((a, b) => b - a),
    heights,
  );
  assert.match(svg, /a &lt; b/);
  assert.match(svg, /ours &amp; theirs/);
  assert.match(svg, />80</);
});
