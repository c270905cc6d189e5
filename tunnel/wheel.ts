/**
 * The one timer of the data path. Everything that waits for a peer is judged about once a second from here, so that no
 * connection, stream or exchange owns a timer: 10 000 of them cost one.
 */
import { reportDefect } from "./defects.ts";

export interface Ticking {
  /** @param now monotonic milliseconds (`performance.now()`). */
  tick(now: number): void;
}

/** One second: every limit on the path is five seconds or more, so a limit is at most a fifth late. */
export const TICK_MS = 1000;

const watched = new Set<Ticking>();
let timer: NodeJS.Timeout | undefined;

function turn(): void {
  const now = performance.now();
  for (const ticking of watched) {
    try {
      ticking.tick(now);
    } catch (error) {
      // The others must have their turn whatever happens to one.
      reportDefect("tunnel/wheel: tick", error);
    }
  }
}

/** `ticking.tick` is called about once a second until `unwatch`. The timer does not keep the process alive. */
export function watch(ticking: Ticking): void {
  watched.add(ticking);
  timer ??= setInterval(turn, TICK_MS).unref();
}

export function unwatch(ticking: Ticking): void {
  watched.delete(ticking);
  if (watched.size === 0 && timer !== undefined) {
    clearInterval(timer);
    timer = undefined;
  }
}
