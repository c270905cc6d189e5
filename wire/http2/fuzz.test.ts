import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { POST as RAW_POST, REQUEST, block, frame, headers, join, settings, uint32 } from "../../test/support/frames.ts";
import { GET, Lone, OK } from "../../test/support/http2.ts";

const id = fc.constantFrom(0, 1, 1, 2, 3, 3, 5, 7, 9);
const payload = fc.uint8Array({ maxLength: 40 });
const answer = block([[":status", "200"]]);

/** Mostly sensible frames, with nonsense between them. */
const one = fc.oneof(
  id.map((stream) => headers(stream, REQUEST)),
  id.map((stream) => headers(stream, RAW_POST, 0)),
  id.map((stream) => frame(1, 4, stream, answer)),
  id.map((stream) => frame(1, 5, stream, answer)),
  id.map((stream) => frame(1, 0, stream, answer)),
  id.map((stream) => frame(9, 4, stream, block([["x", "y"]]))),
  fc.tuple(id, payload, fc.constantFrom(0, 1, 8, 9)).map(([stream, bytes, flags]) => frame(0, flags, stream, bytes)),
  id.map((stream) => frame(3, 0, stream, uint32(8))),
  fc.tuple(id, fc.integer({ min: 0, max: 100 })).map(([stream, by]) => frame(8, 0, stream, uint32(by))),
  fc
    .tuple(fc.constantFrom(1, 2, 3, 4, 5, 8), fc.constantFrom(0, 1, 20, 20_000, 70_000))
    .map((entry) => settings(entry)),
  id.map((stream) => frame(7, 0, 0, [...uint32(stream), 0, 0, 0, 0])),
  fc.constant(frame(6, 0, 0, new Uint8Array(8))),
  fc
    .tuple(fc.nat(255), fc.nat(255), id, payload)
    .map(([type, flags, stream, bytes]) => frame(type, flags, stream, bytes)),
  payload,
);

/** Feeds `bytes` in slices; answers each request; returns all that was sent and told, DATA joined. */
function outcome(role: "client" | "server", bytes: Uint8Array, slice: number): unknown {
  const lone = new Lone(role);
  lone.feed(settings([4, 50]));
  const opened = role === "client" ? [lone.open(), lone.open(GET, false), lone.open(GET, false)] : lone.streams;
  for (const { stream } of role === "client" ? opened : []) stream?.sendData(new Uint8Array(100), true);
  lone.sent();
  let answered = 0;
  for (let at = 0; at < bytes.length; at += slice) lone.connection.receive(bytes.slice(at, at + slice));
  for (; role === "server" && answered < opened.length; answered++) {
    opened[answered]?.stream?.sendHead(OK, false);
    opened[answered]?.stream?.sendData(new Uint8Array(100), true);
  }
  const sent = lone.sent();
  lone.connection.tick(0);
  lone.connection.transportClosed();
  for (const { log } of opened) {
    assert.ok(log.filter((line) => line.startsWith("reset")).length <= 1);
    const last = log.findIndex((line) => line.startsWith("reset"));
    assert.ok(last < 0 || last === log.length - 1, "something was reported after a reset");
  }
  assert.equal(lone.log.filter((line) => line.startsWith("ended")).length, 1);
  assert.equal(lone.connection.openStreams, 0);
  const heard = opened.map((events) => [
    events.log.filter((line) => !line.startsWith("data")),
    events.bytes,
    events.ended,
    events.sent,
  ]);
  return { sent, log: lone.log, heard };
}

for (const role of ["server", "client"] as const) {
  test(`any frames to a ${role}: nothing thrown, every stream told once, and the same however they are cut`, () => {
    fc.assert(
      fc.property(fc.array(one, { maxLength: 30 }), fc.integer({ min: 1, max: 50 }), (frames, slice) => {
        const bytes = join(...frames);
        assert.deepEqual(outcome(role, bytes, slice), outcome(role, bytes, bytes.length + 1));
      }),
      { numRuns: 1000 },
    );
  });
}
