import type { Field, Fields } from "../../stream.ts";
import { DEFAULT_HEADER_TABLE_SIZE } from "../settings.ts";
import { huffmanEncode, huffmanLength } from "./huffman.ts";
import { writeInteger } from "./integer.ts";
import { isNameOctet, isPadded, isValueOctet } from "./octets.ts";
import { STATIC_COUNT, STATIC_INDEX, STATIC_NAMES, STATIC_VALUES } from "./static.ts";
import { ENTRY_OVERHEAD, FieldRing } from "./table.ts";

/**
 * Values that nobody who can choose other fields of the same connection may guess by watching sizes (RFC 7541
 * section 7.1): on a tunnel all visitors share one table.
 */
const SECRET_NAMES = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "x-auth-token",
  "x-csrf-token",
]);

/** Names whose values repeat from the first: worth an entry at once. Others earn it by coming twice in a row. */
const STABLE_NAMES = new Set([
  ":authority",
  ":method",
  ":scheme",
  ":status",
  "accept",
  "accept-encoding",
  "accept-language",
  "cache-control",
  "content-encoding",
  "content-type",
  "grpc-accept-encoding",
  "grpc-encoding",
  "grpc-status",
  "server",
  "te",
  "user-agent",
  "vary",
]);

/** Names watched for repetition. A peer that invents names empties the list, no more. */
const WATCHED_NAMES = 256;
/** Longer values are not remembered: they would push everything else out of a table of 4 096 octets. */
const INDEXED_OCTETS = 512;
/** A table of 64 KiB is all we ever use of what a peer offers: it is our memory, too. */
const TABLE_LIMIT = 64 * 1024;

const INCREMENTAL = 0x40;
const WITHOUT_INDEXING = 0x00;
const NEVER_INDEXED = 0x10;

/**
 * Encodes header blocks (RFC 7541). A field that this encoder has in its table is found by the object itself, which is
 * what a decoder of another connection hands over when its peer refers to the field by index; then by name and value.
 */
export class HpackEncoder {
  /** Set by `encode` when a field could not be sent as it was: the block must not be taken for a valid head. */
  invalid = false;

  readonly #ring = new FieldRing();
  /** The number of insertions so far; an entry's index is STATIC_COUNT + (#inserted - its number). */
  #inserted = 0;
  readonly #numbers = new Map<Field, number>();
  readonly #values = new Map<string, Map<string, number>>();
  readonly #seen = new Map<string, string>();
  #size = 0;
  #capacity = DEFAULT_HEADER_TABLE_SIZE;
  /** Smallest capacity since the last block, when it changed (section 4.2). -1: nothing to announce. */
  #smallest = -1;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. Announced in the next block. */
  setCapacity(octets: number): void {
    const capacity = Math.min(octets, TABLE_LIMIT);
    if (capacity === this.#capacity && this.#smallest < 0) return;
    this.#smallest = this.#smallest < 0 ? capacity : Math.min(this.#smallest, capacity);
    this.#capacity = capacity;
    this.#shrink(capacity);
  }

  /** At most this many octets are written for `fields`. */
  bound(fields: Fields): number {
    let bound = 12; // Two size updates.
    for (const field of fields) {
      // A string is Huffman-coded only when that is shorter; each has a length of at most 5 octets, and the first an index.
      bound += field.name.length + field.value.length + 12;
    }
    return bound;
  }

  /** Writes the block at `at`, where there is room for `bound` octets; returns the offset behind it. */
  encode(fields: Fields, target: Uint8Array, at: number): number {
    this.invalid = false;
    if (this.#smallest >= 0) at = this.#announce(target, at);
    for (const field of fields) at = this.#field(field, target, at);
    return at;
  }

  #announce(target: Uint8Array, at: number): number {
    if (this.#smallest < this.#capacity) at = writeInteger(target, at, 5, 0x20, this.#smallest);
    this.#smallest = -1;
    return writeInteger(target, at, 5, 0x20, this.#capacity);
  }

  #field(field: Field, target: Uint8Array, at: number): number {
    const fixed = STATIC_INDEX.get(field);
    if (fixed !== undefined) return writeInteger(target, at, 7, 0x80, fixed);
    const number = this.#numbers.get(field);
    if (number !== undefined) return writeInteger(target, at, 7, 0x80, STATIC_COUNT + this.#inserted - number);

    const { name, value } = field;
    if (field.neverIndexed === true || SECRET_NAMES.has(name)) {
      return this.#literal(NEVER_INDEXED, 4, field, target, at);
    }
    const known = STATIC_VALUES.get(name)?.get(value);
    if (known !== undefined) return writeInteger(target, at, 7, 0x80, known);
    const same = this.#values.get(name)?.get(value);
    if (same !== undefined) return writeInteger(target, at, 7, 0x80, STATIC_COUNT + this.#inserted - same);

    if (!this.#worthAnEntry(name, value)) return this.#literal(WITHOUT_INDEXING, 4, field, target, at);
    const behind = this.#literal(INCREMENTAL, 6, field, target, at);
    // An invalid field was replaced in the block, and that replacement is not indexed.
    if (!this.#clean) return behind;
    this.#insert(field);
    return behind;
  }

  #worthAnEntry(name: string, value: string): boolean {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    if (size > INDEXED_OCTETS || size > this.#capacity >>> 1) return false;
    if (STABLE_NAMES.has(name)) return true;
    // A query may hold a secret, and seldom comes twice.
    if (name === ":path" && value.includes("?")) return false;
    if (this.#seen.get(name) === value) return true;
    if (this.#seen.size >= WATCHED_NAMES) this.#seen.clear();
    this.#seen.set(name, value);
    return false;
  }

  /** Whether the last literal was written as given. */
  #clean = true;

  #literal(flags: number, bits: number, field: Field, target: Uint8Array, at: number): number {
    const from = at;
    const { name, value } = field;
    const nameIndex = STATIC_NAMES.get(name) ?? this.#nameIndex(name);
    this.#clean = true;
    if (nameIndex > 0) at = writeInteger(target, at, bits, flags, nameIndex);
    else {
      target[at++] = flags;
      at = this.#string(name, target, at, flags === INCREMENTAL, true);
    }
    at = this.#string(value, target, at, flags === INCREMENTAL, false);
    if (isPadded(value)) this.#clean = false;
    if (this.#clean) return at;
    this.invalid = true;
    return poison(target, from);
  }

  #nameIndex(name: string): number {
    const values = this.#values.get(name);
    if (values === undefined) return 0;
    // Any of them serves; the map of a name is removed with its last value.
    for (const number of values.values()) return STATIC_COUNT + this.#inserted - number;
    return 0;
  }

  /** Huffman saves space only where the string is kept by the peer; elsewhere the time of two ends is worth more. */
  #string(text: string, target: Uint8Array, at: number, compress: boolean, isName: boolean): number {
    const size = text.length;
    if (compress) {
      const packed = huffmanLength(text);
      if (packed < size) {
        for (let index = 0; index < size; index++) this.#check(text.charCodeAt(index), isName);
        return huffmanEncode(text, target, writeInteger(target, at, 7, 0x80, packed));
      }
    }
    at = writeInteger(target, at, 7, 0, size);
    for (let index = 0; index < size; index++) {
      const code = text.charCodeAt(index);
      this.#check(code, isName);
      target[at++] = code;
    }
    return at;
  }

  #check(code: number, isName: boolean): void {
    if (isName ? !isNameOctet(code) : !isValueOctet(code)) this.#clean = false;
  }

  #insert(field: Field): void {
    const size = field.name.length + field.value.length + ENTRY_OVERHEAD;
    this.#shrink(this.#capacity - size);
    this.#ring.add(field, 0);
    this.#size += size;
    const number = this.#inserted++;
    this.#numbers.set(field, number);
    let values = this.#values.get(field.name);
    if (values === undefined) this.#values.set(field.name, (values = new Map<string, number>()));
    values.set(field.value, number);
  }

  #shrink(target: number): void {
    while (this.#size > target) {
      const field = this.#ring.evict();
      if (field === undefined) return;
      this.#size -= field.name.length + field.value.length + ENTRY_OVERHEAD;
      this.#numbers.delete(field);
      const values = this.#values.get(field.name);
      values?.delete(field.value);
      if (values?.size === 0) this.#values.delete(field.name);
    }
  }
}

/**
 * A field that must not be sent. Leaving it out would present a head that nobody wrote, and dropping the block would
 * lose the table's state; an unknown pseudo-field makes every peer take the head for malformed (RFC 9113 section 8.3).
 */
function poison(target: Uint8Array, at: number): number {
  target[at++] = WITHOUT_INDEXING;
  target[at++] = 1;
  target[at++] = 0x3a;
  target[at++] = 0;
  return at;
}
