import { decodeUtf8 } from "../utf8.ts";
import { WIRE, WireError, WireReader } from "./reader.ts";

/** 1 MiB of empty submessages would otherwise become half a million objects. */
export const MAX_ELEMENTS = 10_000;
/** As deep as protobuf implementations themselves go by default. */
export const MAX_DEPTH = 100;

export type WireName = "varint" | "64-bit" | "length-delimited" | "group" | "32-bit";

/** One field as the wire shows it, without a schema. */
export interface WireNode {
  readonly number: number;
  readonly wire: WireName;
  /** Of the tag's first octet. */
  readonly offset: number;
  /** Tag, length and content together. */
  readonly length: number;
  /** Halves of a varint, 64-bit or 32-bit value. */
  readonly low: number;
  readonly high: number;
  /** Where a length-delimited value or a group's fields are. */
  readonly contentStart: number;
  readonly contentEnd: number;
  /** What a length-delimited value looks most like. A guess: the wire does not say. */
  readonly guess?: "message" | "string" | "bytes" | "empty";
  /** The other reading that fits as well. */
  readonly otherGuess?: "message" | "string";
  readonly text?: string;
  readonly children?: readonly WireNode[];
}

export interface WireTree {
  readonly nodes: readonly WireNode[];
  /** Limits of elements or depth stopped the reading. */
  readonly truncated: boolean;
  /** These octets are no protobuf message; `nodes` holds what came before. */
  readonly problem?: string;
}

export interface TreeLimits {
  readonly elements: number;
  readonly depth: number;
}

/**
 * Reads a message without a schema. A length-delimited value is one of message, string, bytes or packed list, and the
 * wire does not say which: it is shown as a string when it is printable text, as a message when all of it reads as one,
 * else as bytes. Packed lists are never guessed: any octets could be one.
 */
export function readTree(
  bytes: Uint8Array,
  limits: TreeLimits = { elements: MAX_ELEMENTS, depth: MAX_DEPTH },
): WireTree {
  const state = { elements: limits.elements, truncated: false };
  const reader = new WireReader(bytes);
  const nodes: WireNode[] = [];
  try {
    readFields(reader, nodes, limits.depth, state, undefined);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { nodes, truncated: state.truncated, problem: error.message };
  }
  return { nodes, truncated: state.truncated };
}

interface State {
  elements: number;
  truncated: boolean;
}

/** Until the end of the reader, or of `group`. Pushes as it goes, so that what was read stays when an error comes. */
function readFields(
  reader: WireReader,
  nodes: WireNode[],
  depth: number,
  state: State,
  group: number | undefined,
): void {
  while (!reader.atEnd) {
    const offset = reader.position;
    reader.tag();
    const number = reader.fieldNumber;
    if (reader.wireType === WIRE.endGroup) {
      if (number !== group) throw new WireError(`A group ends at offset ${offset} that did not begin.`, offset);
      return;
    }
    if (state.elements <= 0) {
      // The rest is still walked, without keeping anything: only what reads to its end is called a message.
      state.truncated = true;
      reader.skip(depth);
      continue;
    }
    state.elements--;
    nodes.push(readField(reader, number, offset, depth, state));
  }
  if (group !== undefined) throw new WireError(`Group ${group} does not end.`, reader.position);
}

function readField(reader: WireReader, number: number, offset: number, depth: number, state: State): WireNode {
  const start = reader.position;
  switch (reader.wireType) {
    case WIRE.varint:
      reader.varint();
      return scalar(reader, number, "varint", offset, start);
    case WIRE.fixed64:
      reader.fixed64();
      return scalar(reader, number, "64-bit", offset, start);
    case WIRE.fixed32:
      reader.fixed32();
      return scalar(reader, number, "32-bit", offset, start);
    case WIRE.lengthDelimited: {
      const length = reader.length();
      const contentStart = reader.position;
      reader.position += length;
      return lengthDelimited(reader.bytes, number, offset, contentStart, contentStart + length, depth, state);
    }
    default: {
      const children: WireNode[] = [];
      if (depth <= 1) {
        state.truncated = true;
        reader.skip();
      } else readFields(reader, children, depth - 1, state, number);
      const length = reader.position - offset;
      return {
        number,
        wire: "group",
        offset,
        length,
        low: 0,
        high: 0,
        contentStart: start,
        contentEnd: reader.position,
        children,
      };
    }
  }
}

function scalar(reader: WireReader, number: number, wire: WireName, offset: number, start: number): WireNode {
  const { low, high, position } = reader;
  return { number, wire, offset, length: position - offset, low, high, contentStart: start, contentEnd: position };
}

function lengthDelimited(
  bytes: Uint8Array,
  number: number,
  offset: number,
  contentStart: number,
  contentEnd: number,
  depth: number,
  state: State,
): WireNode {
  const base = {
    number,
    wire: "length-delimited" as const,
    offset,
    length: contentEnd - offset,
    low: 0,
    high: 0,
    contentStart,
    contentEnd,
  };
  if (contentStart === contentEnd) return { ...base, guess: "empty", text: "" };
  const text = printable(bytes, contentStart, contentEnd);
  const children = depth > 1 ? asMessage(bytes, contentStart, contentEnd, depth - 1, state) : undefined;
  if (depth <= 1 && text === undefined) state.truncated = true;
  // A tab, line feed or return is also the tag of field 1: text that begins with one and reads as a message is one.
  if (text !== undefined && (children === undefined || !/^[\t\n\r]/.test(text))) {
    return { ...base, guess: "string", text, ...(children === undefined ? {} : { otherGuess: "message" as const }) };
  }
  if (children !== undefined) {
    return {
      ...base,
      guess: "message",
      children,
      ...(text === undefined ? {} : { otherGuess: "string" as const, text }),
    };
  }
  return { ...base, guess: "bytes" };
}

/** The fields, when all octets read as a message; a trial that fails gives its elements back. */
function asMessage(bytes: Uint8Array, start: number, end: number, depth: number, state: State): WireNode[] | undefined {
  const before = state.elements;
  const truncatedBefore = state.truncated;
  const children: WireNode[] = [];
  try {
    readFields(new WireReader(bytes, start, end), children, depth, state, undefined);
    return children;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    // Half of what was tried stays spent: octets made so that every trial fails late must not cost without bound.
    state.elements = before - Math.ceil((before - state.elements) / 2);
    state.truncated = truncatedBefore;
    return undefined;
  }
}

/** The text, when it is UTF-8 without control characters but tab, line feed and return. */
function printable(bytes: Uint8Array, start: number, end: number): string | undefined {
  for (let position = start; position < end; position++) {
    const octet = bytes[position] ?? 0;
    if (octet === 0x7f || (octet < 0x20 && octet !== 9 && octet !== 10 && octet !== 13)) return undefined;
  }
  return decodeUtf8(bytes, start, end);
}
