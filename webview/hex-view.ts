import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import "./virtual-list.ts";
import { fromBase64 } from "./base64.ts";
import { PortlightElement } from "./element.ts";
import { moved, plain } from "./keys.ts";
import { Pages } from "./pages.ts";
import type { Store } from "./store.ts";
import type { ListRange, VirtualList } from "./virtual-list.ts";

const LINE_HEIGHT = 18;
/** Octets asked for at once. */
const CHUNK = 16 * 1024;
/** Widths (CSS pixels) from which a line has 16 octets. */
const WIDE = 520;

/** The octets of a message, 16 (or 8) a line, asked for in chunks as they come into sight. */
export class HexView extends PortlightElement {
  static override properties = {
    store: { attribute: false },
    exchange: { type: Number },
    index: { type: Number },
    decompressed: { type: Boolean },
    revision: {},
    highlight: { attribute: false },
  };

  declare store: Store;
  declare exchange: number;
  declare index: number;
  declare decompressed: boolean;
  /** Changes when the message grew. */
  declare revision: string;
  declare highlight: { readonly offset: number; readonly length: number } | undefined;
  #total = 0;
  #loaded = false;
  #missing = false;
  #perLine = 16;
  #active = 0;
  readonly #chunks = new Pages<Uint8Array>({
    pageSize: 1,
    fetch: async (chunk) => {
      const result = await this.store.host.request("message/bytes", {
        id: this.exchange,
        index: this.index,
        offset: chunk * CHUNK,
        count: CHUNK,
        decompressed: this.decompressed,
      });
      this.#loaded = true;
      this.#missing = result === null;
      if (result === null) return { position: chunk, items: [] };
      this.#total = result.total;
      return { position: chunk, items: [fromBase64(result.base64)] };
    },
    changed: () => this.requestUpdate(),
  });
  readonly #resize = new ResizeObserver(() => {
    const perLine = this.clientWidth >= WIDE ? 16 : 8;
    if (perLine === this.#perLine) return;
    this.#perLine = perLine;
    this.requestUpdate();
  });

  constructor() {
    super();
    this.exchange = 0;
    this.index = 0;
    this.decompressed = false;
    this.revision = "";
    this.highlight = undefined;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#resize.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("exchange") || changed.has("index") || changed.has("decompressed")) {
      this.#chunks.clear();
      this.#total = 0;
      this.#loaded = false;
      this.#active = 0;
      this.#chunks.need(0, 1);
    } else if (changed.has("revision")) {
      this.#chunks.invalidate();
      this.#chunks.need(0, 1);
    }
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.has("highlight") && this.highlight !== undefined)
      this.querySelector<VirtualList>("pl-virtual-list")?.scrollToPosition(
        Math.floor(this.highlight.offset / this.#perLine),
      );
  }

  protected override render(): TemplateResult {
    if (this.#missing) return html`<p class="quiet">The bytes of this message are not in the capture.</p>`;
    if (!this.#loaded) return html`<p class="quiet">Loading…</p>`;
    if (this.#total === 0) return html`<p class="quiet">Empty: 0 bytes.</p>`;
    return html`<pl-virtual-list
      class="hex"
      role="listbox"
      aria-label="Bytes in hexadecimal"
      .first=${0}
      .end=${Math.ceil(this.#total / this.#perLine)}
      .rowHeight=${LINE_HEIGHT}
      .active=${this.#active}
      .renderRow=${(line: number) => this.#line(line)}
      @list-range=${(event: CustomEvent<ListRange>) => {
        const { start, end } = event.detail;
        this.#chunks.need(
          Math.floor((start * this.#perLine) / CHUNK),
          Math.ceil(Math.min(end * this.#perLine, this.#total) / CHUNK),
        );
      }}
      @keydown=${(event: KeyboardEvent) => this.#key(event)}
    ></pl-virtual-list>`;
  }

  #line(line: number): TemplateResult {
    const offset = line * this.#perLine;
    const chunk = this.#chunks.get(Math.floor(offset / CHUNK));
    const octets = chunk?.subarray(offset % CHUNK, (offset % CHUNK) + this.#perLine) ?? new Uint8Array();
    return html`<div class="hex-line" role="option" aria-selected="false" tabindex=${line === this.#active ? 0 : -1}>
      <span class="hex-offset">${offset.toString(16).padStart(8, "0")}</span>
      <span class="hex-octets"
        >${this.#cells(octets, offset, (octet) => octet.toString(16).padStart(2, "0"), this.#perLine)}</span
      >
      <span class="hex-text" aria-hidden="true"
        >${this.#cells(octets, offset, (octet) => (octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : "·"), 0)}</span
      >
    </div>`;
  }

  /** Octets as text, in at most three runs: before, in and after the highlighted range. `pad`: cells of a full line. */
  #cells(octets: Uint8Array, offset: number, text: (octet: number) => string, pad: number): TemplateResult {
    const from = Math.min(Math.max(0, (this.highlight?.offset ?? 0) - offset), octets.length);
    const to = Math.min(
      Math.max(from, (this.highlight?.offset ?? 0) + (this.highlight?.length ?? 0) - offset),
      octets.length,
    );
    const run = (start: number, end: number): string => {
      let result = "";
      for (let index = start; index < end; index++) {
        result += text(octets[index] ?? 0);
        if (pad > 0) result += index % 8 === 7 ? "  " : " ";
      }
      return result;
    };
    return html`${run(0, from)}${to > from ? html`<mark>${run(from, to)}</mark>` : nothing}${run(to, octets.length)}${
      pad > 0 ? "   ".repeat(pad - octets.length) : nothing
    }`;
  }

  #key(event: KeyboardEvent): void {
    const list = this.querySelector<VirtualList>("pl-virtual-list");
    if (list === null || !plain(event)) return;
    const next = moved(event.key, this.#active, {
      first: 0,
      end: Math.ceil(this.#total / this.#perLine),
      page: list.pageRows,
    });
    if (next === undefined) return;
    event.preventDefault();
    this.#active = next;
    this.requestUpdate();
    void this.updateComplete.then(() => list.focusRow(next));
  }
}

customElements.define("pl-hex-view", HexView);
