import { html, nothing, type TemplateResult } from "lit";
import { PortlightElement } from "./element.ts";
import { placeBelow } from "./menu.ts";
import type { Observable } from "./observable.ts";
import { icon, iconButton } from "./parts.ts";
import type { Store } from "./store.ts";

/** Long enough not to ask at each key, short enough to feel immediate. */
const TYPING_MS = 180;

const HELP: readonly (readonly [example: string, meaning: string])[] = [
  ["orders", "method, host, path, status or protocol contains it; several words must all match"],
  ["-health", "does not contain it"],
  ["status:5xx", "also 404 or NOT_FOUND"],
  ["protocol:grpc", "grpc, grpc-web, connect, http, sse, websocket, tcp"],
  ["service:Greeter", "gRPC service; also method:SayHello, path:/api"],
  ["state:open", "open, ended, cancelled, failed"],
  ["port:50051", "shared port; also from:NAME of a share"],
  ["larger:10k", "more bytes than this"],
  ["slower:200ms", "took longer than this"],
];

export class FilterBox extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;
  #text: string | undefined;
  #timer: number | undefined;
  #filter = "";

  protected override observed(): readonly Observable[] {
    return [this.store.list];
  }

  /** A filter that came into force replaces what was typed, unless the user is ahead of it. */
  protected override willUpdate(): void {
    const { filter } = this.store.list;
    if (filter === this.#filter) return;
    this.#filter = filter;
    if (this.#timer === undefined) this.#text = undefined;
  }

  protected override render(): TemplateResult {
    const { list } = this.store;
    const error = list.filterError;
    const text = this.#text ?? list.filter;
    return html`<div class="filter ${error === undefined ? "" : "invalid"}" role="search">
        ${icon("filter")}
        <input
          id="filter"
          type="text"
          spellcheck="false"
          autocomplete="off"
          placeholder="Filter (e.g. orders status:5xx)"
          aria-label="Filter exchanges"
          aria-invalid=${error === undefined ? "false" : "true"}
          aria-describedby=${error === undefined ? nothing : "filter-error"}
          .value=${text}
          @input=${(event: Event) => this.#typed((event.target as HTMLInputElement).value)}
          @keydown=${(event: KeyboardEvent) => this.#key(event)}
        />
        ${text === "" ? nothing : iconButton({ icon: "close", label: "Clear filter", run: () => this.#apply("") })}
        ${iconButton({ icon: "question", label: "Filter help", run: () => this.#help() })}
      </div>
      ${error === undefined ? nothing : html`<p id="filter-error" class="filter-error" role="alert">${icon("error")}${error}</p>`}
      <div id="filter-help" class="filter-help" popover="auto" role="dialog" aria-label="Filter help">
        <h2>Filter</h2>
        <dl>
          ${HELP.map(
            ([example, meaning]) =>
              html`<dt><code>${example}</code></dt>
                <dd>${meaning}</dd>`,
          )}
        </dl>
        <p>Any of them with a minus in front excludes. <kbd>/</kbd> moves here, <kbd>Escape</kbd> back to the list.</p>
      </div>`;
  }

  override focus(): void {
    const input = this.querySelector("input");
    input?.focus();
    input?.select();
  }

  #typed(text: string): void {
    this.#text = text;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#commit(text), TYPING_MS);
    this.requestUpdate();
  }

  #apply(text: string): void {
    this.#text = text;
    clearTimeout(this.#timer);
    this.#commit(text);
    this.requestUpdate();
    this.focus();
  }

  #commit(text: string): void {
    this.#timer = undefined;
    void this.store.filter(text);
  }

  #key(event: KeyboardEvent): void {
    if (event.key === "Enter") this.#apply(this.#text ?? "");
    else if (event.key === "Escape" || event.key === "ArrowDown") {
      event.preventDefault();
      this.dispatchEvent(new CustomEvent("leave-filter", { bubbles: true }));
    }
  }

  #help(): void {
    const help = this.querySelector<HTMLElement>("#filter-help");
    if (help === null) return;
    help.togglePopover();
    placeBelow(help, this);
  }
}

customElements.define("pl-filter-box", FilterBox);
