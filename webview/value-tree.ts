import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import "./virtual-list.ts";
import { PortlightElement } from "./element.ts";
import { formatCount } from "./format.ts";
import { moved, plain } from "./keys.ts";
import { icon, iconButton } from "./parts.ts";
import type { Store } from "./store.ts";
import { styles } from "./styles.ts";
import { linesOf, shortType, type TreeLine, type TreeNode } from "./tree-model.ts";
import type { VirtualList } from "./virtual-list.ts";
import { visible, visibleText } from "./visible.ts";

const LINE_HEIGHT = 20;
const INDENT = 14;
/** Characters of a value in its line; the whole value is shown for the selected line, and copied. */
const LINE_VALUE = 300;
/** Characters of the selected value that are laid out. */
const WHOLE_VALUE = 20_000;

/**
 * A decoded value as a collapsible tree: field number, name, type, value. Below it the selected line in full, with its
 * place in the message.
 */
export class ValueTree extends PortlightElement {
  static override properties = {
    store: { attribute: false },
    nodes: { attribute: false },
    label: {},
    highlighting: { type: Boolean },
  };

  declare store: Store;
  declare nodes: readonly TreeNode[];
  declare label: string;
  /** Whether the selected node is told to the message model, so that the hex view shows its octets. */
  declare highlighting: boolean;
  #toggled = new Set<string>();
  #active = 0;
  #selected = false;
  #lines: readonly TreeLine[] = [];

  constructor() {
    super();
    this.nodes = [];
    this.label = "Value";
    this.highlighting = false;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("nodes")) {
      this.#active = 0;
      this.#selected = false;
      this.#toggled = new Set();
    }
    this.#lines = linesOf(this.nodes, this.#toggled);
    this.#active = Math.max(0, Math.min(this.#active, this.#lines.length - 1));
  }

  protected override render(): TemplateResult {
    if (this.#lines.length === 0) return html`<p class="quiet">Empty: every field has its default value.</p>`;
    return html`<pl-virtual-list
        class="tree"
        role="tree"
        aria-label=${this.label}
        .first=${0}
        .end=${this.#lines.length}
        .rowHeight=${LINE_HEIGHT}
        .active=${this.#active}
        .renderRow=${(position: number) => this.#line(position)}
        ${styles({ "--lines": String(this.#lines.length) })}
        @keydown=${(event: KeyboardEvent) => this.#key(event)}
      ></pl-virtual-list>
      ${this.#footer()}`;
  }

  #line(position: number): TemplateResult | typeof nothing {
    const line = this.#lines[position];
    if (line === undefined) return nothing;
    const { node, level, expanded } = line;
    const active = position === this.#active;
    return html`<div
      class="tree-line ${active && this.#selected ? "selected" : ""}"
      role="treeitem"
      aria-level=${level}
      aria-setsize=${line.setSize}
      aria-posinset=${line.position}
      aria-expanded=${expanded ?? nothing}
      aria-selected=${active && this.#selected}
      tabindex=${active ? 0 : -1}
      ${styles({ "padding-left": `${4 + (level - 1) * INDENT}px` })}
      @click=${() => {
        this.#select(position);
        if (expanded !== undefined) this.#toggle(line);
      }}
    >
      ${expanded === undefined ? html`<span class="twistie"></span>` : icon(expanded ? "chevron-down" : "chevron-right")}
      ${node.range === undefined ? nothing : html`<span class="tree-number" title=${node.number === undefined ? nothing : "field number"}>${node.number ?? ""}</span>`}
      <span class="tree-name">${visible(node.name)}</span>${
        node.unknown === true
          ? html`<span
              class="tree-unknown"
              title="No field of the type has this number: the reading is a guess from the wire."
              >unknown</span
            >`
          : nothing
      }<span class="tree-colon">:</span>
      ${
        node.value === undefined
          ? html`<span class="tree-summary">${expanded === true ? nothing : visible(node.summary ?? "")}</span>`
          : html`<span class="tree-value token-${node.kind}">${visible(node.value.slice(0, LINE_VALUE))}</span>`
      }
      ${node.alternative === undefined ? nothing : html`<span class="tree-alternative">${visible(node.alternative)}</span>`}
      ${node.type === undefined ? nothing : html`<span class="tree-type" title=${visibleText(node.type)}>${visibleText(shortType(node.type))}</span>`}
    </div>`;
  }

  #footer(): TemplateResult | typeof nothing {
    const line = this.#lines[this.#active];
    if (!this.#selected || line === undefined) return nothing;
    const { node } = line;
    const value = node.value;
    const long = value !== undefined && value.length > 60;
    const facts = [
      node.number === undefined ? undefined : `field ${node.number}`,
      node.type,
      value !== undefined && node.kind === "string" ? `${formatCount(value.length - 2)} characters` : undefined,
      node.range === undefined
        ? undefined
        : `octets ${formatCount(node.range.offset)} to ${formatCount(node.range.offset + node.range.length)}`,
    ].filter((fact) => fact !== undefined);
    return html`<div class="tree-footer">
      ${
        long
          ? html`<div class="tree-whole">
              <span class="pre">${visible(value.slice(0, WHOLE_VALUE))}${value.length > WHOLE_VALUE ? "…" : ""}</span>
            </div>`
          : nothing
      }
      <div class="tree-facts">
        <span><strong>${visible(node.name)}</strong> ${visibleText(facts.join(" · "))}</span>
        ${
          value === undefined
            ? nothing
            : iconButton({
                icon: "copy",
                label: `Copy value of ${visibleText(node.name)}`,
                run: () => void this.store.copy(plainValue(node), `value of ${visibleText(node.name)}`),
              })
        }
      </div>
    </div>`;
  }

  #select(position: number): void {
    this.#active = position;
    this.#selected = true;
    if (this.highlighting) this.store.message.setHighlight(this.#lines[position]?.node.range);
    this.requestUpdate();
  }

  #toggle(line: TreeLine): void {
    if (!this.#toggled.delete(line.path)) this.#toggled.add(line.path);
    this.requestUpdate();
  }

  #key(event: KeyboardEvent): void {
    if (!plain(event)) return;
    const list = this.querySelector<VirtualList>("pl-virtual-list");
    const line = this.#lines[this.#active];
    if (list === null || line === undefined) return;
    let next = moved(event.key, this.#active, { first: 0, end: this.#lines.length, page: list.pageRows });
    if (event.key === "ArrowRight" && line.expanded !== undefined) {
      if (line.expanded) next = this.#active + 1;
      else this.#toggle(line);
    } else if (event.key === "ArrowLeft") {
      if (line.expanded === true) this.#toggle(line);
      else next = this.#lines.findLastIndex((other, index) => index < this.#active && other.level < line.level);
    } else if ((event.key === "Enter" || event.key === " ") && line.expanded !== undefined) this.#toggle(line);
    else if (next === undefined) return;
    event.preventDefault();
    if (next === undefined || next < 0) return;
    this.#select(next);
    const target = next;
    void this.updateComplete.then(() => list.focusRow(target));
  }
}

/** As copied: a string without its quotes. */
function plainValue(node: TreeNode): string {
  const text = node.value ?? "";
  return node.kind === "string" ? String(JSON.parse(text)) : text;
}

customElements.define("pl-value-tree", ValueTree);
