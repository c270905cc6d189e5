/**
 * Milliseconds of work in one go. The capture runs in the process of the data path, and several readers may each take a
 * slice in the same turn of the event loop: together they stay below the 10 ms that nobody notices.
 */
const SLICE_MS = 3;

/** Divides long work into slices, between which the event loop turns. */
export class Pace {
  #began = performance.now();

  /** Resolves at once within the slice, and in the next turn of the event loop when it is used up. */
  rest(): Promise<void> | undefined {
    if (performance.now() - this.#began < SLICE_MS) return undefined;
    return new Promise((resolve) =>
      setImmediate(() => {
        this.#began = performance.now();
        resolve();
      }),
    );
  }
}
