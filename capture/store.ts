import type { Logger } from "../wire/logger.ts";
import type { Fields } from "../wire/stream.ts";
import { detectProtocol } from "./detect.ts";
import { Exchange } from "./exchange.ts";
import type { CaptureState } from "./protocol.ts";
import { Recorder, UNRECORDED } from "./recorder.ts";
import type { RecorderHost } from "./recorder.ts";
import { Ring } from "./ring.ts";
import type { ExchangeTap, Tap, TappedShare } from "./tap.ts";

/** 64 MiB: a minute of ordinary development traffic, and little beside an editor's own memory. */
export const DEFAULT_BYTES = 64 * 1024 * 1024;
export const DEFAULT_EXCHANGES = 1000;
/** What a setting may ask for: below, nothing useful is kept; above, the agent would be the largest process there is. */
export const BYTES_RANGE = [1024 * 1024, 4 * 1024 * 1024 * 1024] as const;
export const EXCHANGES_RANGE = [1, 100_000] as const;

/** Milliseconds since the epoch; read once, because the getter costs more than the clock. */
const TIME_ORIGIN = performance.timeOrigin;

export interface StoreListener {
  /** Something about this exchange is new. Called for every piece of data: only note it. */
  changed(exchange: Exchange): void;
  removed(exchange: Exchange): void;
  ended(exchange: Exchange): void;
  /** Counts or limits changed. */
  stateChanged(): void;
}

/** The capture's memory: exchanges in order of arrival, bounded in number and in octets. */
export class Store implements Tap, RecorderHost {
  readonly #exchanges = new Map<number, Exchange>();
  readonly #ring: Ring;
  /** Replaced, never changed: it is gone through some times for each exchange, and an array is so without an iterator. */
  #listeners: readonly StoreListener[] = [];
  readonly #log: Logger;
  /** Whatever has a lower id is open, gone, or in `#late`: so finding the oldest that ended is a step or two. */
  #reached = 1;
  /** Ended after `#reached` had passed them. */
  readonly #late = new Set<Exchange>();
  #maxExchanges: number;
  #nextId = 1;
  #droppedExchanges = 0;
  #capturing = true;
  #defectTold = false;

  constructor(options: { readonly maxBytes: number; readonly maxExchanges: number; readonly log: Logger }) {
    this.#ring = new Ring(clamp(options.maxBytes, BYTES_RANGE));
    this.#maxExchanges = clamp(options.maxExchanges, EXCHANGES_RANGE);
    this.#log = options.log;
  }

  get state(): CaptureState {
    return {
      capturing: this.#capturing,
      exchanges: this.#exchanges.size,
      maxExchanges: this.#maxExchanges,
      bytes: this.#ring.bytes,
      maxBytes: this.#ring.maxBytes,
      droppedExchanges: this.#droppedExchanges,
      droppedBytes: this.#ring.dropped,
    };
  }

  get size(): number {
    return this.#exchanges.size;
  }

  get(id: number): Exchange | undefined {
    return this.#exchanges.get(id);
  }

  /** Oldest first. */
  all(): IterableIterator<Exchange> {
    return this.#exchanges.values();
  }

  listen(listener: StoreListener): { dispose(): void } {
    this.#listeners = [...this.#listeners, listener];
    return {
      dispose: () => {
        this.#listeners = this.#listeners.filter((other) => other !== listener);
      },
    };
  }

  opened(share: TappedShare, fields: Fields, end: boolean): ExchangeTap {
    if (!this.#capturing) return UNRECORDED;
    try {
      const exchange = new Exchange(this.#nextId++, share, fields, detectProtocol(fields), this.#ring, this.now());
      this.#exchanges.set(exchange.id, exchange);
      this.#makeRoom();
      const recorder = new Recorder(exchange, this, end);
      this.changed(exchange);
      return recorder;
    } catch (error) {
      this.defect(error);
      return UNRECORDED;
    }
  }

  now(): number {
    return TIME_ORIGIN + performance.now();
  }

  changed(exchange: Exchange): void {
    if (exchange.removed) return;
    for (const listener of this.#listeners) listener.changed(exchange);
  }

  ended(exchange: Exchange): void {
    if (exchange.id < this.#reached && !exchange.removed) this.#late.add(exchange);
    for (const listener of this.#listeners) listener.ended(exchange);
  }

  defect(error: unknown): void {
    if (this.#defectTold) return;
    this.#defectTold = true;
    const what =
      error instanceof Error
        ? `${error.name} at ${error.stack?.split("\n")[1]?.trim() ?? "an unknown place"}`
        : "unknown";
    this.#log.error(`The capture failed to record an exchange, which passed on unharmed (told once): ${what}.`);
  }

  pause(paused: boolean): void {
    this.#capturing = !paused;
    this.#stateChanged();
  }

  clear(): void {
    for (const exchange of [...this.#exchanges.values()]) this.#remove(exchange);
    this.#droppedExchanges = 0;
    this.#ring.resetDropped();
    this.#stateChanged();
  }

  setLimits(maxBytes: number, maxExchanges: number): void {
    this.#ring.maxBytes = clamp(maxBytes, BYTES_RANGE);
    this.#maxExchanges = clamp(maxExchanges, EXCHANGES_RANGE);
    this.#ring.makeRoom();
    this.#makeRoom();
    this.#stateChanged();
  }

  /** The ring makes room for octets by itself; heads go only with their exchange. */
  #makeRoom(): void {
    while (
      this.#exchanges.size > this.#maxExchanges ||
      (this.#ring.bytes > this.#ring.maxBytes && this.#exchanges.size > 1)
    ) {
      // When none has ended, the oldest: the bound holds in any case.
      const oldest = this.#oldestEnded() ?? this.#exchanges.values().next().value;
      if (oldest === undefined) return;
      this.#droppedExchanges++;
      this.#remove(oldest);
    }
  }

  #oldestEnded(): Exchange | undefined {
    let oldest: Exchange | undefined;
    for (const late of this.#late) if (oldest === undefined || late.id < oldest.id) oldest = late;
    while (oldest === undefined && this.#reached < this.#nextId) {
      const exchange = this.#exchanges.get(this.#reached++);
      if (exchange !== undefined && exchange.state !== "open") oldest = exchange;
    }
    return oldest;
  }

  #remove(exchange: Exchange): void {
    this.#exchanges.delete(exchange.id);
    this.#late.delete(exchange);
    exchange.clear();
    for (const listener of this.#listeners) listener.removed(exchange);
  }

  #stateChanged(): void {
    for (const listener of this.#listeners) listener.stateChanged();
  }
}

function clamp(value: number, [lowest, highest]: readonly [number, number]): number {
  return Number.isFinite(value) ? Math.min(highest, Math.max(lowest, Math.floor(value))) : highest;
}
