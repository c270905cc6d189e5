import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { PortlightElement } from "./element.ts";
import { formatCount } from "./format.ts";
import { jsonTokens } from "./json-text.ts";
import { visibleLines } from "./visible.ts";

/** Characters laid out at once: beyond some hundred thousand a browser lays out slowly. */
const STEP = 50_000;

/** Text of any length, as text, a part at a time. */
export class TextView extends PortlightElement {
  static override properties = { text: {}, json: { type: Boolean }, label: {} };

  declare text: string;
  declare json: boolean;
  declare label: string;
  #shown = STEP;

  constructor() {
    super();
    this.text = "";
    this.json = false;
    this.label = "Text";
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("text")) this.#shown = STEP;
  }

  protected override render(): TemplateResult {
    const text = this.text.slice(0, this.#shown);
    const rest = this.text.length - text.length;
    return html`<div class="text-view" role="document" tabindex="0" aria-label=${this.label}>
      <pre>${this.json ? jsonTokens(text) : visibleLines(text)}</pre>
      ${
        rest > 0
          ? html`<button type="button" class="secondary" @click=${() => this.#more()}>
              Show more (${formatCount(rest)} characters left)
            </button>`
          : nothing
      }
    </div>`;
  }

  #more(): void {
    this.#shown += STEP * 4;
    this.requestUpdate();
  }
}

customElements.define("pl-text-view", TextView);
