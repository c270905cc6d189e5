import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { MAX_FIELD_NUMBER, WireReader, unsigned64 } from "./reader.ts";
import { readTree } from "./tree.ts";
import type { WireNode } from "./tree.ts";

type Value =
  | { readonly wire: "varint"; readonly value: bigint }
  | { readonly wire: "64-bit"; readonly value: bigint }
  | { readonly wire: "32-bit"; readonly value: number }
  | { readonly wire: "length-delimited"; readonly bytes: Uint8Array }
  | { readonly wire: "group"; readonly fields: readonly Field[] };

interface Field {
  readonly number: number;
  readonly value: Value;
}

const number = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: MAX_FIELD_NUMBER }));
const bits64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

const { fields } = fc.letrec<{ fields: readonly Field[]; value: Value }>((tie) => ({
  fields: fc.array(fc.record({ number, value: tie("value") }), { maxLength: 6 }),
  value: fc.oneof(
    { depthSize: "small" },
    bits64.map((value) => ({ wire: "varint" as const, value })),
    bits64.map((value) => ({ wire: "64-bit" as const, value })),
    fc.nat(0xffffffff).map((value) => ({ wire: "32-bit" as const, value })),
    fc.uint8Array({ maxLength: 30 }).map((bytes) => ({ wire: "length-delimited" as const, bytes })),
    tie("fields").map((inner) => ({ wire: "group" as const, fields: inner })),
  ),
}));

function write(writer: protobuf.Writer, list: readonly Field[]): protobuf.Writer {
  for (const { number: tag, value } of list) {
    const begin = (wireType: number): protobuf.Writer => writer.uint32(((tag << 3) | wireType) >>> 0);
    if (value.wire === "varint") begin(0).uint64(value.value.toString());
    else if (value.wire === "64-bit") begin(1).fixed64(value.value.toString());
    else if (value.wire === "32-bit") begin(5).fixed32(value.value);
    else if (value.wire === "length-delimited") begin(2).bytes(value.bytes);
    else {
      begin(3);
      write(writer, value.fields);
      begin(4);
    }
  }
  return writer;
}

/** What the tree shows of a field, without guesses at what a length-delimited one might be. */
function shown(bytes: Uint8Array, nodes: readonly WireNode[]): unknown[] {
  return nodes.map(({ number: tag, wire, low, high, contentStart, contentEnd, children = [] }) => {
    if (wire === "group") return [tag, wire, shown(bytes, children)];
    if (wire === "length-delimited") return [tag, wire, [...bytes.subarray(contentStart, contentEnd)]];
    return [tag, wire, unsigned64(low, high)];
  });
}

function expected(list: readonly Field[]): unknown[] {
  return list.map(({ number: tag, value }) => {
    if (value.wire === "group") return [tag, value.wire, expected(value.fields)];
    if (value.wire === "length-delimited") return [tag, value.wire, [...value.bytes]];
    return [tag, value.wire, value.value.toString()];
  });
}

test("any fields that protobufjs writes, groups in groups included, are read as they were given", () => {
  fc.assert(
    fc.property(fields, (list) => {
      const bytes = write(protobuf.Writer.create(), list).finish();
      const tree = readTree(bytes);
      assert.equal(tree.problem, undefined);
      assert.deepEqual(shown(bytes, tree.nodes), expected(list));
      const reader = new WireReader(bytes);
      while (!reader.atEnd) {
        reader.tag();
        reader.skip();
      }
      assert.equal(reader.position, bytes.length);
    }),
    { numRuns: 500 },
  );
});

test("a message that is cut is a problem, or a shorter message; never more than was there", () => {
  fc.assert(
    fc.property(fields, fc.nat(), (list, cut) => {
      const whole = write(protobuf.Writer.create(), list).finish();
      const bytes = whole.subarray(0, cut % (whole.length + 1));
      const tree = readTree(bytes);
      const read = shown(bytes, tree.nodes);
      assert.deepEqual(read, expected(list).slice(0, read.length));
      const end = tree.nodes.at(-1);
      assert.equal(tree.problem === undefined, (end === undefined ? 0 : end.offset + end.length) === bytes.length);
    }),
    { numRuns: 500 },
  );
});
