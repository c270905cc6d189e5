import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Decoded } from "./message-model.ts";
import { linesOf, nodesOf, shortType } from "./tree-model.ts";

function json(value: unknown): Decoded {
  return { view: "json", json: value, text: JSON.stringify(value), truncated: false };
}

const lines = (decoded: Decoded, toggled: readonly string[] = []): string[] =>
  linesOf(nodesOf(decoded), new Set(toggled)).map(
    ({ level, node, expanded }) =>
      `${"  ".repeat(level - 1)}${expanded === undefined ? "" : expanded ? "v " : "> "}${node.name}=${node.value ?? node.summary ?? ""}`,
  );

describe("the tree of a value", () => {
  it("JSON: objects, arrays, scalars, empty ones", () => {
    assert.deepEqual(lines(json({ a: 1, b: [true, null], c: {}, d: 'x"y' })), [
      "a=1",
      "v b=[2]",
      "  0=true",
      "  1=null",
      "c={}",
      String.raw`d="x\"y"`,
    ]);
    assert.deepEqual(lines(json("alone")), ['value="alone"']);
  });

  it("closes what was open and opens what was closed", () => {
    assert.deepEqual(lines(json({ b: [1] }), ["/0"]), ["> b=[1]"]);
    const many = json({ many: Array.from({ length: 51 }, () => 0) });
    assert.deepEqual(lines(many), ["> many=[51]"]);
    assert.equal(lines(many, ["/0"]).length, 52);
  });

  it("begins closed below the fourth level", () => {
    assert.deepEqual(lines(json({ a: { b: { c: { d: { e: 1 } } } } })), [
      "v a={b}",
      "  v b={c}",
      "    v c={d}",
      "      > d={e}",
    ]);
  });

  it("protobuf: numbers, kinds, unknown fields, octets", () => {
    const decoded: Decoded = {
      view: "protobuf",
      schema: {},
      reading: "typed",
      tree: [
        { number: 1, name: "id", type: "string", value: 'a "b"', offset: 0, length: 7 },
        { number: 2, name: "flag", type: "bool", value: "true", offset: 7, length: 2 },
        {
          number: 3,
          name: "inner",
          type: "pkg.Inner",
          offset: 9,
          length: 4,
          children: [{ number: 1, name: "n", type: "sint64", value: "-1", offset: 11, length: 2 }],
        },
        {
          number: 9,
          name: "9",
          type: "varint",
          value: "7",
          unknown: true,
          alternative: "zigzag -4",
          offset: 13,
          length: 2,
        },
      ],
      hasUnknownFields: true,
      truncated: false,
    };
    const nodes = nodesOf(decoded);
    assert.deepEqual(
      nodes.map(({ kind }) => kind),
      ["string", "boolean", "other", "number"],
    );
    const [id, , inner, unknown] = nodes;
    assert.equal(id?.value, String.raw`"a \"b\""`);
    assert.equal(inner?.summary, "{n: -1}");
    assert.deepEqual([unknown?.unknown, unknown?.range], [true, { offset: 13, length: 2 }]);
  });

  it("shortens type names, also within maps", () => {
    assert.equal(shortType("map<string, shop.v1.Order>"), "map<string, Order>");
  });
});
