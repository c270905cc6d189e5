/**
 * The server role against the cases of h2spec 2.6.0 by section (generic 44, http2 95, hpack 8), rewritten from their
 * descriptions. Each case runs twice: its octets in one chunk, and one by one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  CLIENT_PREFACE,
  FrameParser,
  POST,
  REQUEST,
  SETTINGS_ACK,
  block,
  describe,
  frame,
  headers,
  join,
  latin1,
  settings,
  uint32,
} from "../../test/support/frames.ts";
import { PipeEnd } from "../../test/support/pipe.ts";
import type { Stream, StreamEvents } from "../stream.ts";
import { Http2Connection } from "./connection.ts";

const PROTOCOL = 1;
const FLOW_CONTROL = 3;
const CLOSED = 5;
const FRAME_SIZE = 6;
const REFUSED = 7;
const COMPRESSION = 9;

const DATA = 0;
const HEADERS = 1;
const PRIORITY = 2;
const RST = 3;
const SETTINGS = 4;
const PUSH = 5;
const PING = 6;
const GOAWAY = 7;
const WINDOW = 8;
const CONTINUATION = 9;
const END = 1;

/** What must be seen: `rst` and `goaway` with one of the codes; a stream error may also be answered for the connection. */
type Expected =
  | { readonly stream: readonly number[] }
  | { readonly connection: readonly number[] }
  | { readonly seen: readonly string[] }
  /** In this order, and nothing else but acknowledgements. */
  | { readonly exactly: readonly string[] }
  /** The connection ends in order, since no stream is open: nothing is sent. */
  | "end";

interface Case {
  readonly section: string;
  readonly does: string;
  readonly sends: readonly Uint8Array[];
  /** What is sent once the answer to `sends` is there. */
  readonly then?: readonly Uint8Array[];
  readonly expected: Expected;
  /** Octets sent instead of preface and SETTINGS. */
  readonly instead?: readonly Uint8Array[];
}

const BODY = 100;
const OK = ["HEADERS 1", `DATA 1 end ${BODY}`];

/** A server that answers each complete request with 200 and 100 octets. */
function serve(stream: Stream, end: boolean): StreamEvents {
  const respond = (): void => {
    stream.sendHead([{ name: ":status", value: "200" }], false);
    stream.sendData(new Uint8Array(BODY), true);
  };
  if (end) respond();
  return {
    headReceived() {},
    dataReceived(bytes, last) {
      stream.consume(bytes.length);
      if (last) respond();
    },
    trailersReceived: respond,
    resetReceived() {},
    dataSent() {},
  };
}

function run(one: Case, slice: number): string[] {
  const transport = new PipeEnd(() => false);
  const connection = new Http2Connection({
    role: "server",
    transport,
    peer: "visitor",
    party: "relay",
    events: {
      streamOpened: (stream, _fields, end) => serve(stream, end),
      capacityChanged() {},
      draining() {},
      ended() {},
      pingAnswered() {},
    },
  });
  const parser = new FrameParser();
  const seen: string[] = [];
  const feed = (parts: readonly Uint8Array[]): void => {
    const bytes = join(...parts);
    for (let at = 0; at < bytes.length; at += slice) connection.receive(bytes.slice(at, at + slice));
    transport.flush();
    for (const piece of transport.sent.splice(0)) seen.push(...parser.push(piece).map(describe));
  };
  feed(one.instead ?? [CLIENT_PREFACE, settings(), SETTINGS_ACK]);
  // What every connection begins with.
  if (one.instead === undefined) {
    assert.deepEqual(seen.splice(0), ["SETTINGS", "WINDOW_UPDATE 0 by 983041", "SETTINGS ack"]);
  }
  feed(one.sends);
  if (one.then !== undefined) feed(one.then);
  if (seen.some((line) => line.startsWith("GOAWAY"))) {
    assert.equal(transport.closing, "closed", "GOAWAY, and the connection stays open");
    assert.equal(connection.openStreams, 0);
  } else assert.equal(transport.closing, one.expected === "end" ? "closed" : "open");
  return seen;
}

function judge(expected: Expected, seen: readonly string[]): void {
  const all = seen.join(", ");
  if (expected === "end") assert.deepEqual(seen, []);
  else if ("exactly" in expected) {
    assert.deepEqual(
      seen.filter((line) => !line.endsWith(" ack")),
      expected.exactly,
    );
  } else if ("seen" in expected) {
    for (const line of expected.seen) assert.ok(seen.includes(line), `${line} is missing in: ${all}`);
    assert.ok(!seen.some((line) => /^(GOAWAY|RST_STREAM)/.test(line)), all);
  } else {
    const codes = "stream" in expected ? expected.stream : expected.connection;
    const frames = "stream" in expected ? "(RST_STREAM|GOAWAY)" : "GOAWAY";
    assert.ok(
      seen.some((line) => new RegExp(`^${frames} .*code (${codes.join("|")})$`).test(line)),
      all,
    );
  }
}

const ok = { seen: OK };
const connection = (...codes: number[]): Expected => ({ connection: codes });
const stream = (...codes: number[]): Expected => ({ stream: codes });
const octets = (size: number): number[] => new Array<number>(size).fill(0);
const ping = frame(PING, 0, 0, "h2spec!!");
const pong = { seen: ["PING ack"] };
const post = (id = 1): Uint8Array => headers(id, POST, 0);
const windowUpdate = (id: number, by: number): Uint8Array => frame(WINDOW, 0, id, [...uint32(by)]);
const rst = (id: number): Uint8Array => frame(RST, 0, id, [...uint32(8)]);
const priority = (id: number, on: number): Uint8Array => frame(PRIORITY, 0, id, [...uint32(on), 255]);
const request = (...fields: (readonly [string, string])[]): Uint8Array => headers(1, [...REQUEST, ...fields]);
const without = (name: string): Uint8Array =>
  headers(
    1,
    REQUEST.filter((field) => field[0] !== name),
  );
const hpack = (...content: number[]): Uint8Array => frame(HEADERS, 0x5, 1, [...block(REQUEST), ...content]);
/** A field that fills a frame's worth of octets. */
const filler = (name: string, size: number): readonly [string, string] => [name, "a".repeat(size)];
const split = (id: number, flags: number, fields = REQUEST): Uint8Array => frame(HEADERS, flags, id, block(fields));
const continuation = (
  id: number,
  flags: number,
  fields: readonly (readonly [string, string])[] = [["x-a", "b"]],
): Uint8Array => frame(CONTINUATION, flags, id, block(fields));

const cases: Case[] = [
  // generic
  { section: "generic/1", does: "sends the preface", sends: [ping], expected: pong },
  { section: "generic/2.1", does: "PRIORITY on an idle stream", sends: [priority(1, 0), ping], expected: pong },
  {
    section: "generic/2.2",
    does: "WINDOW_UPDATE on a half-closed (remote) stream",
    sends: [settings([4, 0]), headers(1), windowUpdate(1, 100)],
    expected: ok,
  },
  {
    section: "generic/2.3",
    does: "PRIORITY on a half-closed (remote) stream",
    sends: [headers(1), priority(1, 0)],
    expected: ok,
  },
  {
    section: "generic/2.4",
    does: "RST_STREAM on a half-closed (remote) stream",
    sends: [settings([4, 0]), headers(1), rst(1), ping],
    expected: { seen: ["HEADERS 1", "PING ack"] },
  },
  {
    section: "generic/2.5",
    does: "PRIORITY on a closed stream",
    sends: [headers(1), priority(1, 0), ping],
    expected: { seen: [...OK, "PING ack"] },
  },
  { section: "generic/3.1.1", does: "DATA", sends: [post(), frame(DATA, END, 1, "test")], expected: ok },
  {
    section: "generic/3.1.2",
    does: "several DATA frames",
    sends: [post(), frame(DATA, 0, 1, "test"), frame(DATA, END, 1, "test")],
    expected: ok,
  },
  {
    section: "generic/3.1.3",
    does: "DATA with padding",
    sends: [post(), frame(DATA, END | 8, 1, [6, ...latin1("test"), ...octets(6)])],
    expected: ok,
  },
  { section: "generic/3.2.1", does: "HEADERS", sends: [headers(1)], expected: ok },
  {
    section: "generic/3.2.2",
    does: "HEADERS with padding",
    sends: [frame(HEADERS, 0xd, 1, [6, ...block(REQUEST), ...octets(6)])],
    expected: ok,
  },
  {
    section: "generic/3.2.3",
    does: "HEADERS with priority",
    sends: [frame(HEADERS, 0x25, 1, [0, 0, 0, 0, 255, ...block(REQUEST)])],
    expected: ok,
  },
  {
    section: "generic/3.3.1",
    does: "PRIORITY with weight 1",
    sends: [frame(PRIORITY, 0, 1, [0, 0, 0, 0, 0]), headers(1)],
    expected: ok,
  },
  { section: "generic/3.3.2", does: "PRIORITY with weight 256", sends: [priority(1, 0), headers(1)], expected: ok },
  { section: "generic/3.3.3", does: "PRIORITY with a dependency", sends: [priority(3, 1), headers(1)], expected: ok },
  { section: "generic/3.3.4", does: "PRIORITY, exclusive", sends: [priority(3, 0x80000001), headers(1)], expected: ok },
  {
    section: "generic/3.3.5",
    does: "PRIORITY on an idle stream, then one below it",
    sends: [priority(5, 0), headers(1)],
    expected: ok,
  },
  { section: "generic/3.4", does: "RST_STREAM", sends: [post(), rst(1), ping], expected: pong },
  { section: "generic/3.5", does: "SETTINGS", sends: [settings([3, 100])], expected: { seen: ["SETTINGS ack"] } },
  { section: "generic/3.7", does: "PING", sends: [ping], expected: pong },
  { section: "generic/3.8", does: "GOAWAY", sends: [frame(GOAWAY, 0, 0, octets(8))], expected: "end" },
  {
    section: "generic/3.9.1",
    does: "WINDOW_UPDATE on stream 0",
    sends: [windowUpdate(0, 1), headers(1)],
    expected: ok,
  },
  {
    section: "generic/3.9.2",
    does: "WINDOW_UPDATE on a stream",
    sends: [post(), windowUpdate(1, 1), frame(DATA, END, 1)],
    expected: ok,
  },
  { section: "generic/3.10.1", does: "CONTINUATION", sends: [split(1, END), continuation(1, 4)], expected: ok },
  {
    section: "generic/3.10.2",
    does: "several CONTINUATIONs",
    sends: [split(1, END), continuation(1, 0), continuation(1, 4)],
    expected: ok,
  },
  { section: "generic/4.1", does: "GET", sends: [headers(1)], expected: ok },
  {
    section: "generic/4.2",
    does: "HEAD",
    sends: [headers(1, [[":method", "HEAD"], ...REQUEST.slice(1)])],
    expected: { seen: ["HEADERS 1"] },
  },
  { section: "generic/4.3", does: "POST", sends: [post(), frame(DATA, END, 1, "test")], expected: ok },
  {
    section: "generic/4.4",
    does: "POST with trailers",
    sends: [headers(1, [...POST, ["trailer", "x-test"]], 0), frame(DATA, 0, 1, "test"), headers(1, [["x-test", "ok"]])],
    expected: ok,
  },
  ...(
    [
      ["5.1 indexed, static table", [0x82, 0x86, 0x84, 0x41, 1, 0x61]],
      ["5.2 indexed, dynamic table", [0x82, 0x86, 0x84, 0x41, 1, 0x61, 0x58, 1, 0x61, 0xbe]],
      ["5.3 incremental, indexed name", [0x82, 0x86, 0x84, 0x41, 1, 0x61, 0x7a, 2, 0x68, 0x32]],
      ["5.4 incremental, indexed name, Huffman", [0x82, 0x86, 0x84, 0x41, 0x81, 0x1f]],
      ["5.5 incremental, new name", [0x82, 0x86, 0x84, 0x41, 1, 0x61, 0x40, 1, 0x78, 1, 0x79]],
      ["5.6 incremental, new name, Huffman", [0x82, 0x86, 0x84, 0x41, 1, 0x61, 0x40, 0x81, 0x1f, 0x81, 0x1f]],
      ["5.7 without indexing, indexed name", [0x82, 0x86, 0x84, 0x01, 1, 0x61]],
      ["5.8 without indexing, indexed name, Huffman", [0x82, 0x86, 0x84, 0x01, 0x81, 0x1f]],
      ["5.9 without indexing, new name", [0x82, 0x86, 0x84, 0x41, 1, 0x61, 0x00, 1, 0x78, 1, 0x79]],
      ["5.10 without indexing, new name, Huffman", [0x82, 0x86, 0x84, 0x41, 1, 0x61, 0x00, 0x81, 0x1f, 0x81, 0x1f]],
      ["5.11 never indexed, indexed name", [0x82, 0x86, 0x84, 0x11, 1, 0x61]],
      ["5.12 never indexed, indexed name, Huffman", [0x82, 0x86, 0x84, 0x11, 0x81, 0x1f]],
      ["5.13 never indexed, new name", [0x82, 0x86, 0x84, 0x41, 1, 0x61, 0x10, 1, 0x78, 1, 0x79]],
      ["5.14 never indexed, new name, Huffman", [0x82, 0x86, 0x84, 0x41, 1, 0x61, 0x10, 0x81, 0x1f, 0x81, 0x1f]],
      ["5.15 several table size updates", [0x20, 0x3f, 0xe1, 0x1f, 0x82, 0x86, 0x84, 0x41, 1, 0x61]],
    ] as const
  ).map(([does, content]): Case => ({
    section: "generic/5",
    does,
    sends: [frame(HEADERS, 0x5, 1, [...content])],
    expected: ok,
  })),

  // http2
  { section: "http2/3.5.1", does: "preface", sends: [ping], expected: pong },
  {
    section: "http2/3.5.2",
    does: "invalid preface",
    instead: [],
    sends: [latin1("INVALID CONNECTION PREFACE\r\n\r\n")],
    expected: connection(PROTOCOL),
  },
  { section: "http2/4.1.1", does: "unknown type", sends: [frame(0xff, 0, 0, octets(8)), ping], expected: pong },
  { section: "http2/4.1.2", does: "undefined flags", sends: [frame(PING, 0x16, 0, octets(8))], expected: pong },
  { section: "http2/4.1.3", does: "reserved bit", sends: [frame(PING, 0, 0x80000000, octets(8))], expected: pong },
  {
    section: "http2/4.2.1",
    does: "DATA of 2^14 octets",
    sends: [post(), frame(DATA, END, 1, octets(16_384))],
    expected: ok,
  },
  {
    section: "http2/4.2.2",
    does: "DATA above the maximum",
    sends: [post(), frame(DATA, END, 1, octets(16_385))],
    expected: stream(FRAME_SIZE),
  },
  {
    section: "http2/4.2.3",
    does: "HEADERS above the maximum",
    sends: [request(filler("x", 16_384))],
    expected: connection(FRAME_SIZE),
  },
  { section: "http2/4.3.1", does: "invalid header block", sends: [hpack(0x40)], expected: connection(COMPRESSION) },
  {
    section: "http2/4.3.2",
    does: "PRIORITY within a block",
    sends: [split(1, END), priority(1, 0), continuation(1, 4)],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/4.3.3",
    does: "HEADERS of another stream within a block",
    sends: [split(1, END), headers(3)],
    expected: connection(PROTOCOL),
  },
  { section: "http2/5.1.1", does: "idle: DATA", sends: [frame(DATA, END, 1, "test")], expected: connection(PROTOCOL) },
  { section: "http2/5.1.2", does: "idle: RST_STREAM", sends: [rst(1)], expected: connection(PROTOCOL) },
  {
    section: "http2/5.1.3",
    does: "idle: WINDOW_UPDATE",
    sends: [windowUpdate(1, 100)],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/5.1.4",
    does: "idle: CONTINUATION",
    sends: [continuation(1, 4, REQUEST)],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/5.1.5",
    does: "half-closed (remote): DATA",
    sends: [settings([4, 0]), headers(1), frame(DATA, END, 1, "test")],
    expected: stream(CLOSED),
  },
  {
    section: "http2/5.1.6",
    does: "half-closed (remote): HEADERS",
    sends: [settings([4, 0]), headers(1), headers(1)],
    expected: stream(CLOSED),
  },
  {
    section: "http2/5.1.7",
    does: "half-closed (remote): CONTINUATION",
    sends: [settings([4, 0]), headers(1), continuation(1, 4)],
    expected: connection(CLOSED, PROTOCOL),
  },
  {
    section: "http2/5.1.8",
    does: "closed by RST_STREAM: DATA",
    sends: [post(), rst(1), frame(DATA, END, 1, "test")],
    expected: stream(CLOSED),
  },
  {
    section: "http2/5.1.9",
    does: "closed by RST_STREAM: HEADERS",
    sends: [post(), rst(1), headers(1)],
    expected: stream(CLOSED),
  },
  {
    section: "http2/5.1.10",
    does: "closed by RST_STREAM: CONTINUATION",
    sends: [post(), rst(1), continuation(1, 4)],
    expected: connection(CLOSED, PROTOCOL),
  },
  {
    section: "http2/5.1.11",
    does: "closed: DATA",
    sends: [headers(1)],
    then: [frame(DATA, END, 1, "test")],
    expected: stream(CLOSED),
  },
  {
    section: "http2/5.1.12",
    does: "closed: HEADERS",
    sends: [headers(1)],
    then: [headers(1)],
    expected: connection(CLOSED),
  },
  {
    section: "http2/5.1.13",
    does: "closed: CONTINUATION",
    sends: [headers(1)],
    then: [continuation(1, 4)],
    expected: connection(CLOSED, PROTOCOL),
  },
  { section: "http2/5.1.1.1", does: "even identifier", sends: [headers(2)], expected: connection(PROTOCOL) },
  {
    section: "http2/5.1.1.2",
    does: "lower identifier",
    sends: [headers(5), headers(3)],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/5.1.2.1",
    does: "more streams than allowed",
    sends: Array.from({ length: 101 }, (_, index) => post(1 + 2 * index)),
    expected: stream(PROTOCOL, REFUSED),
  },
  {
    section: "http2/5.3.1.1",
    does: "HEADERS that depends on itself",
    sends: [frame(HEADERS, 0x25, 1, [0, 0, 0, 1, 255, ...block(REQUEST)])],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/5.3.1.2",
    does: "PRIORITY that depends on itself",
    sends: [priority(2, 2)],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/5.4.1.1",
    does: "closes after a connection error",
    sends: [frame(DATA, END, 0, "test")],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/5.4.1.2",
    does: "GOAWAY before it closes",
    sends: [frame(PING, 0, 3, octets(8))],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/5.5.1",
    does: "unknown extension frame",
    sends: [frame(0x16, 0, 0, octets(8)), ping],
    expected: pong,
  },
  {
    section: "http2/5.5.2",
    does: "unknown extension frame within a block",
    sends: [split(1, END), frame(0x16, 0, 0, octets(8)), continuation(1, 4)],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.1.1",
    does: "DATA on stream 0",
    sends: [frame(DATA, END, 0, "test")],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.1.2",
    does: "DATA on a stream that is not open",
    sends: [settings([4, 0]), headers(1), frame(DATA, END, 1, "test")],
    expected: stream(CLOSED),
  },
  {
    section: "http2/6.1.3",
    does: "DATA with too much padding",
    sends: [post(), frame(DATA, END | 8, 1, [6, ...latin1("test")])],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.2.1",
    does: "HEADERS without END_HEADERS, then PRIORITY",
    sends: [split(1, END), priority(1, 0)],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.2.2",
    does: "HEADERS of another stream while one is continued",
    sends: [split(1, 0), headers(3)],
    expected: connection(PROTOCOL),
  },
  { section: "http2/6.2.3", does: "HEADERS on stream 0", sends: [headers(0)], expected: connection(PROTOCOL) },
  {
    section: "http2/6.2.4",
    does: "HEADERS with too much padding",
    sends: [frame(HEADERS, 0xd, 1, [200, ...block(REQUEST)])],
    expected: connection(PROTOCOL),
  },
  { section: "http2/6.3.1", does: "PRIORITY on stream 0", sends: [priority(0, 0)], expected: connection(PROTOCOL) },
  {
    section: "http2/6.3.2",
    does: "PRIORITY that has not 5 octets",
    sends: [post(), frame(PRIORITY, 0, 1, [0, 0, 0, 1])],
    expected: stream(FRAME_SIZE),
  },
  { section: "http2/6.4.1", does: "RST_STREAM on stream 0", sends: [rst(0)], expected: connection(PROTOCOL) },
  { section: "http2/6.4.2", does: "RST_STREAM on an idle stream", sends: [rst(1)], expected: connection(PROTOCOL) },
  {
    section: "http2/6.4.3",
    does: "RST_STREAM that has not 4 octets",
    sends: [post(), frame(RST, 0, 1, octets(3))],
    expected: connection(FRAME_SIZE),
  },
  {
    section: "http2/6.5.1",
    does: "SETTINGS ack with content",
    sends: [frame(SETTINGS, 1, 0, octets(6))],
    expected: connection(FRAME_SIZE),
  },
  {
    section: "http2/6.5.2",
    does: "SETTINGS on a stream",
    sends: [frame(SETTINGS, 0, 1, [0, 3, 0, 0, 0, 100])],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.5.3",
    does: "SETTINGS with an incomplete entry",
    sends: [frame(SETTINGS, 0, 0, [0, 3, 0])],
    expected: connection(FRAME_SIZE),
  },
  { section: "http2/6.5.2.1", does: "ENABLE_PUSH 2", sends: [settings([2, 2])], expected: connection(PROTOCOL) },
  {
    section: "http2/6.5.2.2",
    does: "INITIAL_WINDOW_SIZE above 2^31-1",
    sends: [settings([4, 0x80000000])],
    expected: connection(FLOW_CONTROL),
  },
  {
    section: "http2/6.5.2.3",
    does: "MAX_FRAME_SIZE below 2^14",
    sends: [settings([5, 16_383])],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.5.2.4",
    does: "MAX_FRAME_SIZE above 2^24-1",
    sends: [settings([5, 16_777_216])],
    expected: connection(PROTOCOL),
  },
  { section: "http2/6.5.2.5", does: "unknown setting", sends: [settings([0xff, 1]), ping], expected: pong },
  {
    section: "http2/6.5.3.1",
    does: "the last of several values counts",
    sends: [settings([4, 100], [4, 1]), headers(1)],
    expected: { exactly: ["HEADERS 1", "DATA 1 1"] },
  },
  {
    section: "http2/6.5.3.2",
    does: "SETTINGS is acknowledged",
    sends: [settings([3, 100])],
    expected: { seen: ["SETTINGS ack"] },
  },
  { section: "http2/6.7.1", does: "PING", sends: [ping], expected: pong },
  {
    section: "http2/6.7.2",
    does: "PING ack is not answered",
    sends: [frame(PING, 1, 0, "invalid "), ping],
    expected: pong,
  },
  {
    section: "http2/6.7.3",
    does: "PING on a stream",
    sends: [frame(PING, 0, 1, octets(8))],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.7.4",
    does: "PING that has not 8 octets",
    sends: [frame(PING, 0, 0, octets(6))],
    expected: connection(FRAME_SIZE),
  },
  {
    section: "http2/6.8.1",
    does: "GOAWAY on a stream",
    sends: [frame(GOAWAY, 0, 1, octets(8))],
    expected: connection(PROTOCOL),
  },
  { section: "http2/6.9.1", does: "WINDOW_UPDATE by 0", sends: [windowUpdate(0, 0)], expected: connection(PROTOCOL) },
  {
    section: "http2/6.9.2",
    does: "WINDOW_UPDATE by 0 on a stream",
    sends: [post(), windowUpdate(1, 0)],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/6.9.3",
    does: "WINDOW_UPDATE that has not 4 octets",
    sends: [frame(WINDOW, 0, 0, octets(3))],
    expected: connection(FRAME_SIZE),
  },
  {
    section: "http2/6.9.1.1",
    does: "no DATA beyond the window",
    sends: [settings([4, 1]), headers(1)],
    expected: { exactly: ["HEADERS 1", "DATA 1 1"] },
  },
  {
    section: "http2/6.9.1.2",
    does: "connection window above 2^31-1",
    sends: [windowUpdate(0, 0x7fffffff), windowUpdate(0, 0x7fffffff)],
    expected: connection(FLOW_CONTROL),
  },
  {
    section: "http2/6.9.1.3",
    does: "stream window above 2^31-1",
    sends: [post(), windowUpdate(1, 0x7fffffff), windowUpdate(1, 0x7fffffff)],
    expected: stream(FLOW_CONTROL),
  },
  {
    section: "http2/6.9.2.1",
    does: "INITIAL_WINDOW_SIZE changes an open stream",
    sends: [settings([4, 0]), headers(1)],
    then: [settings([4, 1])],
    expected: { exactly: ["HEADERS 1", "DATA 1 1"] },
  },
  {
    section: "http2/6.9.2.2",
    does: "a negative window is tracked",
    sends: [settings([4, 3]), headers(1)],
    then: [settings([4, 2]), windowUpdate(1, 2)],
    expected: { exactly: ["HEADERS 1", "DATA 1 3", "DATA 1 1"] },
  },
  {
    section: "http2/6.9.2.3",
    does: "INITIAL_WINDOW_SIZE above 2^31-1",
    sends: [settings([4, 0x80000000])],
    expected: connection(FLOW_CONTROL),
  },
  {
    section: "http2/6.10.1",
    does: "several CONTINUATIONs",
    sends: [split(1, END), continuation(1, 0), continuation(1, 4)],
    expected: ok,
  },
  {
    section: "http2/6.10.2",
    does: "CONTINUATION, then another frame",
    sends: [split(1, END), continuation(1, 0), frame(DATA, END, 1, "test")],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.10.3",
    does: "CONTINUATION on stream 0",
    sends: [split(1, END), continuation(0, 4)],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.10.4",
    does: "CONTINUATION after END_HEADERS",
    sends: [post(), continuation(1, 4)],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.10.5",
    does: "CONTINUATION after a CONTINUATION with END_HEADERS",
    sends: [split(1, 0), continuation(1, 4), continuation(1, 4)],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/6.10.6",
    does: "CONTINUATION after DATA",
    sends: [post(), frame(DATA, 0, 1, "test"), continuation(1, 4)],
    expected: connection(PROTOCOL),
  },
  {
    section: "http2/7.1",
    does: "GOAWAY with an unknown code",
    sends: [frame(GOAWAY, 0, 0, [0, 0, 0, 0, 0, 0, 0, 255])],
    expected: "end",
  },
  {
    section: "http2/7.2",
    does: "RST_STREAM with an unknown code",
    sends: [post(), frame(RST, 0, 1, [0, 0, 0, 255]), ping],
    expected: pong,
  },
  {
    section: "http2/8.1.1",
    does: "second HEADERS without END_STREAM",
    sends: [post(), frame(DATA, 0, 1, "test"), headers(1, [["x-test", "ok"]], 0)],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/8.1.2.1",
    does: "upper case in a name",
    sends: [request(["X-TEST", "ok"])],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/8.1.2.1.1",
    does: "unknown pseudo-field",
    sends: [headers(1, [...REQUEST, [":test", "ok"]])],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/8.1.2.1.2",
    does: "pseudo-field of an answer",
    sends: [headers(1, [...REQUEST, [":status", "200"]])],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/8.1.2.1.3",
    does: "pseudo-field in trailers",
    sends: [post(), headers(1, [[":method", "200"]])],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/8.1.2.1.4",
    does: "pseudo-field after a regular one",
    sends: [headers(1, [["x-test", "ok"], ...REQUEST])],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/8.1.2.2.1",
    does: "connection-specific field",
    sends: [request(["connection", "keep-alive"])],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/8.1.2.2.2",
    does: "te other than trailers",
    sends: [request(["trailers", "test"], ["te", "trailers, deflate"])],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/8.1.2.3.1",
    does: "empty :path",
    sends: [
      headers(1, [
        [":method", "GET"],
        [":scheme", "http"],
        [":path", ""],
      ]),
    ],
    expected: stream(PROTOCOL),
  },
  ...[":method", ":scheme", ":path"].map((name): Case => ({
    section: "http2/8.1.2.3",
    does: `no ${name}`,
    sends: [without(name)],
    expected: stream(PROTOCOL),
  })),
  ...REQUEST.slice(0, 3).map((field): Case => ({
    section: "http2/8.1.2.3",
    does: `${field[0]} twice`,
    sends: [headers(1, [field, ...REQUEST])],
    expected: stream(PROTOCOL),
  })),
  {
    section: "http2/8.1.2.6.1",
    does: "content-length other than the content",
    sends: [headers(1, [...POST, ["content-length", "1"]], 0), frame(DATA, END, 1, "test")],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/8.1.2.6.2",
    does: "content-length other than the sum of DATA",
    sends: [headers(1, [...POST, ["content-length", "1"]], 0), frame(DATA, 0, 1, "test"), frame(DATA, END, 1, "test")],
    expected: stream(PROTOCOL),
  },
  {
    section: "http2/8.2.1",
    does: "PUSH_PROMISE",
    sends: [frame(PUSH, 4, 1, [0, 0, 0, 2, ...block(REQUEST)])],
    expected: connection(PROTOCOL),
  },

  // hpack
  {
    section: "hpack/2.3.3.1",
    does: "index beyond the tables, field",
    sends: [hpack(0xc6)],
    expected: connection(COMPRESSION),
  },
  {
    section: "hpack/2.3.3.2",
    does: "index beyond the tables, name",
    sends: [hpack(0x7f, 0x07, 1, 0x61)],
    expected: connection(COMPRESSION),
  },
  {
    section: "hpack/4.2",
    does: "table size update at the end of a block",
    sends: [hpack(0x21)],
    expected: connection(COMPRESSION),
  },
  {
    section: "hpack/5.2.1",
    does: "Huffman padding above 7 bits",
    sends: [hpack(0, 1, 0x78, 0x82, 0x1f, 0xff)],
    expected: connection(COMPRESSION),
  },
  {
    section: "hpack/5.2.2",
    does: "Huffman padding by zeros",
    sends: [hpack(0, 1, 0x78, 0x81, 0x18)],
    expected: connection(COMPRESSION),
  },
  {
    section: "hpack/5.2.3",
    does: "Huffman EOS",
    sends: [hpack(0, 1, 0x78, 0x84, 0xff, 0xff, 0xff, 0xff)],
    expected: connection(COMPRESSION),
  },
  { section: "hpack/6.1", does: "index 0", sends: [hpack(0x80)], expected: connection(COMPRESSION) },
  {
    section: "hpack/6.3",
    does: "table above the limit",
    sends: [frame(HEADERS, 0x5, 1, [0x3f, 0xe2, 0x1f, ...block(REQUEST)])],
    expected: connection(COMPRESSION),
  },
];

// Beyond h2spec: what RFC 9113 or the project's own rules ask of a request.
const bad = (does: string, fields: readonly (readonly [string, string])[]): Case => ({
  section: "request",
  does,
  sends: [headers(1, fields)],
  expected: { exactly: ["RST_STREAM 1 code 1"] },
});
const target = (path: string): (readonly [string, string])[] => [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", path],
  [":authority", "a.test"],
];
const authority = (value: string, ...rest: (readonly [string, string])[]): (readonly [string, string])[] => [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", value],
  ...rest,
];
const fine = (does: string, fields: readonly (readonly [string, string])[]): Case => ({
  section: "request",
  does,
  sends: [headers(1, fields)],
  expected: ok,
});
const more: Case[] = [
  {
    section: "start",
    does: "HEADERS before SETTINGS",
    instead: [CLIENT_PREFACE],
    sends: [headers(1)],
    expected: connection(PROTOCOL),
  },
  ...["a\r\nb", "a\nb", "a\0b", " a", "a ", "\ta", "a\x7f"].map((value) =>
    bad(`value ${JSON.stringify(value)}`, [...REQUEST, ["x", value]]),
  ),
  ...["", "a b", "a:b", "a\r\nb", "\xe9", "\u00df", "a\0"].map((name) =>
    bad(`name ${JSON.stringify(name)}`, [...REQUEST, [name, "x"]]),
  ),
  ...["a", "http://a.test/", "/a b", "/\r\n", "/#a", "*", "/\x00", "//a.test/\t"].map((path) =>
    bad(`:path ${JSON.stringify(path)}`, target(path)),
  ),
  ...["", "u@a.test", "a.test/x", "a b", "a.test:1:2", "a\r\n", "a?b"].map((value) =>
    bad(`:authority ${JSON.stringify(value)}`, authority(value)),
  ),
  ...["G ET", "", "GET\r\n"].map((method) =>
    bad(`:method ${JSON.stringify(method)}`, [[":method", method], ...REQUEST.slice(1)]),
  ),
  ...["http://x/", "", "1http"].map((scheme) =>
    bad(`:scheme ${JSON.stringify(scheme)}`, [
      [":method", "GET"],
      [":scheme", scheme],
      [":path", "/"],
      [":authority", "a"],
    ]),
  ),
  ...["+5", "-1", "", "5,5", "0x5", "5 ", "99999999999999999999"].map((value) =>
    bad(`content-length ${JSON.stringify(value)}`, [...REQUEST, ["content-length", value]]),
  ),
  ...["transfer-encoding", "upgrade", "keep-alive", "proxy-connection"].map((name) =>
    bad(name, [...REQUEST, [name, "x"]]),
  ),
  bad("host and :authority differ", authority("a.test", ["host", "b.test"])),
  bad("host twice", authority("a.test", ["host", "a.test"], ["host", "a.test"])),
  bad("content-length twice", [...REQUEST, ["content-length", "0"], ["content-length", "0"]]),
  bad("content-length 5 and END_STREAM", [...REQUEST, ["content-length", "5"]]),
  bad("CONNECT with :path", [
    [":method", "CONNECT"],
    [":authority", "a:1"],
    [":path", "/"],
  ]),
  bad("CONNECT without :authority", [[":method", "CONNECT"]]),
  bad(":protocol without CONNECT", [...REQUEST, [":protocol", "websocket"]]),
  fine("host equal but for case and port", authority("A.test", ["host", "a.TEST:80"])),
  fine("OPTIONS *", [
    [":method", "OPTIONS"],
    [":scheme", "http"],
    [":path", "*"],
    [":authority", "a"],
  ]),
  fine("CONNECT", [
    [":method", "CONNECT"],
    [":authority", "a.test:443"],
  ]),
  fine("extended CONNECT", [[":method", "CONNECT"], [":protocol", "websocket"], ...REQUEST.slice(1)]),
  fine("te: trailers, and a value of any octets", [
    ...REQUEST,
    ["te", "trailers"],
    ["x", "\xe9\xff\t!"],
    ["__proto__", "x"],
    ["constructor", ""],
  ]),
  fine("IPv6 authority", authority("[::1]:8080")),
  {
    section: "trailers",
    does: "content-length in trailers",
    sends: [post(), headers(1, [["content-length", "0"]])],
    expected: stream(PROTOCOL),
  },
  {
    section: "trailers",
    does: "short of content-length",
    sends: [headers(1, [...POST, ["content-length", "9"]], 0), frame(DATA, 0, 1, "test"), headers(1, [["a", "b"]])],
    expected: stream(PROTOCOL),
  },
  {
    section: "trailers",
    does: "exactly content-length",
    sends: [headers(1, [...POST, ["content-length", "4"]], 0), frame(DATA, 0, 1, "test"), headers(1, [["a", "b"]])],
    expected: ok,
  },
];

test("all 147 cases are here", () => {
  const count = (suite: string): number => cases.filter(({ section }) => section.startsWith(suite)).length;
  assert.deepEqual([count("generic/"), count("http2/"), count("hpack/"), cases.length], [44, 95, 8, 147]);
});

for (const one of [...cases, ...more]) {
  for (const slice of [Infinity, 1]) {
    test(`${one.section}: ${one.does}${slice === 1 ? ", octet by octet" : ""}`, () => {
      const size = one.sends.reduce((sum, part) => sum + part.length, 0);
      judge(one.expected, run(one, slice === 1 && size > 10_000 ? 97 : Math.min(slice, 1_000_000)));
    });
  }
}
