import { html, nothing, type TemplateResult } from "lit";
import { PortlightElement } from "./element.ts";
import type { Observable } from "./observable.ts";
import { icon, iconButton } from "./parts.ts";
import type { HostState } from "./protocol.ts";
import type { Store } from "./store.ts";
import { visibleText } from "./visible.ts";

type Share = HostState["shares"][number];

/** Instead of an empty list: why it is empty, and what to do next. */
export class EmptyState extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;

  protected override observed(): readonly Observable[] {
    return [this.store, this.store.list];
  }

  protected override render(): TemplateResult {
    const { host, list, state, capture } = this.store;
    if (host.link === "lost")
      return message(
        "debug-disconnect",
        "Not connected",
        "Portlight does not answer. The page connects again by itself as soon as it does.",
      );
    if (state === undefined || !list.loaded) return message("sync", "Loading…", "");
    if (list.state.total > 0)
      return html`${message("filter", "Nothing matches the filter", `${list.state.total} exchanges are recorded, none of them matches “${visibleText(list.filter)}”.`)}
        <button type="button" class="primary" @click=${() => void this.store.filter("")}>Clear filter</button>`;
    if (state.shares.length === 0) return this.#nothingShared();
    if (capture?.capturing === false)
      return html`${message("debug-pause", "Recording is paused", "Traffic goes on; what passes now is not recorded.")}
        <button type="button" class="primary" @click=${() => void this.store.pause(false)}>Resume recording</button>`;
    // A share has no URL before the relay granted one.
    const reachable = state.shares.filter(({ url }) => url !== "");
    if (reachable.length === 0)
      return message(
        "sync",
        "Not reachable yet",
        "The relay has granted no URL so far. What is in the way is said above.",
      );
    return html`${message("radio-tower", "Waiting for traffic", "Whatever visits a shared port appears here as it happens. Try:")}
    ${reachable.map((share) => this.#examples(share))}`;
  }

  #nothingShared(): TemplateResult {
    if (this.store.host.kind === "vscode")
      return html`${message("plug", "No port is shared", "Share a port to get a URL for it, and watch its traffic here.")}
        <button
          type="button"
          class="primary"
          @click=${() => void this.store.attempt(() => this.store.host.request("host/sharePort", null))}
        >
          Share Port…
        </button>`;
    return html`${message("plug", "No port is shared", "Share one from a terminal:")}
    ${this.#command("portlight share 8080 --inspect")}`;
  }

  #examples(share: Share): TemplateResult {
    const url = visibleText(share.url);
    if (share.kind === "tcp") return this.#command(url);
    const host = url.replace(/^https?:\/\//, "").replace(/\/$/, "");
    const plaintext = url.startsWith("https:") ? "" : "-plaintext ";
    return html`<div class="example-group">
      <p>Port ${share.port}${share.state === "online" ? nothing : ` (${share.state})`}</p>
      ${this.#command(url)} ${this.#command(`curl ${url}`)} ${this.#command(`grpcurl ${plaintext}${host} list`)}
    </div>`;
  }

  #command(text: string): TemplateResult {
    return html`<div class="example">
      <code>${text}</code
      >${iconButton({ icon: "copy", label: `Copy ${text}`, run: () => void this.store.copy(text, "to the clipboard") })}
    </div>`;
  }
}

function message(iconName: string, title: string, text: string): TemplateResult {
  return html`<div class="empty-icon">${icon(iconName)}</div>
    <h2>${title}</h2>
    ${text === "" ? nothing : html`<p>${text}</p>`}`;
}

customElements.define("pl-empty-state", EmptyState);
