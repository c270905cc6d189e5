import type { Http1Limits } from "./limits.ts";

/** A time begins with the next tick: no clock is read in between, so each limit is at most one tick longer. */
const UNSET = -1;

/** Measures how long the phase of a connection lasts, and how long its transport takes nothing. */
export class Deadlines {
  readonly #limits: Http1Limits;
  #phaseSince = UNSET;
  #blockedSince = UNSET;

  constructor(limits: Http1Limits) {
    this.#limits = limits;
  }

  /** A phase begins, or made progress that counts. */
  restart(): void {
    this.#phaseSince = UNSET;
  }

  /** The transport took something. */
  progress(): void {
    this.#blockedSince = UNSET;
  }

  /** Milliseconds of the present phase. A phase does not age while the peer takes no data: that is judged as a stall. */
  elapsed(now: number, blocked: boolean): number {
    if (blocked || this.#phaseSince === UNSET) this.#phaseSince = now;
    return now - this.#phaseSince;
  }

  /** Whether data has waited for longer than `stallMs` without any being taken. */
  stalled(now: number, blocked: boolean): boolean {
    if (!blocked) {
      this.#blockedSince = UNSET;
      return false;
    }
    if (this.#blockedSince === UNSET) this.#blockedSince = now;
    return now - this.#blockedSince >= this.#limits.stallMs;
  }
}
