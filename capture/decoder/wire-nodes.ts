import { float32, float64, signed64, unsigned64, zigzag64 } from "../../wire/protobuf/reader.ts";
import { readTree } from "../../wire/protobuf/tree.ts";
import type { WireNode } from "../../wire/protobuf/tree.ts";
import type { ProtobufNode } from "../protocol.ts";
import type { FieldType } from "../schema/types.ts";

/** Elements below one unknown field: it is a footnote of a message that has a type. */
const UNKNOWN_ELEMENTS = 200;
/** Octets of an unknown or untyped bytes value that are shown; the hex view has all. */
const SHOWN_BYTES = 4096;
/** Characters of a text without a type. */
const SHOWN_TEXT = 64 * 1024;

/** A field that no schema knows, read from the wire; its octets are those from `start` to `end`, tag included. */
export function unknownNode(bytes: Uint8Array, start: number, end: number, field: FieldType | undefined): ProtobufNode {
  const { nodes } = readTree(bytes.subarray(start, end), { elements: UNKNOWN_ELEMENTS, depth: 20 });
  const [node] = nodes;
  if (node === undefined)
    return { name: "?", type: "length-delimited", unknown: true, offset: start, length: end - start };
  const shown = wireNode(bytes.subarray(start, end), node, start);
  return field === undefined ? shown : { ...shown, name: field.name };
}

/** The wire reading of a whole message, as it is shown. `base` is added to all offsets. */
export function wireNodes(bytes: Uint8Array, nodes: readonly WireNode[], base = 0): ProtobufNode[] {
  return nodes.map((node) => wireNode(bytes, node, base));
}

function wireNode(bytes: Uint8Array, node: WireNode, base: number): ProtobufNode {
  return {
    number: node.number,
    name: String(node.number),
    type: node.wire,
    unknown: true,
    ...reading(bytes, node, base),
    offset: node.offset + base,
    length: node.length,
  };
}

function reading(
  bytes: Uint8Array,
  node: WireNode,
  base: number,
): Pick<ProtobufNode, "value" | "alternative" | "children"> {
  const { low, high } = node;
  switch (node.wire) {
    case "varint": {
      const unsigned = unsigned64(low, high);
      const signed = signed64(low, high);
      return {
        value: unsigned,
        alternative:
          signed === unsigned ? `zigzag ${zigzag64(low, high)}` : `signed ${signed}, zigzag ${zigzag64(low, high)}`,
      };
    }
    case "64-bit":
      return { value: unsigned64(low, high), alternative: `double ${float64(low, high)}` };
    case "32-bit":
      return { value: String(low), alternative: `float ${float32(low)}` };
    case "group":
      return { children: wireNodes(bytes, node.children ?? [], base) };
    case "length-delimited":
      return lengthDelimited(bytes, node, base);
  }
}

function lengthDelimited(
  bytes: Uint8Array,
  node: WireNode,
  base: number,
): Pick<ProtobufNode, "value" | "alternative" | "children"> {
  const size = node.contentEnd - node.contentStart;
  switch (node.guess) {
    case "empty":
      return { value: "", alternative: "empty: a string, bytes, a message or a packed list" };
    case "string":
      return {
        value: (node.text ?? "").slice(0, SHOWN_TEXT),
        alternative: node.otherGuess === "message" ? "reads as text, and as a message, too" : "reads as text",
      };
    case "message":
      return { children: wireNodes(bytes, node.children ?? [], base), alternative: "reads as a message" };
    default: {
      const shown = bytes.subarray(node.contentStart, Math.min(node.contentEnd, node.contentStart + SHOWN_BYTES));
      const base64 = Buffer.from(shown.buffer, shown.byteOffset, shown.length).toString("base64");
      return {
        value: base64,
        alternative: `${size} octets: bytes or a packed list${size > SHOWN_BYTES ? `, the first ${SHOWN_BYTES} shown` : ""}`,
      };
    }
  }
}
