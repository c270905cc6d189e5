import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { COPY_BELOW_BYTES, Outbox } from "./outbox.ts";

test("small pieces are joined, large ones kept by reference, the order stays", () => {
  let scheduled = 0;
  const outbox = new Outbox(() => scheduled++);
  const large = new Uint8Array(COPY_BELOW_BYTES + 1).fill(2);
  outbox.put(Uint8Array.of(1));
  outbox.put(Uint8Array.of(1));
  outbox.put(large);
  outbox.put(Uint8Array.of(3));
  outbox.put(new Uint8Array(0));
  assert.equal(outbox.pending, 3 + large.length);
  const pieces = outbox.take();
  assert.deepEqual(pieces[0], Uint8Array.of(1, 1));
  assert.equal(pieces[1], large);
  assert.deepEqual(pieces[2], Uint8Array.of(3));
  assert.deepEqual([pieces.length, outbox.pending, scheduled], [3, 0, 1]);
  assert.deepEqual(outbox.take(), []);
  outbox.put(Uint8Array.of(4));
  assert.equal(scheduled, 2);
});

test("reserved room that is given back is used again", () => {
  const outbox = new Outbox(() => {});
  const at = outbox.reserve(10);
  outbox.buffer[at] = 7;
  outbox.giveBack(9);
  assert.equal(outbox.pending, 1);
  outbox.put(Uint8Array.of(8));
  assert.deepEqual(outbox.take(), [Uint8Array.of(7, 8)]);
});

test("what was taken is never written again, whoever shares the slab", () => {
  const outboxes = [new Outbox(() => {}), new Outbox(() => {}), new Outbox(() => {})];
  const step = fc.record({
    which: fc.integer({ min: 0, max: 2 }),
    size: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(COPY_BELOW_BYTES, COPY_BELOW_BYTES + 1, 60_000)),
    take: fc.boolean(),
    reserve: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const wanted: number[][] = [[], [], []];
      const got: Uint8Array[][] = [[], [], []];
      let next = 0;
      for (const { which, size, take, reserve } of steps) {
        const outbox = outboxes[which];
        assert.ok(outbox !== undefined);
        const mark = next++ & 0xff;
        if (reserve && size <= COPY_BELOW_BYTES - 20) {
          const at = outbox.reserve(size + 20);
          outbox.buffer.fill(mark, at, at + size);
          outbox.giveBack(20);
        } else outbox.put(new Uint8Array(size).fill(mark));
        for (let index = 0; index < size; index++) wanted[which]?.push(mark);
        if (take) got[which]?.push(...outbox.take());
      }
      for (const [which, outbox] of outboxes.entries()) {
        got[which]?.push(...outbox.take());
        assert.ok(Buffer.concat(got[which] ?? []).equals(Uint8Array.from(wanted[which] ?? [])));
      }
    }),
    { numRuns: 60 },
  );
});
