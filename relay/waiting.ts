import type { Join } from "../tunnel/join.ts";
import type { Ticking } from "../tunnel/wheel.ts";

/** Requests that wait for one name. With a head of 64 KiB and a window of 64 KiB each, 32 MiB at worst. */
const MAX_WAITING = 256;

/** Requests that wait in all: after a restart those of every share wait at once. 128 MiB at worst. */
const MAX_WAITING_IN_ALL = 1_000;

/** For a place in a full tunnel: longer than a burst takes, shorter than a person waits. */
export const MAX_WAIT_MS = 5_000;

/**
 * For a link to come back: agents are back within 3 s at the 95th percentile of the relay's return, and nearly all of the
 * others within five. After a restart of the relay it is also the time in which the former one must be told to go.
 */
export const RETURN_MS = 5_000;

interface Waiting {
  readonly join: Join;
  /** Routes it again. Late: it gets whatever answer there is now. */
  readonly go: (late: boolean) => void;
  /** Monotonic milliseconds. */
  readonly until: number;
}

export interface WaitingRoomOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Default `RETURN_MS`; 0: nobody waits for a link. */
  readonly returnMs?: number | undefined;
  readonly max?: number;
  readonly maxInAll?: number;
}

/**
 * Where requests wait that cannot go now: all links of their share are full, its last one was lost a moment ago, or the
 * relay has just started and does not know the names yet. Each name has its line, first come, first served.
 */
export class WaitingRoom implements Ticking {
  readonly #now: () => number;
  readonly #returnMs: number;
  readonly #max: number;
  readonly #maxInAll: number;
  readonly #startedAt: number;
  readonly #lines = new Map<string, Waiting[]>();
  /** Names whose last link was lost, and how long it is waited for. */
  readonly #expected = new Map<string, number>();
  #size = 0;
  #closing = false;

  constructor(options: WaitingRoomOptions) {
    this.#now = options.now;
    this.#returnMs = options.returnMs ?? RETURN_MS;
    this.#max = options.max ?? MAX_WAITING;
    this.#maxInAll = options.maxInAll ?? MAX_WAITING_IN_ALL;
    this.#startedAt = options.now();
  }

  /** Whether somebody waits for this name already: who comes now stands behind him. */
  isAwaited(name: string): boolean {
    return this.#size > 0 && this.#lines.has(name);
  }

  /** Until when a full share is waited for. */
  untilRoom(): number {
    return this.#now() + MAX_WAIT_MS;
  }

  /** Until when a link of this share is waited for; undefined: it is not. */
  untilReturn(name: string): number | undefined {
    return this.#ahead(this.#expected.get(name));
  }

  /** Until when it is not known yet which names there are. */
  untilStarted(): number | undefined {
    return this.#ahead(this.#startedAt + this.#returnMs);
  }

  /** False: there is no place. */
  add(name: string, waiting: Waiting): boolean {
    // Visitors who left hold no place.
    let line = this.#lines.get(name) ?? [];
    if (line.length >= this.#max || this.#size >= this.#maxInAll) {
      this.#prune(({ join }) => join.closed);
      line = this.#lines.get(name) ?? [];
    }
    if (line.length >= this.#max || this.#size >= this.#maxInAll) return false;
    line.push(waiting);
    this.#lines.set(name, line);
    this.#size++;
    return true;
  }

  /** The last link of this share was lost. */
  lost(name: string): void {
    if (this.#returnMs > 0) this.#expected.set(name, this.#now() + this.#returnMs);
  }

  /** A link came, or has room again: those who wait go, as long as it is `ready`. */
  serve(name: string, ready: () => boolean): void {
    this.#expected.delete(name);
    const line = this.#lines.get(name);
    while (line !== undefined && line.length > 0 && ready()) this.#shift(name, line)?.go(false);
  }

  /** Nothing comes any more for this name: those who wait are answered. */
  dismiss(name: string): void {
    this.#expected.delete(name);
    const line = this.#lines.get(name);
    while (line !== undefined && line.length > 0) this.#shift(name, line)?.go(true);
  }

  /** The relay goes down: no link will come to it. */
  close(): void {
    this.#closing = true;
    this.#expected.clear();
  }

  tick(now: number): void {
    for (const [name, until] of this.#expected) if (now >= until) this.#expected.delete(name);
    if (this.#size === 0) return;
    for (const { join, go } of this.#prune(({ join, until }) => join.closed || now >= until)) {
      if (!join.closed) go(true);
    }
  }

  #ahead(until: number | undefined): number | undefined {
    return until === undefined || this.#closing || this.#now() >= until ? undefined : until;
  }

  /** The next one still wanted. */
  #shift(name: string, line: Waiting[]): Waiting | undefined {
    const first = line.shift();
    this.#size--;
    if (line.length === 0) this.#lines.delete(name);
    return first?.join.closed === true ? undefined : first;
  }

  #prune(isOver: (waiting: Waiting) => boolean): Waiting[] {
    const over: Waiting[] = [];
    for (const [name, line] of this.#lines) {
      const left = line.filter((waiting) => !isOver(waiting));
      if (left.length === line.length) continue;
      over.push(...line.filter(isOver));
      this.#size -= line.length - left.length;
      if (left.length === 0) this.#lines.delete(name);
      else this.#lines.set(name, left);
    }
    return over;
  }
}
