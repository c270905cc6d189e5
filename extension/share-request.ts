import type { RelayEndpoint, ShareInfo } from "../agent/options.ts";

export type ShareKind = ShareInfo["kind"];

/** Which relay: the one in a child process of this window, or one that the user configured. */
export type RelayChoice =
  { readonly kind: "local" } | { readonly kind: "remote"; readonly url: string; readonly fingerprint?: string };

export type Reach = "loopback" | "lan";

/** What the user wants shared, and how. */
export interface ShareRequest {
  readonly port: number;
  readonly kind: ShareKind;
  /** Local relay only. */
  readonly reach: Reach;
  readonly name?: string;
  readonly keepHost: boolean;
  readonly relay: RelayChoice;
}

/** A share as the extension shows it. There is at most one for each port. */
export interface Share {
  readonly request: ShareRequest;
  /** What the agent told last; while the agent itself is restarted, `reconnecting`. */
  readonly info: ShareInfo;
}

export function relayName(relay: RelayChoice): string {
  return relay.kind === "local" ? "local" : relay.url;
}

/** Whether anybody but this machine can reach it. */
export function leavesMachine(request: ShareRequest): boolean {
  return request.relay.kind === "remote" || request.reach === "lan";
}

export function sameRequest(a: ShareRequest, b: ShareRequest): boolean {
  return (
    a.port === b.port &&
    a.kind === b.kind &&
    a.reach === b.reach &&
    a.name === b.name &&
    a.keepHost === b.keepHost &&
    relayName(a.relay) === relayName(b.relay)
  );
}

/** Before the agent has said anything about it. */
export function newShareInfo(request: ShareRequest): ShareInfo {
  return {
    id: "",
    port: request.port,
    kind: request.kind,
    state: "connecting",
    name: request.name ?? "",
    url: "",
    alternativeUrls: [],
    relayUrl: relayName(request.relay),
    reach: request.relay.kind === "remote" ? "public" : request.reach,
    exchanges: 0,
    openExchanges: 0,
    visitorBytes: 0,
    serviceBytes: 0,
  };
}

export function remoteEndpoint(
  relay: Extract<RelayChoice, { kind: "remote" }>,
  token: string | undefined,
): RelayEndpoint {
  return {
    url: relay.url,
    ...(token === undefined ? {} : { token }),
    ...(relay.fingerprint === undefined ? {} : { pinnedFingerprint: relay.fingerprint }),
  };
}

/** The port in what a person typed; or, in words, what is wrong with it. */
export function parsePort(text: string): number | string {
  const trimmed = text.trim();
  if (!/^[0-9]{1,5}$/.test(trimmed)) return "Enter a port: a number from 1 to 65535.";
  const port = Number(trimmed);
  return port >= 1 && port <= 65535 ? port : "A port is a number from 1 to 65535.";
}

/** A name for a share as `tunnel/protocol.ts` allows it: a DNS label. */
export function nameProblem(name: string): string | undefined {
  if (name === "" || /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) return undefined;
  return "Use up to 63 lower-case letters, digits and hyphens, with no hyphen at either end.";
}

/** What is wrong with the address of a remote relay; undefined when nothing is. */
export function relayUrlProblem(url: string): string | undefined {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return `"${url}" is no URL. Write it like tls://relay.example.com:4443.`;
  }
  const plain = parsed.protocol === "tcp:";
  if (!plain && parsed.protocol !== "tls:") return `"${url}" begins with ${parsed.protocol} and must begin with tls:.`;
  if (parsed.username !== "" || parsed.password !== "")
    return "The URL of a relay holds no user name or password. Use the command Set Relay Token.";
  if (parsed.port === "") return `"${url}" names no port. Write it like tls://relay.example.com:4443.`;
  if (plain && !/^(127(\.[0-9]+){3}|\[::1\]|localhost)$/.test(parsed.hostname))
    return `"${url}" would send the token unencrypted. Only a relay on this machine may be reached by tcp:, others need tls:.`;
  return undefined;
}

/** Takes what a command may be given: a row of the Ports view, an item of the Shares view, a number, or nothing. */
export function portOfArgument(argument: unknown): number | undefined {
  const value = typeof argument === "object" && argument !== null ? argument : { port: argument };
  const candidates = [
    "remotePort" in value ? value.remotePort : undefined,
    "port" in value ? value.port : undefined,
    "request" in value ? (value.request as { port?: unknown } | undefined)?.port : undefined,
  ];
  return candidates.find(
    (port): port is number => typeof port === "number" && Number.isInteger(port) && port >= 1 && port <= 65535,
  );
}
