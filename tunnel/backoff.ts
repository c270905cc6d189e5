/** First wait: a relay that restarts is back within a second, and is asked again soon after. */
export const FIRST_WAIT_MS = 250;

/** Longest wait. A person who looks at "reconnecting" for longer than this thinks it hangs. */
export const LONGEST_WAIT_MS = 30_000;

/** A connection that held this long was healthy: the next loss begins at the first wait again. Resetting on connect alone would let a relay that accepts and drops be hammered. */
export const HEALTHY_MS = 30_000;

export interface BackoffOptions {
  /** Uniform in [0, 1): `Math.random`, or a test's. */
  readonly random: () => number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly firstMs?: number;
  readonly longestMs?: number;
  readonly healthyMs?: number;
}

/**
 * How long to wait before the next dial: doubled each time, with full jitter (a wait is uniform between zero and the
 * present bound), so that a thousand agents of a relay that restarts do not come back in the same instant.
 */
export class Backoff {
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #healthyMs: number;
  #boundMs: number;
  #connectedAt: number | undefined;

  constructor(options: BackoffOptions) {
    this.#random = options.random;
    this.#now = options.now;
    this.#firstMs = options.firstMs ?? FIRST_WAIT_MS;
    this.#longestMs = options.longestMs ?? LONGEST_WAIT_MS;
    this.#healthyMs = options.healthyMs ?? HEALTHY_MS;
    this.#boundMs = this.#firstMs;
  }

  /** A connection is established. It counts as healthy only once it has held. */
  connected(): void {
    this.#connectedAt = this.#now();
  }

  /** Milliseconds to wait from now. Call once per lost connection or failed dial. */
  next(): number {
    if (this.#connectedAt !== undefined && this.#now() - this.#connectedAt >= this.#healthyMs) this.reset();
    this.#connectedAt = undefined;
    const wait = this.#random() * this.#boundMs;
    this.#boundMs = Math.min(this.#boundMs * 2, this.#longestMs);
    return wait;
  }

  /** Something says that the next dial may succeed at once: the user asked, the network came back. */
  reset(): void {
    this.#boundMs = this.#firstMs;
  }
}
