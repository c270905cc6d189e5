import type { Logger } from "../wire/logger.ts";

export interface ListenAddress {
  /** An IP address or host name; "127.0.0.1" unless the user says more. */
  readonly host: string;
  /** 0: a free port. */
  readonly port: number;
}

export interface RelayOptions {
  /**
   * `local`: the embedded default. Each share gets a port of its own on loopback (or the LAN address when the share asks
   * and `allowLan` is set), and `name.localhost` on the main port. `remote`: a public server with `domain`.
   */
  readonly mode: "local" | "remote";
  /** The main port for visitors. */
  readonly listen: ListenAddress;
  /** Where agents dial. */
  readonly tunnelListen: ListenAddress;
  /** `remote`: shares are `name.domain`. `local`: "localhost". */
  readonly domain: string;
  /** PEM. For visitors on the main port (beside cleartext, told apart by the first bytes) and, in remote mode, for agents. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** SHA-256 digests (hex) of the tokens agents may show; undefined: no token is asked (only allowed when the tunnel listens on loopback). */
  readonly tokenDigests?: readonly string[];
  /** Whether a share may ask for `reach: "lan"`. */
  readonly allowLan: boolean;
  /** Public URLs carry this port instead of the one listened on, where something in front maps it. */
  readonly publicPort?: number;
  /** In-flight exchanges get this long when the relay is told to stop. Default 30 s. */
  readonly drainMs?: number;
  /**
   * A relay that takes over may listen on the same ports while this one drains (Linux and BSD). Then draining takes as
   * long as visitors need to be told, on connections they use. Default false.
   */
  readonly reusePort?: boolean;
  /**
   * How long a request waits for a share whose last link was lost a moment ago, and, that long after the relay's start,
   * for one that is not known yet. Default 5 s; 0: it is refused at once.
   */
  readonly returnMs?: number;
  readonly log: Logger;
}

/** A running relay. `relay/relay.ts` exports `startRelay(options: RelayOptions): Promise<Relay>`. */
export interface Relay {
  /** Base URL of the main port: `http://127.0.0.1:41000` or `https://example.com`. */
  readonly publicUrl: string;
  /** What agents dial: `tcp://127.0.0.1:41001` or `tls://example.com:4443`. */
  readonly tunnelUrl: string;
  /** Drains for up to `drainMs` (default from the options; 0: at once), then closes every socket. Resolves when all are closed. */
  close(drainMs?: number): Promise<void>;
}
