import type { Side } from "../wire/stream.ts";
import type { MessageKind } from "./protocol.ts";
import { appended } from "./lists.ts";
import { Held } from "./ring.ts";
import type { Ring } from "./ring.ts";

/** What is kept of a message besides its octets. */
export interface MessageRecord {
  readonly index: number;
  readonly from: Side;
  readonly kind: MessageKind;
  readonly at: number;
  /** 0 while it grows. */
  readonly completedAt: number;
  /** Where it is in the side's `ByteLog`, framing included. */
  readonly start: number;
  readonly end: number;
  /** Octets without framing. */
  readonly size: number;
  readonly compressed: boolean;
  /** Not all of it was captured, because it is too large. */
  readonly capped: boolean;
  /** The exchange was cut in it. */
  readonly partial: boolean;
  /** What a strict reader objects to. */
  readonly problem: string | undefined;
}

const KINDS: readonly MessageKind[] = [
  "grpc",
  "text",
  "binary",
  "ping",
  "pong",
  "close",
  "body",
  "event",
  "end-of-stream",
];

const FROM_SERVICE = 1;
const COMPRESSED = 1 << 5;
const CAPPED = 1 << 6;
const PARTIAL = 1 << 7;

/** Six numbers a message: at, completedAt, start, end, size, bits. 48 octets, so that 100 000 messages take 5 MB. */
const STRIDE = 6;
/** Chunks grow from a unary call's two messages to a stream's many. */
const FIRST_CHUNK = 2;
const LAST_CHUNK = 1024;
/** Records of one exchange kept: 12 MB. An endless stream keeps its latest. */
export const MAX_RECORDS = 262_144;
/** Flawed messages whose flaw is told; one who sends more flawed ones gains nothing. */
const MAX_PROBLEMS = 1000;

/** Copied, never written: V8 keeps an array of floating-point numbers unboxed from its making on. */
const DOUBLES: readonly number[] = Array.from({ length: (LAST_CHUNK / 8) * STRIDE }, () => 0.5).fill(0);

class Chunk extends Held {
  readonly log: MessageLog;
  readonly first: number;
  readonly capacity: number;
  /** Plain arrays for small ones: a typed array costs a microsecond to make and to collect, too much for a unary call. */
  readonly numbers: Float64Array | number[];

  constructor(log: MessageLog, first: number, capacity: number) {
    super(capacity * STRIDE * 8);
    this.log = log;
    this.first = first;
    this.capacity = capacity;
    const length = capacity * STRIDE;
    this.numbers = length <= DOUBLES.length ? DOUBLES.slice(0, length) : new Float64Array(length);
  }

  override evicted(): void {
    this.log.chunkEvicted(this);
  }
}

/** Of every exchange without messages. Never written. */
const NONE: Chunk[] = [];

/** The messages of one exchange, both sides, in order of their first octet. */
export class MessageLog {
  readonly #ring: Ring;
  #chunks: Chunk[] = NONE;
  /**
   * The large chunks, which the ring may take. The small first ones (7 KB in all) stay as long as the exchange does, so
   * that messages whose octets were dropped are still listed.
   */
  #evictable: Chunk[] = NONE;
  #total = 0;
  #nextCapacity = FIRST_CHUNK;
  #problems: Map<number, string> | undefined;

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /** Messages so far; the next index. */
  get total(): number {
    return this.#total;
  }

  /** The first index still recorded. */
  get first(): number {
    return this.#chunks[0]?.first ?? this.#total;
  }

  add(from: Side, kind: MessageKind, at: number, start: number, compressed: boolean): number {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || this.#total >= chunk.first + chunk.capacity) {
      chunk = new Chunk(this, this.#total, this.#nextCapacity);
      this.#nextCapacity = Math.min(LAST_CHUNK, this.#nextCapacity * 8);
      this.#chunks = appended(this.#chunks, chunk);
      if (chunk.capacity === LAST_CHUNK) {
        this.#evictable = appended(this.#evictable, chunk);
        this.#ring.add(chunk);
        const oldest = this.#evictable[0];
        if (oldest !== undefined && this.#total - oldest.first >= MAX_RECORDS) this.#ring.evict(oldest);
      } else this.#ring.reserve(chunk.charge);
    }
    const at0 = (this.#total - chunk.first) * STRIDE;
    const bits = (from === "service" ? FROM_SERVICE : 0) | (KINDS.indexOf(kind) << 1) | (compressed ? COMPRESSED : 0);
    const { numbers } = chunk;
    numbers[at0] = at;
    numbers[at0 + 2] = start;
    numbers[at0 + 3] = start;
    numbers[at0 + 5] = bits;
    return this.#total++;
  }

  complete(index: number, at: number, end: number, size: number, problem?: string): void {
    const found = this.#find(index);
    if (found === undefined) return;
    const { numbers, offset } = found;
    numbers[offset + 1] = at;
    numbers[offset + 3] = end;
    numbers[offset + 4] = size;
    if (problem !== undefined) this.flaw(index, problem);
  }

  /** Its size is known beforehand (gRPC's prefix), or has grown (a body). */
  grow(index: number, end: number, size: number): void {
    const found = this.#find(index);
    if (found === undefined) return;
    found.numbers[found.offset + 3] = end;
    found.numbers[found.offset + 4] = size;
  }

  markCapped(index: number): void {
    this.#set(index, CAPPED);
  }

  markPartial(index: number): void {
    this.#set(index, PARTIAL);
  }

  flaw(index: number, problem: string): void {
    this.#problems ??= new Map();
    if (this.#problems.size < MAX_PROBLEMS) this.#problems.set(index, problem);
  }

  get(index: number): MessageRecord | undefined {
    const found = this.#find(index);
    if (found === undefined) return undefined;
    const { numbers, offset } = found;
    const bits = numbers[offset + 5] ?? 0;
    return {
      index,
      from: (bits & FROM_SERVICE) !== 0 ? "service" : "visitor",
      kind: KINDS[(bits >> 1) & 15] ?? "binary",
      at: numbers[offset] ?? 0,
      completedAt: numbers[offset + 1] ?? 0,
      start: numbers[offset + 2] ?? 0,
      end: numbers[offset + 3] ?? 0,
      size: numbers[offset + 4] ?? 0,
      compressed: (bits & COMPRESSED) !== 0,
      capped: (bits & CAPPED) !== 0,
      partial: (bits & PARTIAL) !== 0,
      problem: this.#problems?.get(index),
    };
  }

  /** Gives everything back without counting it as dropped. */
  clear(): void {
    for (const chunk of this.#chunks) this.#release(chunk);
    this.#chunks = NONE;
    this.#evictable = NONE;
  }

  /** Called by the ring: large chunks are evicted oldest first, and what is before them goes with them. */
  chunkEvicted(gone: Chunk): void {
    this.#evictable.shift();
    for (let chunk = this.#chunks.shift(); chunk !== undefined && chunk !== gone; chunk = this.#chunks.shift())
      this.#release(chunk);
    if (this.#problems === undefined) return;
    for (const index of this.#problems.keys()) if (index < gone.first + gone.capacity) this.#problems.delete(index);
  }

  #release(chunk: Chunk): void {
    if (chunk.capacity === LAST_CHUNK) this.#ring.remove(chunk);
    else this.#ring.reserve(-chunk.charge);
  }

  #set(index: number, bit: number): void {
    const found = this.#find(index);
    if (found !== undefined) found.numbers[found.offset + 5] = (found.numbers[found.offset + 5] ?? 0) | bit;
  }

  #find(index: number): { readonly numbers: Float64Array | number[]; readonly offset: number } | undefined {
    if (index >= this.#total) return undefined;
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.#chunks[middle];
      if (chunk !== undefined && chunk.first + chunk.capacity <= index) low = middle + 1;
      else high = middle;
    }
    const chunk = this.#chunks[low];
    if (chunk === undefined || index < chunk.first) return undefined;
    return { numbers: chunk.numbers, offset: (index - chunk.first) * STRIDE };
  }
}
