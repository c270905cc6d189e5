import type { Http2Limits } from "./limits.ts";

/** Counts what a peer does against the limits. Each method returns false when a limit is exceeded. */
export class FloodGuard {
  readonly #limits: Http2Limits;
  #resets = 0;
  #pings = 0;
  #settings = 0;
  #emptyData = 0;
  #windowUpdates = 0;
  #priorities = 0;
  #beforeHead = 0;
  #provoked = 0;
  #since = -1;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  /** Once about a second, with a monotonic time in milliseconds: begins a new second, and forgives. */
  tick(now: number): void {
    if (this.#since >= 0 && now - this.#since < 1000) return;
    this.#since = now;
    this.#resets = 0;
    this.#pings = 0;
    this.#settings = 0;
    this.#emptyData = 0;
    this.#windowUpdates = 0;
    this.#priorities = 0;
    if (this.#beforeHead > 0) this.#beforeHead--;
    if (this.#provoked > 0) this.#provoked--;
  }

  reset(beforeHead: boolean): boolean {
    if (beforeHead && ++this.#beforeHead > this.#limits.resetsBeforeHead) return false;
    return ++this.#resets <= this.#limits.resetsPerSecond;
  }

  /** An exchange ran to its end: whoever works may also cancel. */
  completed(): void {
    if (this.#beforeHead > 0) this.#beforeHead--;
  }

  provokedReset(): boolean {
    return ++this.#provoked <= this.#limits.resetsProvoked;
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

  /** A DATA frame went out: the peer may well answer it with a WINDOW_UPDATE, and with another for its padding. */
  dataSent(): void {
    this.#windowUpdates -= 2;
  }

  priority(): boolean {
    return ++this.#priorities <= this.#limits.prioritiesPerSecond;
  }
}
