import { html, nothing, type TemplateResult } from "lit";
import "./value-tree.ts";
import type { Detail } from "./exchange-model.ts";
import { icon, note } from "./parts.ts";
import { statusOf } from "./row-text.ts";
import type { Store } from "./store.ts";
import { visible } from "./visible.ts";
import { nodesOf } from "./tree-model.ts";

/** How a call ended: status, message, rich details (google.rpc.Status). Nothing for exchanges that are no calls. */
export function callStatus(store: Store, detail: Detail): TemplateResult | typeof nothing {
  const { call, row } = detail;
  if (call === undefined || row.grpcStatus === undefined) return nothing;
  const status = statusOf(row);
  const details = call.details;
  return html`<section class="call-status">
    <h3>Status</h3>
    <p class="status-line tone-${status.tone}">
      ${icon(status.icon)} <strong>${status.text}</strong>
      <span class="quiet">grpc-status ${row.grpcStatus}${call.trailersOnly ? ", trailers only" : ""}</span>
    </p>
    ${call.message === undefined || call.message === "" ? nothing : html`<p class="grpc-message"><span class="pre">${visible(call.message)}</span></p>`}
    ${
      details === undefined
        ? nothing
        : html`<h4>Details</h4>
            ${details.problem === undefined ? nothing : note("warning", html`${visible(details.problem)}`)}
            ${
              details.decoded === undefined
                ? html`<p class="value">${visible(details.base64)}</p>`
                : html`<pl-value-tree
                    class="fitted"
                    .store=${store}
                    .nodes=${nodesOf(details.decoded)}
                    label="Error details"
                  ></pl-value-tree>`
            }`
    }
  </section>`;
}
