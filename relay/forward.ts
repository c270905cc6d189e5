/** What the relay does to a request head before it enters a tunnel: pure functions. */
import type { Failure, Field, Fields } from "../wire/stream.ts";
import { isReserved, valueOf, without, withoutHopByHop } from "../tunnel/fields.ts";

/** What a visitor says about where he comes from is worth nothing: he can write anything. `host` is `:authority`, once. */
function isVouchedFor(field: Field): boolean {
  const { name } = field;
  return (
    name === "host" ||
    name === "forwarded" ||
    name === "x-real-ip" ||
    name.startsWith("x-forwarded-") ||
    isReserved(field)
  );
}

/** The visitor's head without what is for this hop only and what only we may say, followed by what we say. */
export function forwardedHead(fields: Fields, additions: readonly Field[]): Fields {
  return without(withoutHopByHop(fields), isVouchedFor).concat(additions);
}

export type RequestKind = "plain" | "websocket";

/** Whether a request may be forwarded at all, and as what. */
export function kindOf(fields: Fields): RequestKind | Failure {
  const method = valueOf(fields, ":method");
  const protocol = valueOf(fields, ":protocol");
  if (method === "CONNECT") {
    if (protocol === "websocket") return "websocket";
    const what = protocol === undefined ? "CONNECT" : "This kind of CONNECT";
    return {
      by: "relay",
      code: "unsupported",
      message: `${what} is not forwarded, only WebSockets and plain requests are`,
    };
  }
  const path = valueOf(fields, ":path") ?? "";
  // RFC 9112 section 3.2: everything else is for proxies. Forwarded as it is; nobody normalises a path.
  if (protocol !== undefined || !(path.startsWith("/") || (path === "*" && method === "OPTIONS"))) {
    return { by: "visitor", code: "malformed", message: "The request target is not a path" };
  }
  return "plain";
}
