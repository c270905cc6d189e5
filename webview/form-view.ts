import { html, type TemplateResult } from "lit";
import { PortlightElement } from "./element.ts";
import type { Decoded } from "./message-model.ts";
import { iconButton } from "./parts.ts";
import { visible, visibleText } from "./visible.ts";

type FormField = Extract<Decoded, { view: "form" }>["fields"][number];

const MASK = "••••••";

/** The fields of a form body. Secrets are masked until clicked, and again for the next form. */
export class FormView extends PortlightElement {
  static override properties = { fields: { attribute: false } };

  declare fields: readonly FormField[];
  readonly #shown = new Set<FormField>();

  protected override render(): TemplateResult {
    return html`<table class="form-fields" aria-label="Form fields">
      <tbody>
        ${this.fields.map((field) => this.#field(field))}
      </tbody>
    </table>`;
  }

  #field(field: FormField): TemplateResult {
    const shown = !field.secret || this.#shown.has(field);
    return html`<tr>
      <th scope="row">${visible(field.name)}</th>
      <td>
        <span class="value">${shown ? visible(field.value) : MASK}</span>
        ${
          field.secret
            ? iconButton({
                icon: shown ? "eye-closed" : "eye",
                label: `${shown ? "Hide" : "Reveal"} ${visibleText(field.name)}`,
                pressed: shown,
                run: () => this.#toggle(field),
              })
            : ""
        }
      </td>
    </tr>`;
  }

  #toggle(field: FormField): void {
    if (!this.#shown.delete(field)) this.#shown.add(field);
    this.requestUpdate();
  }
}

customElements.define("pl-form-view", FormView);
