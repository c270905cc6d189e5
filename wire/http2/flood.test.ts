import assert from "node:assert/strict";
import { test } from "node:test";
import {
  POST as RAW_POST,
  SETTINGS_ACK,
  block,
  frame,
  headers,
  latin1,
  settings,
  uint32,
} from "../../test/support/frames.ts";
import { Lone, OK, pair, GET } from "../../test/support/http2.ts";
import { TUNNEL_AGENT } from "./profiles.ts";
import type { Http2Options } from "./options.ts";

const CALM = /^GOAWAY last \d+ code 11$/;

/** How often `make` was taken before the connection ended, at most `most` times. */
function endure(
  make: (round: number) => Uint8Array[],
  most: number,
  options: Partial<Http2Options> = {},
): { rounds: number; lone: Lone; last: string } {
  const lone = new Lone("server", options);
  let last = "";
  for (let round = 0; round < most; round++) {
    last = lone.feed(...make(round)).at(-1) ?? last;
    if (lone.log.at(-1)?.startsWith("ended") === true) return { rounds: round, lone, last };
  }
  return { rounds: most, lone, last };
}

const id = (round: number): number => 1 + 2 * round;
const rst = (stream: number): Uint8Array => frame(3, 0, stream, uint32(8));
const windowUpdate = (stream: number, by: number): Uint8Array => frame(8, 0, stream, uint32(by));

/** The first round opens stream 1. */
const begin = (round: number, ...more: Uint8Array[]): Uint8Array[] =>
  round === 0 ? [headers(1, RAW_POST, 0), ...more] : [];

const floods: [string, (round: number) => Uint8Array[], number][] = [
  ["rapid reset", (round) => [headers(id(round), RAW_POST, 0), rst(id(round))], 79],
  ["PING", () => [frame(6, 0, 0, new Uint8Array(8))], 100],
  // The handshake's own frame counts.
  ["SETTINGS", () => [settings()], 49],
  ["empty DATA", (round) => [...begin(round), frame(0, 0, 1)], 100],
  ["empty padded HEADERS blocks on no stream: PRIORITY", () => [frame(2, 0, 1, [0, 0, 0, 3, 1])], 100],
  ["DATA of padding alone", (round) => [...begin(round), frame(0, 8, 1, [2, 0, 0])], 100],
  ["WINDOW_UPDATE of the connection", () => [windowUpdate(0, 1)], 100],
  // Two are explained by the stream.
  ["WINDOW_UPDATE of a stream", (round) => [...begin(round), windowUpdate(1, 1)], 102],
  ["WINDOW_UPDATE of a stream that is over", (round) => [...begin(round, rst(1)), windowUpdate(1, 1)], 102],
  ["unknown types", () => [frame(0xbe, 0, 0, "x")], 1000],
  ["acknowledged SETTINGS, again", () => [SETTINGS_ACK], 1000],
  ["PINGs answered that nobody sent", () => [frame(6, 1, 0, new Uint8Array(8))], 1000],
  // The first one says something.
  ["GOAWAY", (round) => [...begin(round), frame(7, 0, 0, new Uint8Array(8))], 1001],
  ["DATA on a stream that we reset", (round) => [...begin(round, windowUpdate(1, 0)), frame(0, 0, 1, "x")], 1000],
  [
    "trailers on a stream that we reset",
    (round) => [...begin(round, windowUpdate(1, 0)), frame(1, 5, 1, block([["a", "b"]]))],
    1000,
  ],
  [
    "resets provoked: WINDOW_UPDATE by 0",
    (round) => [headers(id(round), RAW_POST, 0), windowUpdate(id(round), 0)],
    179,
  ],
  [
    "resets provoked: window overflow",
    (round) => [headers(id(round), RAW_POST, 0), windowUpdate(id(round), 0x7fffffff)],
    179,
  ],
  ["resets provoked: DATA after END_STREAM", (round) => [headers(id(round)), frame(0, 0, id(round), "x")], 179],
  [
    "resets provoked: trailers without END_STREAM",
    (round) => [headers(id(round), RAW_POST, 0), frame(1, 4, id(round), block([["a", "b"]]))],
    179,
  ],
  [
    "resets provoked: content-length",
    (round) => [headers(id(round), [...RAW_POST, ["content-length", "1"]], 0), frame(0, 0, id(round), "xx")],
    179,
  ],
  ["resets provoked: malformed requests", (round) => [headers(id(round), [["x", "y"]])], 179],
];
for (const [name, make, limit] of floods) {
  test(`flood: ${name}: ${limit} are taken, the next ends the connection`, () => {
    const { rounds, lone, last } = endure(make, 5000);
    assert.equal(rounds, limit);
    assert.match(last, CALM);
    assert.equal(lone.log.at(-1), "ended visitor limit");
    assert.equal(lone.connection.openStreams, 0);
    // What comes later is not even looked at.
    assert.deepEqual(lone.feed(frame(6, 0, 0, new Uint8Array(8))), []);
  });
}

test("CONTINUATION: eight are taken", () => {
  for (const [count, ends] of [
    [8, false],
    [9, true],
  ] as const) {
    const lone = new Lone("server");
    const parts = Array.from({ length: count }, (_, index) =>
      frame(9, !ends && index === count - 1 ? 4 : 0, 1, block([[`x-${index}`, "y"]])),
    );
    const sent = lone.feed(
      frame(
        1,
        1,
        1,
        block([
          [":method", "GET"],
          [":scheme", "http"],
          [":path", "/"],
        ]),
      ),
      ...parts,
    );
    assert.deepEqual(sent, ends ? ["GOAWAY last 0 code 11"] : []);
    assert.equal(lone.streams.length, ends ? 0 : 1);
  }
});

test("an endless header block ends the connection, however few its frames", () => {
  const lone = new Lone("server", { settings: { maxFrameSize: 1_000_000 } });
  const sent = lone.feed(frame(1, 1, 1, new Uint8Array(200_000)), frame(9, 0, 1, new Uint8Array(100_000)));
  assert.deepEqual(sent, ["GOAWAY last 0 code 11"]);
});

test("SETTINGS of more than 32 entries", () => {
  const lone = new Lone("server");
  assert.deepEqual(lone.feed(settings(...Array.from({ length: 33 }, (): [number, number] => [3, 1]))), [
    "GOAWAY last 0 code 11",
  ]);
});

test("seconds begin anew, and completed exchanges forgive", () => {
  const lone = new Lone("server");
  lone.connection.tick(1000);
  for (let second = 2; second < 6; second++) {
    for (let round = 0; round < 100; round++) lone.feed(frame(6, 0, 0, new Uint8Array(8)));
    lone.connection.tick(second * 1000);
  }
  for (let round = 0; round < 80; round++) {
    lone.feed(headers(id(2 * round)));
    lone.stream(2 * round).stream.sendHead(OK, true);
    lone.feed(headers(id(2 * round + 1), RAW_POST, 0), rst(id(2 * round + 1)));
  }
  assert.ok(!lone.log.some((line) => line.startsWith("ended")));
});

test("a reader of much data may send many WINDOW_UPDATEs", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 0x7fffffff]), headers(1));
  lone.stream(0).stream.sendHead(OK, false);
  lone.stream(0).stream.sendData(new Uint8Array(10_000_000), true);
  for (let sent = 65_535; sent < 10_000_000; sent += 16_384) lone.feed(windowUpdate(0, 16_384));
  assert.equal(lone.stream(0).sent, 10_000_000);
  assert.deepEqual(lone.log, ["opened :method=GET end"]);
});

test("a page that asks for 100 images and gives them all up, each second, is no attack", () => {
  const lone = new Lone("server");
  for (let second = 0; second < 30; second++) {
    lone.connection.tick(second * 1000);
    const images = Array.from({ length: 100 }, (_, index) => id(100 * second + index));
    lone.feed(...images.map((image) => headers(image)));
    lone.feed(...images.map(rst));
  }
  assert.deepEqual(
    lone.log.filter((line) => !line.startsWith("opened")),
    [],
  );
  assert.equal(lone.streams.length, 3000);
});

test("rapid reset in octets of their own: 200 a second", () => {
  const lone = new Lone("server");
  for (let round = 0; round < 5000 && lone.connection.openStreams === 0; round++) {
    lone.feed(headers(id(round)));
    lone.feed(rst(id(round)));
    if (lone.log.at(-1)?.startsWith("ended") === true) break;
  }
  assert.equal(lone.streams.length, 201);
  assert.equal(lone.log.at(-1), "ended visitor limit");
});

test("refused streams of a peer that acknowledges no SETTINGS are counted", () => {
  const lone = new Lone("server", {}, false);
  lone.feed(latin1("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings());
  let refused = 0;
  for (let round = 0; round < 5000; round++)
    refused += lone.feed(headers(id(round), RAW_POST, 0)).filter((frame) => frame.startsWith("RST_STREAM")).length;
  assert.equal(lone.streams.length, 100);
  assert.equal(refused, 1001);
  assert.equal(lone.log.at(-1), "ended visitor limit");
});

test("a bandwidth probe is a PING for each DATA frame; no flood", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 0x7fffffff]), windowUpdate(0, 0x3fffffff), headers(1));
  lone.stream(0).stream.sendHead(OK, false);
  for (let round = 0; round < 3000; round++) {
    lone.stream(0).stream.sendData(new Uint8Array(1000), false);
    lone.feed(frame(6, 0, 0, new Uint8Array(8)));
  }
  assert.deepEqual(lone.log, ["opened :method=GET end"]);
});

test("who reads in small pieces, later than the data came, may say so", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 0x7fffffff]), windowUpdate(0, 0x3fffffff), headers(1));
  lone.stream(0).stream.sendHead(OK, false);
  lone.stream(0).stream.sendData(new Uint8Array(3_000_000), false);
  for (let second = 0; second < 10; second++) lone.connection.tick(second * 1000);
  for (let read = 0; read < 3_000_000; read += 4096) lone.feed(windowUpdate(1, 4096), windowUpdate(0, 4096));
  assert.deepEqual(lone.log, ["opened :method=GET end"]);
});

test("WINDOW_UPDATEs of one octet do not pay for themselves", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 0]), headers(1));
  lone.stream(0).stream.sendHead(OK, false);
  lone.stream(0).stream.sendData(new Uint8Array(100_000), true);
  let rounds = 0;
  while (lone.connection.openStreams > 0 && rounds < 5000) {
    lone.feed(windowUpdate(1, 1));
    rounds++;
  }
  assert.equal(rounds, 103);
  assert.equal(lone.log.at(-1), "ended visitor limit");
});

test("5 000 cancellations leave a tunnel alone", () => {
  const { rounds, lone } = endure((round) => [headers(id(round), RAW_POST, 0), rst(id(round))], 5000, TUNNEL_AGENT);
  assert.equal(rounds, 5000);
  assert.equal(lone.connection.openStreams, 0);
  assert.equal(lone.streams.length, 5000);
});

test("a peer that makes us answer and reads nothing is cut off", () => {
  const lone = new Lone("server", { limits: { backlogBytes: 10_000, pingsPerSecond: Infinity } });
  lone.transport.outbox.blocked = true;
  let rounds = 0;
  while (lone.transport.closing === "open" && rounds < 10_000) {
    lone.connection.receive(frame(6, 0, 0, new Uint8Array(8)));
    rounds++;
  }
  assert.equal(rounds, Math.floor(10_000 / 17) + 1);
  assert.equal(lone.transport.closing, "destroyed");
  assert.equal(lone.log.at(-1), "ended visitor limit");
});

test("a silent peer is closed after five seconds, one that has spoken is not", () => {
  for (const preface of ["", "PRI * HTTP/2.0\r\n"]) {
    const lone = new Lone("server", {}, false);
    lone.feed(latin1(preface));
    lone.connection.tick(100_000);
    lone.connection.tick(104_999);
    assert.deepEqual(lone.log, []);
    lone.connection.tick(105_000);
    assert.deepEqual(lone.log, ["ended visitor timeout"]);
    assert.equal(lone.transport.closing, "destroyed");
  }
  const spoken = new Lone("server");
  for (let now = 0; now < 100_000; now += 1000) spoken.connection.tick(now);
  assert.deepEqual(spoken.log, []);
});

test("a head or frame that does not end is given ten seconds", () => {
  // Half a HEADERS frame, part of any frame's head, half a frame of no importance, and a block that goes on.
  for (const part of [
    headers(1).subarray(0, 12),
    headers(1).subarray(0, 3),
    frame(0xbe, 0, 0, "xx").subarray(0, 10),
    frame(1, 1, 1, block([[":method", "GET"]])),
  ]) {
    const lone = new Lone("server");
    lone.feed(part);
    for (let now = 0; now < 10_000; now += 1000) lone.connection.tick(now);
    assert.deepEqual(lone.log, []);
    lone.connection.tick(10_000);
    assert.deepEqual(lone.log, ["ended visitor timeout"]);
  }
});

test("a slow reader is reset when data waits for thirty seconds, a quiet stream is not", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 10]), headers(1), headers(3), headers(5));
  for (const index of [0, 1, 2]) lone.stream(index).stream.sendHead(OK, false);
  lone.stream(0).stream.sendData(new Uint8Array(10_000), true);
  lone.stream(2).stream.sendData(new Uint8Array(100_000), true);
  lone.sent();
  for (let second = 0; second < 30; second++) {
    // One octet a second is no progress; 1 100 in a while are.
    lone.feed(windowUpdate(1, 1), windowUpdate(5, 100));
    lone.connection.tick(second * 1000);
  }
  assert.deepEqual(lone.stream(0).log, []);
  lone.sent();
  lone.connection.tick(30_000);
  assert.deepEqual(lone.sent(), ["RST_STREAM 1 code 8"]);
  assert.deepEqual(
    [0, 1, 2].map((index) => lone.stream(index).log),
    [["reset visitor timeout"], [], []],
  );
  assert.equal(lone.stream(0).failure?.by, "visitor");
});

test("a slow link is no slow reader: the transport takes octets, and whoever waits only for it goes on", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 100]), headers(1), headers(3));
  for (const index of [0, 1]) lone.stream(index).stream.sendHead(OK, false);
  lone.transport.outbox.blocked = true;
  lone.feed(windowUpdate(1, 100_000));
  lone.stream(0).stream.sendData(new Uint8Array(10_000), true);
  lone.stream(1).stream.sendData(new Uint8Array(10_000), true);
  // The second stream has a window of 100 octets that its reader does not open; the first waits for the transport alone.
  for (let second = 0; second < 40; second++) {
    lone.transport.outbox.taken++;
    lone.connection.tick(second * 1000);
  }
  assert.deepEqual(lone.stream(0).log, []);
  for (let second = 40; second < 70; second++) lone.connection.tick(second * 1000);
  assert.deepEqual(lone.stream(0).log, ["reset visitor timeout"]);
});

test("content that was announced and stops coming is given thirty seconds; what was not announced may wait", () => {
  const lone = new Lone("server");
  const length = (fields: [string, string][]): Uint8Array =>
    headers(id(lone.streams.length), [...RAW_POST, ...fields], 0);
  lone.feed(length([["content-length", "1000"]]));
  lone.feed(length([]));
  lone.feed(
    length([
      ["content-length", "1000"],
      ["expect", "100-continue"],
    ]),
  );
  lone.feed(length([["content-length", "1000"]]));
  for (let second = 0; second < 30; second++) {
    lone.connection.tick(second * 1000);
    if (second === 20) lone.feed(frame(0, 0, 7, "x"));
  }
  assert.deepEqual(
    lone.streams.map((_, index) => lone.stream(index).log),
    [[], [], [], ["data 1"]],
  );
  lone.connection.tick(30_000);
  assert.deepEqual(lone.stream(0).log, ["reset visitor timeout"]);
  lone.stream(2).stream.sendHead([{ name: ":status", value: "100" }], false);
  for (let second = 31; second <= 62; second++) lone.connection.tick(second * 1000);
  assert.deepEqual(
    lone.streams.map((_, index) => lone.stream(index).log.at(-1)),
    ["reset visitor timeout", undefined, "reset visitor timeout", "reset visitor timeout"],
  );
});

test("a service that takes nothing is no reason to cut the visitor's upload", () => {
  const lone = new Lone("server", { settings: { initialWindowSize: 65_535 } });
  lone.feed(headers(1, [...RAW_POST, ["content-length", "100000"]], 0));
  lone.stream(0).consume = false;
  for (let sent = 0; sent < 65_535; sent += 13_107) lone.feed(frame(0, 0, 1, new Uint8Array(13_107)));
  for (let second = 0; second < 100; second++) lone.connection.tick(second * 1000);
  assert.doesNotMatch(lone.stream(0).log.join(), /reset/);
});

test("without streams for two minutes: a graceful end; a quiet stream keeps it open", () => {
  const { pipe, open, requests, log, server } = pair();
  const events = open(GET, true);
  pipe.run();
  for (let now = 0; now <= 600_000; now += 1000) server.tick(now);
  requests[0]?.stream.sendHead(OK, true);
  pipe.run();
  assert.deepEqual(events.log, ["head :status=200 end"]);
  for (let now = 601_000; now < 720_000; now += 1000) server.tick(now);
  pipe.run();
  assert.equal(log.length, 1);
  server.tick(720_000);
  pipe.run();
  assert.deepEqual(log.slice(1).sort(), [
    "client draining",
    "client ended in order",
    "server draining",
    "server ended in order",
  ]);
});

test("a drain whose PING is not answered goes on after five seconds", () => {
  const lone = new Lone("server");
  lone.connection.drain();
  assert.deepEqual(lone.sent(), ["GOAWAY last 2147483647 code 0", "PING"]);
  for (let now = 0; now <= 5000; now += 1000) lone.connection.tick(now);
  assert.deepEqual(lone.sent(), ["GOAWAY last 0 code 0"]);
  assert.deepEqual(lone.log, ["draining", "ended in order"]);
});
