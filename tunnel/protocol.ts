/**
 * The tunnel protocol, version 1: the whole contract between a relay and an agent.
 *
 * 1. The agent dials the relay's tunnel address: TLS with ALPN `portlight/1`, or cleartext on loopback.
 * 2. Both speak plain HTTP/2 (RFC 9113) with the roles reversed: the relay is the HTTP/2 client and sends the preface,
 *    the agent is the server and announces SETTINGS_ENABLE_CONNECT_PROTOCOL.
 * 3. The relay opens stream 1, the *control stream*: `:method CONNECT`, `:protocol portlight-control`. The edge never
 *    forwards a request with this `:protocol`, so nothing a visitor sends can produce it. Its DATA is JSON, one message
 *    a line (LF), each at most `CONTROL_LINE_BYTES`. The agent answers `:status 200` and speaks first: `hello`.
 * 4. Each exchange is one more stream, opened by the relay: the visitor's request with the field `portlight-share`.
 * 5. An agent may hold several tunnels (*links*) to one relay, each with a hello of its own and the same `instance`. A
 *    name claimed again with its secret by the same instance under the same id is served through all of its links;
 *    claimed by another, it leaves the former, who is told `unshared`. `unshare` on one link ends the share on all of them.
 *
 * Unknown fields of a message are ignored; an unknown `type` is refused (`refused`, code "protocol").
 */

export const TUNNEL_VERSION = 1;
export const TUNNEL_ALPN = "portlight/1";

/** `:protocol` of the control stream. */
export const CONTROL_PROTOCOL = "portlight-control";

/**
 * Request field that names the share (`ShareGrant.id`) an exchange is for. The relay removes every field that begins
 * with `RESERVED_FIELD_PREFIX` from what a visitor or a service sends before it sets its own.
 */
export const SHARE_FIELD = "portlight-share";
/** HTTP version the visitor speaks: `1.0`, `1.1` or `2`. A service that speaks several is spoken to in the visitor's. */
export const VERSION_FIELD = "portlight-http";
/** How often the request has passed a relay: a loop guard (`MAX_HOPS`). Added by the relay and passed on to the service, so that a service that calls its own URL is found out. */
export const HOPS_FIELD = "portlight-hops";
export const MAX_HOPS = 8;
export const RESERVED_FIELD_PREFIX = "portlight-";

/** 64 KiB: a hello with 256 shares of 200 octets each fits. */
export const CONTROL_LINE_BYTES = 64 * 1024;

/** An agent that has not said hello by then is disconnected. */
export const HELLO_TIMEOUT_MS = 10_000;

/** `hello.instance`: 128 random bits in base64url are 22 characters. */
export const INSTANCE_BYTES = 16;

/**
 * Links of one instance that serve a name at once; of more, the oldest serves it no longer. Two are used, so that one is
 * there while the other is lost; as many again are old ones whose end the relay has not noticed yet.
 */
export const MAX_LINKS = 4;

/** More shares on one session than this are refused: a person shares a handful, a test some dozens. */
export const MAX_SHARES_PER_SESSION = 256;

/** `http`: requests are routed by name. `tcp`: connections to a port of its own are passed on byte for byte. */
export type ShareKind = "http" | "tcp";

export interface ShareRequest {
  /** Chosen by the agent, unique within its session, at most 64 characters of `[A-Za-z0-9_-]`. */
  readonly id: string;
  readonly kind: ShareKind;
  /** The service's port: for display and for stable naming; the relay never tells the agent where to connect. */
  readonly port: number;
  /** Wanted name: a DNS label, `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`. Without it the relay chooses. */
  readonly name?: string;
  /** The resume secret of an earlier grant of `name`. Without it a name that is or was somebody else's is refused. */
  readonly secret?: string;
  /** The public port wanted for this share (local relays, and `tcp`): the one of an earlier grant, so that a URL survives a restart. A taken port is replaced by a free one. */
  readonly publicPort?: number;
  /** Local relays only: `lan` binds the machine's LAN address as well. Default `loopback`. */
  readonly reach?: "loopback" | "lan";
}

export interface ShareGrant {
  readonly id: string;
  readonly kind: ShareKind;
  readonly name: string;
  /** The one public URL: `http://127.0.0.1:41234`, `https://name.example.com`, `tcp://example.com:7001`. */
  readonly url: string;
  /** Further URLs of the same share (`http://name.localhost:8080`, the LAN address). */
  readonly alternativeUrls: readonly string[];
  /** The port in `url` when the share has a port of its own. */
  readonly publicPort?: number;
  /** At least 128 random bits, base64url: shown again at the next `hello` it brings the same name back. */
  readonly secret: string;
}

export type RefusalCode =
  /** Not JSON, a line too long, or a message of unknown type. Final. */
  | "protocol"
  /** The versions have nothing in common. Final. */
  | "version"
  /** Token missing or wrong. Final. */
  | "unauthorized"
  /** The name belongs to somebody else, or is reserved. Final for this share. */
  | "name-taken"
  | "name-invalid"
  /** Too many shares, sessions, or a public port range used up. */
  | "limit"
  /** This relay does not offer it (TCP shares, LAN). */
  | "unsupported"
  /** The relay is going down; try again. */
  | "draining"
  | "internal";

export interface Hello {
  readonly type: "hello";
  readonly version: number;
  /** Program and version, for logs: `portlight/0.1.0`. */
  readonly agent: string;
  readonly token?: string;
  /** The agent process, at random: `[A-Za-z0-9_-]{22,64}`. Without it (agents before links) each session is an instance. It proves nothing: a name is claimed by its secret. */
  readonly instance?: string;
  readonly shares: readonly ShareRequest[];
}

export interface Welcome {
  readonly type: "welcome";
  readonly version: number;
  readonly relay: string;
  /** How many links of one instance make sense here. Without it one (relays before links): a second would take the names from the first. */
  readonly links?: number;
  /** One grant for each share of the hello that was not refused. */
  readonly shares: readonly ShareGrant[];
}

/** With `id`: that share is refused. Without: the session is, and the relay ends it. */
export interface Refused {
  readonly type: "refused";
  readonly id?: string;
  readonly code: RefusalCode;
  readonly message: string;
}

export type AgentMessage =
  | Hello
  | { readonly type: "share"; readonly share: ShareRequest }
  | { readonly type: "unshare"; readonly id: string }
  /** No new exchanges on this link, please; those open go on. */
  | { readonly type: "draining" };

export type RelayMessage =
  | Welcome
  | Refused
  | { readonly type: "shared"; readonly share: ShareGrant }
  /** The share is over: the agent asked for it, on whichever link, or another instance has the name now. */
  | { readonly type: "unshared"; readonly id: string }
  /** The relay goes down: dial again (another relay may answer). New exchanges still come on this link until it closes. */
  | { readonly type: "draining" };
