import type { Http2Stream } from "./stream.ts";

/** Slots at first: a visitor's connection has few streams at once. A power of two. */
const FIRST_SLOTS = 16;
/** Twice the 1 000 streams of a tunnel. */
const LAST_SLOTS = 2048;

/**
 * The open streams of a connection, by identifier. Identifiers grow by two and are used once, so nearly every stream finds
 * the slot of its number free: a look-up is one comparison, and nothing is hashed or made. A `Map` whose entries come and
 * go is made anew again and again. The few whose slot an older stream still has are in a map all the same.
 */
export class StreamTable {
  #slots = new Array<Http2Stream | undefined>(FIRST_SLOTS).fill(undefined);
  readonly #others = new Map<number, Http2Stream>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Http2Stream | undefined {
    const stream = this.#slots[this.#slotOf(id)];
    if (stream?.id === id) return stream;
    return this.#others.size === 0 ? undefined : this.#others.get(id);
  }

  /** @param stream one whose identifier is not in the table. */
  add(stream: Http2Stream): void {
    this.#size++;
    const slot = this.#slotOf(stream.id);
    if (this.#slots[slot] === undefined) {
      this.#slots[slot] = stream;
      return;
    }
    this.#others.set(stream.id, stream);
    if (this.#others.size * 4 > this.#slots.length && this.#slots.length < LAST_SLOTS) this.#grow();
  }

  /** Does nothing when it is not there. */
  delete(id: number): void {
    const slot = this.#slotOf(id);
    if (this.#slots[slot]?.id === id) this.#slots[slot] = undefined;
    else if (!this.#others.delete(id)) return;
    this.#size--;
  }

  clear(): void {
    this.#slots.fill(undefined);
    this.#others.clear();
    this.#size = 0;
  }

  /** All of them as they are now, in the order of their identifiers. */
  all(): Http2Stream[] {
    const streams = this.#slots.filter((stream) => stream !== undefined);
    streams.push(...this.#others.values());
    return streams.sort((a, b) => a.id - b.id);
  }

  #slotOf(id: number): number {
    return (id >>> 1) & (this.#slots.length - 1);
  }

  #grow(): void {
    const streams = this.all();
    this.clear();
    this.#slots = new Array<Http2Stream | undefined>(this.#slots.length * 2).fill(undefined);
    for (const stream of streams) this.add(stream);
  }
}
