import { networkOf } from "./addresses.ts";

/** How long an address is remembered after its first wrong guess, and refused after the last one it had. */
export const GUESS_WINDOW_MS = 60_000;

/**
 * Addresses with wrong guesses at once. One costs below 1 KiB with its last guesses, so this is 10 MiB at worst; who has
 * more addresses than this is not slowed by counting them.
 */
const MAX_ADDRESSES = 10_000;

/** Right ones remembered, over all addresses: 150 octets each, 1.5 MiB. */
const MAX_KNOWN = 10_000;

/**
 * Wrong guesses of an address that are told apart. A page that still asks for a share that has ended, or an agent with an
 * old token, says the same again and again and learns nothing by it: that is counted once.
 */
const TOLD_APART = 8;

export interface GuessLimits {
  /** Different wrong guesses of one address within `windowMs` that are answered truly. */
  readonly limit: number;
  readonly windowMs?: number;
  /** Addresses that are not counted. */
  readonly exempt?: (address: string) => boolean;
  readonly maxAddresses?: number;
  readonly maxKnown?: number;
}

interface Wrong {
  count: number;
  /** Until then it counts; when the limit is reached: until then it is refused. */
  until: number;
  readonly last: string[];
}

/**
 * Makes guessing slow: an address that was wrong too often is not told whether its next guess is right, for a minute.
 *
 * An address may stand for many people (an office, a mobile network), and only one of them guesses. So what an address
 * has used rightly before goes on: the others behind it lose nothing but the first use of something new, for a minute.
 * IPv6 addresses are counted by /64, the least that one customer has (RFC 6177).
 */
export class Guesses {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #exempt: (address: string) => boolean;
  readonly #maxAddresses: number;
  readonly #maxKnown: number;
  readonly #now: () => number;
  /** By network; the one that began longest ago first. */
  readonly #wrong = new Map<string, Wrong>();
  /** Network and what it guessed rightly; the one used longest ago first. */
  readonly #known = new Set<string>();

  /** @param now monotonic milliseconds. */
  constructor(now: () => number, limits: GuessLimits) {
    this.#now = now;
    this.#limit = limits.limit;
    this.#windowMs = limits.windowMs ?? GUESS_WINDOW_MS;
    this.#exempt = limits.exempt ?? (() => false);
    this.#maxAddresses = limits.maxAddresses ?? MAX_ADDRESSES;
    this.#maxKnown = limits.maxKnown ?? MAX_KNOWN;
  }

  /** Addresses counted now. */
  get size(): number {
    return this.#wrong.size;
  }

  /** Whether this guess may be looked at. When not, nobody looks: the answer must not depend on whether it is right. */
  allows(address: string, what: string): boolean {
    if (this.#wrong.size === 0) return true;
    const network = networkOf(address);
    const wrong = this.#wrong.get(network);
    if (wrong === undefined || wrong.count < this.#limit) return true;
    if (this.#now() >= wrong.until) {
      this.#wrong.delete(network);
      return true;
    }
    return this.#known.has(`${network} ${what}`);
  }

  /** It was wrong. */
  wrong(address: string, what: string): void {
    if (this.#exempt(address)) return;
    const network = networkOf(address);
    const now = this.#now();
    let wrong = this.#wrong.get(network);
    if (wrong === undefined || now >= wrong.until) {
      this.#wrong.delete(network);
      this.#makeRoom();
      wrong = { count: 0, until: now + this.#windowMs, last: [] };
      this.#wrong.set(network, wrong);
    }
    // What was right once and is no more (a share that ended) is known already.
    if (wrong.last.includes(what) || this.#known.has(`${network} ${what}`)) return;
    wrong.last.push(what);
    if (wrong.last.length > TOLD_APART) wrong.last.shift();
    if (++wrong.count === this.#limit) wrong.until = now + this.#windowMs;
  }

  /** It was right: from now on it is never refused to this address. */
  right(address: string, what: string): void {
    if (this.#exempt(address)) return;
    const key = `${networkOf(address)} ${what}`;
    this.#known.delete(key);
    this.#known.add(key);
    if (this.#known.size > this.#maxKnown) for (const oldest of this.#known) return void this.#known.delete(oldest);
  }

  /** Forgets what is over. To be called about once in `windowMs`. */
  sweep(): void {
    const now = this.#now();
    for (const [network, { until }] of this.#wrong) if (now >= until) this.#wrong.delete(network);
  }

  #makeRoom(): void {
    if (this.#wrong.size < this.#maxAddresses) return;
    this.sweep();
    if (this.#wrong.size < this.#maxAddresses) return;
    for (const oldest of this.#wrong.keys()) return void this.#wrong.delete(oldest);
  }
}
