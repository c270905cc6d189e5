import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { PortlightElement } from "./element.ts";
import { styles } from "./styles.ts";

/** Rows kept above and below the window, so that a short scroll shows no gap. */
const OVERSCAN = 8;
/** Firefox lays out at most about 17.9 million pixels, Chromium 33.5: above this, scrolling is proportional. */
const MAX_HEIGHT = 10_000_000;

/** Detail of `list-range`: positions in sight, half open. */
export interface ListRange {
  readonly start: number;
  readonly end: number;
  readonly atEnd: boolean;
}

/**
 * A list of rows of one height, of which only those in sight exist. Positions run from `first` to `end`; the list stays
 * where it is when rows leave at the front, and with `follow` at its newest row when rows come at the back.
 *
 * Events: `list-range` {start, end, atEnd} when other rows are in sight (`atEnd`: the newest is among them); `list-follow` {follow} when the user scrolled away
 * from the end or back to it.
 */
export class VirtualList extends PortlightElement {
  static override properties = {
    first: { type: Number },
    end: { type: Number },
    rowHeight: { type: Number },
    follow: { type: Boolean },
    active: { type: Number },
    renderRow: { attribute: false },
  };

  declare first: number;
  declare end: number;
  /** CSS pixels. */
  declare rowHeight: number;
  declare follow: boolean;
  /** The row with the focus is kept even out of sight: a focused element that vanishes takes the focus with it. */
  declare active: number | undefined;
  declare renderRow: (position: number) => TemplateResult | typeof nothing;

  #scrollTop = 0;
  #viewport = 0;
  /** Where we scrolled to ourselves: the event that follows is not the user's. */
  #placed = -1;
  #range: readonly [number, number] = [0, 0];
  #atEnd = false;
  #focused: string | undefined;
  readonly #resize = new ResizeObserver(() => {
    this.#viewport = this.clientHeight;
    this.requestUpdate();
  });

  constructor() {
    super();
    this.first = 0;
    this.end = 0;
    this.rowHeight = 22;
    this.follow = false;
    this.active = undefined;
    this.renderRow = () => nothing;
    this.addEventListener("scroll", () => this.#scrolled(), { passive: true });
  }

  /** Whole rows in sight, at least one: what a page key moves by. */
  get pageRows(): number {
    return Math.max(1, Math.floor(this.#viewport / this.rowHeight) - 1);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#resize.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
  }

  /** Scrolls just so far that the row is whole in sight. */
  scrollToPosition(position: number): void {
    const top = (position - this.first) * this.rowHeight;
    const offset = this.#scrollTop * this.#ratio();
    if (top < offset) this.#place(top / this.#ratio());
    else if (top + this.rowHeight > offset + this.#viewport)
      this.#place((top + this.rowHeight - this.#viewport) / this.#ratio());
  }

  /** Moves the focus to the row's element, once it is there. */
  async focusRow(position: number): Promise<void> {
    this.scrollToPosition(position);
    await this.updateComplete;
    this.querySelector<HTMLElement>(`[data-position="${position}"] > *`)?.focus({ preventScroll: true });
  }

  protected override willUpdate(): void {
    const row = this.contains(document.activeElement)
      ? document.activeElement?.closest<HTMLElement>(".list-row")
      : null;
    this.#focused = row?.dataset["position"];
  }

  protected override updated(changed: PropertyValues<this>): void {
    // `repeat` may have moved the row's element within the document, which takes the focus from it.
    if (this.#focused !== undefined && !this.contains(document.activeElement))
      this.querySelector<HTMLElement>(`[data-position="${this.#focused}"] > *`)?.focus({ preventScroll: true });
    // A scroll event that is still on its way belongs to the time before.
    if (changed.has("follow")) this.#scrollTop = this.scrollTop;
    if (this.follow) {
      const end = this.scrollHeight - this.clientHeight;
      if (Math.abs(this.scrollTop - end) > 1) this.#place(end);
    } else if (changed.has("first") && typeof changed.get("first") === "number") {
      const gone = (this.first - (changed.get("first") ?? 0)) * this.rowHeight;
      if (gone > 0 && this.#scrollTop > 0) this.#place(Math.max(0, this.#scrollTop - gone / this.#ratio()));
    }
    const [start, end] = this.#window();
    const below = (this.end - this.first) * this.rowHeight - this.#scrollTop * this.#ratio() - this.#viewport;
    const atEnd = below < this.rowHeight / 2;
    const moved = start !== this.#range[0] || end !== this.#range[1] || atEnd !== this.#atEnd;
    if (moved || changed.has("first") || changed.has("end")) {
      this.#range = [start, end];
      this.#atEnd = atEnd;
      this.dispatchEvent(new CustomEvent<ListRange>("list-range", { detail: { start, end, atEnd } }));
    }
  }

  protected override render(): TemplateResult {
    const [start, end] = this.#window();
    const positions: number[] = [];
    const { active } = this;
    if (active !== undefined && active >= this.first && active < start) positions.push(active);
    for (let position = start; position < end; position++) positions.push(position);
    if (active !== undefined && active < this.end && active >= end) positions.push(active);
    const height = Math.min((this.end - this.first) * this.rowHeight, MAX_HEIGHT);
    const shift = this.#scrollTop - this.#scrollTop * this.#ratio();
    const top = (position: number): number =>
      Math.min(Math.max(0, (position - this.first) * this.rowHeight + shift), Math.max(0, height - this.rowHeight));
    return html`<div class="list-space" role="presentation" ${styles({ height: `${height}px` })}>
      ${repeat(
        positions,
        (position) => position,
        (position) =>
          html`<div
            class="list-row"
            role="presentation"
            data-position=${position}
            ${styles({ top: `${top(position)}px`, height: `${this.rowHeight}px` })}
          >
            ${this.renderRow(position)}
          </div>`,
      )}
    </div>`;
  }

  #ratio(): number {
    const total = (this.end - this.first) * this.rowHeight;
    if (total <= MAX_HEIGHT) return 1;
    return (total - this.#viewport) / (MAX_HEIGHT - this.#viewport);
  }

  #window(): readonly [number, number] {
    const offset = this.#scrollTop * this.#ratio();
    const start = this.first + Math.floor(offset / this.rowHeight) - OVERSCAN;
    const count = Math.ceil(this.#viewport / this.rowHeight) + 1 + 2 * OVERSCAN;
    const from = Math.max(this.first, Math.min(start, this.end - count));
    return [from, Math.max(from, Math.min(this.end, start + count))];
  }

  #place(top: number): void {
    this.scrollTop = top;
    this.#scrollTop = this.scrollTop;
    this.#placed = this.#scrollTop;
    this.requestUpdate();
  }

  /** The direction tells the user's scrolling from a browser's that keeps a scroll position within a list whose height changed. */
  #scrolled(): void {
    const former = this.#scrollTop;
    this.#scrollTop = this.scrollTop;
    if (this.#scrollTop !== this.#placed) {
      const atEnd = this.scrollTop + this.clientHeight >= this.scrollHeight - this.rowHeight / 2;
      if (this.follow ? !atEnd && this.#scrollTop < former : atEnd && this.#scrollTop > former)
        this.dispatchEvent(new CustomEvent("list-follow", { detail: { follow: !this.follow } }));
    }
    this.#placed = -1;
    this.requestUpdate();
  }
}

customElements.define("pl-virtual-list", VirtualList);
