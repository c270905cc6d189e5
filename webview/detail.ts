import { html, nothing, type TemplateResult } from "lit";
import "./headers.ts";
import "./menu.ts";
import "./messages.ts";
import "./overview.ts";
import { PortlightElement } from "./element.ts";
import { formatCount } from "./format.ts";
import { movedAcross } from "./keys.ts";
import { TABS, type Tab } from "./memory.ts";
import type { Messages } from "./messages.ts";
import type { Observable } from "./observable.ts";
import { icon, iconButton, note } from "./parts.ts";
import { nameOf, protocolName, statusOf } from "./row-text.ts";
import type { Store } from "./store.ts";
import type { MenuItem } from "./menu.ts";

/** The exchange that is looked at: a title line and three tabs. */
export class DetailPane extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;
  #secrets = false;
  /** The focus is on its way into the content. */
  #entering = false;

  protected override observed(): readonly Observable[] {
    return [this.store, this.store.exchange];
  }

  /** Moves the focus to the shown tab, and on to its messages as soon as they are here. */
  async focusContent(): Promise<void> {
    this.#entering = true;
    await this.updateComplete;
    this.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]')?.focus();
    this.requestUpdate();
  }

  protected override updated(): void {
    if (!this.#entering || this.store.exchange.detail === undefined) return;
    this.#entering = false;
    if (this.store.tab === "messages") void this.querySelector<Messages>("pl-messages")?.focusTimeline();
  }

  protected override render(): TemplateResult {
    const { store } = this;
    const { tab } = store;
    return html`<div class="detail-head">
        <div class="detail-title">
          <button type="button" class="back" @click=${() => this.#leave(true)}>${icon("arrow-left")} Back</button>
          ${this.#title()}
          <pl-menu label="Copy as" icon="copy" .items=${this.#copyItems()}></pl-menu>
          <span class="close-detail"
            >${iconButton({ icon: "close", label: "Close details", run: () => this.#leave(true) })}</span
          >
        </div>
        <div class="tabs" role="tablist" aria-label="Details" @keydown=${(event: KeyboardEvent) => this.#tabKey(event)}>
          ${TABS.map(
            (name) =>
              html`<button
                type="button"
                role="tab"
                id=${`tab-${name}`}
                aria-selected=${tab === name}
                aria-controls="detail-panel"
                tabindex=${tab === name ? 0 : -1}
                @click=${() => store.setTab(name)}
              >
                ${this.#tabName(name)}
              </button>`,
          )}
        </div>
      </div>
      ${
        store.exchange.gone
          ? note(
              "warning",
              "This exchange has left the capture; what is shown is what was already here. Newer exchanges are in the list.",
            )
          : nothing
      }
      <div
        id="detail-panel"
        class="tab-panel"
        role="tabpanel"
        aria-labelledby=${`tab-${tab}`}
        @keydown=${(event: KeyboardEvent) => {
          if (event.key === "Escape" && !event.defaultPrevented) {
            event.preventDefault();
            this.#leave(false);
          }
        }}
      >
        ${this.#content(tab)}
      </div>`;
  }

  #content(tab: Tab): TemplateResult {
    const { store } = this;
    if (store.exchange.detail === undefined) return html`<p class="quiet">Loading…</p>`;
    if (tab === "headers") return html`<pl-headers .store=${store}></pl-headers>`;
    if (tab === "overview") return html`<pl-overview .store=${store}></pl-overview>`;
    return html`<pl-messages .store=${store}></pl-messages>`;
  }

  #title(): TemplateResult {
    const { row } = this.store.exchange;
    if (row === undefined) return html`<h2 class="detail-name"></h2>`;
    const name = nameOf(row);
    const status = statusOf(row);
    return html`<span class="badge badge-${row.protocol}">${protocolName(row.protocol)}</span>
      <h2 class="detail-name" title=${name.full}>
        <span class="name-main">${name.main}</span> <span class="name-rest">${name.rest}</span>
      </h2>
      <span class="detail-status tone-${status.tone}"
        >${icon(status.icon, status.icon === "sync")} ${status.text}</span
      >`;
  }

  #tabName(tab: Tab): string {
    const { row, total } = this.store.exchange;
    if (tab === "overview") return "Overview";
    if (tab === "headers") return row?.rpc === undefined ? "Headers" : "Metadata";
    return total > 0 ? `Messages (${formatCount(total)})` : "Messages";
  }

  #copyItems(): readonly MenuItem[] {
    const copyAs = (format: "curl" | "grpcurl"): void => void this.#copyAs(format);
    const { row } = this.store.exchange;
    const items: MenuItem[] = [];
    if (row?.protocol === "grpc") items.push({ label: "Copy as grpcurl", run: () => copyAs("grpcurl") });
    if (row?.protocol !== "tcp") items.push({ label: "Copy as curl", run: () => copyAs("curl") });
    if (row !== undefined) items.push({ label: "Copy path", run: () => void this.store.copy(row.path, "path") });
    items.push({
      label: "With secrets in clear",
      checked: this.#secrets,
      run: () => {
        this.#secrets = !this.#secrets;
        this.requestUpdate();
      },
    });
    return items;
  }

  async #copyAs(format: "curl" | "grpcurl"): Promise<void> {
    const { store } = this;
    const { id } = store.exchange;
    if (id === undefined) return;
    await store.attempt(async () => {
      const result = await store.host.request("exchange/copyAs", { id, format, showSecrets: this.#secrets });
      if (result === null) store.say(`This exchange cannot be written as a ${format} command.`, true);
      else await store.copy(result.text, `as ${format}${this.#secrets ? ", secrets included" : ""}`);
    });
  }

  #tabKey(event: KeyboardEvent): void {
    const at = TABS.indexOf(this.store.tab);
    const next = movedAcross(event.key, at, TABS.length);
    if (event.key === "Escape") {
      event.preventDefault();
      this.#leave(false);
    } else if (event.key === "ArrowDown" || event.key === "Enter") {
      const first = this.querySelector<HTMLElement>(".tab-panel [tabindex='0'], .tab-panel button");
      if (event.key === "ArrowDown" && first !== null) {
        event.preventDefault();
        first.focus();
      }
    } else if (next !== undefined) {
      event.preventDefault();
      const tab = TABS[next] ?? "messages";
      this.store.setTab(tab);
      this.querySelector<HTMLElement>(`#tab-${tab}`)?.focus();
    }
  }

  #leave(close: boolean): void {
    this.dispatchEvent(new CustomEvent("leave-detail", { bubbles: true, detail: { close } }));
  }
}

customElements.define("pl-detail", DetailPane);
