/** How a stream that is no longer open came to its end: it decides what a late frame on it means. */
export type Closing =
  /** END_STREAM in both directions. */
  | "ended"
  /** Our RST_STREAM: frames of the peer may still be under way. */
  | "reset-here"
  /** The peer's RST_STREAM: it must not send anything more. */
  | "reset-there";

const CLOSINGS: readonly Closing[] = ["ended", "reset-here", "reset-there"];

/** Enough for what is under way in one round trip of a busy tunnel. */
const REMEMBERED = 1024;

/** The streams closed last (RFC 9113 section 5.1 treats late frames by how a stream was closed). Fixed memory. */
export class ClosedStreams {
  /** Small at first: most connections of visitors close few streams. */
  #ids = new Uint32Array(16);
  #closings = new Uint8Array(16);
  #count = 0;

  /** Older streams have been forgotten: for an unknown id nothing can be said. */
  get forgetful(): boolean {
    return this.#count > REMEMBERED;
  }

  add(id: number, closing: Closing): void {
    if (this.#count === this.#ids.length && this.#count < REMEMBERED) this.#grow();
    const at = this.#count++ % this.#ids.length;
    this.#ids[at] = id;
    this.#closings[at] = CLOSINGS.indexOf(closing);
    // Stays exact for the first round, then only says that it is past.
    if (this.#count === 0x7fffffff) this.#count = REMEMBERED * 2;
  }

  find(id: number): Closing | undefined {
    const at = this.#ids.indexOf(id);
    return at < 0 ? undefined : CLOSINGS[this.#closings[at] ?? 0];
  }

  #grow(): void {
    const ids = new Uint32Array(this.#ids.length * 2);
    const closings = new Uint8Array(this.#ids.length * 2);
    ids.set(this.#ids);
    closings.set(this.#closings);
    this.#ids = ids;
    this.#closings = closings;
  }
}
