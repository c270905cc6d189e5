import assert from "node:assert/strict";
import { describe, it } from "node:test";
import protobuf from "protobufjs";
import { BUNDLED_PROTOS } from "../protos/bundled.ts";
import { parseProto } from "../schema/parse.ts";
import type { ParsedFile } from "../schema/parse.ts";
import { Universe } from "../schema/universe.ts";
import { TREE_CHARACTERS, TREE_ELEMENTS } from "./limits.ts";
import { MisfitError } from "./scalar-reader.ts";
import { readTyped } from "./typed.ts";
import type { TypedReading } from "./typed.ts";
import { WireError } from "../../wire/protobuf/reader.ts";

function parsed(text: string, id: string): ParsedFile {
  const result = parseProto(text, { id, shown: id, depth: 1 });
  if ("problem" in result) throw new Error(`${id}: ${result.problem.message}`);
  return result.file;
}

const BUNDLED = Object.entries(BUNDLED_PROTOS).map(([name, text]) => parsed(text, `bundled:${name}`));

function universeOf(...texts: readonly string[]): Universe {
  return new Universe([...BUNDLED, ...texts.map((text, index) => parsed(text, `f${index}.proto`))], () => undefined);
}

function read(
  universe: Universe,
  type: string,
  bytes: Uint8Array,
  limits = { elements: TREE_ELEMENTS, characters: TREE_CHARACTERS },
): TypedReading {
  const message = universe.message(type);
  assert.ok(message !== undefined, `no type ${type}`);
  return readTyped(bytes, message, (name) => universe.message(name), limits);
}

/** Objects without prototype compare as what they print. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

const bytesOf = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(" ", ""), "hex");

const PROTO3 = `syntax = "proto3";
package t;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Color { COLOR_UNSPECIFIED = 0; RED = 1; BLUE = 5; }
message Inner { string text = 1; int32 number = 2; repeated Inner more = 3; }
message All {
  double a_double = 1; float a_float = 2; int32 an_int32 = 3; int64 an_int64 = 4; uint32 a_uint32 = 5; uint64 a_uint64 = 6;
  sint32 a_sint32 = 7; sint64 a_sint64 = 8; fixed32 a_fixed32 = 9; fixed64 a_fixed64 = 10; sfixed32 a_sfixed32 = 11;
  sfixed64 a_sfixed64 = 12; bool a_bool = 13; string a_string = 14; bytes some_bytes = 15; Color color = 16; Inner inner = 17;
  repeated int32 packed = 18; repeated int32 loose = 19 [packed = false]; repeated string strings = 20; repeated Color colors = 21;
  map<string, int32> counts = 22; map<int64, Inner> inners = 23; map<bool, Color> flags = 24;
  oneof choice { string text = 25; int32 number = 26; Inner message = 27; }
  optional int32 maybe = 28; string renamed = 29 [json_name = "other"]; repeated Inner list = 30;
}
message Known {
  google.protobuf.Timestamp at = 1; google.protobuf.Duration took = 2; google.protobuf.FieldMask mask = 3;
  google.protobuf.Struct struct = 4; google.protobuf.Value value = 5; google.protobuf.ListValue list = 6; google.protobuf.Any any = 7;
  google.protobuf.Empty empty = 8; google.protobuf.StringValue text = 9; google.protobuf.Int64Value big = 10; google.protobuf.BoolValue flag = 11;
  google.protobuf.DoubleValue number = 12; google.protobuf.BytesValue octets = 13; google.protobuf.UInt32Value small = 14; google.protobuf.NullValue nothing = 15;
  repeated google.protobuf.Timestamp times = 16;
}
`;

const universe3 = universeOf(PROTO3);
const root3 = new protobuf.Root();
for (const [name, text] of Object.entries(BUNDLED_PROTOS))
  if (name.startsWith("google/protobuf/") && !/api|type|descriptor|source/.test(name)) protobuf.parse(text, root3);
protobuf.parse(PROTO3, root3);

/** What an independent writer (protobufjs) makes of these values. */
function encoded(type: string, value: object): Uint8Array {
  const found = root3.lookupType(type);
  return found.encode(found.fromObject(value)).finish();
}

interface Case {
  readonly name: string;
  readonly type: string;
  readonly bytes: Uint8Array;
  /** As the proto3 JSON specification has it. */
  readonly json: unknown;
}

const CASES: readonly Case[] = [
  { name: "an empty message", type: "t.All", bytes: encoded("t.All", {}), json: {} },
  {
    name: "all scalars",
    type: "t.All",
    bytes: encoded("t.All", {
      aDouble: 1.5,
      aFloat: 0.1,
      anInt32: -5,
      anInt64: "-9223372036854775808",
      aUint32: 4294967295,
      aUint64: "18446744073709551615",
      aSint32: -1,
      aSint64: "-2",
      aFixed32: 7,
      aFixed64: "8",
      aSfixed32: -9,
      aSfixed64: "-10",
      aBool: true,
      aString: "é€😀",
      someBytes: Buffer.from([0xfb, 0xff]),
      color: 5,
    }),
    json: {
      aDouble: 1.5,
      aFloat: 0.1,
      anInt32: -5,
      anInt64: "-9223372036854775808",
      aUint32: 4294967295,
      aUint64: "18446744073709551615",
      aSint32: -1,
      aSint64: "-2",
      aFixed32: 7,
      aFixed64: "8",
      aSfixed32: -9,
      aSfixed64: "-10",
      aBool: true,
      aString: "é€😀",
      someBytes: "+/8=",
      color: "BLUE",
    },
  },
  {
    name: "numbers JSON has none for",
    type: "t.All",
    bytes: bytesOf("09 000000000000f87f 15 000080ff"),
    json: { aDouble: "NaN", aFloat: "-Infinity" },
  },
  { name: "an enum value without a name", type: "t.All", bytes: bytesOf("8001 63"), json: { color: 99 } },
  { name: "default values on the wire", type: "t.All", bytes: bytesOf("1800 7200 8001 00"), json: {} },
  { name: "a default value with presence", type: "t.All", bytes: bytesOf("e001 00"), json: { maybe: 0 } },
  { name: "a default value in a oneof", type: "t.All", bytes: bytesOf("d001 00"), json: { number: 0 } },
  { name: "the last of a oneof", type: "t.All", bytes: bytesOf("ca01 0161 d001 07"), json: { number: 7 } },
  {
    name: "packed and unpacked",
    type: "t.All",
    bytes: encoded("t.All", { packed: [1, -1, 300], loose: [1, 2], strings: ["a", ""], colors: [0, 5] }),
    json: { packed: [1, -1, 300], loose: [1, 2], strings: ["a", ""], colors: ["COLOR_UNSPECIFIED", "BLUE"] },
  },
  {
    name: "packed where the schema says unpacked, and the reverse",
    type: "t.All",
    bytes: bytesOf("9a01 02 0102 9001 05 9001 06"),
    json: { packed: [5, 6], loose: [1, 2] },
  },
  {
    name: "maps",
    type: "t.All",
    bytes: encoded("t.All", { counts: { a: 1, b: 0 }, inners: { "5": { text: "x" } }, flags: { true: 1 } }),
    json: { counts: { a: 1, b: 0 }, inners: { "5": { text: "x" } }, flags: { true: "RED" } },
  },
  {
    name: "map entries without key or value",
    type: "t.All",
    bytes: bytesOf("b201 00 ba01 00"),
    json: { counts: { "": 0 }, inners: { "0": {} } },
  },
  {
    name: "a map key that is special in JavaScript",
    type: "t.All",
    bytes: bytesOf("b201 0d 0a09 5f5f70726f746f5f5f 1001"),
    json: JSON.parse('{"counts":{"__proto__":1}}'),
  },
  {
    name: "a message in two pieces",
    type: "t.All",
    bytes: bytesOf("8a01 03 0a0161 8a01 02 1005"),
    json: { inner: { text: "a", number: 5 } },
  },
  { name: "json_name", type: "t.All", bytes: encoded("t.All", { renamed: "x" }), json: { other: "x" } },
  {
    name: "a negative int32 of 10 octets",
    type: "t.All",
    bytes: bytesOf("18 ffffffffffffffffff01"),
    json: { anInt32: -1 },
  },
  {
    name: "a timestamp",
    type: "t.Known",
    bytes: encoded("t.Known", { at: { seconds: 1_700_000_000, nanos: 120_000_000 } }),
    json: { at: "2023-11-14T22:13:20.120Z" },
  },
  {
    name: "timestamps of all precisions",
    type: "t.Known",
    bytes: encoded("t.Known", { times: [{}, { nanos: 1 }, { nanos: 1000 }, { seconds: -1, nanos: 999_000_000 }] }),
    json: {
      times: [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.000000001Z",
        "1970-01-01T00:00:00.000001Z",
        "1969-12-31T23:59:59.999Z",
      ],
    },
  },
  {
    name: "a duration",
    type: "t.Known",
    bytes: encoded("t.Known", { took: { seconds: 3, nanos: 500_000_000 } }),
    json: { took: "3.500s" },
  },
  {
    name: "a negative duration",
    type: "t.Known",
    bytes: encoded("t.Known", { took: { seconds: 0, nanos: -1_000_000 } }),
    json: { took: "-0.001s" },
  },
  {
    name: "a field mask",
    type: "t.Known",
    bytes: encoded("t.Known", { mask: { paths: ["user.display_name", "photo"] } }),
    json: { mask: "user.displayName,photo" },
  },
  {
    name: "a struct",
    type: "t.Known",
    bytes: encoded("t.Known", {
      struct: {
        fields: {
          a: { numberValue: 1.5 },
          b: { stringValue: "x" },
          c: { boolValue: false },
          d: { nullValue: 0 },
          e: { listValue: { values: [{ numberValue: 1 }] } },
          f: { structValue: { fields: {} } },
        },
      },
    }),
    json: { struct: { a: 1.5, b: "x", c: false, d: null, e: [1], f: {} } },
  },
  {
    name: "a value and a list",
    type: "t.Known",
    bytes: encoded("t.Known", {
      value: { stringValue: "v" },
      list: { values: [{ boolValue: true }, { nullValue: 0 }] },
    }),
    json: { value: "v", list: [true, null] },
  },
  {
    name: "wrappers",
    type: "t.Known",
    bytes: encoded("t.Known", {
      text: { value: "t" },
      big: { value: "7" },
      flag: { value: true },
      number: { value: 2.5 },
      octets: { value: Buffer.from("ab") },
      small: { value: 3 },
    }),
    json: { text: "t", big: "7", flag: true, number: 2.5, octets: "YWI=", small: 3 },
  },
  {
    name: "wrappers of default values",
    type: "t.Known",
    bytes: encoded("t.Known", { text: {}, big: {}, flag: {}, number: {}, small: {} }),
    json: { text: "", big: "0", flag: false, number: 0, small: 0 },
  },
  { name: "empty", type: "t.Known", bytes: encoded("t.Known", { empty: {} }), json: { empty: {} } },
  {
    name: "an Any of a known type",
    type: "t.Known",
    bytes: encoded("t.Known", {
      any: { typeUrl: "type.googleapis.com/t.Inner", value: encoded("t.Inner", { text: "in", number: 2 }) },
    }),
    json: { any: { "@type": "type.googleapis.com/t.Inner", text: "in", number: 2 } },
  },
  {
    name: "an Any of a well-known type",
    type: "t.Known",
    bytes: encoded("t.Known", {
      any: {
        typeUrl: "type.googleapis.com/google.protobuf.Duration",
        value: encoded("google.protobuf.Duration", { seconds: 1 }),
      },
    }),
    json: { any: { "@type": "type.googleapis.com/google.protobuf.Duration", value: "1s" } },
  },
  {
    name: "an Any without a value",
    type: "t.Known",
    bytes: encoded("t.Known", { any: { typeUrl: "x/t.Inner" } }),
    json: { any: { "@type": "x/t.Inner" } },
  },
];

describe("typed reading: proto3 JSON", () => {
  for (const { name, type, bytes, json } of CASES) {
    it(`prints ${name}`, () => {
      const reading = read(universe3, type, bytes);
      assert.deepEqual(plain(reading.json), json);
      assert.deepEqual([reading.hasUnknownFields, reading.truncated, reading.notes], [false, false, []]);
    });
  }

  it("agrees with protobufjs on nested messages", () => {
    const value = { list: [{ text: "a", number: 1, more: [{ text: "b" }] }, { number: -7 }], message: { text: "m" } };
    assert.deepEqual(plain(read(universe3, "t.All", encoded("t.All", value)).json), value);
  });

  it("keeps a special key out of prototypes on its way through a worker", () => {
    const reading = read(universe3, "t.All", bytesOf("b201 0d 0a09 5f5f70726f746f5f5f 1001"));
    assert.equal(JSON.stringify(structuredClone(reading.json)), '{"counts":{"__proto__":1}}');
    assert.equal(({} as Record<string, unknown>)["1"], undefined);
  });
});

describe("typed reading: what does not fit", () => {
  it("lists unknown fields", () => {
    const reading = read(universe3, "t.Inner", bytesOf("0a0161 2a0178 3805"));
    assert.equal(reading.hasUnknownFields, true);
    assert.deepEqual(plain(reading.json), { text: "a" });
    assert.deepEqual(
      reading.tree.map(({ number, name, type, unknown, value, offset, length }) => ({
        number,
        name,
        type,
        unknown,
        value,
        offset,
        length,
      })),
      [
        { number: 1, name: "text", type: "string", unknown: undefined, value: "a", offset: 0, length: 3 },
        { number: 5, name: "5", type: "length-delimited", unknown: true, value: "x", offset: 3, length: 3 },
        { number: 7, name: "7", type: "varint", unknown: true, value: "5", offset: 6, length: 2 },
      ],
    );
  });

  const MISFITS: readonly (readonly [string, string, string])[] = [
    ["a varint for a string", "t.Inner", "0805"],
    ["a string for a number", "t.Inner", "120161"],
    ["a string that is not UTF-8", "t.Inner", "0a01ff"],
    ["a cut message", "t.Inner", "0a0561"],
    ["a submessage that is none", "t.Inner", "1a0161"],
    ["a map entry of other types", "t.All", "b201 02 0805"],
    ["a length of 4 GiB", "t.Inner", "0affffffff0f"],
  ];
  for (const [name, type, hex] of MISFITS) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => read(universe3, type, bytesOf(hex)),
        (error) => error instanceof MisfitError || error instanceof WireError,
      );
    });
  }

  it("shows an Any of an unknown type as base64, and says so", () => {
    const reading = read(
      universe3,
      "t.Known",
      encoded("t.Known", { any: { typeUrl: "x/no.Such", value: Buffer.from("ab") } }),
    );
    assert.deepEqual(plain(reading.json), { any: { "@type": "x/no.Such", value: "YWI=" } });
    assert.equal(reading.notes.length, 1);
  });

  it("shows a timestamp out of range with its fields, and says so", () => {
    const reading = read(universe3, "t.Known", encoded("t.Known", { at: { seconds: 300_000_000_000, nanos: 5 } }));
    assert.deepEqual(plain(reading.json), { at: { seconds: "300000000000", nanos: 5 } });
    assert.equal(reading.notes.length, 1);
  });

  it("stops at 10 000 elements", () => {
    const reading = read(universe3, "t.All", Buffer.alloc(1024 * 1024 - 1, Buffer.from("f20100", "hex")));
    assert.equal(reading.tree.length, TREE_ELEMENTS);
    assert.equal(reading.truncated, true);
  });

  it("stops at the characters asked for", () => {
    const bytes = encoded("t.All", { aString: "x".repeat(5000), strings: ["y"] });
    const reading = read(universe3, "t.All", bytes, { elements: 100, characters: 1000 });
    assert.equal(reading.truncated, true);
    assert.equal(reading.tree[0]?.value?.length, 1000);
  });

  it("stops at 100 levels", () => {
    let bytes: Uint8Array = new Uint8Array(0);
    for (let level = 0; level < 150; level++)
      bytes = protobuf.Writer.create()
        .uint32((3 << 3) | 2)
        .bytes(bytes)
        .finish();
    assert.throws(() => read(universe3, "t.Inner", bytes), MisfitError);
  });
});

describe("typed reading: proto2 and editions", () => {
  const proto2 = universeOf(
    `syntax = "proto2"; package two;
message M { required int32 id = 1; optional Kind kind = 2; repeated group Result = 3 { required string url = 4; optional int32 rank = 5; } repeated int32 n = 6; optional string loose = 7; extensions 100 to 200; }
enum Kind { A = 1; B = 2; }
extend M { optional string note = 100; repeated Other others = 101; }
message Other { optional int32 x = 1; message Scope { extend M { optional int32 inside = 102; } } }`,
    `syntax = "proto2"; package far.away; import "f0.proto"; extend two.M { optional bool flag = 103; }`,
  );

  it("reads groups, extensions and required fields", () => {
    const bytes = bytesOf("0801 1002 1b 220175 2803 1c a206 016e aa06 02 0807 b006 05 b806 01");
    const reading = read(proto2, "two.M", bytes);
    assert.deepEqual(plain(reading.json), {
      id: 1,
      kind: "B",
      result: [{ url: "u", rank: 3 }],
      "[two.note]": "n",
      "[two.others]": [{ x: 7 }],
      "[two.Other.Scope.inside]": 5,
      "[far.away.flag]": true,
    });
    assert.deepEqual(reading.notes, []);
    assert.equal(reading.tree.find(({ number }) => number === 100)?.name, "[two.note]");
  });

  it("says that a required field is missing", () => {
    assert.deepEqual(read(proto2, "two.M", bytesOf("1001")).notes, ["the required field id is missing"]);
  });

  it("takes a value that no closed enum has as unknown", () => {
    const reading = read(proto2, "two.M", bytesOf("0801 1063"));
    assert.deepEqual(plain(reading.json), { id: 1 });
    assert.equal(reading.hasUnknownFields, true);
    assert.equal(reading.tree[1]?.alternative, "not in two.Kind");
  });

  it("shows default values, which have presence", () =>
    assert.deepEqual(plain(read(proto2, "two.M", bytesOf("0800")).json), { id: 0 }));

  it("takes strings that are not UTF-8, and says so", () => {
    const reading = read(proto2, "two.M", bytesOf("0801 3a01ff"));
    assert.deepEqual(reading.notes, ["a string is not UTF-8"]);
  });

  const editions = universeOf(`edition = "2023"; package e;
option features.field_presence = IMPLICIT;
message M {
  int32 implicit = 1;
  int32 explicit = 2 [features.field_presence = EXPLICIT];
  Inner delimited = 3 [features.message_encoding = DELIMITED];
  repeated int32 packed = 4;
  repeated int32 expanded = 5 [features.repeated_field_encoding = EXPANDED];
  string strict = 6;
  string loose = 7 [features.utf8_validation = NONE];
  Closed closed = 8;
  int32 must = 9 [features.field_presence = LEGACY_REQUIRED];
}
message Inner { int32 x = 1; }
enum Closed { option features.enum_type = CLOSED; ZERO = 0; ONE = 1; }`);

  it("follows the features of edition 2023", () => {
    const bytes = bytesOf("0800 1000 1b 0805 1c 2202 0102 2801 3a01ff 4863");
    const reading = read(editions, "e.M", Buffer.concat([bytes, bytesOf("4063")]));
    assert.deepEqual(plain(reading.json), {
      explicit: 0,
      delimited: { x: 5 },
      packed: [1, 2],
      expanded: [1],
      loose: "\ufffd",
      must: 99,
    });
    assert.equal(reading.hasUnknownFields, true, "99 is not in the closed enum");
    assert.throws(() => read(editions, "e.M", bytesOf("3201ff")), MisfitError);
    assert.deepEqual(read(editions, "e.M", bytesOf("0801")).notes, ["the required field must is missing"]);
  });
});
