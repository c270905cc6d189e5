/**
 * The capture's clock, estimated. Times in the capture are those of the agent's machine, which in a remote window is not
 * this one. The least difference ever seen between a fresh event and our own clock is skew plus the shortest delay.
 */
export class Clock {
  #offset: number | undefined;

  /** `at`: capture time of something that was reported just now, as it happened. */
  observe(at: number): void {
    const difference = Date.now() - at;
    if (this.#offset === undefined || difference < this.#offset) this.#offset = difference;
  }

  /** Milliseconds since the epoch on the agent's machine. */
  now(): number {
    return Date.now() - (this.#offset ?? 0);
  }
}
