import { TICK_MS } from "./wheel.ts";

/**
 * Without a received octet for this long, a PING is sent. A tick comes up to a second after the octet, so the PING leaves
 * eight to nine seconds after it: within the ten that are promised, and with a tick to spare for a busy event loop.
 */
export const IDLE_MS = 8_000;

/** A PING, or anything else, must be answered within this: a dead link is found 13 to 14 seconds after its last octet, of the 15 that are promised. */
export const ANSWER_MS = 5_000;

/** Ticks are a second apart, more or less: one that comes a millisecond early must not count as a second too few. */
const TOLERANCE_MS = TICK_MS / 2;

export interface KeepAliveOptions {
  /** Sends a PING; false when that is not possible now (one is outstanding, or the connection ended). */
  readonly ping: () => boolean;
  /** The peer is silent: called once. */
  readonly dead: () => void;
}

/** Finds a tunnel whose other end is gone without a word: cable pulled, machine asleep, NAT entry expired. */
export class KeepAlive {
  /** Round trip of the last answered PING in milliseconds. */
  rttMs: number | undefined;

  readonly #options: KeepAliveOptions;
  #heard = true;
  #heardAt = 0;
  #pingedAt: number | undefined;
  #pingSentAt = 0;
  #dead = false;

  constructor(options: KeepAliveOptions) {
    this.#options = options;
  }

  /** Any octet arrived: the peer lives. Costs a store, since it is called for every chunk. */
  received(): void {
    this.#heard = true;
  }

  /** @param now monotonic milliseconds, as exact as the clock is. */
  answered(now: number): void {
    if (this.#pingSentAt > 0) this.rttMs = Math.max(0, now - this.#pingSentAt);
    this.#pingSentAt = 0;
  }

  /** Sends a PING without waiting for silence, for the round trip time. @param now as for `answered`. */
  probe(now: number): void {
    if (this.#dead || !this.#options.ping()) return;
    this.#pingSentAt = now;
    this.#pingedAt ??= now;
  }

  tick(now: number): void {
    if (this.#dead) return;
    if (this.#heard) {
      this.#heard = false;
      this.#heardAt = now;
      this.#pingedAt = undefined;
      return;
    }
    if (this.#pingedAt !== undefined) {
      if (now - this.#pingedAt < ANSWER_MS - TOLERANCE_MS) return;
      this.#dead = true;
      this.#options.dead();
    } else if (now - this.#heardAt >= IDLE_MS - TOLERANCE_MS) {
      // A PING that cannot be sent still starts the clock: what we ask for is any octet.
      if (this.#options.ping()) this.#pingSentAt = now;
      this.#pingedAt = now;
    }
  }
}
