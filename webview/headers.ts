import { html, nothing, type TemplateResult } from "lit";
import { fromBase64 } from "./base64.ts";
import { PortlightElement } from "./element.ts";
import type { Head } from "./exchange-model.ts";
import { formatTime } from "./format.ts";
import type { Observable } from "./observable.ts";
import { icon, iconButton } from "./parts.ts";
import type { Store } from "./store.ts";
import { visible, visibleText } from "./visible.ts";

type Field = Head["fields"][number];

const TITLES: Readonly<Record<Head["kind"], string>> = {
  request: "Request",
  interim: "Interim response",
  response: "Response",
  requestTrailers: "Request trailers",
  responseTrailers: "Response trailers",
};

/** All heads and trailers of an exchange, in the order in which they passed. Secrets are masked until asked for. */
export class Headers extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;

  protected override observed(): readonly Observable[] {
    return [this.store.exchange];
  }

  protected override render(): TemplateResult {
    const { heads, row } = this.store.exchange.detail ?? {};
    if (heads === undefined || heads.length === 0)
      return html`<p class="quiet">
        ${row?.protocol === "tcp" ? "A TCP connection has no headers." : "No headers so far."}
      </p>`;
    return html`<div class="headers">${heads.map((head, index) => this.#head(head, index))}</div>`;
  }

  #head(head: Head, index: number): TemplateResult {
    const title = TITLES[head.kind];
    return html`<section>
      <h3>
        ${title} <span class="quiet">${formatTime(head.at)}</span>
        ${iconButton({
          icon: "copy",
          label: `Copy ${title.toLowerCase()} headers`,
          run: () =>
            void this.store.copy(
              head.fields.map((field, at) => `${field.name}: ${this.#value(field, index, at)}`).join("\n"),
              `${title.toLowerCase()} headers`,
            ),
        })}
      </h3>
      ${head.fields.length === 0 ? html`<p class="quiet">none</p>` : nothing}
      <table aria-label=${title}>
        <tbody>
          ${head.fields.map((field, at) => this.#field(field, index, at))}
        </tbody>
      </table>
    </section>`;
  }

  #field(field: Field, head: number, index: number): TemplateResult {
    const value = this.#value(field, head, index);
    const shown = this.store.exchange.revealed(head, index) !== undefined;
    const name = visibleText(field.name);
    return html`<tr class=${field.name.startsWith(":") ? "pseudo" : ""}>
      <th scope="row">${name}</th>
      <td>
        <span class="value">${visible(value)}</span>${field.binary === undefined ? nothing : binary(field.binary)}
      </td>
      <td class="actions">
        ${
          field.secret
            ? iconButton({
                icon: shown ? "eye-closed" : "eye",
                label: `${shown ? "Hide" : "Reveal"} ${name}`,
                pressed: shown,
                run: () => void this.store.attempt(() => this.store.exchange.toggleSecret(head, index)),
              })
            : nothing
        }
        ${iconButton({ icon: "copy", label: `Copy value of ${name}`, run: () => void this.store.copy(value, `value of ${name}`) })}
      </td>
    </tr>`;
  }

  #value(field: Field, head: number, index: number): string {
    return this.store.exchange.revealed(head, index) ?? field.value;
  }
}

/** Octets shown at most: a `-bin` field may be as large as a whole head. */
const BINARY_SHOWN = 96;

/** The octets of `-bin` metadata: as text where they are printable, else in hex. */
function binary(base64: string): TemplateResult {
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(base64);
  } catch {
    return html`<span class="binary">${icon("warning")} no base64</span>`;
  }
  const cut = bytes.subarray(0, BINARY_SHOWN);
  const printable = cut.length > 0 && cut.every((octet) => octet >= 0x20 && octet < 0x7f);
  const text = printable
    ? `"${String.fromCharCode(...cut)}"`
    : Array.from(cut, (octet) => octet.toString(16).padStart(2, "0")).join(" ");
  return html`<span class="binary" title="the octets of the field"
    >${bytes.length} B: ${text}${cut.length < bytes.length ? "…" : ""}</span
  >`;
}

customElements.define("pl-headers", Headers);
