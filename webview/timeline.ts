import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import "./virtual-list.ts";
import { PortlightElement } from "./element.ts";
import type { MessageSummary } from "./exchange-model.ts";
import { formatCount, formatDuration, formatSize, formatTime, shortName } from "./format.ts";
import { moved, plain } from "./keys.ts";
import type { Observable } from "./observable.ts";
import { icon } from "./parts.ts";
import type { Store } from "./store.ts";
import type { ListRange, VirtualList } from "./virtual-list.ts";
import { visible, visibleText } from "./visible.ts";

const ROW_HEIGHT = 22;
/** Up to so many messages, the answer is what one wants to see first. */
const FEW = 4;
/** A silence before a message is worth a word from here on (milliseconds). */
const IDLE_MS = 10_000;

const KINDS: Readonly<Partial<Record<MessageSummary["kind"], string>>> = {
  ping: "ping",
  pong: "pong",
  close: "close",
  "end-of-stream": "end of stream",
};

/** The messages of an exchange, both directions in order of time: an ARIA listbox, live. */
export class Timeline extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;
  #follow = false;
  #exchange: number | undefined;
  /** Whether something was selected for the user in this exchange. */
  #chosen = false;
  #seenEnd = 0;
  #atEnd = false;
  #range: readonly [number, number] = [0, 0];

  protected override observed(): readonly Observable[] {
    return [this.store.exchange, this.store.message];
  }

  /** False when there is no message. */
  async focusActive(): Promise<boolean> {
    await this.updateComplete;
    if (this.store.exchange.total === 0) return false;
    await this.#list()?.focusRow(this.#tabStop());
    return true;
  }

  protected override willUpdate(): void {
    const { exchange } = this.store;
    if (exchange.id !== this.#exchange) {
      this.#exchange = exchange.id;
      this.#chosen = this.store.message.index !== undefined;
      this.#follow = exchange.row?.state === "open";
      this.#seenEnd = exchange.total;
      this.#range = [0, 0];
    }
  }

  protected override updated(_changed: PropertyValues<this>): void {
    this.store.exchange.need(...this.#range);
    if (!this.#chosen) this.#choose();
  }

  protected override render(): TemplateResult {
    const { total } = this.store.exchange;
    if (total === 0)
      return html`<p class="quiet timeline-empty">
        No messages${this.store.exchange.row?.state === "open" ? " so far" : ""}.
      </p>`;
    const unseen = Math.max(0, total - this.#seenEnd);
    return html`<pl-virtual-list
        class="timeline"
        role="listbox"
        aria-label="Messages"
        .first=${0}
        .end=${total}
        .rowHeight=${ROW_HEIGHT}
        .follow=${this.#follow}
        .active=${this.#tabStop()}
        .renderRow=${(index: number) => this.#row(index)}
        @list-range=${(event: CustomEvent<ListRange>) => {
          this.#ranged(event.detail);
        }}
        @list-follow=${(event: CustomEvent<{ follow: boolean }>) => this.#followed(event.detail.follow)}
        @keydown=${(event: KeyboardEvent) => this.#key(event)}
      ></pl-virtual-list>
      ${
        this.#follow || this.#atEnd || this.store.exchange.row?.state !== "open"
          ? nothing
          : html`<button type="button" class="jump" @click=${() => this.#followed(true)}>
              ${icon("arrow-down")} Jump to newest${unseen > 0 ? ` (${formatCount(unseen)})` : ""}
            </button>`
      }`;
  }

  #row(index: number): TemplateResult {
    const { exchange, message } = this.store;
    const summary = exchange.message(index);
    const tabStop = index === this.#tabStop() ? 0 : -1;
    const selected = message.index === index;
    const former = index > 0 ? exchange.message(index - 1) : undefined;
    const idle = summary === undefined || former === undefined ? 0 : summary.at - former.at;
    const offset = summary === undefined ? 0 : summary.at - (exchange.row?.startedAt ?? summary.at);
    // One element from the placeholder on: the entry that has the focus must not be replaced when its content comes.
    return html`<div
      class="message from-${summary?.from ?? "nobody"} ${selected ? "selected" : ""}"
      role="option"
      aria-selected=${selected}
      aria-posinset=${index + 1}
      aria-setsize=${exchange.total}
      aria-label=${summary !== undefined ? describe(summary, offset) : exchange.isAbsent(index) ? "no longer in the capture" : "Loading"}
      tabindex=${tabStop}
      @click=${() => this.#select(index)}
      @dblclick=${() => this.#enter()}
    >
      ${summary === undefined ? html`<span class="placeholder">${exchange.isAbsent(index) ? "no longer in the capture" : "…"}</span>` : cells(summary, offset, idle, former?.type === summary.type && former?.from === summary.from)}
    </div>`;
  }

  #list(): VirtualList | null {
    return this.querySelector<VirtualList>("pl-virtual-list");
  }

  #tabStop(): number {
    const { index } = this.store.message;
    const { total } = this.store.exchange;
    const wanted = typeof index === "number" ? index : this.#follow ? total - 1 : this.#range[0];
    return Math.min(total - 1, wanted);
  }

  /** Selects what one most likely wants to see, once it is known. */
  #choose(): void {
    const { exchange, message } = this.store;
    const { row, total } = exchange;
    if (row === undefined) return;
    if (message.index !== undefined) {
      this.#chosen = true;
      return;
    }
    const failed = row.state === "failed" || (row.grpcStatus !== undefined && row.grpcStatus !== 0);
    if (row.state !== "open" && (total === 0 || (failed && row.serviceMessages === 0))) {
      this.#chosen = true;
      message.select("status");
      return;
    }
    if (exchange.isAbsent(0)) this.#chosen = true;
    if (total === 0 || exchange.message(0) === undefined) return;
    this.#chosen = true;
    let index = 0;
    if (total <= FEW && row.state !== "open")
      for (let at = 0; at < total; at++) {
        const summary = exchange.message(at);
        if (summary?.from === "service" && KINDS[summary.kind] === undefined) index = at;
      }
    const focused = this.contains(document.activeElement);
    message.select(index);
    if (focused) void this.focusActive();
  }

  #ranged({ start, end, atEnd }: ListRange): void {
    this.#range = [start, end];
    if (atEnd) this.#seenEnd = this.store.exchange.total;
    if (atEnd !== this.#atEnd) this.requestUpdate();
    this.#atEnd = atEnd;
    this.store.exchange.need(start, end);
  }

  #followed(follow: boolean): void {
    if (!follow && this.#follow) this.#seenEnd = this.store.exchange.total;
    this.#follow = follow;
    this.requestUpdate();
  }

  #select(index: number): void {
    this.#followed(false);
    this.store.message.select(index);
  }

  #enter(): void {
    this.dispatchEvent(new CustomEvent("enter-message", { bubbles: true }));
  }

  #key(event: KeyboardEvent): void {
    const list = this.#list();
    if (list === null || !plain(event)) return;
    const { total } = this.store.exchange;
    const at = this.#tabStop();
    const next = moved(event.key, at, { first: 0, end: total, page: list.pageRows });
    if (event.key === "Enter" || event.key === "ArrowRight") {
      event.preventDefault();
      this.#select(at);
      this.#enter();
    } else if (next !== undefined) {
      event.preventDefault();
      this.#select(next);
      void this.updateComplete.then(() => list.focusRow(next));
    }
  }
}

function directionOf({ from }: MessageSummary): string {
  return from === "visitor" ? "visitor to service" : "service to visitor";
}

function describe(summary: MessageSummary, offset: number): string {
  const type = summary.type === undefined ? undefined : shortName(visibleText(summary.type));
  const size = formatSize(summary.decodedSize ?? summary.size);
  const text = [KINDS[summary.kind], visibleText(summary.preview ?? "")].filter(
    (part) => part !== undefined && part !== "",
  );
  return [directionOf(summary), `+${formatDuration(offset)}`, type, stateText(summary), size, text.join(" ")]
    .filter((part) => part !== undefined && part !== "")
    .join(", ");
}

/** `repeated`: of the same type as the one above it, which need not be said again. */
function cells(summary: MessageSummary, offset: number, idle: number, repeated: boolean): TemplateResult {
  const type = summary.type === undefined ? "" : shortName(visibleText(summary.type));
  return html`<span class="message-direction" title=${directionOf(summary)}
      >${icon(summary.from === "visitor" ? "arrow-right" : "arrow-left")}</span
    >
    <span class="message-text"
      >${type === "" || repeated ? nothing : html`<span class="message-type" title=${visibleText(summary.type ?? "")}>${type}</span>`}${marks(summary)}${kindMark(summary)}<span
        class=${summary.preview === undefined ? "quiet" : ""}
        >${visible(summary.preview ?? KINDS[summary.kind] ?? "")}</span
      ></span
    >
    ${idle >= IDLE_MS ? html`<span class="message-idle" title="nothing passed for so long">idle ${formatDuration(idle)}</span>` : nothing}
    <span class="message-size" title=${visibleText(sizeText(summary))}
      >${formatSize(summary.decodedSize ?? summary.size)}</span
    >
    <span class="message-time" title=${formatTime(summary.at)}>+${formatDuration(offset)}</span>`;
}

/** A close or ping frame with a payload says so: alone it would look like a message of the application. */
function kindMark({ kind, preview }: MessageSummary): TemplateResult | typeof nothing {
  const name = KINDS[kind];
  return name === undefined || preview === undefined ? nothing : html`<span class="message-kind">${name}</span>`;
}

/** Marks before the preview: what is not as it should be, each with its word. */
function marks(summary: MessageSummary): TemplateResult | typeof nothing {
  const state = stateText(summary);
  if (state === undefined && summary.problem === undefined) return nothing;
  const name = summary.problem !== undefined ? "warning" : summary.state === "growing" ? "ellipsis" : "info";
  return html`<span class="message-mark" title=${visibleText(summary.problem ?? state ?? "")}
    >${icon(name)}${MARKS[summary.state] ?? (summary.problem === undefined ? "" : "problem")}</span
  >`;
}

const MARKS: Readonly<Partial<Record<MessageSummary["state"], string>>> = {
  growing: "growing",
  capped: "cut",
  dropped: "dropped",
  partial: "broken off",
};

/** Why a message is not whole, in a sentence. */
export function stateText({ state }: MessageSummary): string | undefined {
  return {
    growing: "still growing",
    complete: undefined,
    capped: "only its first part was captured: it is larger than the capture keeps of one message",
    dropped: "its bytes left the capture to make room for newer ones",
    partial: "the exchange ended in the middle of it",
  }[state];
}

export function sizeText({ size, decodedSize, compression }: MessageSummary): string {
  const wire = `${formatCount(size)} bytes`;
  if (compression === undefined) return wire;
  return `${compression}: ${wire} on the wire${decodedSize === undefined ? "" : `, ${formatCount(decodedSize)} bytes after decompression`}`;
}

customElements.define("pl-timeline", Timeline);
