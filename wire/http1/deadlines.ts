import type { Outbox } from "../outbox.ts";
import type { Http1Limits } from "./limits.ts";

/** A time begins with the next tick: no clock is read in between, so each limit is at most one tick longer. */
const UNSET = -1;

/** Measures how long the phase of a connection lasts, and how long its transport takes nothing. */
export class Deadlines {
  readonly #limits: Http1Limits;
  #phaseSince = UNSET;
  #blockedSince = UNSET;
  #taken = 0;

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

  /** Milliseconds of the present phase. A phase does not age while it is `halted`: while the peer takes no data, or we read none. */
  elapsed(now: number, halted: boolean): number {
    if (halted || this.#phaseSince === UNSET) this.#phaseSince = now;
    return now - this.#phaseSince;
  }

  /** Whether data has waited for longer than `stallMs` without any being taken. */
  stalled(now: number, outbox: Pick<Outbox, "blocked" | "taken">): boolean {
    if (!outbox.blocked) {
      this.#blockedSince = UNSET;
      return false;
    }
    if (this.#blockedSince === UNSET || outbox.taken !== this.#taken) this.#blockedSince = now;
    this.#taken = outbox.taken;
    return now - this.#blockedSince >= this.#limits.stallMs;
  }
}
