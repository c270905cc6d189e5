import { Emitter, type MessageConnection } from "vscode-jsonrpc";
import type { ShareInfo } from "../agent/options.ts";
import type { AgentConfiguration, AgentNotifications, AgentRequests, ListeningPort } from "../agent/protocol.ts";
import type { InspectorNotifications } from "../webview/protocol.ts";
import type { Logger } from "../wire/logger.ts";
import type { Child } from "./child.ts";
import { INSPECTOR_NOTIFICATIONS } from "./inspector-session.ts";
import { Supervisor } from "./supervisor.ts";

export interface AgentProcessOptions {
  readonly fork: () => Child;
  /** Asked at each start and each `configure`. */
  readonly configuration: () => AgentConfiguration;
  readonly log: Logger;
}

export interface InspectorEvent {
  readonly method: keyof InspectorNotifications;
  readonly params: unknown;
}

/** The agent in a child process: dials the relay, forwards to services, owns the capture. */
export class AgentProcess {
  readonly supervisor: Supervisor;
  readonly #options: AgentProcessOptions;
  readonly #sharesChanged = new Emitter<readonly ShareInfo[]>();
  readonly #inspector = new Emitter<InspectorEvent>();

  readonly onSharesChanged = this.#sharesChanged.event;
  readonly onInspector = this.#inspector.event;

  constructor(options: AgentProcessOptions) {
    this.#options = options;
    this.supervisor = new Supervisor({
      name: "agent",
      fork: options.fork,
      prepare: (connection) => this.#prepare(connection),
    });
  }

  /** Tells a running agent what has changed; one that starts later is told then. */
  async configure(): Promise<void> {
    const { connection } = this.supervisor;
    if (connection !== undefined) await this.#configure(connection);
  }

  async listeningPorts(): Promise<readonly ListeningPort[]> {
    const connection = await this.supervisor.acquire();
    return connection.sendRequest<AgentRequests["agent/listeningPorts"]["result"]>("agent/listeningPorts", null);
  }

  async stop(graceMs: number): Promise<void> {
    const params: AgentRequests["agent/shutdown"]["params"] = { drainMs: 0 };
    await this.supervisor.stop(graceMs, (connection) => connection.sendRequest("agent/shutdown", params));
  }

  async #prepare(connection: MessageConnection): Promise<void> {
    const { log } = this.#options;
    connection.onNotification("agent/sharesChanged", (shares: AgentNotifications["agent/sharesChanged"]) => {
      this.#sharesChanged.fire(shares);
    });
    connection.onNotification("agent/log", ({ level, message }: AgentNotifications["agent/log"]) =>
      log[level](`agent: ${message}`),
    );
    for (const method of INSPECTOR_NOTIFICATIONS)
      connection.onNotification(method, (params: unknown) => {
        this.#inspector.fire({ method, params });
      });
    await this.#configure(connection);
  }

  async #configure(connection: MessageConnection): Promise<void> {
    await connection.sendRequest("agent/configure", this.#options.configuration());
  }
}
