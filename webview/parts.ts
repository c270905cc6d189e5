import { html, nothing, type TemplateResult } from "lit";
import type { SchemaNote } from "./schema-note.ts";
import { shortName } from "./format.ts";
import type { Store } from "./store.ts";
import { visibleText } from "./visible.ts";

/** A codicon. Always decoration: what it says is also in words beside it or in the label of its button. */
export function icon(name: string, spin = false): TemplateResult {
  return html`<span class="codicon codicon-${name} ${spin ? "turning" : ""}" aria-hidden="true"></span>`;
}

export interface ButtonOptions {
  readonly icon: string;
  readonly label: string;
  readonly run: () => void;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
}

/** A toolbar button: an icon with its name as tooltip and accessible name. */
export function iconButton({ icon: name, label, run, pressed, disabled }: ButtonOptions): TemplateResult {
  return html`<button
    type="button"
    class="icon-button"
    title=${label}
    aria-label=${label}
    aria-pressed=${pressed ?? nothing}
    ?disabled=${disabled ?? false}
    @click=${(event: Event) => {
      event.stopPropagation();
      run();
    }}
  >
    ${icon(name)}
  </button>`;
}

/** A remark in words, with an icon for its weight. */
export function note(weight: "info" | "warning" | "error", text: string | TemplateResult): TemplateResult {
  return html`<p class="note note-${weight}">${icon(weight)}<span>${text}</span></p>`;
}

/** The name of a message type, leading to its definition where the host can open files. */
export function typeName(store: Store, schema: SchemaNote, full = false): TemplateResult | typeof nothing {
  if (schema.type === undefined) return nothing;
  const { type, file, line } = schema;
  const name = visibleText(full ? type : shortName(type));
  const place = file === undefined ? type : `${type}\n${file}:${line ?? 1}`;
  if (store.host.kind !== "vscode" || file === undefined || file.startsWith("bundled:"))
    return html`<span class="type" title=${visibleText(place)}>${name}</span>`;
  return html`<button
    type="button"
    class="link type"
    title=${`Go to definition: ${visibleText(place)}`}
    @click=${() => void store.attempt(() => store.host.request("host/openSource", { file, line: line ?? 1 }))}
  >
    ${name}
  </button>`;
}
