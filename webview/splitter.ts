import { html, type TemplateResult } from "lit";
import { PortlightElement } from "./element.ts";
import type { Store } from "./store.ts";

const STEP = 0.02;

/** The bar between list and detail: dragged, or moved with the arrow keys (ARIA window splitter). */
export class Splitter extends PortlightElement {
  static override properties = { store: { attribute: false }, split: { type: Number } };

  declare store: Store;
  declare split: number;

  constructor() {
    super();
    this.split = 0.4;
  }

  protected override render(): TemplateResult {
    return html`<div
      class="splitter"
      role="separator"
      tabindex="0"
      aria-orientation="vertical"
      aria-label="Width of the list"
      aria-valuenow=${Math.round(this.split * 100)}
      aria-valuemin="15"
      aria-valuemax="85"
      @pointerdown=${(event: PointerEvent) => {
        event.preventDefault();
        (event.currentTarget as Element).setPointerCapture(event.pointerId);
      }}
      @pointermove=${(event: PointerEvent) => this.#dragged(event)}
      @dblclick=${() => this.store.setSplit(0.4)}
      @keydown=${(event: KeyboardEvent) => this.#key(event)}
    ></div>`;
  }

  #dragged(event: PointerEvent): void {
    if (!(event.currentTarget as Element).hasPointerCapture(event.pointerId)) return;
    const panes = this.parentElement?.getBoundingClientRect();
    if (panes !== undefined && panes.width > 0) this.store.setSplit((event.clientX - panes.left) / panes.width);
  }

  #key(event: KeyboardEvent): void {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP, Home: -1, End: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.store.setSplit(this.split + step);
  }
}

customElements.define("pl-splitter", Splitter);
