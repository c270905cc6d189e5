import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { StreamTable } from "./stream-table.ts";
import { Http2Stream } from "./stream.ts";
import type { StreamOwner } from "./stream.ts";

const OWNER: StreamOwner = { sendHead() {}, sendData() {}, sendTrailers() {}, reset() {}, credit() {} };

/** Opens the next stream, or closes the one at a place among those that are open. */
const STEP = fc.oneof(
  fc.constant("open" as const),
  fc.nat({ max: 5_000 }).map((place) => ({ place })),
);

test("holds what a map would hold, however streams come and go", () => {
  fc.assert(
    fc.property(fc.array(STEP, { maxLength: 400 }), fc.boolean(), (steps, fromServer) => {
      const table = new StreamTable();
      const model = new Map<number, Http2Stream>();
      let next = fromServer ? 2 : 1;
      for (const step of steps) {
        if (step === "open") {
          const stream = new Http2Stream(OWNER, next, 0, 0);
          table.add(stream);
          model.set(next, stream);
          next += 2;
        } else {
          const ids = [...model.keys()];
          const id = ids[step.place % Math.max(1, ids.length)] ?? step.place;
          table.delete(id);
          model.delete(id);
        }
        assert.equal(table.size, model.size);
      }
      assert.deepEqual(
        table.all().map(({ id }) => id),
        [...model.keys()],
      );
      for (let id = 0; id < next; id++) assert.equal(table.get(id), model.get(id), String(id));
    }),
  );
});

test("old streams that stay, and thousands at once, are found", () => {
  const table = new StreamTable();
  for (let id = 1; id < 10_000; id += 2) table.add(new Http2Stream(OWNER, id, 0, 0));
  // One in a hundred stays: its slot is taken for all that follow.
  for (let id = 1; id < 10_000; id += 2) if (id % 200 !== 1) table.delete(id);
  for (let id = 10_001; id < 60_001; id += 2) {
    table.add(new Http2Stream(OWNER, id, 0, 0));
    assert.equal(table.get(id)?.id, id);
    table.delete(id);
  }
  assert.equal(table.size, 50);
  assert.equal(table.get(201)?.id, 201);
  table.clear();
  assert.equal(table.size, 0);
  assert.equal(table.get(201), undefined);
});
