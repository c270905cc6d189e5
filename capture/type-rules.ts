import type { Side } from "../wire/stream.ts";
import type { Exchange } from "./exchange.ts";
import { fieldValue } from "./media.ts";

/** Rules remembered: one for each path, sub-protocol and side that a person set. */
const MAX_RULES = 1000;

/** Which message type the binary messages of a WebSocket have, as someone said: for all connections of the same kind. */
export class TypeRules {
  readonly #rules = new Map<string, string>();

  typeOf(exchange: Exchange, side: Side): string | undefined {
    return this.#rules.get(keyOf(exchange, side));
  }

  set(exchange: Exchange, side: Side, type: string | undefined): void {
    const key = keyOf(exchange, side);
    this.#rules.delete(key);
    if (type === undefined) return;
    const [oldest] = this.#rules.keys();
    if (this.#rules.size >= MAX_RULES && oldest !== undefined) this.#rules.delete(oldest);
    this.#rules.set(key, type);
  }
}

/** Path without query, sub-protocol and side, in the share. */
function keyOf(exchange: Exchange, side: Side): string {
  const [path = ""] = exchange.path.split("?");
  return [exchange.share.port, path, subprotocolOf(exchange) ?? "", side].join("\n");
}

/** The sub-protocol that the service chose. */
export function subprotocolOf(exchange: Exchange): string | undefined {
  return fieldValue(exchange.response ?? [], "sec-websocket-protocol");
}
