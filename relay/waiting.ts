import type { Failure, Fields } from "../wire/stream.ts";
import type { Join } from "../tunnel/join.ts";

/** Requests that wait for a place in a full tunnel. With a head of 64 KiB and a window of 64 KiB each, 32 MiB at worst. */
const MAX_WAITING = 256;

/** Longer than a burst takes, shorter than a person waits. */
const MAX_WAIT_MS = 5_000;

const FULL: Failure = {
  by: "relay",
  code: "limit",
  message: "The tunnel to the service carries as many requests at once as it can",
};

interface Waiting {
  readonly head: Fields;
  readonly ended: boolean;
  readonly join: Join;
  /** Of the first tick after it came. */
  since: number | undefined;
}

/** First come, first served. Who waits too long, or finds too many before him, gets 503. */
export class WaitingLine {
  readonly #open: (head: Fields, ended: boolean, join: Join) => void;
  #line: Waiting[] = [];

  constructor(open: (head: Fields, ended: boolean, join: Join) => void) {
    this.#open = open;
  }

  get empty(): boolean {
    return this.#line.length === 0;
  }

  add(head: Fields, ended: boolean, join: Join): void {
    // Visitors who left hold no place.
    if (this.#line.length >= MAX_WAITING) this.#line = this.#line.filter((waiting) => !waiting.join.closed);
    if (this.#line.length >= MAX_WAITING) join.fail(FULL);
    else this.#line.push({ head, ended, join, since: undefined });
  }

  /** Opens the next one still wanted. False when there is none. */
  next(): boolean {
    for (;;) {
      const waiting = this.#line.shift();
      if (waiting === undefined) return false;
      if (waiting.join.closed) continue;
      this.#open(waiting.head, waiting.ended, waiting.join);
      return true;
    }
  }

  tick(now: number): void {
    // In order of arrival, so the first that may stay ends the search.
    for (;;) {
      const first = this.#line[0];
      if (first === undefined) return;
      first.since ??= now;
      if (!first.join.closed && now - first.since < MAX_WAIT_MS) break;
      this.#line.shift();
      first.join.fail(FULL);
    }
    for (const waiting of this.#line) waiting.since ??= now;
  }

  failAll(failure: Failure): void {
    for (const waiting of this.#line.splice(0)) waiting.join.fail(failure);
  }
}
