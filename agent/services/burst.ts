/**
 * Connections of HTTP/1 that are dialled, or open and not yet answered on, at once. Python's servers keep a backlog of 5:
 * what comes on top of it is dropped by the kernel and asked again a second later. So it begins with few and grows by
 * one with each first answer, until a connection takes as long as that: then it goes back, and stays there.
 */
const FIRST_BURST = 6;
const LARGEST_BURST = 64;
const OVERRUN_BURST = 4;
/** Loopback takes no time: a connection that needs longer was dropped at first. */
const DROPPED_MS = 500;
/** A connection without an answer counts no longer after this: it has been accepted, and the service thinks. */
const ACCEPTED_MS = 25;

/** How many connections a service may be opened in one go, so that its backlog is not overrun. Times in monotonic milliseconds. */
export class Burst<C> {
  readonly #again: () => void;
  /** Not yet answered on, by when they were opened. */
  readonly #unanswered = new Map<C, number>();
  #size = FIRST_BURST;
  #largest = LARGEST_BURST;
  #timer: NodeJS.Timeout | undefined;

  /** @param again called some time after `allows` said no. */
  constructor(again: () => void) {
    this.#again = again;
  }

  /** @param dialling connections under way. */
  allows(dialling: number, now: number): boolean {
    for (const [connection, since] of this.#unanswered)
      if (since <= now - ACCEPTED_MS) this.#unanswered.delete(connection);
    if (dialling + this.#unanswered.size < this.#size) return true;
    // While all are being dialled, the end of a dial asks again.
    if (this.#unanswered.size > 0)
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#again();
      }, ACCEPTED_MS);
    return false;
  }

  /** A dial has succeeded after `ms`. */
  dialled(ms: number): void {
    if (ms > DROPPED_MS) this.#size = this.#largest = OVERRUN_BURST;
  }

  opened(connection: C, now: number): void {
    this.#unanswered.set(connection, now);
  }

  /** @returns whether this was the connection's first answer. */
  answered(connection: C): boolean {
    if (!this.#unanswered.delete(connection)) return false;
    this.#size = Math.min(this.#size + 1, this.#largest);
    return true;
  }

  ended(connection: C): void {
    this.#unanswered.delete(connection);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
