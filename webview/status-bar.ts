import { html, nothing, type TemplateResult } from "lit";
import { PortlightElement } from "./element.ts";
import { formatCount, formatSize, plural } from "./format.ts";
import type { Observable } from "./observable.ts";
import { icon, iconButton } from "./parts.ts";
import type { SchemaStatus, Store } from "./store.ts";
import { visibleText } from "./visible.ts";

/** Problems listed at most; a broken root may make hundreds. */
const MAX_PROBLEMS = 200;

/** The bottom line: what the capture holds, what the schema knows, and what just happened. */
export class StatusBar extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;
  #expanded = false;

  protected override observed(): readonly Observable[] {
    return [this.store, this.store.list];
  }

  protected override render(): TemplateResult {
    const { schema, notice } = this.store;
    return html`${this.#expanded && schema !== undefined ? this.#problems(schema) : nothing}
      <div class="status-line-bar">
        ${this.#link()} ${this.#capture()} ${schema === undefined ? nothing : this.#schema(schema)}
        <span class="notice ${notice?.failed === true ? "tone-bad" : ""}" role="status" aria-live="polite"
          >${notice === undefined ? nothing : html`${icon(notice.failed ? "error" : "info")} ${visibleText(notice.text)}`}</span
        >
      </div>`;
  }

  #link(): TemplateResult | typeof nothing {
    const { host, state } = this.store;
    if (host.link !== "open")
      return html`<span class="tone-warning" role="alert"
        >${icon("debug-disconnect")} ${host.link === "lost" ? "Disconnected: reconnecting…" : "Connecting…"}</span
      >`;
    if (state?.agent === "stopped")
      return html`<span class="tone-warning">${icon("debug-disconnect")} Agent stopped</span>`;
    if (state?.agent === "starting") return html`<span>${icon("sync", true)} Agent starting…</span>`;
    return nothing;
  }

  #capture(): TemplateResult | typeof nothing {
    const { capture, list } = this.store;
    if (capture === undefined) return nothing;
    const shown = list.state.end - list.state.first;
    const count =
      list.filter === ""
        ? plural(capture.exchanges, "exchange")
        : `${formatCount(shown)} of ${plural(list.state.total, "exchange")}`;
    const dropped = capture.droppedExchanges > 0 ? `, ${plural(capture.droppedExchanges, "older one")} dropped` : "";
    return html`<span
        title=${`The capture holds ${formatSize(capture.bytes)} of at most ${formatSize(capture.maxBytes)}, ${formatCount(capture.exchanges)} of at most ${plural(capture.maxExchanges, "exchange")}. Older ones make room for newer ones.`}
        >${count}${dropped} · ${formatSize(capture.bytes)}</span
      >
      ${capture.capturing ? nothing : html`<span class="tone-warning">${icon("debug-pause")} Paused</span>`}`;
  }

  #schema(schema: SchemaStatus): TemplateResult {
    const { problems } = schema;
    const text =
      schema.state === "ready"
        ? plural(schema.files, ".proto file")
        : schema.state === "loading"
          ? "Reading .proto files…"
          : "Decoder restarting…";
    return html`<button
        type="button"
        class="status-button"
        aria-expanded=${this.#expanded}
        title=${`${plural(schema.types, "message type")}, ${plural(schema.services, "service")}`}
        @click=${() => {
          this.#expanded = !this.#expanded;
          this.requestUpdate();
        }}
      >
        ${icon("file-code")}
        ${text}${problems.length === 0 ? nothing : html` <span class="tone-warning">${icon("warning")} ${plural(problems.length, "problem")}</span>`}
        ${icon(this.#expanded ? "chevron-down" : "chevron-up")}
      </button>
      ${iconButton({ icon: "refresh", label: "Read the .proto files again", run: () => void this.store.attempt(() => this.store.host.request("schema/reload", null)) })}`;
  }

  #problems(schema: SchemaStatus): TemplateResult {
    const { problems, roots } = schema;
    return html`<div class="schema-panel" role="region" aria-label="Schema">
      <p>
        ${plural(schema.files, ".proto file")}, ${plural(schema.types, "message type")},
        ${plural(schema.services, "service")}.
        ${roots.length === 0 ? nothing : html`Imports are looked for in ${roots.map((root) => `${visibleText(root.path === "" ? "." : root.path)} (${root.from})`).join(", ")}.`}
      </p>
      ${
        problems.length === 0
          ? html`<p class="quiet">
              ${schema.files === 0 ? "No .proto file was found in the workspace: gRPC messages are shown as read from the wire. Add the .proto files, or set portlight.protoRoots." : "No problems."}
            </p>`
          : html`<ul>
              ${problems.slice(0, MAX_PROBLEMS).map((problem) => {
                const place = `${visibleText(problem.file)}:${problem.line ?? 1}`;
                return html`<li>
                  ${
                    this.store.host.kind === "vscode"
                      ? html`<button
                          type="button"
                          class="link"
                          @click=${() =>
                            void this.store.attempt(() =>
                              this.store.host.request("host/openSource", {
                                file: problem.file,
                                line: problem.line ?? 1,
                              }),
                            )}
                        >
                          ${place}
                        </button>`
                      : html`<code>${place}</code>`
                  }
                  ${visibleText(problem.message)}
                </li>`;
              })}
            </ul>`
      }
    </div>`;
  }
}

customElements.define("pl-status-bar", StatusBar);
