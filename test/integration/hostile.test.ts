/** A hostile first round: the process lives, the connection of the offender ends, and another visitor's stream notices nothing. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { startHttp } from "../../sample/http/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { RawVisitor, request } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { until } from "../support/time.ts";

let path: Path;
let service: RunningService;
let shared: Shared;
let witness: RawVisitor;
let events = 0;

before(async () => {
  service = await startHttp();
  path = await startPath();
  shared = await path.share(service.port);
  // On the same tunnel as everything below, for the whole time.
  witness = await RawVisitor.connect(shared.address);
  witness.send("GET /events?interval=20 HTTP/1.1\r\nHost: a\r\n\r\n");
  await witness.receive(/"sequence":0/);
});

after(async () => {
  witness.close();
  await path.close();
  await service.close();
});

/** After each attack: the witness's stream goes on without a gap, and new visitors are served. */
afterEach(async () => {
  const numbers = (): number[] =>
    [...witness.received.matchAll(/"sequence":(\d+)/g)].map(([, digits]) => Number(digits));
  events = numbers().length;
  await witness.receive(new RegExp(`"sequence":${events + 2},`));
  assert.deepEqual(
    numbers(),
    numbers().map((_, index) => index),
  );
  assert.equal((await request(shared.address, "/status/200")).status, 200);
});

async function answerTo(text: string): Promise<string> {
  const visitor = await RawVisitor.connect(shared.address);
  visitor.send(text);
  const answer = await visitor.rest(15_000);
  visitor.close();
  return answer;
}

describe("HTTP/1.1", () => {
  for (const [what, text, status] of [
    ["a head of 200 KB", `GET / HTTP/1.1\r\nHost: a\r\nX-Big: ${"x".repeat(200_000)}\r\n\r\n`, 431],
    ["2 000 fields", `GET / HTTP/1.1\r\nHost: a\r\n${"X-A: 1\r\n".repeat(2000)}\r\n`, 431],
    ["two lengths", "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400],
    [
      "length and chunks",
      "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["a space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n", 400],
    ["a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n", 400],
    ["a bare LF in the head", "GET / HTTP/1.1\nHost: a\n\n", 400],
    ["NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX-A: \0\r\n\r\n", 400],
    ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
    ["no host in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", 400],
    ["rubbish", "\x16\x03\x01rubbish\r\n\r\n", 0],
    ["an unknown coding", "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 0],
  ] as const)
    test(what, async () => {
      const answer = await answerTo(text);
      if (status === 0) assert.doesNotMatch(answer, /^HTTP\/1\.1 2/);
      else assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.equal(
        answer.match(/^HTTP\/1\.1/gm)?.length ?? 0,
        answer === "" ? 0 : 1,
        "one answer, then the connection ends",
      );
    });

  test("a chunk size that is none, in the middle of an upload", async () => {
    const answer = await answerTo(
      "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n",
    );
    assert.doesNotMatch(answer, /"bytes"/);
  });
});

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const SETTINGS = frame(4, 0, 0);
/** GET http / of authority "a", by static indexes and one literal. */
const GET = Buffer.from([0x82, 0x86, 0x84, 0x01, 0x01, 0x61]);
const many = (count: number, make: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));

/** Types of the frames received, in order. The visitor reads as latin-1: an octet a character. */
function frameTypes(received: string): number[] {
  const bytes = Buffer.from(received, "latin1");
  const types: number[] = [];
  for (let offset = 0; offset + 9 <= bytes.length; offset += 9 + bytes.readUIntBE(offset, 3))
    types.push(bytes.readUInt8(offset + 3));
  return types;
}

const GOAWAY = 7;
const RST_STREAM = 3;

describe("HTTP/2", () => {
  for (const [what, bytes] of [
    ["a frame larger than announced", frame(0, 0, 1, Buffer.alloc(20_000))],
    ["DATA on stream 0", frame(0, 0, 0, Buffer.alloc(4))],
    ["an even stream", frame(1, 5, 2, GET)],
    ["HEADERS that HPACK cannot read", frame(1, 5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))],
    ["CONTINUATION without HEADERS", frame(9, 4, 1, GET)],
    ["a window that overflows", frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff]))],
    [
      "1 000 CONTINUATIONs",
      Buffer.concat([
        frame(1, 1, 1, GET),
        many(1000, () => frame(9, 0, 1, Buffer.from([0x00, 0x01, 0x61, 0x01, 0x62]))),
      ]),
    ],
    ["20 000 PINGs", many(20_000, () => frame(6, 0, 0, Buffer.alloc(8)))],
    ["20 000 SETTINGS", many(20_000, () => SETTINGS)],
    [
      "5 000 requests, each reset at once",
      many(5000, (index) =>
        Buffer.concat([frame(1, 5, 2 * index + 1, GET), frame(3, 0, 2 * index + 1, Buffer.from([0, 0, 0, 8]))]),
      ),
    ],
    [
      "5 000 requests with an empty window update",
      many(5000, (index) =>
        Buffer.concat([frame(1, 5, 2 * index + 1, GET), frame(8, 0, 2 * index + 1, Buffer.alloc(4))]),
      ),
    ],
  ] as const)
    test(`${what}: GOAWAY, and the connection ends`, async () => {
      const visitor = await RawVisitor.connect(shared.address);
      visitor.send(Buffer.concat([PREFACE, SETTINGS, bytes]));
      const how = visitor.closed;
      const answer = await visitor.rest(15_000);
      // A reset may overtake the GOAWAY when the peer still sends; without one it must be there.
      if ((await how) === "end")
        assert.ok(frameTypes(answer).includes(GOAWAY), `frames ${frameTypes(answer).join(" ")}`);
      visitor.close();
    });

  test("a header bomb of indexed references: refused, and the connection's other stream lives or the connection ends", async () => {
    // One field of 4 000 octets, then 3 000 references to it: 12 MB decoded out of 7 KB.
    const literal = Buffer.concat([Buffer.from([0x40, 0x01, 0x62, 0x7f, 0xa1, 0x1e]), Buffer.alloc(4000, "b")]);
    const visitor = await RawVisitor.connect(shared.address);
    visitor.send(
      Buffer.concat([PREFACE, SETTINGS, frame(1, 5, 1, Buffer.concat([GET, literal, Buffer.alloc(3000, 0xbe)]))]),
    );
    // 431 (":status" by literal), RST_STREAM or GOAWAY: anything but a 200.
    await until(10_000, "an answer or a reset", () => {
      const types = frameTypes(visitor.received);
      return visitor.received.includes("431") || types.includes(RST_STREAM) || types.includes(GOAWAY);
    });
    assert.ok(!visitor.received.includes("\x88"), "no indexed :status 200");
    visitor.close();
  });
});

test("200 silent connections and 100 half heads do no harm", async () => {
  const visitors = await Promise.all(Array.from({ length: 300 }, () => RawVisitor.connect(shared.address)));
  for (const visitor of visitors.slice(200)) visitor.send("GET / HTTP/1.1\r\nHost");
  assert.equal((await request(shared.address, "/status/204")).status, 204);
  for (const visitor of visitors) visitor.close();
});
