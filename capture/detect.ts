import type { Fields } from "../wire/stream.ts";
import { fieldValue, mediaType } from "./media.ts";
import type { Protocol } from "./protocol.ts";

/** How a side's bytes are laid out. */
export type Layout = "grpc" | "grpc-web" | "grpc-web-text" | "connect" | "websocket" | "event-stream" | "tcp" | "body";

/** The protocol a request head tells; an event stream is known only from the answer. */
export function detectProtocol(request: Fields): Protocol {
  const method = fieldValue(request, ":method");
  if (method === "CONNECT") return fieldValue(request, ":protocol") === "websocket" ? "websocket" : "tcp";
  const type = mediaType(fieldValue(request, "content-type"));
  if (type.startsWith("application/grpc-web")) return "grpc-web";
  if (isGrpcType(type)) return "grpc";
  if (type.startsWith("application/connect+")) return "connect";
  if (fieldValue(request, "connect-protocol-version") !== undefined) return "connect";
  if (method === "POST" && type === "application/proto") return "connect";
  if (method === "GET" && /[?&]connect=v1(&|$)/.test(fieldValue(request, ":path") ?? "")) return "connect";
  return "http";
}

/** `application/grpc`, `application/grpc+proto`, …; not `application/grpc-web`. */
export function isGrpcType(type: string): boolean {
  return type === "application/grpc" || type.startsWith("application/grpc+");
}

export function requestLayout(protocol: Protocol, request: Fields): Layout {
  const type = mediaType(fieldValue(request, "content-type"));
  if (protocol === "grpc" || protocol === "websocket" || protocol === "tcp") return protocol;
  if (protocol === "grpc-web") return type.startsWith("application/grpc-web-text") ? "grpc-web-text" : "grpc-web";
  return type.startsWith("application/connect+") ? "connect" : "body";
}

/**
 * Envelopes are read only where the answer says that it has some: a proxy's "404 page not found" in a gRPC call is a body.
 * `status` is the final head's.
 */
export function responseLayout(protocol: Protocol, response: Fields, status: number): Layout {
  const contentType = fieldValue(response, "content-type");
  const type = mediaType(contentType);
  if (protocol === "tcp") return "tcp";
  if (protocol === "websocket") return status === 200 || status === 101 ? "websocket" : "body";
  if (status === 200) {
    if (isGrpcType(type)) return "grpc";
    if (type.startsWith("application/grpc-web-text")) return "grpc-web-text";
    if (type.startsWith("application/grpc-web")) return "grpc-web";
    if (type.startsWith("application/connect+")) return "connect";
  }
  const encoding = fieldValue(response, "content-encoding") ?? "identity";
  if (type === "text/event-stream" && encoding === "identity") return "event-stream";
  return "body";
}

/** `/pkg.Service/Method` without query; a gRPC path may have a prefix before it (Connect, gRPC-Web behind a proxy). */
export function rpcOf(path: string): { readonly service: string; readonly method: string } | undefined {
  const match = /\/([^/?#]+)\/([^/?#]+)(?:[?#].*)?$/.exec(path);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { service: match[1], method: match[2] };
}
