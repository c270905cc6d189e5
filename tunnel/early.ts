import type { Fields, Stream } from "../wire/stream.ts";

/**
 * Octets a visitor may send before the service's stream is there. Nothing is consumed before, so a visitor's stream
 * window (64 KiB at the edge, 256 KiB in the tunnel) is the real bound; above this the window was not respected.
 */
export const MAX_EARLY_BYTES = 1024 * 1024;

const NOTHING = new Uint8Array(0);

/** What a visitor sent before the service's stream was there, in order. Made only when he did. */
export class EarlyRequest {
  /** Octets that wait. */
  bytes = 0;
  readonly #parts: Uint8Array[] = [];
  #next = 0;
  #ended = false;
  /** Our end went out with the last part. */
  #endSent = false;
  #trailers: Fields | undefined;

  /** False above the bound. */
  add(bytes: Uint8Array, end: boolean): boolean {
    if (end) this.#ended = true;
    if (bytes.length > 0) this.#parts.push(bytes);
    this.bytes += bytes.length;
    return this.bytes <= MAX_EARLY_BYTES;
  }

  addTrailers(fields: Fields): void {
    this.#ended = true;
    this.#trailers = fields;
  }

  /** Sends the next part, with the end when it is the last. False when there is none left. More may be added meanwhile. */
  sendNext(service: Stream, sending: (bytes: number) => void): boolean {
    const bytes = this.#parts[this.#next];
    if (bytes === undefined) return false;
    this.#next++;
    this.bytes -= bytes.length;
    this.#endSent = this.#ended && this.#trailers === undefined && this.#next === this.#parts.length;
    // Before: the stream may report them as sent while it takes them.
    sending(bytes.length);
    service.sendData(bytes, this.#endSent);
    return true;
  }

  /** After the last part: an end of its own, or trailers. */
  sendEnd(service: Stream): void {
    if (!this.#ended || this.#endSent) return;
    if (this.#trailers === undefined) service.sendData(NOTHING, true);
    else service.sendTrailers(this.#trailers);
  }
}
