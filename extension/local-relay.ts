import { randomBytes } from "node:crypto";
import type { MessageConnection } from "vscode-jsonrpc";
import type { RelayEndpoint } from "../agent/options.ts";
import type { RelayNotifications, RelayRequests } from "../relay/protocol.ts";
import type { Logger } from "../wire/logger.ts";
import type { Child } from "./child.ts";
import { Supervisor } from "./supervisor.ts";

/** 256 bits: nobody else on this machine may use our relay. */
const TOKEN_BYTES = 32;

export interface LocalRelayAddress {
  readonly endpoint: RelayEndpoint;
  /** The relay's own listeners, which must never be shared themselves. */
  readonly ports: readonly number[];
}

/** The relay in a child process of this window: reachable on this machine, and on the LAN where a share asks for it. */
export class LocalRelay {
  readonly supervisor: Supervisor;
  readonly #token = randomBytes(TOKEN_BYTES).toString("base64url");
  readonly #log: Logger;
  #address: LocalRelayAddress | undefined;

  constructor(fork: () => Child, log: Logger) {
    this.#log = log;
    this.supervisor = new Supervisor({ name: "relay", fork, prepare: (connection) => this.#prepare(connection) });
  }

  /** Where it listens now, or listened last: a restarted relay asks for the same ports again. */
  get address(): LocalRelayAddress | undefined {
    return this.#address;
  }

  /** Starts it when it is not running. */
  async start(): Promise<LocalRelayAddress> {
    await this.supervisor.acquire();
    if (this.#address === undefined) throw new Error("The relay is running, but has not said where it listens.");
    return this.#address;
  }

  async stop(graceMs: number): Promise<void> {
    const params: RelayRequests["relay/shutdown"]["params"] = { drainMs: 0 };
    await this.supervisor.stop(graceMs, (connection) => connection.sendRequest("relay/shutdown", params));
  }

  async #prepare(connection: MessageConnection): Promise<void> {
    connection.onNotification("relay/log", ({ level, message }: RelayNotifications["relay/log"]) => {
      this.#log[level](`relay: ${message}`);
    });
    const [port = 0, tunnelPort = 0] = this.#address?.ports ?? [];
    // Whether a share may be reached from the LAN is asked of the user per share; the token keeps everybody else out.
    const params: RelayRequests["relay/start"]["params"] = { token: this.#token, allowLan: true, port, tunnelPort };
    const { publicUrl, tunnelUrl } = await connection.sendRequest<RelayRequests["relay/start"]["result"]>(
      "relay/start",
      params,
    );
    this.#address = {
      endpoint: { url: tunnelUrl, token: this.#token },
      ports: [portOf(publicUrl), portOf(tunnelUrl)],
    };
  }
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
