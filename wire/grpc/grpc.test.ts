import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Base64Reader } from "./base64.ts";
import { ENVELOPE_FLAGS, EnvelopeReader } from "./envelope.ts";
import { decodeGrpcMessage } from "./percent.ts";
import { connectCodeNumber, grpcStatusName, parseGrpcStatus, parseGrpcTimeout } from "./status.ts";

function transcript(allowed: number, pieces: readonly Uint8Array[]): string[] {
  const events: string[] = [];
  const reader = new EnvelopeReader(allowed, {
    started: (flags, length, offset) => events.push(`started ${flags} ${length} at ${offset}`),
    completed: () => events.push("completed"),
    invalid: (problem) => events.push(problem),
  });
  for (const piece of pieces) reader.receive(piece);
  events.push(reader.atBoundary ? "boundary" : `cut at ${reader.position}`);
  return events;
}

const CASES: readonly { name: string; allowed: number; hex: string; events: readonly string[] }[] = [
  { name: "nothing", allowed: ENVELOPE_FLAGS.grpc, hex: "", events: ["boundary"] },
  {
    name: "an empty message",
    allowed: ENVELOPE_FLAGS.grpc,
    hex: "0000000000",
    events: ["started 0 0 at 0", "completed", "boundary"],
  },
  {
    name: "two messages, one compressed",
    allowed: ENVELOPE_FLAGS.grpc,
    hex: "0000000002aabb0100000001cc",
    events: ["started 0 2 at 0", "completed", "started 1 1 at 7", "completed", "boundary"],
  },
  { name: "a cut prefix", allowed: ENVELOPE_FLAGS.grpc, hex: "000000", events: ["cut at 3"] },
  {
    name: "a cut message",
    allowed: ENVELOPE_FLAGS.grpc,
    hex: "0000000003aa",
    events: ["started 0 3 at 0", "cut at 6"],
  },
  {
    name: "a prefix of 4 GiB",
    allowed: ENVELOPE_FLAGS.grpc,
    hex: "00ffffffff00",
    events: ["started 0 4294967295 at 0", "cut at 6"],
  },
  {
    name: "a page of text",
    allowed: ENVELOPE_FLAGS.grpc,
    hex: Buffer.from("404 page not found").toString("hex"),
    events: ["Not a message envelope: its first octet is 0x34.", "cut at 1"],
  },
  {
    name: "trailers of gRPC-Web",
    allowed: ENVELOPE_FLAGS["grpc-web"],
    hex: "800000000161",
    events: ["started 128 1 at 0", "completed", "boundary"],
  },
  {
    name: "trailers in plain gRPC",
    allowed: ENVELOPE_FLAGS.grpc,
    hex: "80",
    events: ["Not a message envelope: its first octet is 0x80.", "cut at 1"],
  },
  {
    name: "the end of a Connect stream",
    allowed: ENVELOPE_FLAGS.connect,
    hex: "02000000027b7d",
    events: ["started 2 2 at 0", "completed", "boundary"],
  },
];

describe("gRPC envelopes", () => {
  for (const { name, allowed, hex, events } of CASES) {
    it(`reads ${name} at every split`, () => {
      const bytes = Buffer.from(hex, "hex");
      assert.deepEqual(transcript(allowed, [bytes]), events);
      for (let split = 0; split <= bytes.length; split++) {
        assert.deepEqual(
          transcript(allowed, [bytes.subarray(0, split), bytes.subarray(split)]),
          events,
          `split at ${split}`,
        );
      }
      assert.deepEqual(
        transcript(
          allowed,
          [...bytes].map((octet) => Uint8Array.of(octet)),
        ),
        events,
        "octet by octet",
      );
    });
  }
});

describe("gRPC's little languages", () => {
  const TIMEOUTS: readonly (readonly [string, number | undefined])[] = [
    ["5S", 5000],
    ["100m", 100],
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["250u", 0.25],
    ["1n", 0.000001],
    ["99999999S", 99_999_999_000],
    ["100000000S", undefined],
    ["S", undefined],
    ["5", undefined],
    ["-5S", undefined],
    ["5s", undefined],
  ];
  for (const [value, expected] of TIMEOUTS)
    it(`reads the timeout ${value}`, () => assert.equal(parseGrpcTimeout(value), expected));

  const MESSAGES: readonly (readonly [string, string])[] = [
    ["plain", "plain"],
    ["a%20b", "a b"],
    ["%E2%82%AC", "€"],
    ["50%", "50%"],
    ["50%zz%4", "50%zz%4"],
    ["%ff", "ÿ"],
    ["", ""],
    ["\xe2\x82\xac", "€"],
  ];
  for (const [value, expected] of MESSAGES)
    it(`decodes the message ${JSON.stringify(value)}`, () => assert.equal(decodeGrpcMessage(value), expected));

  it("decodes a message as long as a head may be, whatever is in it", () => {
    const message = "ÿ".repeat(256 * 1024);
    assert.equal(decodeGrpcMessage(message), message);
  });

  it("names statuses", () => {
    assert.equal(grpcStatusName(0), "OK");
    assert.equal(grpcStatusName(16), "UNAUTHENTICATED");
    assert.equal(grpcStatusName(99), "status 99");
    assert.equal(parseGrpcStatus("5"), 5);
    assert.equal(parseGrpcStatus("x"), undefined);
    assert.equal(connectCodeNumber("not_found"), 5);
    assert.equal(connectCodeNumber("canceled"), 1);
    assert.equal(connectCodeNumber("ok"), undefined);
    assert.equal(connectCodeNumber("NOT_FOUND"), undefined);
  });
});

describe("base64 in pieces", () => {
  // Three flushes of a sender, each padded by itself.
  const parts = [Buffer.from("a"), Buffer.from("hello, w"), Buffer.from([0xff, 0xfe, 0xfd])];
  const text = Buffer.from(parts.map((part) => part.toString("base64")).join(""));

  it("decodes at every split", () => {
    for (let split = 0; split <= text.length; split++) {
      const reader = new Base64Reader();
      const decoded = Buffer.concat([reader.receive(text.subarray(0, split)), reader.receive(text.subarray(split))]);
      assert.equal(decoded.toString("hex"), Buffer.concat(parts).toString("hex"), `split at ${split}`);
    }
  });

  it("stops at what is none", () => {
    const reader = new Base64Reader();
    assert.equal(Buffer.from(reader.receive(Buffer.from("YWJj!YWJj"))).toString(), "abc");
    assert.equal(reader.invalid, true);
  });
});
