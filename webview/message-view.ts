import { html, nothing, type TemplateResult } from "lit";
import "./form-view.ts";
import "./hex-view.ts";
import "./menu.ts";
import "./text-view.ts";
import "./type-picker.ts";
import "./value-tree.ts";
import { closeCodeText } from "./close-code.ts";
import { fromBase64 } from "./base64.ts";
import { PortlightElement } from "./element.ts";
import type { MessageSummary } from "./exchange-model.ts";
import { formatTime } from "./format.ts";
import { movedAcross } from "./keys.ts";
import { MODES } from "./memory.ts";
import type { MenuItem } from "./menu.ts";
import type { Decoded, Mode } from "./message-model.ts";
import type { Observable } from "./observable.ts";
import { icon, note, typeName } from "./parts.ts";
import type { Store } from "./store.ts";
import { sizeText, stateText } from "./timeline.ts";
import { nodesOf, type TreeNode } from "./tree-model.ts";
import { visible, visibleText } from "./visible.ts";

/** As `PAGE_BYTES` of the inspector protocol. */
const SAVE_CHUNK = 256 * 1024;

const MODE_NAMES: Readonly<Record<Mode, string>> = { tree: "Tree", json: "JSON", text: "Text", hex: "Hex" };

/** One message: what it is, and its value as a tree, as JSON, as text or as octets. */
export class MessageView extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;
  #treeOf: Decoded | undefined;
  #tree: readonly TreeNode[] = [];

  protected override observed(): readonly Observable[] {
    return [this.store.exchange, this.store.message];
  }

  protected override render(): TemplateResult {
    const { exchange, message } = this.store;
    const { index, decoded } = message;
    if (typeof index !== "number")
      return html`<p class="quiet">
        ${exchange.total > 0 ? "Select a message to see its value." : "Nothing has passed yet."}
      </p>`;
    const summary = exchange.message(index);
    if (summary === undefined) return html`<p class="quiet">Loading…</p>`;
    const mode = this.#mode(decoded, message.mode);
    return html`${this.#head(summary, decoded, mode)} ${this.#notes(summary, decoded)}
    ${
      exchange.row?.protocol === "websocket" && summary.kind === "binary"
        ? html`<pl-type-picker .store=${this.store} .from=${summary.from}></pl-type-picker>`
        : nothing
    }
    ${this.#body(summary, decoded, mode)}`;
  }

  #head(summary: MessageSummary, decoded: Decoded | undefined, mode: Mode): TemplateResult {
    const toService = summary.from === "visitor";
    const available = modesOf(decoded, this.store.message.mode);
    return html`<div class="value-head">
      <span class="value-title from-${summary.from}" title=${toService ? "visitor to service" : "service to visitor"}>
        <span class="message-direction">${icon(toService ? "arrow-right" : "arrow-left")}</span>
        <span class="direction-words">${toService ? "visitor → service" : "service → visitor"}</span>
        ${decoded?.view === "protobuf" ? typeName(this.store, decoded.schema) : nothing}
        <span class="quiet" title=${formatTime(summary.at)}>${visibleText(sizeText(summary))}</span>
      </span>
      <span
        class="modes"
        role="radiogroup"
        aria-label="Show as"
        @keydown=${(event: KeyboardEvent) => this.#modeKey(event, available, mode)}
      >
        ${MODES.map(
          (name) =>
            html`<button
              type="button"
              role="radio"
              data-mode=${name}
              aria-checked=${mode === name}
              tabindex=${mode === name ? 0 : -1}
              ?disabled=${!available.includes(name)}
              @click=${() => this.#choose(name)}
            >
              ${MODE_NAMES[name]}
            </button>`,
        )}
      </span>
      <pl-menu label="Copy or save this message" icon="copy" .items=${this.#items(summary, decoded)}></pl-menu>
    </div>`;
  }

  #notes(summary: MessageSummary, decoded: Decoded | undefined): TemplateResult {
    const state = stateText(summary);
    const schemaProblem = decoded?.view === "protobuf" ? decoded.schema.problem : undefined;
    const problems = new Set([summary.problem, decoded?.problem, schemaProblem, this.store.message.problem]);
    return html`${
      state === undefined || summary.state === "complete"
        ? nothing
        : note(summary.state === "growing" ? "info" : "warning", `Not whole: ${state}.`)
    }
    ${[...problems].map((problem) => (problem === undefined ? nothing : note("warning", html`${visible(problem)}`)))}
    ${
      decoded?.view === "protobuf" && decoded.reading === "wire"
        ? note("info", "Read from the wire without a type: names and types are guesses.")
        : nothing
    }
    ${
      decoded?.view === "protobuf" && decoded.reading === "typed" && decoded.hasUnknownFields
        ? note("info", "Has fields that the type does not define; they are marked unknown.")
        : nothing
    }
    ${
      decoded !== undefined && "truncated" in decoded && decoded.truncated
        ? note("info", "Shown in part: the value is larger than is decoded at once. Hex has all its bytes.")
        : nothing
    }`;
  }

  #body(summary: MessageSummary, decoded: Decoded | undefined, mode: Mode): TemplateResult {
    const { exchange, message } = this.store;
    if (mode === "hex")
      return html`<pl-hex-view
        .store=${this.store}
        .exchange=${exchange.id ?? 0}
        .index=${summary.index}
        .decompressed=${true}
        .revision=${`${summary.state} ${summary.size}`}
        .highlight=${message.highlight}
      ></pl-hex-view>`;
    if (decoded === undefined) return html`<p class="quiet">${message.problem === undefined ? "Decoding…" : ""}</p>`;
    if (mode === "text" && "text" in decoded && decoded.text !== "")
      return html`<pl-text-view .text=${decoded.text}></pl-text-view>`;
    switch (decoded.view) {
      case "protobuf":
        if (mode === "json")
          return html`<pl-text-view
            json
            .text=${JSON.stringify(decoded.json, null, 2)}
            label="Value as JSON"
          ></pl-text-view>`;
        return this.#treeView(decoded);
      case "json":
        if (mode === "json")
          return html`<pl-text-view
            json
            .text=${JSON.stringify(decoded.json, null, 2)}
            label="Value as JSON"
          ></pl-text-view>`;
        return this.#treeView(decoded);
      case "text":
        return decoded.text === ""
          ? html`<p class="quiet">Empty: no text.</p>`
          : html`<pl-text-view .text=${decoded.text}></pl-text-view>`;
      case "form":
        return html`<pl-form-view .fields=${decoded.fields}></pl-form-view>`;
      case "image":
        return html`<p class="described">
          ${icon("file-media")} Image,
          ${visibleText(decoded.mediaType)}${decoded.width === undefined ? "" : `, ${decoded.width} × ${decoded.height ?? "?"} pixels`}.
          Its bytes are in Hex, or save them.
        </p>`;
      case "close":
        return html`<p class="described">
          Close code
          <strong>${closeCodeText(decoded.code)}</strong
          >${decoded.reason === "" ? ", without a reason" : html`: ${visible(decoded.reason)}`}
        </p>`;
      case "binary":
        return html`<p class="described">
          ${icon("file-binary")} ${visibleText(decoded.mediaType ?? "Binary data")}, not text. Its bytes are in Hex.
        </p>`;
    }
  }

  #treeView(decoded: Decoded): TemplateResult {
    if (decoded !== this.#treeOf) {
      this.#treeOf = decoded;
      this.#tree = nodesOf(decoded);
    }
    return html`<pl-value-tree
      .store=${this.store}
      .nodes=${this.#tree}
      .highlighting=${decoded.view === "protobuf"}
    ></pl-value-tree>`;
  }

  /** How it is shown: as the user wants it, or the nearest that the payload allows. */
  #mode(decoded: Decoded | undefined, wanted: Mode): Mode {
    const available = modesOf(decoded, wanted);
    return available.includes(wanted) ? wanted : (available[0] ?? "hex");
  }

  #choose(mode: Mode): void {
    this.store.message.setMode(mode);
    this.store.remember();
  }

  #modeKey(event: KeyboardEvent, available: readonly Mode[], mode: Mode): void {
    const next = movedAcross(event.key, available.indexOf(mode), available.length);
    const name = next === undefined ? undefined : available[next];
    if (name === undefined) return;
    event.preventDefault();
    this.#choose(name);
    this.querySelector<HTMLElement>(`[data-mode="${name}"]`)?.focus();
  }

  #items(summary: MessageSummary, decoded: Decoded | undefined): readonly MenuItem[] {
    const { store } = this;
    const items: MenuItem[] = [];
    if (decoded !== undefined && "json" in decoded && decoded.json !== undefined) {
      const text = JSON.stringify(decoded.json, null, 2);
      items.push({ label: "Copy JSON", run: () => void store.copy(text, "JSON") });
      if (store.host.kind === "vscode")
        items.push({
          label: "Open JSON in an editor",
          run: () => void store.attempt(() => store.host.request("host/openUntitled", { text, language: "json" })),
        });
    }
    if (decoded !== undefined && "text" in decoded)
      items.push({ label: "Copy text", run: () => void store.copy(decoded.text, "text") });
    if (decoded?.view === "form")
      items.push({
        label: "Copy value",
        run: () => void store.copy(decoded.fields.map(({ name, value }) => `${name}=${value}`).join("\n"), "value"),
      });
    items.push({ label: "Save bytes…", run: () => void store.attempt(() => this.#save(summary.index)) });
    return items;
  }

  async #save(index: number): Promise<void> {
    const { host, exchange } = this.store;
    const { id } = exchange;
    if (id === undefined) return;
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for (let offset = 0, total = 1; offset < total;) {
      const result = await host.request("message/bytes", { id, index, offset, count: SAVE_CHUNK, decompressed: true });
      const part = new Uint8Array(fromBase64(result?.base64 ?? ""));
      if (result === null || (part.length === 0 && result.total > offset))
        throw new Error("The bytes of this message are no longer in the capture.");
      parts.push(part);
      offset += part.length;
      total = result.total;
    }
    await host.save(`exchange-${id}-message-${index}.bin`, new Uint8Array(await new Blob(parts).arrayBuffer()));
    this.store.say("Saved");
  }
}

/** In what ways a payload can be shown. With the text reading asked for, what else it could be is not known: all may be tried. */
function modesOf(decoded: Decoded | undefined, wanted: Mode): readonly Mode[] {
  if (decoded === undefined || (decoded.view === "text" && wanted === "text")) return MODES;
  switch (decoded.view) {
    case "protobuf":
      return decoded.json === undefined ? ["tree", "text", "hex"] : MODES;
    case "json":
      return MODES;
    case "text":
      return ["text", "hex"];
    case "form":
    case "close":
      return ["tree", "text", "hex"];
    case "image":
    case "binary":
      return wanted === "text" ? ["text", "hex"] : ["hex", "text"];
  }
}

customElements.define("pl-message-view", MessageView);
