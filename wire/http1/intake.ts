import type { Transport } from "../transport.ts";

/**
 * The flow control that HTTP/1 and TCP lack: what was delivered and not yet consumed is counted, and reading pauses above a
 * limit, so that TCP's own window stops the peer. It resumes below half, so that it does not flip with each segment.
 */
export class Intake {
  readonly #transport: Transport;
  readonly #limit: number;
  #unconsumed = 0;
  #paused = false;

  /** @param limit octets. One read more may come on top: what is delivered is never cut. */
  constructor(transport: Transport, limit: number) {
    this.#transport = transport;
    this.#limit = limit;
  }

  /** We read nothing at present. */
  get paused(): boolean {
    return this.#paused;
  }

  add(bytes: number): void {
    this.#unconsumed += bytes;
    if (!this.#paused && this.#unconsumed > this.#limit) {
      this.#paused = true;
      this.#transport.pauseReading();
    }
  }

  consume(bytes: number): void {
    this.#unconsumed = Math.max(0, this.#unconsumed - bytes);
    if (this.#paused && this.#unconsumed < this.#limit / 2) {
      this.#paused = false;
      this.#transport.resumeReading();
    }
  }
}
