import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { test } from "node:test";
import { LineWriter } from "./line-writer.ts";

/** A stream that takes one write at a time, when told. */
function slowStream() {
  const taken: string[] = [];
  const waiting: (() => void)[] = [];
  const stream = new Writable({
    decodeStrings: false,
    highWaterMark: 16,
    write(chunk: string, _encoding, done) {
      waiting.push(() => {
        taken.push(chunk);
        done();
      });
    },
  });
  const takeAll = async (): Promise<void> => {
    for (;;) {
      const next = waiting.shift();
      if (next === undefined) return;
      next();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { stream, taken, takeAll };
}

test("a slow reader: lines above the bound are dropped, counted and told in their place", async () => {
  const { stream, taken, takeAll } = slowStream();
  const writer = new LineWriter(stream, { maxQueued: 100, gap: (count) => `gap ${count}`, closed: () => undefined });
  for (let index = 0; index < 50; index++) writer.write(`line ${index}`.padEnd(19));
  assert.ok(stream.writableLength <= 120, `queued ${stream.writableLength}`);
  writer.write("important", true);
  await takeAll();
  writer.write("after");
  await takeAll();
  const lines = taken
    .join("")
    .trimEnd()
    .split("\n")
    .map((line) => line.trim());
  const expected = Array.from({ length: 6 }, (_, index) => `line ${index}`);
  assert.deepEqual(lines, [...expected, "important", "gap 44", "after"]);
});

test("flush waits for a reader that reads, and not for one that does not", async () => {
  const { stream, taken, takeAll } = slowStream();
  const writer = new LineWriter(stream, { gap: String, closed: () => undefined });
  writer.write("a");
  await writer.flush(20);
  assert.deepEqual(taken, []);
  const flushed = writer.flush(10_000);
  await takeAll();
  await flushed;
  assert.deepEqual(taken.join(""), "a\n");
});

test("a reader that is gone is told once, and nothing throws", async () => {
  const { stream } = slowStream();
  let closed = 0;
  const writer = new LineWriter(stream, { gap: String, closed: () => closed++ });
  writer.write("a");
  stream.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  await new Promise((resolve) => setImmediate(resolve));
  writer.write("b");
  await writer.flush(10_000);
  assert.equal(closed, 1);
});
