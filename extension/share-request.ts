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

/** Where relays listen for agents unless their URL says otherwise; as on the command line. */
const DEFAULT_TUNNEL_PORT = 4443;

const EXAMPLE = "Write it like https://relay.example.com, or with a port, like https://relay.example.com:4443.";

/**
 * What the agent dials for the address of a remote relay: `https://relay.example.com` (port 4443, unless it names one),
 * `tls://host:port`, or `tcp://127.0.0.1:port` (cleartext, on loopback only). Otherwise what is wrong with it.
 */
export function parseRelayUrl(text: string): { readonly url: string } | { readonly problem: string } {
  if (!/^(https|tls|tcp):\/\//i.test(text)) return { problem: `"${text}" is no URL of a relay. ${EXAMPLE}` };
  let parsed: URL;
  try {
    // `tls:` and `tcp:` are no special schemes to URL, which then checks less.
    parsed = new URL(text.replace(/^(tls|tcp):/i, "https:"));
  } catch {
    return { problem: `"${text}" is no URL. ${EXAMPLE}` };
  }
  if (parsed.username !== "" || parsed.password !== "")
    return { problem: "The URL of a relay holds no user name or password. Use the command Set Relay Token." };
  if (parsed.pathname !== "/" || parsed.search !== "" || parsed.hash !== "")
    return { problem: `"${text}" has more than a host and a port. ${EXAMPLE}` };
  const port = /:(\d+)\/?$/.exec(text)?.[1] ?? String(DEFAULT_TUNNEL_PORT);
  if (!/^tcp:/i.test(text)) return { url: `tls://${parsed.hostname}:${port}` };
  if (!/^(127(\.[0-9]+){3}|\[::1\]|localhost)$/.test(parsed.hostname)) {
    const problem = `"${text}" would send the token unencrypted. Only a relay on this machine may be reached by tcp:, others need https:.`;
    return { problem };
  }
  return { url: `tcp://${parsed.hostname}:${port}` };
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
