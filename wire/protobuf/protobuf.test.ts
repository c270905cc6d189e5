import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { float32, float64, signed64, unsigned64, WireError, WireReader, zigzag32, zigzag64 } from "./reader.ts";
import { readTree } from "./tree.ts";
import type { WireNode } from "./tree.ts";

const bytesOf = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(" ", ""), "hex");

/** A short form of a tree: number:wire=value. */
function shown(nodes: readonly WireNode[]): string {
  return nodes
    .map(({ number, wire, guess, text, children, low, high }) => {
      if (children !== undefined && guess !== "string") return `${number}{${shown(children)}}`;
      if (wire === "length-delimited") return `${number}:${guess ?? ""}${text === undefined ? "" : `=${text}`}`;
      return `${number}:${wire}=${unsigned64(low, high)}`;
    })
    .join(" ");
}

describe("protobuf's wire", () => {
  it("reads varints as protobufjs writes them", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        const text = value.toString();
        const reader = new WireReader(
          protobuf.Writer.create().int64(text).sint64(text).fixed64(BigInt.asUintN(64, value).toString()).finish(),
        );
        reader.varint();
        assert.equal(signed64(reader.low, reader.high), value.toString());
        reader.varint();
        assert.equal(zigzag64(reader.low, reader.high), value.toString());
        reader.fixed64();
        assert.equal(unsigned64(reader.low, reader.high), BigInt.asUintN(64, value).toString());
        assert.equal(reader.atEnd, true);
      }),
    );
  });

  it("reads floats and 32-bit values as protobufjs writes them", () => {
    fc.assert(
      fc.property(fc.double(), fc.float(), fc.integer(), (double, single, integer) => {
        const reader = new WireReader(protobuf.Writer.create().double(double).float(single).sint32(integer).finish());
        reader.fixed64();
        assert.ok(Object.is(float64(reader.low, reader.high), double) || Number.isNaN(double));
        reader.fixed32();
        assert.ok(Object.is(float32(reader.low), single) || Number.isNaN(single));
        reader.varint();
        assert.equal(zigzag32(reader.low), integer);
      }),
    );
  });

  const TREES: readonly (readonly [name: string, hex: string, tree: string, flawed: boolean])[] = [
    ["nothing", "", "", false],
    ["a varint", "089601", "1:varint=150", false],
    ["the largest varint", "08 ffffffffffffffffff01", "1:varint=18446744073709551615", false],
    ["a string", "12 07 74657374696e67", "2:string=testing", false],
    ["a message in a message", "1a 03 089601", "3{1:varint=150}", false],
    ["bytes", "1a 03 ff00ff", "3:bytes", false],
    ["nothing in a field", "1a 00", "3:empty=", false],
    ["fixed values", "0d 01000000 11 0200000000000000", "1:32-bit=1 2:64-bit=2", false],
    ["a group", "0b 1001 0c", "1{2:varint=1}", false],
    ["text that is a message, too", "0a 03 0a0141", "1{1:string=A}", false],
    ["the highest field number", "f8ffffff0f 01", "536870911:varint=1", false],
    ["field number 0", "0001", "", true],
    ["wire type 6", "0e", "", true],
    ["wire type 7", "0f", "", true],
    ["a cut varint", "0896", "", true],
    ["a varint of 11 octets", "08 ffffffffffffffffffff01", "", true],
    ["a length beyond the end", "0a 05 41", "", true],
    ["a length of 4 GiB", "0a ffffffff0f 41", "", true],
    ["a length of 2^63", "0a ffffffffffffffff7f", "", true],
    ["a group that does not end", "0b 1001", "", true],
    ["a group that ends as another", "0b 14", "", true],
    ["an end without a group", "0c", "", true],
    ["what comes before a flaw", "0801 0f", "1:varint=1", true],
  ];
  for (const [name, hex, tree, flawed] of TREES) {
    it(`reads ${name} without a schema`, () => {
      const result = readTree(bytesOf(hex));
      assert.equal(shown(result.nodes), tree);
      assert.equal(result.problem !== undefined, flawed);
    });
  }

  it("says where each field is", () => {
    const { nodes } = readTree(bytesOf("0801 1a03 089601 0b 1001 0c"));
    assert.deepEqual(
      nodes.map(({ offset, length, contentStart, contentEnd }) => [offset, length, contentStart, contentEnd]),
      [
        [0, 2, 1, 2],
        [2, 5, 4, 7],
        [7, 4, 8, 11],
      ],
    );
    assert.equal(nodes[1]?.children?.[0]?.offset, 4);
  });

  it("says when another reading fits", () => {
    // "BA" is printable, and field 8 as a varint, too.
    const [node] = readTree(bytesOf("0a 02 4041")).nodes;
    assert.deepEqual([node?.guess, node?.text, node?.otherGuess], ["string", "@A", "message"]);
  });

  it("stops at 10 000 elements, whatever comes", () => {
    const bytes = Buffer.alloc(1024 * 1024, Buffer.from("0a00", "hex"));
    const result = readTree(bytes);
    assert.equal(result.nodes.length, 10_000);
    assert.equal(result.truncated, true);
    assert.equal(result.problem, undefined);
  });

  it("stops at 100 levels", () => {
    let message: Uint8Array = bytesOf("0801");
    for (let level = 0; level < 500; level++) message = protobuf.Writer.create().uint32(10).bytes(message).finish();
    const { nodes, truncated } = readTree(message);
    let depth = 0;
    for (let at: readonly WireNode[] | undefined = nodes; at !== undefined && at.length > 0; at = at[0]?.children)
      depth++;
    assert.equal(depth, 100);
    assert.equal(truncated, true);
    const groups = Buffer.concat([Buffer.alloc(5000, 0x0b), Buffer.alloc(5000, 0x0c)]);
    assert.ok(readTree(groups).problem !== undefined);
  });

  it("throws nothing but WireError, whatever comes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        readTree(bytes);
        const reader = new WireReader(bytes);
        try {
          while (!reader.atEnd) {
            reader.tag();
            reader.skip();
          }
        } catch (error) {
          assert.ok(error instanceof WireError);
        }
      }),
      { numRuns: 5000 },
    );
  });
});
