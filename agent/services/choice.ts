import type { Offers } from "./probe.ts";

/** What an exchange needs of the service. */
export interface Wants {
  readonly kind: "http" | "grpc" | "websocket";
  /** The version the visitor speaks. */
  readonly visitorVersion: 1 | 2;
}

/**
 * The version of HTTP to speak to the service. `ask`: it depends on whether the service takes HTTP/1, which nobody asked
 * yet.
 */
export function chooseVersion(wants: Wants, offers: Offers): 1 | 2 | "ask" {
  if (!offers.http2) return 1;
  // gRPC needs HTTP/2 from end to end, whatever the visitor's version says.
  if (wants.kind === "grpc") return 2;
  // A WebSocket by Upgrade is what every server of WebSockets speaks; extended CONNECT (RFC 8441) is rare.
  const prefersHttp1 = wants.kind === "websocket" || wants.visitorVersion === 1;
  if (!prefersHttp1) return 2;
  if (offers.http1 === undefined) return "ask";
  return offers.http1 ? 1 : 2;
}
