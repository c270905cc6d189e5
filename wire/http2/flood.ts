import type { Http2Limits } from "./limits.ts";

/** Of the resets that came with their requests, so many are forgiven each second. */
const HASTY_FORGIVEN_PER_SECOND = 10;

/**
 * WINDOW_UPDATE frames that one DATA frame of ours explains, on its stream and the connection together. Go's client sends
 * one of each for every 4 KiB that are read, so eight for a frame of 16 KiB; Envoy allows ten of each.
 */
const UPDATES_PER_DATA = 20;

/** Of an opened stream: some browsers raise the window of each. */
const UPDATES_PER_STREAM = 2;

/**
 * What earlier DATA may earn at most: a reader that holds 16 MiB of it in 1 024 frames, the largest window of a browser,
 * may take all of it at once and later.
 */
const UPDATES_EARNED = 1024 * UPDATES_PER_DATA;

/** grpc-go measures the path with a PING for the first DATA of each round trip: thousands a second on loopback. */
const PINGS_EARNED = 1000;

/**
 * Counts what a peer does against the limits. Each method returns false when a limit is exceeded. A count leaks by its
 * limit each second, so that what is allowed in one second is allowed in every second.
 */
export class FloodGuard {
  readonly #limits: Http2Limits;
  #resets = 0;
  #hasty = 0;
  #provoked = 0;
  #pings = 0;
  #settings = 0;
  #emptyData = 0;
  #windowUpdates = 0;
  #priorities = 0;
  #idle = 0;
  #since = -1;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  /** Once about a second, with a monotonic time in milliseconds: forgives. */
  tick(now: number): void {
    const elapsed = this.#since < 0 ? 1000 : now - this.#since;
    if (elapsed < 1000) return;
    this.#since = now;
    const seconds = elapsed / 1000;
    const limits = this.#limits;
    this.#resets = leak(this.#resets, limits.resetsPerSecond * seconds);
    this.#hasty = leak(this.#hasty, HASTY_FORGIVEN_PER_SECOND * seconds);
    this.#provoked = leak(this.#provoked, seconds);
    this.#pings = leak(this.#pings, limits.pingsPerSecond * seconds);
    this.#settings = leak(this.#settings, limits.settingsPerSecond * seconds);
    this.#emptyData = leak(this.#emptyData, limits.emptyDataPerSecond * seconds);
    this.#windowUpdates = leak(this.#windowUpdates, limits.windowUpdatesPerSecond * seconds);
    this.#priorities = leak(this.#priorities, limits.prioritiesPerSecond * seconds);
    this.#idle = leak(this.#idle, limits.idleFramesPerSecond * seconds);
  }

  /** @param hasty the request came in the same octets as its reset, and had no answer. */
  reset(hasty: boolean): boolean {
    if (hasty && ++this.#hasty > this.#limits.resetsAtOnce) return false;
    return ++this.#resets <= this.#limits.resetsPerSecond;
  }

  /** An exchange ran to its end: whoever works may also cancel. */
  completed(): void {
    if (this.#hasty > 0) this.#hasty--;
  }

  /** The last of them still goes out: with it the limit is reached. */
  provokedReset(): boolean {
    return ++this.#provoked < this.#limits.resetsProvoked;
  }

  ping(): boolean {
    return ++this.#pings <= this.#limits.pingsPerSecond;
  }

  settings(): boolean {
    return ++this.#settings <= this.#limits.settingsPerSecond;
  }

  emptyData(): boolean {
    return ++this.#emptyData <= this.#limits.emptyDataPerSecond;
  }

  windowUpdate(): boolean {
    return ++this.#windowUpdates <= this.#limits.windowUpdatesPerSecond;
  }

  /** A stream was opened. */
  opened(): void {
    this.#windowUpdates = Math.max(this.#windowUpdates - UPDATES_PER_STREAM, -UPDATES_EARNED);
  }

  /** A DATA frame went out: the peer may well answer it. */
  dataSent(): void {
    this.#windowUpdates = Math.max(this.#windowUpdates - UPDATES_PER_DATA, -UPDATES_EARNED);
    if (this.#pings > -PINGS_EARNED) this.#pings--;
  }

  priority(): boolean {
    return ++this.#priorities <= this.#limits.prioritiesPerSecond;
  }

  /** A frame that means nothing here. */
  idle(): boolean {
    return ++this.#idle <= this.#limits.idleFramesPerSecond;
  }
}

/** What was earned stays. */
function leak(level: number, by: number): number {
  return level > 0 ? Math.max(0, level - by) : level;
}
