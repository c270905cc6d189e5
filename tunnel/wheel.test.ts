import assert from "node:assert/strict";
import { test } from "node:test";
import { onDefect } from "./defects.ts";
import { unwatch, watch } from "./wheel.ts";

test("everybody watched has his turn each second, whatever happens to one", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const defects: string[] = [];
  onDefect((message) => defects.push(message));
  const broken = {
    tick() {
      throw new Error("boom");
    },
  };
  let turns = 0;
  const sound = {
    tick() {
      turns++;
    },
  };
  watch(broken);
  watch(sound);
  t.mock.timers.tick(2000);
  assert.equal(turns, 2);
  assert.equal(defects.length, 2);
  unwatch(broken);
  t.mock.timers.tick(1000);
  assert.deepEqual([turns, defects.length], [3, 2]);
  unwatch(sound);
  t.mock.timers.tick(5000);
  assert.equal(turns, 3);
  watch(sound);
  t.mock.timers.tick(1000);
  assert.equal(turns, 4, "it starts again");
  unwatch(sound);
});
