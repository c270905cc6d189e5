import { Clock } from "./clock.ts";
import { messageOf, type Host } from "./host.ts";
import { Observable } from "./observable.ts";
import { Pages } from "./pages.ts";
import type { InspectorNotifications, InspectorRequests } from "./protocol.ts";

type ViewState = InspectorRequests["view/open"]["result"];
export type Row = InspectorRequests["view/rows"]["result"]["rows"][number];

const PAGE_ROWS = 100;

/** The live, filtered list of exchanges, by position. */
export class ListModel extends Observable {
  state: ViewState = { first: 0, end: 0, total: 0 };
  /** The filter in force; what the user is typing lives in the filter box. */
  filter = "";
  /** What is wrong with the filter that was tried last, in the host's words. */
  filterError: string | undefined;
  loaded = false;
  readonly clock: Clock;
  readonly #host: Host;
  readonly #rows: Pages<Row>;
  /** Views are named by us; a page beside this one on the same connection must not take the same name. */
  readonly #prefix = `list-${crypto.getRandomValues(new Uint32Array(1))[0]?.toString(36) ?? ""}`;
  /** The positions in sight, as the list last said. */
  #sight: readonly [start: number, end: number] = [0, 0];
  #opened = 0;
  #view: string | undefined;

  constructor(host: Host, clock: Clock) {
    super();
    this.#host = host;
    this.clock = clock;
    this.#rows = new Pages<Row>({
      pageSize: PAGE_ROWS,
      fetch: async (position, count) => {
        const result = await host.request("view/rows", { view: this.#view ?? "", position, count });
        return { position: result.position, items: result.rows };
      },
      changed: () => this.changed(),
    });
    host.on("view/changed", (params) => this.#changed(params));
  }

  /** Name of the open view, for an export of what it shows. */
  get view(): string | undefined {
    return this.#view;
  }

  row(position: number): Row | undefined {
    return this.#rows.get(position);
  }

  /** Position of a known row. */
  positionOf(id: number): number | undefined {
    for (const [position, row] of this.#rows.entries()) if (row.id === id) return position;
    return undefined;
  }

  need(start: number, end: number): void {
    this.#sight = [start, end];
    this.#rows.need(Math.max(start, this.state.first), Math.min(end, this.state.end));
  }

  /**
   * Each filter is a view of its own, so that a change told for the former one cannot be taken for one of this. A filter
   * that the host refuses leaves the list as it is.
   */
  async open(filter: string): Promise<void> {
    const former = this.#view;
    const view = `${this.#prefix}-${++this.#opened}`;
    try {
      const state = await this.#host.request("view/open", { view, filter });
      if (view !== `${this.#prefix}-${this.#opened}`) {
        await this.#host.request("view/close", { view });
        return;
      }
      this.#view = view;
      this.#rows.clear();
      this.state = state;
      this.filter = filter;
      this.filterError = undefined;
      this.loaded = true;
      // The list speaks up only when other positions come into sight; these may be the same ones, with other rows.
      this.need(...this.#sight);
      this.changed();
      if (former !== undefined) await this.#host.request("view/close", { view: former });
    } catch (error) {
      if (this.#host.link !== "open") return;
      this.filterError = messageOf(error);
      this.changed();
    }
  }

  /** After a lost link: the other end knows no view of ours any more. */
  async reopen(): Promise<void> {
    this.#view = undefined;
    await this.open(this.filter);
  }

  #changed(params: InspectorNotifications["view/changed"]): void {
    if (params.view !== this.#view) return;
    if (params.state.first > this.state.first) this.#rows.dropBelow(params.state.first);
    this.state = params.state;
    for (const { position, row } of params.changed) {
      this.#rows.put(position, row);
      this.clock.observe(row.lastActivityAt);
    }
    if (params.stale) this.#rows.invalidate();
    this.changed();
  }
}
