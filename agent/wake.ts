/** Often enough that a wake is noticed before the user has looked. */
const LOOK_MS = 2_000;

/** A gap this much longer than the interval is not a busy event loop: the machine slept. */
const SLEPT_MS = 3 * LOOK_MS;

/**
 * Tells when the machine was asleep: timers stand still then, and the wall clock does not. A clock that somebody sets is
 * taken for a sleep as well, which costs one PING.
 */
export class WakeWatch {
  readonly #woke: () => void;
  #lookedAt: number;

  /** @param now wall clock, milliseconds. */
  constructor(now: number, woke: () => void) {
    this.#lookedAt = now;
    this.#woke = woke;
  }

  look(now: number): void {
    const slept = now - this.#lookedAt > SLEPT_MS;
    this.#lookedAt = now;
    if (slept) this.#woke();
  }
}

/** Returns how to stop it. Does not keep the process alive. */
export function watchWake(woke: () => void): () => void {
  const watch = new WakeWatch(Date.now(), woke);
  const timer = setInterval(() => watch.look(Date.now()), LOOK_MS).unref();
  return () => clearInterval(timer);
}
