import { html, nothing, type TemplateResult } from "lit";
import "./detail.ts";
import "./empty-state.ts";
import "./exchange-list.ts";
import "./splitter.ts";
import "./status-bar.ts";
import "./toolbar.ts";
import type { DetailPane } from "./detail.ts";
import { PortlightElement } from "./element.ts";
import type { ExchangeList } from "./exchange-list.ts";
import type { FilterBox } from "./filter-box.ts";
import type { Observable } from "./observable.ts";
import type { Store } from "./store.ts";
import { styles } from "./styles.ts";

/** The whole page: a line of commands, the list, the detail, a line of state; and where the focus goes between them. */
export class InspectorApp extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;
  readonly #onKey = (event: KeyboardEvent): void => this.#key(event);

  protected override observed(): readonly Observable[] {
    return [this.store, this.store.list, this.store.exchange];
  }

  override connectedCallback(): void {
    super.connectedCallback();
    window.addEventListener("keydown", this.#onKey);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.removeEventListener("keydown", this.#onKey);
  }

  protected override render(): TemplateResult {
    const { store } = this;
    const { list, exchange, host } = store;
    const empty = list.state.end === list.state.first;
    const detail = exchange.id !== undefined;
    return html`<pl-toolbar .store=${store} @leave-filter=${() => void this.#focusList()}></pl-toolbar>
      <main
        class="panes ${detail ? "with-detail" : ""} ${host.link === "lost" ? "stale" : ""}"
        ${styles({ "--split": String(store.split) })}
        @enter-detail=${() => void this.#focusDetail()}
        @leave-detail=${(event: CustomEvent<{ close: boolean }>) => void this.#leaveDetail(event.detail.close)}
      >
        <section class="list-pane" aria-label="Exchanges">
          ${empty ? html`<pl-empty-state class="empty" .store=${store}></pl-empty-state>` : html`<pl-exchange-list .store=${store}></pl-exchange-list>`}
        </section>
        ${
          detail
            ? html`<pl-splitter .store=${store} .split=${store.split}></pl-splitter>
                <section class="detail-pane" aria-label="Details"><pl-detail .store=${store}></pl-detail></section>`
            : nothing
        }
      </main>
      <pl-status-bar .store=${store}></pl-status-bar>`;
  }

  async #focusList(): Promise<void> {
    await this.updateComplete;
    await this.querySelector<ExchangeList>("pl-exchange-list")?.focusActive();
  }

  async #focusDetail(): Promise<void> {
    await this.updateComplete;
    await this.querySelector<DetailPane>("pl-detail")?.focusContent();
  }

  /** Back to the list. Where only one of the two panes has room, that closes the detail. */
  async #leaveDetail(close: boolean): Promise<void> {
    const list = this.querySelector<HTMLElement>(".list-pane");
    if (close || list === null || list.offsetWidth === 0) this.store.open(undefined);
    await this.#focusList();
  }

  #key(event: KeyboardEvent): void {
    const typing = event.target instanceof HTMLInputElement;
    const find = event.key === "f" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (!find && (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey)) return;
    event.preventDefault();
    this.querySelector<FilterBox>("pl-filter-box")?.focus();
  }
}

customElements.define("pl-app", InspectorApp);
