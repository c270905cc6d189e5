/** Items kept beyond those on screen. Rows and summaries are below 1 kB each: a few megabytes at most. */
const MAX_KEPT = 4000;

export interface Page<T> {
  readonly position: number;
  readonly items: readonly T[];
}

export interface PagesOptions<T> {
  /** Items asked for at once. */
  readonly pageSize: number;
  readonly fetch: (position: number, count: number) => Promise<Page<T>>;
  readonly changed: () => void;
}

/**
 * Items by position, asked for in pages when they come into sight. What is shown stays until something newer is here: a
 * stale page is fetched again in the background.
 */
export class Pages<T> {
  readonly #options: PagesOptions<T>;
  readonly #items = new Map<number, T>();
  readonly #pending = new Set<number>();
  readonly #stale = new Set<number>();
  /** Positions that the host did not have when asked: not asked for again until something changed. */
  readonly #absent = new Set<number>();
  #generation = 0;
  #window: readonly [number, number] = [0, 0];

  constructor(options: PagesOptions<T>) {
    this.#options = options;
  }

  get(position: number): T | undefined {
    return this.#items.get(position);
  }

  /** The host was asked for this position and does not have it. */
  isAbsent(position: number): boolean {
    return this.#absent.has(position);
  }

  entries(): IterableIterator<[number, T]> {
    return this.#items.entries();
  }

  put(position: number, item: T): void {
    this.#items.set(position, item);
    this.#absent.delete(position);
  }

  clear(): void {
    this.#generation++;
    this.#items.clear();
    this.#pending.clear();
    this.#stale.clear();
    this.#absent.clear();
  }

  /** Everything known may have changed. */
  invalidate(): void {
    for (const position of this.#items.keys()) this.#stale.add(this.#pageOf(position));
    this.#absent.clear();
    this.need(...this.#window);
  }

  /** What is known of this position may have changed. */
  invalidateAt(position: number): void {
    this.#stale.add(this.#pageOf(position));
    this.#absent.delete(position);
  }

  /** Forgets positions below `first`: they left the capture. */
  dropBelow(first: number): void {
    for (const position of this.#items.keys()) if (position < first) this.#items.delete(position);
  }

  /** The half-open range on screen: asks for what is missing or stale in it. */
  need(start: number, end: number): void {
    this.#window = [start, end];
    const size = this.#options.pageSize;
    for (let page = this.#pageOf(start); page * size < end; page++) {
      if (this.#pending.has(page)) continue;
      const from = Math.max(start, page * size);
      const to = Math.min(end, (page + 1) * size);
      if (this.#stale.has(page) || this.#misses(from, to)) this.#fetch(page, from, to);
    }
    if (this.#items.size > MAX_KEPT) this.#trim(start, end);
  }

  #misses(from: number, to: number): boolean {
    for (let position = from; position < to; position++)
      if (!this.#items.has(position) && !this.#absent.has(position)) return true;
    return false;
  }

  /** `from` and `to`: the part of the page that exists as far as we know; beyond it items may come at any time. */
  #fetch(page: number, from: number, to: number): void {
    const { pageSize, fetch, changed } = this.#options;
    const generation = this.#generation;
    this.#pending.add(page);
    this.#stale.delete(page);
    const start = page * pageSize;
    fetch(start, pageSize).then(
      (result) => {
        if (generation !== this.#generation) return;
        this.#pending.delete(page);
        for (let position = from; position < to; position++) if (!this.#items.has(position)) this.#absent.add(position);
        result.items.forEach((item, index) => {
          this.put(result.position + index, item);
        });
        changed();
      },
      () => {
        // The link was lost or the exchange is gone: whoever owns the pages learns of it otherwise, and starts anew.
        if (generation === this.#generation) this.#pending.delete(page);
      },
    );
  }

  #trim(start: number, end: number): void {
    const keep = MAX_KEPT / 4;
    for (const position of this.#items.keys())
      if (position < start - keep || position > end + keep) this.#items.delete(position);
  }

  #pageOf(position: number): number {
    return Math.floor(position / this.#options.pageSize);
  }
}
