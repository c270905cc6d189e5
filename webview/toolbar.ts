import { html, nothing, type TemplateResult } from "lit";
import "./filter-box.ts";
import "./menu.ts";
import { PortlightElement } from "./element.ts";
import type { Observable } from "./observable.ts";
import { icon, iconButton } from "./parts.ts";
import type { HostState } from "./protocol.ts";
import type { Store } from "./store.ts";
import { visibleText } from "./visible.ts";

type Share = HostState["shares"][number];

const SHARE_STATES: Readonly<
  Record<Share["state"], { readonly icon: string; readonly text: string; readonly tone: string }>
> = {
  connecting: { icon: "sync", text: "connecting…", tone: "warning" },
  online: { icon: "pass-filled", text: "online", tone: "good" },
  reconnecting: { icon: "sync", text: "reconnecting…", tone: "warning" },
  refused: { icon: "error", text: "refused", tone: "bad" },
};

/** The same for nearly every share: it leaves the room to what tells them apart. */
const WEB_SCHEME = /^https?:\/\//;

/** The top line: filter, commands, and what is shared at which URL. */
export class Toolbar extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;
  #secrets = false;

  protected override observed(): readonly Observable[] {
    return [this.store];
  }

  protected override render(): TemplateResult {
    const { store } = this;
    const paused = store.capture?.capturing === false;
    return html`<div class="commands" role="toolbar" aria-label="Inspector">
        <pl-filter-box .store=${store}></pl-filter-box>
        ${iconButton({
          icon: paused ? "debug-start" : "debug-pause",
          label: paused ? "Resume recording" : "Pause recording (traffic goes on)",
          pressed: paused,
          run: () => void store.pause(!paused),
        })}
        ${iconButton({ icon: "clear-all", label: "Clear: forget all recorded exchanges", run: () => void store.clear() })}
        <pl-menu
          label="Export"
          icon="export"
          .items=${[
            { label: "Export as JSON Lines", run: () => void this.#export("jsonl") },
            { label: "Export as HAR", run: () => void this.#export("har") },
            {
              label: "With secrets in clear",
              checked: this.#secrets,
              run: () => {
                this.#secrets = !this.#secrets;
                this.requestUpdate();
              },
            },
          ]}
        ></pl-menu>
        ${
          store.state?.placement === "panel"
            ? iconButton({
                icon: "go-to-file",
                label: "Open in Editor",
                run: () => void store.attempt(() => store.host.request("host/openInEditor", null)),
              })
            : nothing
        }
      </div>
      ${this.#shares(store.state?.shares ?? [])}`;
  }

  #shares(shares: readonly Share[]): TemplateResult | typeof nothing {
    if (shares.length === 0) return nothing;
    return html`<ul class="shares" aria-label="Shared ports">
      ${shares.map((share) => {
        const state = SHARE_STATES[share.state];
        const problem = share.problem === undefined ? "" : visibleText(share.problem);
        return html`<li
          class="share"
          title=${`Port ${share.port} is ${state.text}${problem === "" ? "" : `: ${problem}`}\n${visibleText(share.url)}`}
        >
          <span class="tone-${state.tone}">${icon(state.icon, state.icon === "sync")}</span>
          <span class="share-port">${share.port}</span>
          <span class="share-url">${visibleText(share.url.replace(WEB_SCHEME, ""))}</span>
          ${share.state === "online" ? html`<span class="visually-hidden">online</span>` : html`<span class="share-state tone-${state.tone}">${state.text}</span>`}
          ${problem === "" ? nothing : html`<span class="share-problem">${problem}</span>`}
          ${share.url === "" ? nothing : iconButton({ icon: "copy", label: `Copy URL of port ${share.port}`, run: () => void this.store.copy(share.url, "URL") })}
        </li>`;
      })}
    </ul>`;
  }

  async #export(format: "jsonl" | "har"): Promise<void> {
    const { store } = this;
    await store.attempt(async () => {
      const view = store.list.view;
      const result = await store.host.request("capture/export", {
        ...(view === undefined ? {} : { view }),
        format,
        showSecrets: this.#secrets,
      });
      await store.host.save(`portlight.${format}`, new TextEncoder().encode(result.text));
      store.say(
        result.truncated
          ? "Exported in part: the capture is larger than one export may be. Filter to export less."
          : "Exported",
      );
    });
  }
}

customElements.define("pl-toolbar", Toolbar);
