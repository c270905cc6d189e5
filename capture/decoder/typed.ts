import { WIRE, WireError, WireReader } from "../../wire/protobuf/reader.ts";
import { MAX_DEPTH } from "../../wire/protobuf/tree.ts";
import type { ProtobufNode } from "../protocol.ts";
import type { FieldShape, FieldType, MessageType } from "../schema/types.ts";
import { toJson } from "./json.ts";
import { MisfitError, ScalarReader } from "./scalar-reader.ts";
import type { ReadLimits } from "./scalar-reader.ts";
import { defaultOf, keyText, partNode, scalarNode, typeName, wellKnownValue, wireTypeOf } from "./scalars.ts";
import { MessageValue } from "./value.ts";
import type { FieldValue, Json } from "./value.ts";
import { unknownNode } from "./wire-nodes.ts";

export interface TypedReading {
  readonly tree: readonly ProtobufNode[];
  readonly json: Json;
  readonly hasUnknownFields: boolean;
  readonly truncated: boolean;
  /** What is odd about it, for people. */
  readonly notes: readonly string[];
}

export type TypeFinder = (fullName: string) => MessageType | undefined;

/** Reads a message with its type. Throws `WireError` or `MisfitError` when the octets are not one. */
export function readTyped(bytes: Uint8Array, type: MessageType, find: TypeFinder, limits: ReadLimits): TypedReading {
  return new TypedReader(bytes, find, limits).read(type);
}

/** proto2's groups end with their own tag. */
type Ending = number | undefined;

class TypedReader {
  readonly #bytes: Uint8Array;
  readonly #find: TypeFinder;
  readonly #scalars: ScalarReader;
  #unknown = false;
  /** Where an Any's value is, and its content once it was read. */
  readonly #anyContent = new Map<MessageValue, MessageValue>();

  constructor(bytes: Uint8Array, find: TypeFinder, limits: ReadLimits) {
    this.#bytes = bytes;
    this.#find = find;
    this.#scalars = new ScalarReader(bytes, limits);
  }

  read(type: MessageType): TypedReading {
    const value = new MessageValue(type);
    const tree: ProtobufNode[] = [];
    this.#message(new WireReader(this.#bytes), value, tree, MAX_DEPTH, undefined);
    const { notes } = this.#scalars;
    const json = toJson(value, (any) => this.#any(any), notes);
    return { tree, json, hasUnknownFields: this.#unknown, truncated: this.#scalars.truncated, notes: [...notes] };
  }

  #any(any: MessageValue): { readonly value: MessageValue } | { readonly base64: string } | undefined {
    const content = this.#anyContent.get(any);
    if (content !== undefined) return { value: content };
    const base64 = any.get(2);
    return typeof base64 === "string" && base64 !== "" ? { base64 } : undefined;
  }

  #message(reader: WireReader, into: MessageValue, nodes: ProtobufNode[], depth: number, ending: Ending): void {
    if (depth <= 0) throw new MisfitError(`Messages are nested deeper than ${MAX_DEPTH}.`);
    const { fields } = into.type;
    for (;;) {
      if (reader.atEnd) {
        if (ending !== undefined) throw new WireError("A group does not end.", reader.position);
        break;
      }
      const offset = reader.position;
      reader.tag();
      if (reader.wireType === WIRE.endGroup) {
        if (reader.fieldNumber !== ending) throw new WireError("A group ends that did not begin.", offset);
        break;
      }
      if (!this.#scalars.spend()) {
        reader.skip();
        continue;
      }
      const field = fields.get(reader.fieldNumber);
      const { fieldNumber } = reader;
      if (field === undefined || field.shape.kind === "unresolved") {
        this.#unknown = true;
        reader.skip();
        nodes.push(unknownNode(this.#bytes, offset, reader.position, field));
        if (field?.shape.kind === "unresolved")
          this.#scalars.notes.add(
            `field ${fieldNumber} has the type ${field.shape.reference}, which is in no .proto file`,
          );
      } else this.#field(reader, into, field, nodes, offset, depth);
    }
    for (const field of fields.values()) {
      if (field.required && !into.fields.has(field) && !this.#scalars.truncated)
        this.#scalars.notes.add(`the required field ${field.name} is missing`);
    }
    if (into.type.fullName === "google.protobuf.Any") this.#readAny(into, nodes, depth);
  }

  #field(
    reader: WireReader,
    into: MessageValue,
    field: FieldType,
    nodes: ProtobufNode[],
    offset: number,
    depth: number,
  ): void {
    if (field.mapKey !== undefined) this.#mapEntry(reader, into, field, nodes, offset, depth);
    else if (field.shape.kind === "message")
      this.#submessage(reader, into, field, field.shape.message, nodes, offset, depth);
    else if (
      field.repeated &&
      reader.wireType === WIRE.lengthDelimited &&
      wireTypeOf(field.shape) !== WIRE.lengthDelimited
    ) {
      this.#packed(reader, into, field, nodes, offset);
    } else {
      this.#expect(reader, field, wireTypeOf(field.shape));
      const { value, alternative, closedOut } = this.#scalars.read(reader, field.shape, field.strictUtf8);
      const node = scalarNode(field, value, alternative, offset, reader.position - offset);
      nodes.push(closedOut ? { ...node, unknown: true } : node);
      if (closedOut) this.#unknown = true;
      else if (field.repeated) into.append(field, value);
      else into.set(field, value);
    }
  }

  #submessage(
    reader: WireReader,
    into: MessageValue,
    field: FieldType,
    type: MessageType,
    nodes: ProtobufNode[],
    offset: number,
    depth: number,
  ): void {
    const child = into.child(field, type);
    const children: ProtobufNode[] = [];
    // Readers take both encodings, whatever the schema says (Editions: message_encoding).
    if (reader.wireType === WIRE.startGroup && field.delimited) {
      this.#message(reader, child, children, depth - 1, field.number);
    } else {
      this.#expect(reader, field, WIRE.lengthDelimited);
      const length = reader.length();
      const start = reader.position;
      reader.position += length;
      this.#message(new WireReader(this.#bytes, start, start + length), child, children, depth - 1, undefined);
    }
    nodes.push({
      number: field.number,
      name: field.name,
      type: type.fullName,
      ...wellKnownValue(child),
      children,
      offset,
      length: reader.position - offset,
    });
    if (field.repeated) into.append(field, child);
    else into.set(field, child);
  }

  #packed(reader: WireReader, into: MessageValue, field: FieldType, nodes: ProtobufNode[], offset: number): void {
    const length = reader.length();
    const start = reader.position;
    reader.position += length;
    const elements = new WireReader(this.#bytes, start, start + length);
    const children: ProtobufNode[] = [];
    while (!elements.atEnd) {
      const at = elements.position;
      const { value, alternative, closedOut } = this.#scalars.read(elements, field.shape, field.strictUtf8);
      if (!this.#scalars.spend()) continue;
      const { number: _number, ...node } = scalarNode(field, value, alternative, at, elements.position - at);
      children.push({
        ...node,
        name: String(children.length),
        type: typeName(field),
        ...(closedOut ? { unknown: true } : {}),
      });
      if (closedOut) this.#unknown = true;
      else into.append(field, value);
    }
    nodes.push({
      number: field.number,
      name: field.name,
      type: `repeated ${typeName(field)}`,
      children,
      offset,
      length: reader.position - offset,
    });
  }

  #mapEntry(
    reader: WireReader,
    into: MessageValue,
    field: FieldType,
    nodes: ProtobufNode[],
    offset: number,
    depth: number,
  ): void {
    this.#expect(reader, field, WIRE.lengthDelimited);
    const length = reader.length();
    const start = reader.position;
    reader.position += length;
    const keyShape: FieldShape = { kind: "scalar", scalar: field.mapKey ?? "string" };
    const entry = new WireReader(this.#bytes, start, start + length);
    let key: Json = defaultOf(keyShape);
    let value: FieldValue =
      field.shape.kind === "message" ? new MessageValue(field.shape.message) : defaultOf(field.shape);
    let out = false;
    const children: ProtobufNode[] = [];
    while (!entry.atEnd) {
      const at = entry.position;
      entry.tag();
      if (entry.fieldNumber === 1 && entry.wireType === wireTypeOf(keyShape)) {
        const read = this.#scalars.read(entry, keyShape, field.strictUtf8);
        key = read.value;
        children.push(partNode("key", field.mapKey ?? "string", read.value, read.alternative, at, entry.position - at));
      } else if (entry.fieldNumber === 2 && field.shape.kind === "message" && entry.wireType === WIRE.lengthDelimited) {
        const size = entry.length();
        const from = entry.position;
        entry.position += size;
        const child = new MessageValue(field.shape.message);
        const grandchildren: ProtobufNode[] = [];
        this.#message(new WireReader(this.#bytes, from, from + size), child, grandchildren, depth - 1, undefined);
        value = child;
        children.push({
          name: "value",
          type: typeName(field),
          ...wellKnownValue(child),
          children: grandchildren,
          offset: at,
          length: entry.position - at,
        });
      } else if (
        entry.fieldNumber === 2 &&
        field.shape.kind !== "message" &&
        entry.wireType === wireTypeOf(field.shape)
      ) {
        const read = this.#scalars.read(entry, field.shape, field.strictUtf8);
        value = read.value;
        out = read.closedOut;
        children.push(partNode("value", typeName(field), read.value, read.alternative, at, entry.position - at));
      } else if (entry.fieldNumber <= 2) {
        throw new MisfitError(`An entry of the map ${field.name} does not have the types of its key and value.`);
      } else {
        this.#unknown = true;
        entry.skip();
        children.push(unknownNode(this.#bytes, at, entry.position, undefined));
      }
    }
    const type = `map<${field.mapKey ?? "string"}, ${typeName(field)}>`;
    nodes.push({ number: field.number, name: field.name, type, children, offset, length: reader.position - offset });
    // An entry whose value no closed enum has is unknown as a whole (proto2).
    if (out) this.#unknown = true;
    else into.put(field, keyText(key), value);
  }

  /** The content of an Any is read with its own type, into the children of its `value`. */
  #readAny(any: MessageValue, nodes: ProtobufNode[], depth: number): void {
    const url = any.get(1);
    const index = nodes.findLastIndex((node) => node.number === 2 && node.unknown !== true);
    const node = nodes[index];
    const type = typeof url === "string" ? this.#find(url.slice(url.lastIndexOf("/") + 1)) : undefined;
    if (type === undefined) return;
    const content = new MessageValue(type);
    if (node === undefined) {
      this.#anyContent.set(any, content);
      return;
    }
    const reader = new WireReader(this.#bytes, node.offset, node.offset + node.length);
    reader.tag();
    const length = reader.length();
    const children: ProtobufNode[] = [];
    const unknownBefore = this.#unknown;
    try {
      this.#message(
        new WireReader(this.#bytes, reader.position, reader.position + length),
        content,
        children,
        depth - 1,
        undefined,
      );
    } catch (error) {
      if (!(error instanceof WireError) && !(error instanceof MisfitError)) throw error;
      this.#unknown = unknownBefore;
      this.#scalars.notes.add(`the value of a google.protobuf.Any does not fit its type ${type.fullName}`);
      return;
    }
    nodes[index] = { ...node, type: type.fullName, children };
    this.#anyContent.set(any, content);
  }

  #expect(reader: WireReader, field: FieldType, wireType: number): void {
    if (reader.wireType === wireType) return;
    const names = ["a varint", "64-bit", "length-delimited", "a group", "a group", "32-bit"];
    throw new MisfitError(
      `Field ${field.number} (${field.name}) is ${typeName(field)} in the .proto file, and ${names[reader.wireType] ?? "something else"} here.`,
    );
  }
}
