import type { Field } from "../../stream.ts";
import { classify } from "../classify.ts";
import { DEFAULT_HEADER_TABLE_SIZE } from "../settings.ts";
import { huffmanBound, huffmanDecode } from "./huffman.ts";
import { DecoderTable, ENTRY_OVERHEAD } from "./table.ts";
import { STATIC_COUNT, STATIC_FIELDS } from "./static.ts";

/** Receives the fields of one block, in order. */
export interface FieldSink {
  /** `kind` is what `classify` said about this name and value when they were first seen. */
  field(field: Field, kind: number): void;
}

/** The block cannot be decoded: the connection's compression state is lost (RFC 9113 section 4.3). */
export class HpackError extends Error {
  override readonly name = "HpackError";
}

/** Integers above 2^28 serve nobody: no table, index or string here is that large. */
const INTEGER_MAX_SHIFT = 28;

/**
 * Decodes header blocks (RFC 7541). A field that came by index is the same object each time.
 */
export class HpackDecoder {
  readonly #table: DecoderTable;
  /** What we announced and the peer acknowledged: the largest table its encoder may ask for. */
  #limit: number;
  /** After the limit fell below the table's size the next block must begin with a size update (section 4.2). */
  #updateDue = false;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  /** @param limit our SETTINGS_HEADER_TABLE_SIZE: the largest table the peer's encoder may use, in octets. */
  constructor(limit: number) {
    this.#limit = Math.max(limit, DEFAULT_HEADER_TABLE_SIZE);
    this.#table = new DecoderTable(DEFAULT_HEADER_TABLE_SIZE);
  }

  /** Our SETTINGS_HEADER_TABLE_SIZE has been acknowledged: from now on it binds. */
  setLimit(limit: number): void {
    this.#limit = limit;
    this.#updateDue = this.#table.capacity > limit;
  }

  /** Decodes `bytes[from, to)`, one whole block. Throws `HpackError`, and what the sink throws. */
  decode(bytes: Uint8Array, from: number, to: number, sink: FieldSink): void {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
    let updates = true;
    while (this.#at < to) {
      const octet = bytes[this.#at] ?? 0;
      if ((octet & 0xe0) === 0x20) {
        if (!updates) throw new HpackError("a table size update after the first field");
        this.#updateSize();
        continue;
      }
      if (updates) {
        if (this.#updateDue) throw new HpackError("no table size update after the table was reduced");
        updates = false;
      }
      if ((octet & 0x80) !== 0) this.#indexed(sink);
      else if ((octet & 0x40) !== 0) this.#literal(0x3f, true, false, sink);
      else this.#literal(0x0f, false, (octet & 0x10) !== 0, sink);
    }
    this.#bytes = EMPTY;
  }

  #indexed(sink: FieldSink): void {
    const index = this.#integer(0x7f);
    if (index === 0) throw new HpackError("index 0");
    if (index <= STATIC_COUNT) {
      sink.field(STATIC_FIELDS[index - 1] ?? NEVER, STATIC_KINDS[index - 1] ?? 0);
      return;
    }
    const field = this.#table.field(index - STATIC_COUNT - 1);
    if (field === undefined) throw new HpackError("an index beyond the table");
    sink.field(field, this.#table.kind);
  }

  #literal(mask: number, add: boolean, neverIndexed: boolean, sink: FieldSink): void {
    const index = this.#integer(mask);
    const name = index === 0 ? this.#string() : this.#nameAt(index);
    const value = this.#string();
    const kind = classify(name, value);
    const field: Field = neverIndexed ? { name, value, neverIndexed } : { name, value };
    if (add) this.#table.add(field, kind, name.length + value.length + ENTRY_OVERHEAD);
    sink.field(field, kind);
  }

  #nameAt(index: number): string {
    const field = index <= STATIC_COUNT ? STATIC_FIELDS[index - 1] : this.#table.field(index - STATIC_COUNT - 1);
    if (field === undefined) throw new HpackError("a name index beyond the table");
    return field.name;
  }

  #updateSize(): void {
    const size = this.#integer(0x1f);
    if (size > this.#limit) throw new HpackError(`a table of ${size} octets; ${this.#limit} are allowed`);
    this.#table.resize(size);
    this.#updateDue = false;
  }

  #integer(mask: number): number {
    const bytes = this.#bytes;
    let value = (bytes[this.#at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end) throw new HpackError("an integer that does not end");
      if (shift >= INTEGER_MAX_SHIFT) throw new HpackError("an integer above 2^28");
      const octet = bytes[this.#at++] ?? 0;
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
  }

  #string(): string {
    if (this.#at >= this.#end) throw new HpackError("a string that is missing");
    const huffman = ((this.#bytes[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(0x7f);
    const from = this.#at;
    const to = from + length;
    if (to > this.#end) throw new HpackError("a string beyond the end of the block");
    this.#at = to;
    if (!huffman) return latin1(this.#bytes, from, to);
    const bound = huffmanBound(length);
    const target = bound <= scratch.length ? scratch : new Uint8Array(bound);
    const size = huffmanDecode(this.#bytes, from, to, target);
    if (size < 0) throw new HpackError("an invalid Huffman code");
    return latin1(target, 0, size);
  }
}

const EMPTY = new Uint8Array(0);
const STATIC_KINDS = Uint8Array.from(STATIC_FIELDS, ({ name, value }) => classify(name, value));
const NEVER: Field = { name: "", value: "" };

/** Where Huffman strings are unpacked; longer ones get an array of their own. Nothing is kept in it between calls. */
const scratch = new Uint8Array(8192);

/** Strings above this are built in pieces by `apply`, whose arguments must fit the stack. */
const PIECE = 4096;
/** Up to here eight characters a step are the fastest way that the language has; measured at 3 to 80 octets. */
const STEPWISE = 256;

function latin1(bytes: Uint8Array, from: number, to: number): string {
  if (to - from <= STEPWISE) return stepwise(bytes, from, to);
  let text = "";
  for (let at = from; at < to; at += PIECE) {
    const piece = bytes.subarray(at, Math.min(at + PIECE, to));
    text += String.fromCharCode.apply(null, piece as unknown as number[]);
  }
  return text;
}

function stepwise(bytes: Uint8Array, from: number, to: number): string {
  let text = "";
  let at = from;
  for (; at + 8 <= to; at += 8) {
    text += String.fromCharCode(
      bytes[at] ?? 0,
      bytes[at + 1] ?? 0,
      bytes[at + 2] ?? 0,
      bytes[at + 3] ?? 0,
      bytes[at + 4] ?? 0,
      bytes[at + 5] ?? 0,
      bytes[at + 6] ?? 0,
      bytes[at + 7] ?? 0,
    );
  }
  for (; at < to; at++) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}
