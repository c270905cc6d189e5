/** Rejects with `what` when `promise` takes longer than `ms`: the bound of a wait, never a substitute for an event. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not within ${ms} ms: ${what}.`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks `condition` every 20 ms until it returns something other than undefined or false. */
export async function until<T>(
  ms: number,
  what: string,
  condition: () => T | Promise<T>,
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + ms;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    if (performance.now() > end) throw new Error(`Not within ${ms} ms: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A list that grows, and can be waited on. */
export class Arrivals<T> {
  readonly items: T[] = [];
  #waiting: (() => void)[] = [];

  add(item: T): void {
    this.items.push(item);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** The first item from `from` on that `matches`. */
  async next(ms: number, what: string, matches: (item: T) => boolean = () => true, from = 0): Promise<T> {
    const search = async (): Promise<T> => {
      for (;;) {
        const index = this.items.findIndex((item, position) => position >= from && matches(item));
        if (index >= 0) return this.items[index] as T;
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    };
    return within(ms, what, search());
  }

  /** Resolves when there are `count` items. */
  async count(count: number, ms: number, what: string): Promise<readonly T[]> {
    const grow = async (): Promise<readonly T[]> => {
      while (this.items.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      return this.items;
    };
    return within(ms, `${count} × ${what}`, grow());
  }
}
