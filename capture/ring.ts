/**
 * Something that holds memory and can give it back. `charge` is what it keeps alive, not what it shows: a small
 * subarray of a 64 KiB chunk costs 64 KiB.
 */
export abstract class Held {
  charge: number;
  previous: Held | undefined;
  next: Held | undefined;
  ring: Ring | undefined;

  constructor(charge: number) {
    this.charge = charge;
  }

  /** The ring takes it out. The holder forgets what it held; it may remove others of its own. */
  abstract evicted(): void;
}

const SLAB = 4096;

/** What is held, in order of arrival, bounded in octets: the oldest goes first. Every operation is O(1) per item. */
export class Ring {
  maxBytes: number;
  #bytes = 0;
  #reserved = 0;
  #dropped = 0;
  #oldest: Held | undefined;
  #newest: Held | undefined;
  /** Where small pieces of many exchanges stand together; a new one when it is full. */
  slab = new Uint8Array(SLAB);
  #slabUsed = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Octets held, reserved ones included. */
  get bytes(): number {
    return this.#bytes + this.#reserved;
  }

  /** Counts octets that only their owner can give back (negative: he does), and makes room for them. */
  reserve(octets: number): void {
    this.#reserved += octets;
    if (octets > 0) this.makeRoom();
  }

  /** Makes room for `length` octets, at most `SLAB`, in `slab`. The offset in it. */
  room(length: number): number {
    if (this.#slabUsed + length > SLAB) {
      this.slab = new Uint8Array(SLAB);
      this.#slabUsed = 0;
    }
    const offset = this.#slabUsed;
    this.#slabUsed += length;
    return offset;
  }

  /** Octets evicted for want of room since the last `resetDropped`. */
  get dropped(): number {
    return this.#dropped;
  }

  resetDropped(): void {
    this.#dropped = 0;
  }

  /** Adds the newest item, then makes room. */
  add(item: Held): void {
    item.ring = this;
    item.previous = this.#newest;
    item.next = undefined;
    if (this.#newest === undefined) this.#oldest = item;
    else this.#newest.next = item;
    this.#newest = item;
    this.#bytes += item.charge;
    this.makeRoom();
  }

  /** Takes an item out without counting it as dropped. Does nothing when it is out already. */
  remove(item: Held): void {
    if (item.ring !== this) return;
    if (item.previous === undefined) this.#oldest = item.next;
    else item.previous.next = item.next;
    if (item.next === undefined) this.#newest = item.previous;
    else item.next.previous = item.previous;
    item.previous = item.next = item.ring = undefined;
    this.#bytes -= item.charge;
  }

  /** Takes an item out and counts it as dropped. */
  evict(item: Held): void {
    if (item.ring !== this) return;
    this.#dropped += item.charge;
    this.remove(item);
    item.evicted();
  }

  makeRoom(): void {
    while (this.bytes > this.maxBytes && this.#oldest !== undefined) this.evict(this.#oldest);
  }
}
