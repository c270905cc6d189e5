import { html, nothing, type TemplateResult } from "lit";
import "./value-tree.ts";
import { closeCodeText } from "./close-code.ts";
import { PortlightElement } from "./element.ts";
import type { Detail } from "./exchange-model.ts";
import { formatCount, formatDuration, formatSize, formatTime, plural } from "./format.ts";
import type { Row } from "./list-model.ts";
import type { Observable } from "./observable.ts";
import { icon, note, typeName } from "./parts.ts";
import { durationOf, nameOf, protocolName, statusOf } from "./row-text.ts";
import type { Store } from "./store.ts";
import { styles } from "./styles.ts";
import { callStatus } from "./call-status.ts";
import { visible, visibleText } from "./visible.ts";

type Fact = readonly [name: string, value: unknown];

const CALL_KINDS: Readonly<Record<NonNullable<Detail["call"]>["kind"], string>> = {
  unary: "unary",
  "client-streaming": "client streaming (many messages from the visitor, one answer)",
  "server-streaming": "server streaming (one message from the visitor, many answers)",
  "bidi-streaming": "bidirectional streaming",
  unknown: "unknown: no .proto file of the workspace defines this method",
};

/** What happened, when, how much, and who failed. */
export class Overview extends PortlightElement {
  static override properties = { store: { attribute: false } };

  declare store: Store;
  #timer: number | undefined;

  protected override observed(): readonly Observable[] {
    return [this.store.exchange];
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

  protected override render(): TemplateResult | typeof nothing {
    const { detail } = this.store.exchange;
    if (detail === undefined) return nothing;
    const { row } = detail;
    return html`<div class="overview">
      ${row.failure === undefined ? nothing : note("error", failureText(row.failure))}
      ${
        row.incomplete
          ? note(
              "info",
              "Part of this exchange is not in the capture: it was larger than the capture keeps of one exchange, or older bytes made room for newer ones. Traffic itself was not touched.",
            )
          : nothing
      }
      ${callStatus(this.store, detail)} ${facts("General", this.#general(detail))} ${this.#timing(detail)}
      ${facts("Amounts", amounts(row))}
      ${detail.webSocket === undefined ? nothing : facts("WebSocket", webSocketFacts(detail.webSocket))}
    </div>`;
  }

  #general(detail: Detail): Fact[] {
    const { row, call } = detail;
    const status = statusOf(row);
    const general: Fact[] = [
      ["Protocol", protocolName(row.protocol)],
      ["Name", visible(nameOf(row).full)],
      ["Method", row.protocol === "tcp" ? undefined : visible(row.method)],
      ["Host", visible(row.authority)],
      ["Path", row.path === "" ? undefined : visible(row.path)],
      ["Status", html`<span class="tone-${status.tone}">${icon(status.icon)} ${status.text}</span>`],
      ["HTTP status", row.status],
      ["Shared port", `${row.share.port} (${visibleText(row.share.name)})`],
    ];
    if (call !== undefined)
      general.push(
        ["Call", CALL_KINDS[call.kind]],
        ["Visitor sends", schemaText(this.store, call.requestSchema)],
        ["Service sends", schemaText(this.store, call.responseSchema)],
      );
    return general;
  }

  #timing(detail: Detail): TemplateResult {
    const { row, call } = detail;
    const elapsed = durationOf(row, this.store.clock.now());
    const timeout = call?.timeoutMs;
    const late = timeout !== undefined && elapsed > timeout;
    return html`${facts("Timing", [
      ["Started", `${formatTime(row.startedAt)}, ${new Date(row.startedAt).toDateString()}`],
      [
        "Head of the answer",
        row.headAt === undefined ? undefined : `after ${formatDuration(row.headAt - row.startedAt)}`,
      ],
      ["Last activity", `after ${formatDuration(row.lastActivityAt - row.startedAt)}`],
      [
        row.endedAt === undefined ? "Open for" : "Ended",
        `${row.endedAt === undefined ? "" : "after "}${formatDuration(elapsed)}`,
      ],
      [
        "Deadline",
        timeout === undefined
          ? undefined
          : html`${formatDuration(timeout)}:
              ${late ? html`${icon("warning")} passed by ${formatDuration(elapsed - timeout)}` : `${formatDuration(timeout - elapsed)} left`}
              <span class="gauge" aria-hidden="true"
                ><span
                  class=${late ? "gauge-over" : ""}
                  ${styles({ width: `${Math.min(100, (elapsed / Math.max(1, timeout)) * 100).toFixed(1)}%` })}
                ></span
              ></span>`,
      ],
    ])}`;
  }
}

function facts(title: string, entries: readonly Fact[]): TemplateResult {
  return html`<section>
    <h3>${title}</h3>
    <dl class="facts">
      ${entries
        .filter(([, value]) => value !== undefined)
        .map(
          ([name, value]) =>
            html`<dt>${name}</dt>
              <dd>${value}</dd>`,
        )}
    </dl>
  </section>`;
}

function amounts(row: Row): Fact[] {
  return [
    ["Visitor → service", amount(row.visitorBytes, row.visitorMessages)],
    ["Service → visitor", amount(row.serviceBytes, row.serviceMessages)],
  ];
}

function amount(bytes: number, messages: number): string {
  const rounded = formatSize(bytes);
  const exact = `${formatCount(bytes)} B`;
  return `${rounded}${rounded === exact ? "" : ` (${exact})`}, ${plural(messages, "message")}`;
}

function webSocketFacts({ subprotocol, extensions, close }: NonNullable<Detail["webSocket"]>): Fact[] {
  return [
    ["Sub-protocol", subprotocol === undefined ? "none" : visible(subprotocol)],
    ["Extensions", extensions === undefined ? "none" : visible(extensions)],
    [
      "Closed",
      close === undefined
        ? undefined
        : `by the ${close.from}: ${closeCodeText(close.code)}${close.reason === "" ? "" : `, ${visibleText(close.reason)}`}`,
    ],
  ];
}

function schemaText(store: Store, schema: NonNullable<Detail["call"]>["requestSchema"]): unknown {
  return html`${typeName(store, schema, true)}
  ${schema.problem === undefined ? nothing : html`<span class="quiet">${visible(schema.problem)}</span>`}`;
}

/** What went wrong, and where. */
export function failureText({ by, message }: NonNullable<Row["failure"]>): string {
  return `${visibleText(message).replace(/\.$/, "")}. This exchange failed at the ${by}.`;
}

customElements.define("pl-overview", Overview);
