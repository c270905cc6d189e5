import { html, nothing, type TemplateResult } from "lit";
import "./virtual-list.ts";
import { PortlightElement } from "./element.ts";
import { formatCount, formatDuration } from "./format.ts";
import { moved, plain } from "./keys.ts";
import type { Row } from "./list-model.ts";
import type { Observable } from "./observable.ts";
import { icon } from "./parts.ts";
import { describe, durationOf, nameOf, protocolName, sizeOf, statusOf } from "./row-text.ts";
import type { Store } from "./store.ts";
import { styles } from "./styles.ts";
import type { ListRange, VirtualList } from "./virtual-list.ts";
import { visibleText } from "./visible.ts";

const ROW_HEIGHT = 22;
/** Durations of open exchanges are drawn anew this often. */
const TICK_MS = 1000;
/** A bar narrower than this cannot be seen. */
const MIN_BAR_PERCENT = 1.5;

const COLUMNS = ["Protocol", "Name", "Status", "Messages", "Size", "Duration", "Waterfall"] as const;

/** The list of exchanges: an ARIA grid whose rows take the focus. */
export class ExchangeList extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;
  #follow = true;
  #active: number | undefined;
  /** A row that is to be opened; it may not be here yet. */
  #wanted: number | undefined;
  #range: readonly [number, number] = [0, 0];
  /** End of the list when it ceased to follow: what came since is the N of "Jump to newest (N)". */
  #seenEnd = 0;
  #atEnd = false;
  #timer: number | undefined;

  protected override observed(): readonly Observable[] {
    return [this.store.list, this.store.exchange];
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#timer = window.setInterval(() => {
      if (this.#rows().some((row) => row.state === "open")) this.requestUpdate();
    }, TICK_MS);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#timer);
  }

  /** Moves the focus to the active row. */
  async focusActive(): Promise<void> {
    const position = this.#tabStop();
    await this.#list()?.focusRow(position);
  }

  protected override updated(): void {
    const row = this.#wanted === undefined ? undefined : this.store.list.row(this.#wanted);
    if (row === undefined) return;
    this.#wanted = undefined;
    this.store.open(row.id);
  }

  protected override render(): TemplateResult {
    const { list } = this.store;
    const { first, end } = list.state;
    const unseen = this.#follow ? 0 : Math.max(0, end - Math.max(this.#seenEnd, first));
    const bars = this.#waterfall();
    return html`<div
      class="grid"
      role="grid"
      aria-label="Exchanges"
      aria-rowcount=${end - first + 1}
      aria-colcount=${COLUMNS.length}
      @keydown=${(event: KeyboardEvent) => this.#key(event)}
    >
      <div class="exchange head" role="row" aria-rowindex="1">
        ${COLUMNS.map((name) => html`<span class="cell cell-${name.toLowerCase()}" role="columnheader">${name}</span>`)}
      </div>
      <pl-virtual-list
        role="presentation"
        .first=${first}
        .end=${end}
        .rowHeight=${ROW_HEIGHT}
        .follow=${this.#follow}
        .active=${this.#tabStop()}
        .renderRow=${(position: number) => this.#row(position, bars)}
        @list-range=${(event: CustomEvent<ListRange>) => this.#ranged(event.detail)}
        @list-follow=${(event: CustomEvent<{ follow: boolean }>) => this.#followed(event.detail.follow)}
      ></pl-virtual-list>
      ${
        this.#follow || this.#atEnd
          ? nothing
          : html`<button type="button" class="jump" @click=${() => this.#jump()}>
              ${icon("arrow-down")} Jump to newest${unseen > 0 ? ` (${formatCount(unseen)})` : ""}
            </button>`
      }
    </div>`;
  }

  #row(position: number, bars: Waterfall): TemplateResult {
    const row = this.store.list.row(position);
    const index = position - this.store.list.state.first + 2;
    const tabStop = position === this.#tabStop() ? 0 : -1;
    const now = this.store.clock.now();
    const selected = row !== undefined && row.id === this.store.exchange.id;
    // One element from the placeholder on: the row that has the focus must not be replaced when its content comes.
    return html`<div
      class="exchange ${selected ? "selected" : ""}"
      role="row"
      aria-rowindex=${index}
      aria-selected=${selected}
      aria-label=${row === undefined ? "Loading" : describe(row, now)}
      tabindex=${tabStop}
      data-id=${row?.id ?? nothing}
      @click=${() => this.#open(position)}
      @dblclick=${() => this.#enter(position)}
    >
      ${row === undefined ? html`<span class="cell cell-name placeholder" role="gridcell">…</span>` : cells(row, now, bars(row))}
    </div>`;
  }

  /** Bars relative to the time span of the rows in sight; one that is still open does not stretch it, but runs to its end. */
  #waterfall(): Waterfall {
    const now = this.store.clock.now();
    let from = Infinity;
    let to = -Infinity;
    for (const row of this.#rows()) {
      from = Math.min(from, row.startedAt);
      to = Math.max(to, row.endedAt ?? row.lastActivityAt);
    }
    const span = Math.max(1, to - from);
    return (row) => {
      const left = Math.min(100 - MIN_BAR_PERCENT, ((row.startedAt - from) / span) * 100);
      const width = Math.min(100 - left, Math.max(MIN_BAR_PERCENT, (durationOf(row, now) / span) * 100));
      return { left: `${left.toFixed(2)}%`, width: `${width.toFixed(2)}%` };
    };
  }

  #rows(): Row[] {
    const rows: Row[] = [];
    for (let position = this.#range[0]; position < this.#range[1]; position++) {
      const row = this.store.list.row(position);
      if (row !== undefined) rows.push(row);
    }
    return rows;
  }

  #list(): VirtualList | null {
    return this.querySelector<VirtualList>("pl-virtual-list");
  }

  #tabStop(): number {
    const { first, end } = this.store.list.state;
    const wanted = this.#active ?? (this.#follow ? end - 1 : this.#range[0]);
    return Math.min(end - 1, Math.max(first, wanted));
  }

  #ranged({ start, end, atEnd }: ListRange): void {
    this.#atEnd = atEnd;
    if (atEnd) this.#seenEnd = this.store.list.state.end;
    this.#range = [start, end];
    this.store.list.need(start, end);
    this.requestUpdate();
  }

  #followed(follow: boolean): void {
    if (!follow && this.#follow) this.#seenEnd = this.store.list.state.end;
    this.#follow = follow;
    this.requestUpdate();
  }

  #jump(): void {
    this.#active = undefined;
    this.#followed(true);
  }

  #open(position: number): void {
    this.#followed(false);
    this.#active = position;
    const row = this.store.list.row(position);
    if (row === undefined) this.#wanted = position;
    else this.store.open(row.id);
    this.requestUpdate();
  }

  #enter(position: number): void {
    this.#open(position);
    this.dispatchEvent(new CustomEvent("enter-detail", { bubbles: true }));
  }

  #key(event: KeyboardEvent): void {
    if (!plain(event)) return;
    const list = this.#list();
    const { first, end } = this.store.list.state;
    if (list === null || end === first) return;
    const at = this.#tabStop();
    const next = moved(event.key, at, { first, end, page: list.pageRows });
    if (next !== undefined) {
      event.preventDefault();
      this.#followed(false);
      this.#active = next;
      // While a detail is open it shows the row one walks over, as in a file explorer.
      if (this.store.exchange.id !== undefined) this.#open(next);
      this.requestUpdate();
      void this.updateComplete.then(() => list.focusRow(next));
    } else if (event.key === "Enter" || event.key === "ArrowRight") {
      event.preventDefault();
      this.#enter(at);
    } else if (event.key === " ") {
      event.preventDefault();
      this.#open(at);
    } else if (event.key === "Escape" && this.store.exchange.id !== undefined) {
      event.preventDefault();
      this.store.open(undefined);
    }
  }
}

interface Bar {
  readonly left: string;
  readonly width: string;
}

type Waterfall = (row: Row) => Bar;

function cells(row: Row, now: number, bar: Bar): TemplateResult {
  const name = nameOf(row);
  const status = statusOf(row);
  const failure = row.failure === undefined ? status.text : visibleText(row.failure.message);
  return html`<span class="cell cell-protocol" role="gridcell"
      ><span class="badge badge-${row.protocol}">${protocolName(row.protocol)}</span></span
    >
    <span class="cell cell-name" role="gridcell" title=${name.full}
      ><span class="name-main">${name.main}</span><span class="name-rest">${name.rest}</span></span
    >
    <span class="cell cell-status tone-${status.tone}" role="gridcell" title=${failure}
      >${icon(status.icon, status.icon === "sync")}<span class="status-text">${status.text}</span></span
    >
    <span class="cell cell-messages" role="gridcell" title="messages from the visitor → ← from the service"
      ><span>${formatCount(row.visitorMessages)}→</span><span>←${formatCount(row.serviceMessages)}</span></span
    >
    <span class="cell cell-size" role="gridcell" title=${row.incomplete ? "Part of it is not in the capture" : nothing}
      >${row.incomplete ? "~" : ""}${sizeOf(row)}</span
    >
    <span class="cell cell-duration" role="gridcell">${formatDuration(durationOf(row, now))}</span>
    <span class="cell cell-waterfall" role="gridcell"
      ><span class="bar bar-${status.tone}" ${styles({ ...bar })}></span
    ></span>`;
}

customElements.define("pl-exchange-list", ExchangeList);
