import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Base64Reader } from "./base64.ts";
import { ENVELOPE_FLAGS, ENVELOPE_PREFIX, EnvelopeReader } from "./envelope.ts";
import { decodeGrpcMessage } from "./percent.ts";

const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 20 });

function pieces(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const list: Uint8Array[] = [];
  let at = 0;
  for (const length of [...lengths, bytes.length]) {
    list.push(bytes.slice(at, at + length));
    at += length;
  }
  return list;
}

const KINDS = ["grpc", "grpc-web", "connect"] as const;

test("envelopes of any size at any split: each is found where it is", () => {
  const message = fc.tuple(fc.nat(255), fc.oneof(fc.nat(20), fc.nat(5000)));
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), fc.array(message, { maxLength: 10 }), sizes, (kind, messages, lengths) => {
      const expected: string[] = [];
      const parts: Buffer[] = [];
      let offset = 0;
      for (const [octet, length] of messages) {
        const flags = octet & ENVELOPE_FLAGS[kind];
        const envelope = Buffer.alloc(ENVELOPE_PREFIX + length, 0xff);
        envelope[0] = flags;
        envelope.writeUInt32BE(length, 1);
        parts.push(envelope);
        expected.push(`${flags} ${length} ${offset}`, "completed");
        offset += envelope.length;
      }
      const found: string[] = [];
      const reader = new EnvelopeReader(ENVELOPE_FLAGS[kind], {
        started: (flags, length, at) => found.push(`${flags} ${length} ${at}`),
        completed: () => found.push("completed"),
        invalid: (problem) => found.push(problem),
      });
      for (const piece of pieces(Buffer.concat(parts), lengths)) reader.receive(new Uint8Array(piece));
      assert.deepEqual(found, expected);
      assert.ok(reader.atBoundary && reader.position === offset);
    }),
    { numRuns: 500 },
  );
});

test("base64 of any flushes, each padded by itself, at any split: what Node makes of each, in a row", () => {
  const flush = fc.tuple(fc.uint8Array({ maxLength: 50 }), fc.constantFrom("base64" as const, "base64url" as const));
  fc.assert(
    fc.property(fc.array(flush, { maxLength: 6 }), sizes, (flushes, lengths) => {
      const text = flushes.map(([bytes, alphabet]) => {
        const digits = Buffer.from(bytes).toString(alphabet);
        return digits.padEnd(Math.ceil(digits.length / 4) * 4, "=");
      });
      const reader = new Base64Reader();
      const read = pieces(Buffer.from(text.join("")), lengths).map((piece) => reader.receive(new Uint8Array(piece)));
      assert.deepEqual(Buffer.concat(read), Buffer.concat(flushes.map(([bytes]) => bytes)));
      assert.equal(reader.invalid, false);
    }),
    { numRuns: 500 },
  );
});

const point = fc.oneof(fc.nat(0x7f), fc.nat(0x7ff), fc.nat(0xd7ff), fc.integer({ min: 0xe000, max: 0x10ffff }));

test("grpc-message: whatever a sender escapes comes back", () => {
  fc.assert(
    fc.property(fc.array(point, { maxLength: 40 }), (points) => {
      const message = String.fromCodePoint(...points);
      const escaped = [...Buffer.from(message)].map((octet) =>
        octet >= 0x20 && octet <= 0x7e && octet !== 0x25
          ? String.fromCharCode(octet)
          : `%${octet.toString(16).toUpperCase().padStart(2, "0")}`,
      );
      assert.equal(decodeGrpcMessage(escaped.join("")), Buffer.from(message).toString("utf8"));
    }),
  );
});
