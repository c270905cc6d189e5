import { EMPTY } from "./octets.ts";
import type { Intake } from "./intake.ts";

/** Octets that may not be read yet. They count as unconsumed, so that reading pauses before they become many. */
export class Held {
  readonly #intake: Intake;
  #pieces: Uint8Array[] = [];

  constructor(intake: Intake) {
    this.#intake = intake;
  }

  get empty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Behind what is held. */
  push(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#intake.add(bytes.length);
  }

  /** Before what is held: the rest of a piece that `shift` gave. */
  unshift(bytes: Uint8Array): void {
    this.#pieces.unshift(bytes);
    this.#intake.add(bytes.length);
  }

  /** The next piece. It counts as unconsumed until the caller says otherwise, when he knows what became of it. */
  shift(): Uint8Array {
    return this.#pieces.shift() ?? EMPTY;
  }

  /** Forgets all, and returns how many octets it was. */
  clear(): number {
    let bytes = 0;
    for (const piece of this.#pieces) bytes += piece.length;
    this.#pieces = [];
    this.#intake.consume(bytes);
    return bytes;
  }
}
