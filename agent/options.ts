import type { Logger } from "../wire/logger.ts";
import type { ShareKind, RefusalCode } from "../tunnel/protocol.ts";
import type { Tap } from "../capture/tap.ts";
import type { Failure } from "../wire/stream.ts";

/** A relay as an agent knows it. */
export interface RelayEndpoint {
  /** `tcp://127.0.0.1:41001` (loopback only) or `tls://relay.example.com:4443`. */
  readonly url: string;
  /** Shown in `hello`; kept in memory only. */
  readonly token?: string;
  /** TLS: trust only the certificate with this SHA-256 fingerprint (hex, colons allowed) instead of the system's CAs. */
  readonly pinnedFingerprint?: string;
  /** TLS: PEM of the CA to trust instead of the system's. */
  readonly ca?: string;
  /** Tunnels to this relay at once, 1 to 4, where the relay takes several. Default 2; 1 to a relay on this machine. */
  readonly links?: number;
}

export interface ShareOptions {
  /** The service's port on this machine, 1 to 65535. */
  readonly port: number;
  /** Default "localhost": `127.0.0.1` and `::1` are both tried. Only a loopback host is accepted unless `allowRemoteHost`. */
  readonly host?: string;
  readonly kind: ShareKind;
  readonly name?: string;
  readonly secret?: string;
  readonly publicPort?: number;
  readonly reach?: "loopback" | "lan";
  /** Pass the visitor's `Host`/`:authority` and `Origin` on instead of rewriting them to the service's own. Default false. */
  readonly keepHost?: boolean;
  readonly relay: RelayEndpoint;
}

export type ShareState =
  /** The first connection to the relay, or the grant, is awaited. */
  | "connecting"
  | "online"
  /** The tunnel is down; the agent dials again by itself. */
  | "reconnecting"
  /** The relay refused; nothing more happens until the user acts. */
  | "refused";

/** What everybody may know about a share. JSON-serialisable. */
export interface ShareInfo {
  /** The agent's id, stable for the life of the share. */
  readonly id: string;
  readonly port: number;
  readonly kind: ShareKind;
  readonly state: ShareState;
  /** As granted; kept while reconnecting. Empty before the first grant. */
  readonly name: string;
  readonly url: string;
  readonly alternativeUrls: readonly string[];
  readonly publicPort?: number;
  readonly relayUrl: string;
  readonly reach: "loopback" | "lan" | "public";
  /** Why it is not online, for people. */
  readonly problem?: { readonly code: RefusalCode | Failure["code"]; readonly message: string };
  /** Milliseconds since the epoch of the next dial while reconnecting. */
  readonly retryAt?: number;
  /** Round trip of the last PING of the tunnel, milliseconds. */
  readonly rttMs?: number;
  readonly exchanges: number;
  readonly openExchanges: number;
  /** Octets of bodies passed from each side. */
  readonly visitorBytes: number;
  readonly serviceBytes: number;
}

export interface AgentOptions {
  /** Undefined: nothing is captured. */
  readonly tap?: Tap;
  readonly log: Logger;
  /** Ports that must never be shared: the relay's own and the inspector's. */
  readonly forbiddenPorts?: readonly number[];
}

/** A share in the agent's hands, with the secret that brings its name back. */
export interface GrantedShare {
  readonly info: ShareInfo;
  readonly secret: string;
}

/** `agent/agent.ts` exports `createAgent(options: AgentOptions): Agent`. One set of links per distinct relay endpoint. */
export interface Agent {
  /** Resolves when the relay granted it; rejects with `ShareError` when it refused or the options are wrong. While the relay cannot be reached it keeps dialling; `signal` ends the wait and removes the share. */
  share(options: ShareOptions, signal?: AbortSignal): Promise<GrantedShare>;
  /** Ends the share: no new exchanges; those open get `drainMs` (default 0). */
  unshare(id: string, drainMs?: number): Promise<void>;
  readonly shares: readonly ShareInfo[];
  /** Called after any change of `shares` (state at once, counters at most once a second). Returns its removal. */
  onChange(listener: () => void): () => void;
  close(drainMs?: number): Promise<void>;
}
