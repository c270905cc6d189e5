import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordingStream, fields } from "../test/support/recording-stream.ts";
import { Join } from "../tunnel/join.ts";
import { MAX_WAIT_MS, RETURN_MS, WaitingRoom } from "./waiting.ts";
import type { WaitingRoomOptions } from "./waiting.ts";

const GET = fields(":method: GET\n:path: /");

function setUp(options: Partial<WaitingRoomOptions> = {}) {
  let now = 1_000_000;
  const went: string[] = [];
  const room = new WaitingRoom({ now: () => now, ...options });
  const add = (name: string, path: string, until = room.untilRoom()) => {
    const join = new Join(new RecordingStream(path, []), GET, true, { party: "relay" });
    const added = room.add(name, { join, until, go: (late) => went.push(late ? `${path} late` : path) });
    const leave = (): void =>
      join.visitorEvents.resetReceived({ by: "visitor", code: "cancelled", message: "The visitor left" });
    return { added, leave };
  };
  const pass = (ms: number): void => room.tick((now += ms));
  return { room, add, pass, went: () => went.splice(0) };
}

test("first come, first served, as far as there is room; who left holds no place", () => {
  const { room, add, went } = setUp();
  assert.equal(room.isAwaited("a"), false);
  add("a", "/1");
  const second = add("a", "/2");
  for (const path of ["/3", "/4"]) add("a", path);
  add("b", "/b");
  assert.ok(room.isAwaited("a"));
  second.leave();
  let places = 3;
  room.serve("a", () => places-- > 0);
  assert.deepEqual(went(), ["/1", "/3"]);
  room.serve("a", () => true);
  assert.deepEqual(went(), ["/4"]);
  assert.equal(room.isAwaited("a"), false);
  room.dismiss("b");
  assert.deepEqual(went(), ["/b late"], "nothing comes for it any more");
});

test("each waits until its time is over, and then gets whatever answer there is", () => {
  const { room, add, pass, went } = setUp();
  add("a", "/early");
  pass(2000);
  add("a", "/late");
  const gone = add("b", "/gone");
  pass(MAX_WAIT_MS - 2001);
  assert.deepEqual(went(), []);
  gone.leave();
  pass(1);
  assert.deepEqual(went(), ["/early late"]);
  pass(1999);
  assert.deepEqual(went(), []);
  pass(1);
  assert.deepEqual(went(), ["/late late"]);
  assert.equal(room.isAwaited("b"), false);
});

test("256 for one name and 1000 in all; visitors who left make room", () => {
  const { room, add, went } = setUp();
  const first = Array.from({ length: 256 }, (_, index) => add("a", `/${index}`));
  assert.ok(first.every(({ added }) => added));
  assert.equal(add("a", "/257").added, false);
  first[7]?.leave();
  assert.equal(add("a", "/instead").added, true);
  for (const name of ["b", "c", "d"]) for (let index = 0; index < 248; index++) assert.ok(add(name, "/").added);
  assert.equal(add("e", "/").added, false);
  room.serve("a", () => true);
  assert.equal(went().at(-1), "/instead");
  assert.equal(add("e", "/").added, true);
});

test("a lost share is waited for as long as an agent takes to come back, any name after the relay's start", () => {
  const { room, pass } = setUp();
  const started = room.untilStarted();
  assert.equal(started, 1_000_000 + RETURN_MS);
  assert.equal(room.untilReturn("a"), undefined);
  pass(RETURN_MS);
  assert.equal(room.untilStarted(), undefined);
  room.lost("a");
  room.lost("b");
  assert.equal(room.untilReturn("a"), 1_000_000 + 2 * RETURN_MS);
  room.serve("a", () => true);
  assert.equal(room.untilReturn("a"), undefined, "it is back");
  pass(RETURN_MS - 1);
  assert.notEqual(room.untilReturn("b"), undefined);
  pass(1);
  assert.equal(room.untilReturn("b"), undefined);
});

test("told not to wait, or going down, it expects nobody", () => {
  const strict = setUp({ returnMs: 0 }).room;
  strict.lost("a");
  assert.deepEqual([strict.untilStarted(), strict.untilReturn("a")], [undefined, undefined]);
  const { room } = setUp();
  room.lost("a");
  room.close();
  room.lost("b");
  assert.deepEqual(
    [room.untilStarted(), room.untilReturn("a"), room.untilReturn("b")],
    [undefined, undefined, undefined],
  );
});
