import { html, nothing, type TemplateResult } from "lit";
import "./message-view.ts";
import "./timeline.ts";
import { closeCodeText } from "./close-code.ts";
import { callStatus } from "./call-status.ts";
import { PortlightElement } from "./element.ts";
import { formatDuration } from "./format.ts";
import type { Observable } from "./observable.ts";
import { failureText } from "./overview.ts";
import { icon, note } from "./parts.ts";
import { durationOf, statusOf } from "./row-text.ts";
import type { Store } from "./store.ts";
import type { Timeline } from "./timeline.ts";
import { visible, visibleText } from "./visible.ts";

/** The messages tab: the timeline, how it ended, and the message that is looked at. */
export class Messages extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;
  #timer: number | undefined;

  protected override observed(): readonly Observable[] {
    return [this.store.exchange, this.store.message];
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#timer = window.setInterval(() => {
      if (this.store.exchange.row?.state === "open") this.requestUpdate();
    }, 1000);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#timer);
  }

  /** False when there is nothing to focus. */
  async focusTimeline(): Promise<boolean> {
    await this.updateComplete;
    return (await this.querySelector<Timeline>("pl-timeline")?.focusActive()) ?? false;
  }

  protected override render(): TemplateResult {
    const { message } = this.store;
    return html`<div
      class="messages"
      @keydown=${(event: KeyboardEvent) => {
        const inTimeline = (event.target as Element).closest(".messages-timeline") !== null;
        if (event.key === "Escape" && !inTimeline && !event.defaultPrevented) {
          event.preventDefault();
          void this.focusTimeline();
        }
      }}
      @enter-message=${() => this.querySelector<HTMLElement>(".messages-value [tabindex='0'], .messages-value button:not(:disabled)")?.focus()}
    >
      <div class="messages-timeline timeline-box">
        <pl-timeline .store=${this.store}></pl-timeline>
        ${this.#end()}
      </div>
      <div class="messages-value" role="region" aria-label="Message">
        ${message.index === "status" ? this.#status() : html`<pl-message-view .store=${this.store}></pl-message-view>`}
      </div>
    </div>`;
  }

  /** The last entry: how the exchange ended, or how long nothing has happened. */
  #end(): TemplateResult | typeof nothing {
    const { row } = this.store.exchange;
    if (row === undefined) return nothing;
    const now = this.store.clock.now();
    const status = statusOf(row);
    const selected = this.store.message.index === "status";
    const idle = now - row.lastActivityAt;
    const text =
      row.state === "open"
        ? `still open${idle >= 2000 ? `, idle for ${formatDuration(idle)}` : ""}`
        : row.state === "ended"
          ? "ended"
          : row.state;
    return html`<button
      type="button"
      class="timeline-end ${selected ? "selected" : ""}"
      aria-pressed=${selected}
      @click=${() => this.store.message.select("status")}
    >
      <span class="tone-${status.tone}">${icon(status.icon, status.icon === "sync")}</span>
      <span class="timeline-end-text"><strong>${status.text === text ? nothing : status.text}</strong> ${text}</span>
      <span class="quiet">+${formatDuration(durationOf(row, now))}</span>
    </button>`;
  }

  #status(): TemplateResult {
    const { detail } = this.store.exchange;
    const row = detail?.row;
    const trailers = detail?.heads.findIndex((head) => head.kind === "responseTrailers") ?? -1;
    const fields = detail?.heads[trailers]?.fields ?? [];
    return html`<div class="status-view">
      ${row?.failure === undefined ? nothing : note("error", failureText(row.failure))}
      ${row?.state === "open" ? note("info", "This exchange is still open: messages appear as they pass.") : nothing}
      ${row?.state === "cancelled" && row.failure === undefined ? note("info", "A peer gave up, for example a browser that closed an event stream. It is not an error of the service.") : nothing}
      ${detail === undefined ? nothing : callStatus(this.store, detail)}
      ${
        detail?.webSocket?.close === undefined
          ? nothing
          : html`<p>
              Closed by the ${detail.webSocket.close.from}:
              ${closeCodeText(detail.webSocket.close.code)}${detail.webSocket.close.reason === "" ? nothing : html`, ${visible(detail.webSocket.close.reason)}`}
            </p>`
      }
      ${
        trailers < 0
          ? nothing
          : html`<button type="button" class="link" @click=${() => this.store.setTab("headers")}>
              ${fields.length} ${fields.length === 1 ? "trailer" : "trailers"}:
              ${fields.map((field) => visibleText(field.name)).join(", ")}
            </button>`
      }
    </div>`;
  }
}

customElements.define("pl-messages", Messages);
