import type { Exchange } from "./exchange.ts";
import { parseFilter } from "./filter.ts";
import type { Filter } from "./filter.ts";
import { PAGE_ITEMS } from "./protocol.ts";
import type { Row, ViewState } from "./protocol.ts";

/**
 * Rows that left the capture while older ones are still there keep their place, as they last were, up to this many; then
 * the view is told anew. An open stream must not make every later row stay for ever.
 */
const MAX_GONE = 256;

interface Entry {
  readonly id: number;
  /** Undefined once it left the capture. */
  exchange: Exchange | undefined;
  /** The last row, for when it is gone. */
  lastRow: Row | undefined;
}

export interface ViewChange {
  readonly state: ViewState;
  readonly changed: readonly { position: number; row: Row }[];
  readonly stale: boolean;
}

/**
 * The exchanges that match a filter, in order of their first match. A position never changes its row; a row that no
 * longer matches (it was `state:open`) stays where it is until the view is opened again.
 */
export class View {
  readonly #filter: Filter;
  #entries: (Entry | undefined)[] = [];
  /** Index in `#entries` of the first entry there. */
  #skipped = 0;
  /** Position of `#entries[0]`. */
  #base = 0;
  #gone = 0;
  readonly #positions = new Map<number, number>();
  /** Looked at once a batch, not for every piece of data that passes. */
  readonly #dirty = new Map<number, Exchange>();
  #stale = false;
  #moved = false;

  /** Throws `FilterError`. */
  constructor(filter: string, exchanges: Iterable<Exchange>) {
    this.#filter = parseFilter(filter);
    for (const exchange of exchanges) this.#consider(exchange);
    this.#moved = false;
  }

  state(total: number): ViewState {
    return { first: this.#base + this.#skipped, end: this.#base + this.#entries.length, total };
  }

  /** Rows from `position` on (or from the first one, when that is later). */
  rows(position: number, count: number): { position: number; rows: readonly Row[] } {
    const first = Math.max(position, this.#base + this.#skipped);
    const rows: Row[] = [];
    for (let at = first; at < this.#base + this.#entries.length && rows.length < Math.min(count, PAGE_ITEMS); at++) {
      const row = rowOf(this.#entries[at - this.#base]);
      if (row === undefined) break;
      rows.push(row);
    }
    return { position: first, rows };
  }

  /** Ids of what matches and is still there. */
  ids(): number[] {
    return this.#entries.flatMap((entry) => (entry?.exchange === undefined ? [] : [entry.id]));
  }

  changed(exchange: Exchange): void {
    this.#dirty.set(exchange.id, exchange);
  }

  removed(exchange: Exchange): void {
    this.#dirty.delete(exchange.id);
    const position = this.#positions.get(exchange.id);
    if (position === undefined) return;
    this.#positions.delete(exchange.id);
    this.#moved = true;
    const entry = this.#entries[position - this.#base];
    if (entry === undefined) return;
    entry.lastRow = exchange.row();
    entry.exchange = undefined;
    this.#gone++;
    this.#trim();
    if (this.#gone > MAX_GONE) this.#renumber();
  }

  /** What happened since the last call; undefined when nothing did. */
  takeChange(total: number): ViewChange | undefined {
    const positions: number[] = [];
    for (const exchange of this.#dirty.values()) {
      const position = this.#positions.get(exchange.id) ?? this.#consider(exchange);
      if (position !== undefined) positions.push(position);
    }
    this.#dirty.clear();
    if (!this.#moved && !this.#stale && positions.length === 0) return undefined;
    const stale = this.#stale || positions.length > PAGE_ITEMS;
    this.#stale = this.#moved = false;
    const changed = stale
      ? []
      : positions.flatMap((position) => {
          const row = rowOf(this.#entries[position - this.#base]);
          return row === undefined ? [] : [{ position, row }];
        });
    return { state: this.state(total), changed, stale };
  }

  /** Gives it a position when it matches. */
  #consider(exchange: Exchange): number | undefined {
    if (!this.#filter(exchange.row())) return undefined;
    const position = this.#base + this.#entries.length;
    this.#positions.set(exchange.id, position);
    this.#entries.push({ id: exchange.id, exchange, lastRow: undefined });
    return position;
  }

  /** Forgets what is gone at the front. */
  #trim(): void {
    for (
      let entry = this.#entries[this.#skipped];
      entry?.exchange === undefined;
      entry = this.#entries[this.#skipped]
    ) {
      if (entry === undefined) break;
      this.#entries[this.#skipped++] = undefined;
      this.#gone--;
    }
    if (this.#skipped < 1024 || this.#skipped * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#skipped);
    this.#base += this.#skipped;
    this.#skipped = 0;
  }

  /** What is still there gets new positions behind all old ones. */
  #renumber(): void {
    this.#base += this.#entries.length;
    this.#entries = this.#entries.filter((entry) => entry?.exchange !== undefined);
    this.#skipped = 0;
    this.#gone = 0;
    this.#entries.forEach((entry, index) => entry !== undefined && this.#positions.set(entry.id, this.#base + index));
    this.#stale = true;
  }
}

function rowOf(entry: Entry | undefined): Row | undefined {
  return entry?.exchange?.row() ?? entry?.lastRow;
}
