/**
 * Collects the bytes one connection wants to send during one event-loop turn, so that each turn costs one write.
 *
 * Small pieces are copied into a slab, big ones kept by reference beside it. The slab is borrowed from a pool shared by
 * all connections of the process while there is something to send, so that an idle connection holds none.
 */

/** Pieces up to this size are copied into the slab: below it a copy is cheaper than one more entry of a writev. */
export const COPY_BELOW_BYTES = 2048;

/** One slab serves the small writes of many turns; larger ones only cost memory, smaller ones fragment writes. */
const SLAB_BYTES = 64 * 1024;

/** A tunnel's chunk may wake a hundred connections in one turn, and each borrows a slab: 8 MiB are kept for that, no more. */
const POOL_SLABS = 128;

/** A slab with less room than this is given up to the garbage collector rather than returned to the pool. */
const USABLE_ROOM_BYTES = 4 * 1024;

const EMPTY = new Uint8Array(0);

interface Slab {
  readonly bytes: Uint8Array;
  /** Everything before this offset has been handed out and is never written again. */
  used: number;
}

/** Slabs that no outbox holds at the moment. */
const pool: Slab[] = [];

export class Outbox {
  /** True while the transport holds more than it wants to: DATA waits for `ByteProtocol.drained`. Set by the transport only. */
  blocked = false;

  /** While `blocked`: set by the transport before each tick, and changed when it took something since, be it one octet. */
  taken = 0;

  /** Octets put since the last `take`. A protocol that must bound what a peer can make it queue looks here. */
  pending = 0;

  /** Where `reserve` gave room. */
  buffer: Uint8Array = EMPTY;

  readonly #schedule: () => void;
  #pieces: Uint8Array[] = [];
  #slab: Slab | undefined;
  /** Where the part of the slab that is not yet in `#pieces` begins. */
  #from = 0;

  /** @param schedule called when the first bytes of a turn are put: the transport is to call `take` soon (a microtask). */
  constructor(schedule: () => void) {
    this.#schedule = schedule;
  }

  /**
   * Room for `size` octets (at most `COPY_BELOW_BYTES`), counted as put. Returns the offset in `buffer` where the caller
   * writes exactly `size` octets before he calls anything else here.
   */
  reserve(size: number): number {
    const slab = this.#room(size);
    const offset = slab.used;
    slab.used += size;
    this.buffer = slab.bytes;
    this.#count(size);
    return offset;
  }

  /** Takes back the last `size` octets of what `reserve` gave just before: they were not written. */
  giveBack(size: number): void {
    if (this.#slab === undefined) return;
    this.#slab.used -= size;
    this.pending -= size;
  }

  /** Sends `bytes`: copied when small, else kept by reference; it must not change afterwards. */
  put(bytes: Uint8Array): void {
    const size = bytes.length;
    if (size === 0) return;
    if (size <= COPY_BELOW_BYTES) {
      const slab = this.#room(size);
      slab.bytes.set(bytes, slab.used);
      slab.used += size;
    } else {
      this.#seal();
      this.#pieces.push(bytes);
    }
    this.#count(size);
  }

  /** What is to be sent, in order; the outbox is empty afterwards. */
  take(): Uint8Array[] {
    this.#seal();
    const slab = this.#slab;
    if (slab !== undefined) {
      this.#slab = undefined;
      this.buffer = EMPTY;
      if (slab.bytes.length - slab.used >= USABLE_ROOM_BYTES && pool.length < POOL_SLABS) pool.push(slab);
    }
    const pieces = this.#pieces;
    this.#pieces = [];
    this.pending = 0;
    return pieces;
  }

  #count(size: number): void {
    const first = this.pending === 0;
    this.pending += size;
    if (first) this.#schedule();
  }

  #room(size: number): Slab {
    let slab = this.#slab;
    if (slab !== undefined && slab.bytes.length - slab.used >= size) return slab;
    this.#seal();
    slab = pool.pop();
    if (slab === undefined || slab.bytes.length - slab.used < size)
      slab = { bytes: new Uint8Array(SLAB_BYTES), used: 0 };
    this.#slab = slab;
    this.#from = slab.used;
    return slab;
  }

  /** Moves the written part of the slab into the pieces. */
  #seal(): void {
    const slab = this.#slab;
    if (slab === undefined || slab.used === this.#from) return;
    this.#pieces.push(slab.bytes.subarray(this.#from, slab.used));
    this.#from = slab.used;
  }
}
