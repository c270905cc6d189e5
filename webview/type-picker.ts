import { html, nothing, type TemplateResult } from "lit";
import { PortlightElement } from "./element.ts";
import type { Observable } from "./observable.ts";
import { iconButton } from "./parts.ts";
import type { InspectorRequests } from "./protocol.ts";
import type { Store } from "./store.ts";

type Side = InspectorRequests["websocket/setType"]["params"]["from"];

const TYPING_MS = 150;

/** Says of which type the binary messages of a WebSocket from one side are; remembered for path and sub-protocol. */
export class TypePicker extends PortlightElement {
  static override properties = { store: { attribute: false }, from: {} };

  declare store: Store;
  declare from: Side;
  #types: readonly string[] = [];
  #timer: number | undefined;

  protected override observed(): readonly Observable[] {
    return [this.store.exchange];
  }

  protected override render(): TemplateResult {
    const type = this.#type();
    return html`<form
      class="type-picker"
      @submit=${(event: Event) => {
        event.preventDefault();
        void this.#set(this.querySelector("input")?.value ?? "");
      }}
    >
      <label for="message-type">Binary messages from the ${this.from} are</label>
      <input
        id="message-type"
        list="message-types"
        placeholder="no type: choose a message type"
        spellcheck="false"
        autocomplete="off"
        .value=${type ?? ""}
        @focus=${() => void this.#ask("")}
        @input=${(event: Event) => this.#typed((event.target as HTMLInputElement).value)}
      />
      <datalist id="message-types">${this.#types.map((name) => html`<option value=${name}></option>`)}</datalist>
      ${type === undefined ? nothing : iconButton({ icon: "close", label: "No type", run: () => void this.#set("") })}
    </form>`;
  }

  #type(): string | undefined {
    const socket = this.store.exchange.detail?.webSocket;
    return this.from === "visitor" ? socket?.visitorType : socket?.serviceType;
  }

  #typed(text: string): void {
    clearTimeout(this.#timer);
    if (this.#types.includes(text)) void this.#set(text);
    else this.#timer = window.setTimeout(() => void this.#ask(text), TYPING_MS);
  }

  async #ask(query: string): Promise<void> {
    await this.store.attempt(async () => {
      this.#types = await this.store.host.request("schema/types", { query });
      this.requestUpdate();
    });
  }

  async #set(text: string): Promise<void> {
    const { store } = this;
    const { id } = store.exchange;
    if (id === undefined) return;
    const type = text.trim() === "" ? null : text.trim();
    await store.attempt(async () => {
      await store.host.request("websocket/setType", { id, from: this.from, type });
      await store.exchange.refresh();
      await store.message.decode();
    });
  }
}

customElements.define("pl-type-picker", TypePicker);
