import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordingStream, fields } from "../test/support/recording-stream.ts";
import { Join } from "../tunnel/join.ts";
import { WaitingLine } from "./waiting.ts";

const GET = fields(":method: GET\n:path: /");

function setUp() {
  const opened: string[] = [];
  const log: string[] = [];
  const line = new WaitingLine((head) => opened.push(head[1]?.value ?? ""));
  const add = (path: string): { join: Join; stream: RecordingStream } => {
    const stream = new RecordingStream(path, log);
    const join = new Join(stream, GET, true, { party: "relay" });
    line.add(fields(`:method: GET\n:path: ${path}`), true, join);
    return { join, stream };
  };
  const refused = (): string[] => log.splice(0).filter((text) => text.includes(":status=503"));
  return { line, add, opened, refused };
}

test("first come, first served; who left holds no place", () => {
  const { line, add, opened } = setUp();
  add("/1");
  const second = add("/2");
  add("/3");
  second.join.visitorEvents.resetReceived({ by: "visitor", code: "cancelled", message: "x" });
  while (line.next());
  assert.deepEqual(opened, ["/1", "/3"]);
  assert.ok(line.empty);
});

test("five seconds are too long, and 256 are too many", () => {
  const { line, add, refused, opened } = setUp();
  add("/early");
  line.tick(1000);
  add("/late");
  line.tick(3000);
  line.tick(6000);
  assert.equal(refused().length, 1);
  line.tick(8000);
  assert.equal(refused().length, 1);
  assert.ok(line.empty);
  const joins = Array.from({ length: 257 }, (_, index) => add(`/${index}`));
  assert.equal(refused().length, 1);
  joins[7]?.join.visitorEvents.resetReceived({ by: "visitor", code: "cancelled", message: "x" });
  add("/instead");
  assert.equal(refused().length, 0);
  while (line.next());
  assert.equal(opened.length, 256);
  assert.equal(opened.at(-1), "/instead");
});
