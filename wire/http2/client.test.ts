/** The client role against a server made of raw frames: what a service, or the agent's end of a tunnel, may do to us. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  FrameParser,
  SETTINGS_ACK,
  block,
  describe,
  frame,
  join,
  settings,
  uint32,
} from "../../test/support/frames.ts";
import { GET, Lone, POST, Recorder } from "../../test/support/http2.ts";
import type { Field } from "../stream.ts";
import { HpackDecoder } from "./hpack/decoder.ts";

const END = 0x1;
const NO_ERROR = 0;
const PROTOCOL = 1;
const INTERNAL = 2;
const FLOW_CONTROL = 3;
const CLOSED = 5;
const FRAME_SIZE = 6;
const REFUSED = 7;
const CANCEL = 8;
const CALM = 11;

const MAX_CONCURRENT = 3;
const INITIAL_WINDOW = 4;
const MAX_FRAME = 5;

type Fields = readonly (readonly [string, string])[];
const OK: Fields = [[":status", "200"]];
const octets = (size: number): Uint8Array => new Uint8Array(size);
const head = (stream: number, fields: Fields = OK, flags = 0): Uint8Array =>
  frame(1, flags | 0x4, stream, block(fields));
const data = (stream: number, content: string | Uint8Array, flags = 0): Uint8Array => frame(0, flags, stream, content);
const reset = (stream: number, code: number): Uint8Array => frame(3, 0, stream, uint32(code));
const goaway = (last: number, code = NO_ERROR): Uint8Array => frame(7, 0, 0, join(uint32(last), uint32(code)));
const windowUpdate = (stream: number, by: number): Uint8Array => frame(8, 0, stream, uint32(by));

/** A client whose handshake is over, with what the server said in it. */
function client(...entries: readonly (readonly [number, number])[]): Lone {
  const lone = new Lone("client");
  if (entries.length > 0) lone.feed(settings(...entries));
  lone.log.length = 0;
  return lone;
}

/** Streams 1, 3, … as GET without a body. */
function requests(lone: Lone, count: number): Recorder[] {
  const all = Array.from({ length: count }, () => lone.open());
  lone.sent();
  return all;
}

// GOAWAY, RFC 9113 section 6.8

test("GOAWAY in two steps: nothing new after the first, only what the second names is refused", () => {
  const lone = client();
  const [one, two, three] = requests(lone, 3);
  lone.feed(goaway(0x7fffffff));
  assert.equal(lone.connection.capacity, 0);
  assert.deepEqual([one?.log, two?.log, three?.log], [[], [], []]);
  lone.feed(goaway(3));
  assert.deepEqual([one?.log, two?.log, three?.log], [[], [], ["reset service refused"]]);
  lone.feed(head(1, OK, END), head(3), data(3, "last", END));
  assert.deepEqual(one?.log, ["head :status=200 end"]);
  assert.deepEqual(two?.log, ["head :status=200", "data 4 end"]);
  assert.deepEqual(lone.log, ["draining", "ended in order"]);
});

test("GOAWAY with last stream 0 refuses all, and the connection ends", () => {
  const lone = client();
  const all = requests(lone, 3);
  assert.deepEqual(lone.feed(goaway(0)), ["GOAWAY last 0 code 0"]);
  for (const one of all) assert.deepEqual(one.log, ["reset service refused"]);
  assert.deepEqual(lone.log, ["draining", "ended in order"]);
});

test("GOAWAY and then the end of the connection: what it named was cut, not refused", () => {
  for (const code of [NO_ERROR, INTERNAL, CALM]) {
    const lone = client();
    const [begun, silent, above] = requests(lone, 3);
    lone.feed(head(1), data(1, "part"), goaway(3, code));
    lone.connection.receiveEnd();
    assert.deepEqual(begun?.log, ["head :status=200", "data 4", "reset service closed"]);
    assert.deepEqual(silent?.log, ["reset service closed"]);
    assert.deepEqual(above?.log, ["reset service refused"]);
    assert.equal(lone.log.length, 2);
  }
});

test("GOAWAY does not stop an upload that the server still takes", () => {
  const lone = client([INITIAL_WINDOW, 10]);
  const upload = lone.open(POST, false);
  upload.stream?.sendData(octets(25), true);
  assert.deepEqual(lone.sent(), ["HEADERS 1", "DATA 1 10"]);
  assert.deepEqual(lone.feed(goaway(1), windowUpdate(1, 20)), ["DATA 1 end 15"]);
  lone.feed(head(1, OK, END));
  assert.deepEqual(upload.log, ["head :status=200 end"]);
  assert.equal(upload.sent, 25);
  assert.equal(lone.log.at(-1), "ended in order");
});

test("GOAWAY from within the report of a refused stream: each is told once", () => {
  const lone = client();
  const [one, two, three] = requests(lone, 3);
  const order: string[] = [];
  for (const [index, events] of [one, two, three].entries())
    if (events !== undefined)
      events.resetReceived = () => {
        order.push(`${index} reset`);
        lone.connection.abort({ by: "agent", code: "internal", message: "" });
      };
  lone.feed(goaway(1));
  assert.deepEqual(order.toSorted(), ["0 reset", "1 reset", "2 reset"]);
});

// Resets

test("REFUSED_STREAM says that nothing was processed, and costs the stream only", () => {
  const lone = client();
  const [one, two] = requests(lone, 2);
  assert.deepEqual(lone.feed(reset(1, REFUSED)), []);
  assert.deepEqual(one?.log, ["reset service refused"]);
  assert.equal(one.failure?.http2Code, REFUSED);
  lone.feed(head(3, OK, END));
  assert.deepEqual(two?.log, ["head :status=200 end"]);
  assert.deepEqual(lone.log, []);
});

test("a server that never answers: our cancel goes out, the other streams go on", () => {
  const lone = client();
  const [silent, other] = requests(lone, 2);
  silent?.stream?.reset({ by: "visitor", code: "cancelled", message: "" });
  assert.deepEqual(lone.sent(), [`RST_STREAM 1 code ${CANCEL}`]);
  // It may answer nevertheless, before it has heard of it.
  assert.deepEqual(lone.feed(head(1), data(1, "late"), head(3), data(3, "in time", END)), []);
  assert.deepEqual(silent?.log, []);
  assert.deepEqual(other?.log, ["head :status=200", "data 7 end"]);
});

test("a reset drops what waits for its window, and leaves the connection's window as it is", () => {
  const lone = client([INITIAL_WINDOW, 100_000]);
  const [one, two] = [lone.open(POST, false), lone.open(POST, false)];
  lone.sent();
  one.stream?.sendData(octets(80_000), true);
  two.stream?.sendData(octets(10), true);
  lone.sent();
  lone.feed(reset(1, CANCEL));
  assert.deepEqual(lone.feed(windowUpdate(0, 1000)), ["DATA 3 end 10"]);
  assert.deepEqual(one.log, ["reset service cancelled"]);
  assert.equal(one.sent, 65_535);
});

// How many streams, RFC 9113 section 5.1.2

test("MAX_CONCURRENT_STREAMS of 1: one after the other", () => {
  const lone = client([MAX_CONCURRENT, 1]);
  for (let id = 1; id < 9; id += 2) {
    assert.equal(lone.connection.capacity, 1);
    requests(lone, 1);
    assert.equal(lone.connection.capacity, 0);
    assert.equal(lone.connection.open(GET, true, new Recorder()), undefined);
    lone.log.length = 0;
    lone.feed(head(id), data(id, "x", END));
    assert.deepEqual(lone.log, ["capacity"]);
  }
});

test("MAX_CONCURRENT_STREAMS of 0, then raised, then below what is open", () => {
  const lone = client([MAX_CONCURRENT, 0]);
  assert.equal(lone.connection.capacity, 0);
  lone.feed(settings([MAX_CONCURRENT, 3]));
  assert.deepEqual(lone.log.splice(0), ["capacity"]);
  assert.equal(lone.connection.capacity, 3);
  requests(lone, 3);
  lone.feed(settings([MAX_CONCURRENT, 1]));
  assert.equal(lone.connection.capacity, 0);
  lone.log.length = 0;
  lone.feed(head(1, OK, END), head(3, OK, END));
  // Still one above: only the last one makes room.
  assert.deepEqual([lone.log.splice(0), lone.connection.capacity], [[], 0]);
  lone.feed(head(5, OK, END));
  assert.deepEqual([lone.log, lone.connection.capacity], [["capacity"], 1]);
});

test("every end of a stream makes room: answer, reset of either side, error", () => {
  const ends: readonly ((lone: Lone, one: Recorder | undefined) => void)[] = [
    (lone) => lone.feed(head(1, OK, END)),
    (lone) => lone.feed(reset(1, CANCEL)),
    (_, one) => one?.stream?.reset({ by: "visitor", code: "cancelled", message: "" }),
    (lone) => lone.feed(head(1, [[":status", "abc"]])),
  ];
  for (const end of ends) {
    const lone = client([MAX_CONCURRENT, 1]);
    const [one] = requests(lone, 1);
    end(lone, one);
    assert.deepEqual([lone.log, lone.connection.capacity], [["capacity"], 1]);
  }
});

// Windows, RFC 9113 sections 5.2 and 6.9

test("INITIAL_WINDOW_SIZE of 0: the head goes out, content waits for its WINDOW_UPDATE", () => {
  const lone = client([INITIAL_WINDOW, 0]);
  const upload = lone.open(POST, false);
  upload.stream?.sendData(octets(3), false);
  upload.stream?.sendTrailers([{ name: "x", value: "y" }]);
  assert.deepEqual(lone.sent(), ["HEADERS 1"]);
  // An answer needs no window of ours.
  lone.feed(head(1));
  assert.deepEqual(upload.log, ["head :status=200"]);
  assert.deepEqual(lone.feed(windowUpdate(1, 2)), ["DATA 1 2"]);
  assert.deepEqual(lone.feed(windowUpdate(1, 5)), ["DATA 1 1", "HEADERS 1 end"]);
});

test("INITIAL_WINDOW_SIZE of 0: an end without content does not wait", () => {
  const lone = client([INITIAL_WINDOW, 0]);
  lone.open(POST, false).stream?.sendData(octets(0), true);
  lone.open(POST, false).stream?.sendTrailers([]);
  assert.deepEqual(lone.sent(), ["HEADERS 1", "DATA 1 end 0", "HEADERS 3", "DATA 3 end 0"]);
});

test("a window of one octet: one octet a frame, in order", () => {
  const lone = client([INITIAL_WINDOW, 1]);
  const upload = lone.open(POST, false);
  upload.stream?.sendData(Uint8Array.of(1, 2, 3, 4), true);
  const sent = lone.sent();
  for (let round = 0; round < 3; round++) sent.push(...lone.feed(windowUpdate(1, 1)));
  assert.deepEqual(sent, ["HEADERS 1", "DATA 1 1", "DATA 1 1", "DATA 1 1", "DATA 1 end 1"]);
  assert.equal(upload.sent, 4);
});

test("a window shrunk below what is under way: negative, and paid back first", () => {
  const lone = client([INITIAL_WINDOW, 100]);
  const [old, late] = [lone.open(POST, false), lone.open(POST, false)];
  old.stream?.sendData(octets(150), true);
  late.stream?.sendData(octets(10), false);
  assert.deepEqual(lone.sent(), ["HEADERS 1", "HEADERS 3", "DATA 1 100", "DATA 3 10"]);
  // Stream 1 is at -80 now, stream 3 at 10.
  assert.deepEqual(lone.feed(settings([INITIAL_WINDOW, 20])), ["SETTINGS ack"]);
  late.stream?.sendData(octets(30), true);
  assert.deepEqual(lone.sent(), ["DATA 3 10"]);
  assert.deepEqual(lone.feed(windowUpdate(1, 80)), []);
  assert.deepEqual(lone.feed(windowUpdate(1, 1)), ["DATA 1 1"]);
  assert.deepEqual(lone.feed(settings([INITIAL_WINDOW, 1000])), ["SETTINGS ack", "DATA 1 end 49", "DATA 3 end 20"]);
  const [fresh] = [lone.open(POST, false)];
  fresh.stream?.sendData(octets(1001), true);
  assert.deepEqual(lone.sent(), ["HEADERS 5", "DATA 5 1000"]);
});

test("the same setting twice in one frame: the last one counts, in both", () => {
  const lone = client([INITIAL_WINDOW, 1], [INITIAL_WINDOW, 7], [MAX_CONCURRENT, 1], [MAX_CONCURRENT, 2]);
  assert.equal(lone.connection.capacity, 2);
  lone.open(POST, false).stream?.sendData(octets(9), true);
  assert.deepEqual(lone.sent(), ["HEADERS 1", "DATA 1 7"]);
});

test("windows above 2^31-1: the stream's resets it, the connection's ends all", () => {
  const lone = client();
  const [one, two] = requests(lone, 2);
  assert.deepEqual(lone.feed(windowUpdate(1, 0x7fffffff)), [`RST_STREAM 1 code ${FLOW_CONTROL}`]);
  assert.deepEqual(one?.log, ["reset service malformed"]);
  assert.deepEqual(two?.log, []);
  assert.deepEqual(lone.feed(windowUpdate(0, 0x7fffffff)), [`GOAWAY last 0 code ${FLOW_CONTROL}`]);
  assert.deepEqual(two.log, ["reset service malformed"]);
});

test("a server that sends more than our window is stopped, one that stays within it is not", () => {
  const lone = new Lone("client", { settings: { initialWindowSize: 20_000 } });
  const [one, two] = requests(lone, 2);
  lone.feed(head(1), data(1, octets(16_384)), data(1, octets(3616)));
  assert.equal(one?.bytes, 20_000);
  assert.deepEqual(lone.feed(data(1, "x")), [`RST_STREAM 1 code ${FLOW_CONTROL}`]);
  assert.equal(one.log.at(-1), "reset service malformed");
  lone.feed(head(3, OK, END));
  assert.deepEqual(two?.log, ["head :status=200 end"]);
});

// SETTINGS in mid-stream, RFC 9113 section 6.5

test("MAX_FRAME_SIZE up and down again, in the middle of an upload", () => {
  const lone = client([INITIAL_WINDOW, 1_000_000]);
  lone.feed(windowUpdate(0, 1_000_000));
  const upload = lone.open(POST, false);
  lone.sent();
  const sizes = (bytes: number): string[] => {
    upload.stream?.sendData(octets(bytes), false);
    return lone.sent();
  };
  assert.deepEqual(sizes(20_000), ["DATA 1 16384", "DATA 1 3616"]);
  lone.feed(settings([MAX_FRAME, 20_000]));
  assert.deepEqual(sizes(20_000), ["DATA 1 20000"]);
  lone.feed(settings([MAX_FRAME, 16_384]));
  assert.deepEqual(sizes(20_000), ["DATA 1 16384", "DATA 1 3616"]);
});

test("HEADER_TABLE_SIZE 0 and back: each block fits the table that the server has", () => {
  const lone = client();
  const parser = new FrameParser();
  const decoder = new HpackDecoder(4096);
  const read = (): string[] => {
    lone.transport.flush();
    const fields: string[] = [];
    for (const one of lone.transport.sent.splice(0).flatMap((piece) => parser.push(piece))) {
      if (one.type !== 1) continue;
      decoder.decode(one.payload, 0, one.payload.length, {
        field: (field: Field) => fields.push(`${field.name}=${field.value}`),
      });
    }
    return fields;
  };
  const request = [...GET, { name: "user-agent", value: "Kestrel/1" }];
  const expected = request.map((field) => `${field.name}=${field.value}`);
  const limits = [4096, 0, 4096, 100, 0, 0, 65_536, 4096];
  for (const [index, limit] of limits.entries()) {
    if (index > 0) lone.connection.receive(settings([1, limit]));
    // Down to nothing and up again between two blocks: both must be announced (RFC 7541 section 4.2).
    if (index === 6) lone.connection.receive(settings([1, 0], [1, 4096]));
    decoder.setLimit(index === 6 ? 4096 : limit);
    for (let round = 0; round < 3; round++) {
      lone.open(request);
      assert.deepEqual(read(), expected, `table of ${limit}`);
    }
  }
  assert.deepEqual(
    lone.log.filter((line) => line !== "capacity"),
    [],
  );
});

test("what SETTINGS may not say ends the connection", () => {
  const cases: readonly (readonly [string, Uint8Array, number])[] = [
    ["a window above 2^31-1", settings([INITIAL_WINDOW, 0x80000000]), FLOW_CONTROL],
    ["frames below 16 384", settings([MAX_FRAME, 16_383]), PROTOCOL],
    ["frames of 2^24", settings([MAX_FRAME, 0x1000000]), PROTOCOL],
    ["5 octets", frame(4, 0, 0, octets(5)), FRAME_SIZE],
    ["an acknowledgement with content", frame(4, 1, 0, octets(6)), FRAME_SIZE],
    ["on a stream", frame(4, 0, 1), PROTOCOL],
  ];
  for (const [name, bytes, code] of cases) {
    const lone = client();
    const [one] = requests(lone, 1);
    assert.equal(lone.feed(bytes).at(-1), `GOAWAY last 0 code ${code}`, name);
    assert.deepEqual(one?.log, ["reset service malformed"], name);
  }
});

test("the first frame is SETTINGS, or it is no HTTP/2", () => {
  for (const bytes of [frame(6, 0, 0, octets(8)), goaway(0), head(1), SETTINGS_ACK]) {
    const lone = new Lone("client", {}, false);
    lone.sent();
    const [what] = new FrameParser().push(bytes).map(describe);
    assert.deepEqual(lone.feed(bytes), [`GOAWAY last 0 code ${PROTOCOL}`], what);
  }
});

// Answers

test("trailers only, and trailers after content", () => {
  const lone = client();
  const [only, after, empty] = requests(lone, 3);
  lone.feed(
    head(1, [...OK, ["grpc-status", "5"]], END),
    head(3),
    data(3, "x"),
    head(3, [["grpc-status", "0"]], END),
    head(5),
    head(5, [["grpc-status", "0"]], END),
  );
  assert.deepEqual(only?.log, ["head :status=200 grpc-status=5 end"]);
  assert.deepEqual(after?.log, ["head :status=200", "data 1", "trailers grpc-status=0"]);
  assert.deepEqual(empty?.log, ["head :status=200", "trailers grpc-status=0"]);
  assert.equal(lone.connection.openStreams, 0);
});

test("interim heads, several and of the same kind, before the final one", () => {
  const lone = client();
  const [one] = requests(lone, 1);
  lone.feed(
    head(1, [[":status", "100"]]),
    head(1, [
      [":status", "103"],
      ["link", "</a>"],
    ]),
    head(1, [[":status", "103"]]),
    head(1, OK, END),
  );
  assert.deepEqual(one?.log, [
    "head :status=100",
    "head :status=103 link=</a>",
    "head :status=103",
    "head :status=200 end",
  ]);
});

test("64 interim heads are taken, one more resets the stream", () => {
  for (const count of [64, 65]) {
    const lone = client();
    const [one, two] = requests(lone, 2);
    const interims = Array.from({ length: count }, () => head(1, [[":status", "102"]]));
    assert.deepEqual(lone.feed(...interims, head(1, OK, END)), count === 64 ? [] : [`RST_STREAM 1 code ${CALM}`]);
    assert.equal(one?.log.length, 65);
    assert.equal(one.log.at(-1), count === 64 ? "head :status=200 end" : "reset service limit");
    lone.feed(head(3, OK, END));
    assert.deepEqual(two?.log, ["head :status=200 end"]);
  }
});

test("an answer before the request has ended: with NO_ERROR the rest is unneeded, without it goes on, with another it is cut", () => {
  const ends: readonly (readonly [number | undefined, readonly string[]])[] = [
    [NO_ERROR, ["head :status=413", "data 3 end", "reset service unneeded"]],
    [undefined, ["head :status=413", "data 3 end"]],
    [CANCEL, ["head :status=413", "data 3 end", "reset service cancelled"]],
  ];
  for (const [code, expected] of ends) {
    const lone = client([INITIAL_WINDOW, 5]);
    const upload = lone.open(POST, false);
    upload.stream?.sendData(octets(8), false);
    lone.sent();
    lone.feed(head(1, [[":status", "413"]]), data(1, "big", END), ...(code === undefined ? [] : [reset(1, code)]));
    assert.deepEqual(upload.log, expected);
    upload.stream?.sendData(octets(2), true);
    assert.deepEqual(lone.feed(windowUpdate(1, 100)), code === undefined ? ["DATA 1 3", "DATA 1 end 2"] : []);
    assert.equal(lone.connection.openStreams, 0);
  }
});

test("NO_ERROR before the answer is complete is a cut", () => {
  for (const before of [[], [head(1)], [head(1), data(1, "x")]]) {
    const lone = client();
    const [one] = requests(lone, 1);
    lone.feed(...before, reset(1, NO_ERROR));
    assert.equal(one?.log.at(-1), "reset service cancelled");
    assert.ok(!one.ended);
  }
});

const malformed: readonly (readonly [string, Fields])[] = [
  ["upper case", [...OK, ["X-Name", "a"]]],
  ["an empty name", [...OK, ["", "a"]]],
  ["a space in a name", [...OK, ["x y", "a"]]],
  ["a colon in a name", [...OK, ["x:y", "a"]]],
  ["NUL in a value", [...OK, ["x", "a\0b"]]],
  ["a value that begins with a space", [...OK, ["x", " a"]]],
  ["a value that ends with a tab", [...OK, ["x", "a\t"]]],
  ["connection", [...OK, ["connection", "keep-alive"]]],
  ["keep-alive", [...OK, ["keep-alive", "timeout=5"]]],
  ["proxy-connection", [...OK, ["proxy-connection", "close"]]],
  ["transfer-encoding", [...OK, ["transfer-encoding", "chunked"]]],
  ["upgrade", [...OK, ["upgrade", "h2c"]]],
  [":status twice", [...OK, ...OK]],
  [":status behind a field", [["x", "y"], ...OK]],
  [":status of two digits", [[":status", "20"]]],
  [":status below 100", [[":status", "099"]]],
  [":status with a sign", [[":status", "+20"]]],
  [":status empty", [[":status", ""]]],
  ["an unknown pseudo-field", [...OK, [":reason", "OK"]]],
  ["content-length that is none", [...OK, ["content-length", "one"]]],
  ["content-length with a sign", [...OK, ["content-length", "+1"]]],
  ["content-length as a list", [...OK, ["content-length", "1, 1"]]],
  ["two content-lengths", [...OK, ["content-length", "1"], ["content-length", "2"]]],
];
for (const [name, fields] of malformed)
  test(`a malformed answer resets its stream: ${name}`, () => {
    for (const flags of [0, END]) {
      const lone = client();
      const [one, two] = requests(lone, 2);
      assert.deepEqual(lone.feed(head(1, fields, flags)), [`RST_STREAM 1 code ${PROTOCOL}`]);
      assert.deepEqual(one?.log, ["reset service malformed"]);
      lone.feed(head(3, OK, END));
      assert.deepEqual(two?.log, ["head :status=200 end"]);
    }
  });

test("content that differs from content-length, and trailers that are none", () => {
  const LENGTH: Fields = [...OK, ["content-length", "4"]];
  const cases: readonly (readonly [string, readonly Uint8Array[], number])[] = [
    ["none", [head(1, LENGTH, END)], PROTOCOL],
    ["none, by an empty frame", [head(1, LENGTH), data(1, "", END)], PROTOCOL],
    ["less", [head(1, LENGTH), data(1, "abc", END)], PROTOCOL],
    ["less, before trailers", [head(1, LENGTH), data(1, "abc"), head(1, [["x", "y"]], END)], PROTOCOL],
    ["more", [head(1, LENGTH), data(1, "abcd"), data(1, "e")], PROTOCOL],
    ["trailers without END_STREAM", [head(1), data(1, "a"), head(1, [["x", "y"]])], PROTOCOL],
    ["content-length in trailers", [head(1), data(1, "a"), head(1, [["content-length", "1"]], END)], PROTOCOL],
    ["an interim head in trailers", [head(1), data(1, "a"), head(1, [[":status", "103"]])], PROTOCOL],
    ["interim heads only", [head(1, [[":status", "103"]]), data(1, "a", END)], PROTOCOL],
  ];
  for (const [name, frames, code] of cases) {
    const lone = client();
    const [one] = requests(lone, 1);
    const sent = lone.feed(...frames);
    assert.deepEqual(sent, [`RST_STREAM 1 code ${code}`], name);
    assert.equal(one?.log.at(-1), "reset service malformed", name);
    assert.ok(!one.ended, name);
  }
});

// Frames where none may be, RFC 9113 section 5.1

test("frames on streams that are over, or never were", () => {
  const cases: readonly (readonly [string, Uint8Array, readonly string[]])[] = [
    ["DATA on one that has ended", data(1, "x"), [`RST_STREAM 1 code ${CLOSED}`]],
    ["HEADERS on one that has ended", head(1), [`GOAWAY last 0 code ${CLOSED}`]],
    ["WINDOW_UPDATE on one that has ended", windowUpdate(1, 5), []],
    ["RST_STREAM on one that has ended", reset(1, CANCEL), []],
    ["DATA on one that never was", data(9, "x"), [`GOAWAY last 0 code ${PROTOCOL}`]],
    ["HEADERS on one that never was", head(9), [`GOAWAY last 0 code ${PROTOCOL}`]],
    ["WINDOW_UPDATE on one that never was", windowUpdate(9, 5), [`GOAWAY last 0 code ${PROTOCOL}`]],
    ["RST_STREAM on one that never was", reset(9, CANCEL), [`GOAWAY last 0 code ${PROTOCOL}`]],
    ["DATA on one of its own", data(2, "x"), [`GOAWAY last 0 code ${PROTOCOL}`]],
    ["HEADERS on one of its own", head(2), [`GOAWAY last 0 code ${PROTOCOL}`]],
    ["DATA on stream 0", data(0, "x"), [`GOAWAY last 0 code ${PROTOCOL}`]],
    ["an unknown frame", frame(0x20, 0xff, 9, "x"), []],
  ];
  for (const [name, bytes, expected] of cases) {
    const lone = client();
    const [ended, open] = requests(lone, 2);
    lone.feed(head(1, OK, END));
    assert.deepEqual(lone.feed(bytes), expected, name);
    assert.deepEqual(ended?.log, ["head :status=200 end"], name);
    const fatal = expected[0]?.startsWith("GOAWAY") === true;
    assert.deepEqual(open?.log, fatal ? ["reset service malformed"] : [], name);
  }
});

test("DATA after the end of an answer whose request goes on resets the stream", () => {
  const lone = client();
  const upload = lone.open(POST, false);
  lone.sent();
  assert.deepEqual(lone.feed(head(1, OK, END), data(1, "more")), [`RST_STREAM 1 code ${CLOSED}`]);
  assert.deepEqual(upload.log, ["head :status=200 end", "reset service malformed"]);
});

test("a promise ends the connection, whatever it is bound to", () => {
  for (const stream of [0, 1, 3, 9]) {
    const lone = client();
    const [one] = requests(lone, 2);
    const promise = frame(5, 0x4, stream, join(uint32(2), block(OK)));
    assert.deepEqual(lone.feed(promise), [`GOAWAY last 0 code ${PROTOCOL}`]);
    assert.deepEqual(one?.log, ["reset service malformed"]);
    assert.equal(lone.log.at(-1), "ended service malformed");
  }
});
