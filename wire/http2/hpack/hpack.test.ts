import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Field } from "../../stream.ts";
import { INVALID, REGULAR } from "../classify.ts";
import { HpackDecoder, HpackError } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { huffmanBound, huffmanDecode, huffmanEncode, huffmanLength } from "./huffman.ts";
import { writeInteger } from "./integer.ts";

function decode(decoder: HpackDecoder, hex: string): Field[] {
  const bytes = Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
  // Inside a larger array, as a block lies inside a chunk: nothing beyond its end may be read.
  const chunk = new Uint8Array(bytes.length + 20).fill(0x82);
  chunk.set(bytes, 10);
  const fields: Field[] = [];
  decoder.decode(chunk, 10, 10 + bytes.length, { field: (field) => fields.push(field) });
  return fields;
}

function encode(encoder: HpackEncoder, fields: readonly Field[]): string {
  const target = new Uint8Array(encoder.bound(fields));
  return Buffer.from(target.subarray(0, encoder.encode(fields, target, 0))).toString("hex");
}

function lines(fields: readonly Field[]): string[] {
  return fields.map(({ name, value }) => `${name}: ${value}`);
}

test("integers of RFC 7541 appendix C.1", () => {
  const write = (bits: number, value: number): string => {
    const target = new Uint8Array(6);
    return Buffer.from(target.subarray(0, writeInteger(target, 0, bits, 0, value))).toString("hex");
  };
  assert.equal(write(5, 10), "0a");
  assert.equal(write(5, 1337), "1f9a0a");
  assert.equal(write(8, 42), "2a");
});

const first = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
const second = [...first, "cache-control: no-cache"];
const third = [
  ":method: GET",
  ":scheme: https",
  ":path: /index.html",
  ":authority: www.example.com",
  "custom-key: custom-value",
];
const answers = [
  [
    ":status: 302",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:21 GMT",
    "location: https://www.example.com",
  ],
  [
    ":status: 307",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:21 GMT",
    "location: https://www.example.com",
  ],
  [
    ":status: 200",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:22 GMT",
    "location: https://www.example.com",
    "content-encoding: gzip",
    "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
  ],
];

const appendix: { name: string; table?: number; blocks: [string, string[]][] }[] = [
  { name: "C.2.1", blocks: [["400a637573746f6d2d6b65790d637573746f6d2d686561646572", ["custom-key: custom-header"]]] },
  { name: "C.2.2", blocks: [["040c2f73616d706c652f70617468", [":path: /sample/path"]]] },
  { name: "C.2.3", blocks: [["100870617373776f726406736563726574", ["password: secret"]]] },
  { name: "C.2.4", blocks: [["82", [":method: GET"]]] },
  {
    name: "C.3",
    blocks: [
      ["828684410f7777772e6578616d706c652e636f6d", first],
      ["828684be58086e6f2d6361636865", second],
      ["828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", third],
    ],
  },
  {
    name: "C.4",
    blocks: [
      ["828684418cf1e3c2e5f23a6ba0ab90f4ff", first],
      ["828684be5886a8eb10649cbf", second],
      ["828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", third],
    ],
  },
  {
    name: "C.5",
    table: 256,
    blocks: [
      [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        answers[0] ?? [],
      ],
      ["4803333037c1c0bf", answers[1] ?? []],
      [
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
        answers[2] ?? [],
      ],
    ],
  },
  {
    name: "C.6",
    table: 256,
    blocks: [
      [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        answers[0] ?? [],
      ],
      ["4883640effc1c0bf", answers[1] ?? []],
      [
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        answers[2] ?? [],
      ],
    ],
  },
];

for (const { name, table, blocks } of appendix) {
  test(`RFC 7541 appendix ${name}`, () => {
    const decoder = new HpackDecoder(4096);
    // The examples assume the size; on the wire it is announced.
    if (table !== undefined) assert.deepEqual(decode(decoder, "3fe101"), []);
    for (const [hex, expected] of blocks) assert.deepEqual(lines(decode(decoder, hex)), expected);
  });
}

test("a field that comes by index is the same object", () => {
  const decoder = new HpackDecoder(4096);
  const [one] = decode(decoder, "400a637573746f6d2d6b65790d637573746f6d2d686561646572");
  assert.equal(decode(decoder, "be")[0], one);
  assert.equal(decode(decoder, "82")[0], decode(new HpackDecoder(4096), "82")[0]);
  assert.deepEqual(one, { name: "custom-key", value: "custom-header" });
});

test("never indexed stays never indexed", () => {
  const fields = decode(new HpackDecoder(4096), "100870617373776f726406736563726574");
  assert.deepEqual(fields[0], { name: "password", value: "secret", neverIndexed: true });
  const encoder = new HpackEncoder();
  const wanted = "100870617373776f726406736563726574";
  for (let round = 0; round < 3; round++) assert.equal(encode(encoder, fields), wanted);
});

const broken: [string, string][] = [
  ["index 0", "80"],
  ["index beyond both tables", "be"],
  ["name index beyond both tables", "7e0161"],
  ["integer that does not end", "ff"],
  ["integer that does not end, continued", "ffff"],
  ["integer above 2^28", "ffffffffffffff0f"],
  ["integer of many zeros", "ff80808080808001"],
  ["string beyond the block", "000561"],
  ["string length missing", "00"],
  ["value missing", "000161"],
  ["size update above the limit", "3fe21f"],
  ["size update after a field", "8220"],
  ["Huffman: EOS", "00016184ffffffff"],
  ["Huffman: padding of eight bits", "000161821fff"],
  ["Huffman: padding of zeros", "0001618118"],
];
for (const [name, hex] of broken) {
  test(`broken block: ${name}`, () => {
    assert.throws(() => decode(new HpackDecoder(4096), hex), HpackError);
  });
}

test("Huffman padding of up to seven one-bits is taken", () => {
  // "a" is 00011, padded by three bits.
  assert.deepEqual(lines(decode(new HpackDecoder(4096), "000161811f")), ["a: a"]);
});

test("size updates: the smallest, then the last, at the start of the next block", () => {
  const encoder = new HpackEncoder();
  const field: Field = { name: "user-agent", value: "x" };
  encode(encoder, [field]);
  assert.equal(encode(encoder, [field]), "be");
  encoder.setCapacity(0);
  encoder.setCapacity(4096);
  assert.match(encode(encoder, [field]), /^203fe11f7a/);
  encoder.setCapacity(100);
  assert.match(encode(encoder, []), /^3f45$/);
  encoder.setCapacity(1_000_000);
  // What a peer offers beyond 64 KiB is our memory, and not used.
  assert.equal(encode(encoder, []), "3fe1ff03");
});

test("a decoder whose table was reduced insists on the update", () => {
  const decoder = new HpackDecoder(0);
  decode(decoder, "4001610162");
  decoder.setLimit(0);
  assert.throws(() => decode(decoder, "82"), HpackError);
  const other = new HpackDecoder(0);
  other.setLimit(0);
  assert.deepEqual(lines(decode(other, "2082")), [":method: GET"]);
  assert.throws(() => decode(other, "21"), HpackError);
});

test("secrets are sent as never indexed, and repeated values earn an index", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder(4096);
  const secret: Field = { name: "authorization", value: "Bearer abc" };
  for (let round = 0; round < 3; round++) {
    const [field] = decode(decoder, encode(encoder, [secret]));
    assert.deepEqual(field, { ...secret, neverIndexed: true });
  }
  const path = (): Field => ({ name: ":path", value: "/demo.Echo/Say" });
  const sizes = [1, 2, 3].map(() => encode(encoder, [path()]).length / 2);
  assert.ok(sizes[0] !== undefined && sizes[0] > 10 && sizes[1] !== undefined && sizes[1] > 5);
  assert.equal(sizes[2], 1);
  const query: Field = { name: ":path", value: "/?token=1" };
  for (let round = 0; round < 3; round++) assert.ok(encode(encoder, [query]).length / 2 > 10);
});

const invalid: Field[] = [
  { name: "x", value: "a\r\nb" },
  { name: "x", value: "a\0" },
  { name: "x", value: " a" },
  { name: "x", value: "a\t" },
  { name: "x", value: "\u0100" },
  { name: "X", value: "a" },
  { name: "x y", value: "a" },
  { name: "server", value: "a\n" },
];
for (const field of invalid) {
  test(`an encoder never sends ${JSON.stringify(field)}`, () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(4096);
    for (let round = 0; round < 3; round++) {
      const kinds: number[] = [];
      const hex = encode(encoder, [{ name: "server", value: "good" }, field]);
      assert.equal(encoder.invalid, true);
      const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
      decoder.decode(bytes, 0, bytes.length, { field: (_, kind) => kinds.push(kind) });
      assert.deepEqual(kinds, [REGULAR, INVALID]);
    }
    assert.deepEqual(lines(decode(decoder, encode(encoder, [{ name: "server", value: "good" }]))), ["server: good"]);
    assert.equal(encoder.invalid, false);
  });
}

const octets = fc.uint8Array({ maxLength: 300 });

test("Huffman: any octets survive, at the length foretold, within the bound", () => {
  fc.assert(
    fc.property(octets, (bytes) => {
      const text = Buffer.from(bytes).toString("latin1");
      const target = new Uint8Array(huffmanLength(text) + 1).fill(0xaa);
      const end = huffmanEncode(text, target, 0);
      assert.equal(end, huffmanLength(text));
      assert.equal(target[end], 0xaa);
      const back = new Uint8Array(huffmanBound(end));
      const size = huffmanDecode(target, 0, end, back);
      assert.deepEqual(back.subarray(0, size), bytes);
    }),
  );
});

test("Huffman: random input never writes beyond the bound", () => {
  fc.assert(
    fc.property(octets, (bytes) => {
      const size = huffmanDecode(bytes, 0, bytes.length, new Uint8Array(huffmanBound(bytes.length)));
      assert.ok(size <= huffmanBound(bytes.length));
    }),
  );
});

const names = fc.constantFrom(
  ":path",
  ":status",
  "content-type",
  "user-agent",
  "x-a",
  "x-b",
  "cookie",
  "te",
  "a".repeat(40),
);
const values = fc.oneof(
  fc.constantFrom("", "a", "trailers", "200", "application/grpc"),
  fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)), maxLength: 80 }),
);
const field = fc.record({ name: names, value: values, neverIndexed: fc.constantFrom(true, undefined) });
const step = fc.oneof(
  { weight: 5, arbitrary: fc.array(field, { maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 33, 64, 200, 4096, 70_000) },
);

test("random heads and random table sizes: both ends stay in step", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(70_000);
      // Objects that come again, as another connection's decoder hands them over.
      const known = new Map<string, Field>();
      for (const one of steps) {
        if (typeof one === "number") {
          encoder.setCapacity(one);
          continue;
        }
        const fields = one.map(({ name, value, neverIndexed }): Field => {
          if (neverIndexed === true) return { name, value, neverIndexed };
          const key = `${name}: ${value}`;
          let same = known.get(key);
          if (same === undefined || value === "a") known.set(key, (same = { name, value }));
          return same;
        });
        assert.deepEqual(lines(decode(decoder, encode(encoder, fields))), lines(fields));
      }
    }),
    { numRuns: 300 },
  );
});

test("random blocks: an HpackError or fields, nothing else", () => {
  fc.assert(
    fc.property(fc.array(octets, { maxLength: 5 }), (blocks) => {
      const decoder = new HpackDecoder(4096);
      try {
        for (const bytes of blocks) decoder.decode(bytes, 0, bytes.length, { field() {} });
      } catch (error) {
        assert.ok(error instanceof HpackError);
      }
    }),
    { numRuns: 500 },
  );
});
