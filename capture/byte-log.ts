import { appended } from "./lists.ts";
import { Held } from "./ring.ts";
import type { Ring } from "./ring.ts";

/** Pieces below this are copied: each reference costs an object, and keeps its whole chunk alive. */
const COPY_BELOW = 4096;
/** A piece is referenced only when it is at least this part of its chunk, so that the ring holds at most 4 times what it shows. */
const REFERENCE_SHARE = 4;
/**
 * Copies go into slabs that double from the first size (a unary call) to the last (a stream). V8 keeps typed arrays of up
 * to 64 octets in its own heap: larger ones cost a microsecond each to make and to collect.
 */
const FIRST_SLAB = 64;
const LAST_SLAB = 32 * 1024;
/**
 * The first octets of a log, when they are few, go into a slab that all logs share (`Ring.room`): three objects fewer for a
 * unary call, and at 100 000 calls a second what is made and survives is what costs. One that stays keeps 4 KiB alive,
 * which is about what its heads are counted with.
 */
const SHARED_PIECE = 128;

/** Octets from `start` on, by reference or in a slab that still grows. */
class Segment extends Held {
  readonly log: ByteLog;
  readonly start: number;
  /** The slab or the referenced piece. */
  readonly bytes: Uint8Array;
  /** Where in `bytes` it begins. */
  readonly offset: number;
  /** How far `used` may grow. */
  readonly capacity: number;
  used = 0;

  constructor(log: ByteLog, start: number, bytes: Uint8Array, offset: number, capacity: number, charge: number) {
    super(charge);
    this.log = log;
    this.start = start;
    this.bytes = bytes;
    this.offset = offset;
    this.capacity = capacity;
  }

  part(from: number, to: number): Uint8Array {
    return this.bytes.subarray(this.offset + from, this.offset + to);
  }

  override evicted(): void {
    this.log.segmentEvicted(this);
  }
}

/** Of every log without octets. Never written. */
const NONE: Segment[] = [];

export interface ReadBytes {
  /** What is there, from `start` without a gap; perhaps fewer than asked for. */
  readonly bytes: Uint8Array;
  /** All that was asked for is there. */
  readonly complete: boolean;
}

/**
 * The octets that passed from one side of an exchange, as far as they are kept. Offsets count all that passed; ranges
 * may be missing at the front (evicted) or in the middle (skipped).
 */
export class ByteLog {
  readonly #ring: Ring;
  /** A body whose beginning is gone is of no use: all of it goes at once. In a stream, later messages stay. */
  #whole: boolean;
  #segments: Segment[] = NONE;
  /** Index of the first segment still held; the array is trimmed now and then. */
  #first = 0;
  #position = 0;
  #charge = 0;
  #nextSlab = FIRST_SLAB;
  #evicted = false;

  constructor(ring: Ring, whole: boolean) {
    this.#ring = ring;
    this.#whole = whole;
  }

  /** Octets that passed, kept or not. */
  get position(): number {
    return this.#position;
  }

  /** Octets of memory held. */
  get charge(): number {
    return this.#charge;
  }

  /** Something was evicted. */
  get evicted(): boolean {
    return this.#evicted;
  }

  set whole(whole: boolean) {
    this.#whole = whole;
  }

  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#whole && this.#evicted) {
      // Its beginning is gone: what follows would only take the place of others.
      this.skip(bytes.length);
      return;
    }
    const backing = bytes.buffer.byteLength;
    if (bytes.length >= COPY_BELOW && bytes.length * REFERENCE_SHARE >= backing) this.#reference(bytes, backing);
    else this.#copy(bytes);
  }

  /** These octets passed and are not kept. */
  skip(count: number): void {
    this.#position += count;
  }

  /** Drops the oldest segment, to make room within the exchange. False when there is none. */
  dropOldest(): boolean {
    const oldest = this.#segments[this.#first];
    if (oldest === undefined) return false;
    this.#ring.evict(oldest);
    return true;
  }

  /** Gives everything back without counting it as dropped. */
  clear(): void {
    for (let index = this.#first; index < this.#segments.length; index++) {
      const segment = this.#segments[index];
      if (segment !== undefined) this.#ring.remove(segment);
    }
    this.#forgetAll();
  }

  /** Is all of [start, end) here? An empty range always is. */
  has(start: number, end: number): boolean {
    return this.#keptUntil(start, end) >= end;
  }

  /** Of [start, end), what is there without a gap, joined into one array (a view when it is in one piece). */
  read(start: number, end: number): ReadBytes {
    const until = Math.max(start, Math.min(end, this.#keptUntil(start, end)));
    const length = until - start;
    let index = this.#find(start);
    const segment = this.#segments[index];
    if (length === 0 || segment === undefined) return { bytes: new Uint8Array(0), complete: length === end - start };
    const from = start - segment.start;
    if (from + length <= segment.used) return { bytes: segment.part(from, from + length), complete: until === end };
    const joined = new Uint8Array(length);
    for (let at = 0; at < length; index++) {
      const part = this.#segments[index];
      if (part === undefined) break;
      const offset = start + at - part.start;
      const piece = part.part(offset, Math.min(part.used, offset + length - at));
      joined.set(piece, at);
      at += piece.length;
    }
    return { bytes: joined, complete: until === end };
  }

  /** Called by the ring. Segments that share the evicted one's chunk keep it alive and go with it. */
  segmentEvicted(segment: Segment): void {
    this.#evicted = true;
    this.#charge -= segment.charge;
    if (this.#segments[this.#first] === segment) this.#first++;
    if (this.#whole) {
      while (this.#first < this.#segments.length) this.#removeFirst();
      this.#forgetAll();
      return;
    }
    while (this.#segments[this.#first]?.bytes.buffer === segment.bytes.buffer) this.#removeFirst();
    if (this.#first > 64 && this.#first * 2 > this.#segments.length) {
      this.#segments = this.#segments.slice(this.#first);
      this.#first = 0;
    }
  }

  #removeFirst(): void {
    const segment = this.#segments[this.#first++];
    if (segment?.ring === undefined) return;
    this.#charge -= segment.charge;
    this.#ring.remove(segment);
  }

  #forgetAll(): void {
    this.#segments = NONE;
    this.#first = 0;
    this.#charge = 0;
  }

  #reference(bytes: Uint8Array, backing: number): void {
    const last = this.#segments.at(-1);
    const shared = last !== undefined && this.#segments.length > this.#first && last.bytes.buffer === bytes.buffer;
    const segment = new Segment(this, this.#position, bytes, 0, bytes.length, shared ? 0 : backing);
    segment.used = bytes.length;
    this.#push(segment);
    this.#position += bytes.length;
  }

  #copy(bytes: Uint8Array): void {
    for (let taken = 0; taken < bytes.length;) {
      let slab = this.#openSlab();
      if (slab === undefined) {
        slab =
          this.#position === 0 && bytes.length <= SHARED_PIECE
            ? this.#sharedSlab(bytes.length)
            : this.#ownSlab(bytes.length - taken);
        this.#push(slab);
      }
      const count = Math.min(bytes.length - taken, slab.capacity - slab.used);
      slab.bytes.set(count === bytes.length ? bytes : bytes.subarray(taken, taken + count), slab.offset + slab.used);
      slab.used += count;
      taken += count;
      this.#position += count;
    }
  }

  #sharedSlab(length: number): Segment {
    const offset = this.#ring.room(length);
    return new Segment(this, this.#position, this.#ring.slab, offset, length, length);
  }

  #ownSlab(length: number): Segment {
    const size = Math.max(this.#nextSlab, Math.min(LAST_SLAB, length));
    this.#nextSlab = Math.min(LAST_SLAB, this.#nextSlab * 2);
    return new Segment(this, this.#position, new Uint8Array(size), 0, size, size);
  }

  /** The last segment, when it has room and nothing was skipped since. */
  #openSlab(): Segment | undefined {
    const last = this.#segments.length > this.#first ? this.#segments.at(-1) : undefined;
    if (last === undefined || last.used >= last.capacity || last.start + last.used !== this.#position) return undefined;
    return last;
  }

  #push(segment: Segment): void {
    this.#segments = appended(this.#segments, segment);
    this.#charge += segment.charge;
    this.#ring.add(segment);
  }

  /** Index of the segment that holds `position`, or of the next one. */
  #find(position: number): number {
    let low = this.#first;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const segment = this.#segments[middle];
      if (segment !== undefined && segment.start + segment.used <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The offset up to which everything from `start` on is here, looking no further than `end`; `start` itself when nothing is. */
  #keptUntil(start: number, end: number): number {
    let until = start;
    for (let index = this.#find(start); index < this.#segments.length && until < end; index++) {
      const segment = this.#segments[index];
      if (segment === undefined || segment.start > until) break;
      until = segment.start + segment.used;
    }
    return until;
  }
}
