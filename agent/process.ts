/** The agent as a process of its own, spoken to by JSON-RPC: `agent/protocol.ts` and the inspector protocol on one connection. */
import { ErrorCodes, ResponseError } from "vscode-jsonrpc/node";
import type { CancellationToken, MessageConnection } from "vscode-jsonrpc/node";
import type { Capture, CaptureOptions } from "../capture/options.ts";
import type { ExchangeTap, Tap } from "../capture/tap.ts";
import type { Logger } from "../wire/logger.ts";
import { createAgent } from "./agent.ts";
import type { Agent } from "./options.ts";
import { listeningPorts } from "./ports/listening-ports.ts";
import type { AgentConfiguration, AgentNotifications, AgentRequests } from "./protocol.ts";
import { ShareError } from "./share-error.ts";

export interface AgentProcessOptions {
  readonly connection: MessageConnection;
  readonly createCapture: (options: CaptureOptions) => Capture;
  /** The entry of the decoding worker. */
  readonly workerFile: string;
  readonly log: Logger;
  /** After everything is closed: end the process. */
  readonly exit: () => void;
}

type Params<M extends keyof AgentRequests> = AgentRequests[M]["params"];
type Result<M extends keyof AgentRequests> = Promise<AgentRequests[M]["result"]>;

/** While capturing is off the tap leads nowhere; the data path need not know. */
class SwitchedTap implements Tap {
  target: Tap | undefined;

  opened(...exchange: Parameters<Tap["opened"]>): ExchangeTap {
    return this.target?.opened(...exchange) ?? NO_TAP;
  }
}

const NO_TAP: ExchangeTap = { headReceived() {}, dataReceived() {}, trailersReceived() {}, ended() {}, failed() {} };

/** Answers requests on the connection, which is not listened to yet, until `stop`. */
export class AgentProcess {
  readonly #options: AgentProcessOptions;
  readonly #tap = new SwitchedTap();
  /** The agent reads it at each share: configuring again fills it anew. */
  readonly #forbiddenPorts: number[] = [];
  #agent: Agent | undefined;
  #capture: Capture | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: AgentProcessOptions) {
    this.#options = options;
    this.#answer("agent/configure", (params) => this.#configure(params));
    this.#answer("agent/share", (params, token) => this.#share(params, token));
    this.#answer("agent/unshare", async ({ id }) => {
      await this.#agent?.unshare(id);
      return null;
    });
    this.#answer("agent/shares", () => Promise.resolve(this.#agent?.shares ?? []));
    this.#answer("agent/listeningPorts", () =>
      listeningPorts({ excludedPids: [process.pid], excludedPorts: this.#forbiddenPorts }),
    );
    this.#answer("agent/shutdown", async ({ drainMs }) => {
      await this.stop(drainMs);
      return null;
    });
  }

  /** Drains, closes everything, then calls `exit`. */
  stop(drainMs: number): Promise<void> {
    this.#stopping ??= this.#stop(drainMs);
    return this.#stopping;
  }

  async #stop(drainMs: number): Promise<void> {
    try {
      await this.#agent?.close(drainMs);
      await this.#capture?.close();
    } finally {
      // After the answer to `agent/shutdown` has left.
      setImmediate(this.#options.exit);
    }
  }

  #configure(configuration: AgentConfiguration): Result<"agent/configure"> {
    const { workspaceFolders, protoRoots, captureBytes, captureExchanges, capture: enabled } = configuration;
    this.#forbiddenPorts.splice(0, Infinity, ...configuration.forbiddenPorts);
    if (this.#capture === undefined || this.#agent === undefined) {
      const { connection, createCapture, workerFile, log } = this.#options;
      this.#capture = createCapture({
        maxBytes: captureBytes,
        maxExchanges: captureExchanges,
        workspaceFolders,
        protoRoots,
        workerFile,
        log,
      });
      this.#capture.serve(connection);
      const agent = createAgent({ tap: this.#tap, log, forbiddenPorts: this.#forbiddenPorts });
      agent.onChange(() => this.#notify("agent/sharesChanged", agent.shares));
      this.#agent = agent;
    } else {
      this.#capture.setSources(workspaceFolders, protoRoots);
      this.#capture.setLimits(captureBytes, captureExchanges);
    }
    this.#tap.target = enabled ? this.#capture.tap : undefined;
    return Promise.resolve(null);
  }

  async #share(params: Params<"agent/share">, token: CancellationToken): Result<"agent/share"> {
    if (this.#agent === undefined)
      throw new ResponseError(ErrorCodes.ServerNotInitialized, "The agent is not configured yet.");
    const aborting = new AbortController();
    const subscription = token.onCancellationRequested(() =>
      aborting.abort(new ShareError("ended", `Sharing port ${params.port} was cancelled.`)),
    );
    if (token.isCancellationRequested) aborting.abort();
    try {
      const { info, secret } = await this.#agent.share(params, aborting.signal);
      return { share: info, secret };
    } finally {
      subscription.dispose();
    }
  }

  #answer<M extends keyof AgentRequests>(
    method: M,
    answer: (params: Params<M>, token: CancellationToken) => Result<M>,
  ): void {
    this.#options.connection.onRequest(method, async (params: Params<M>, token: CancellationToken) => {
      try {
        return await answer(params, token);
      } catch (error) {
        if (error instanceof ShareError)
          throw new ResponseError(ErrorCodes.InvalidRequest, error.message, { code: error.code });
        throw error;
      }
    });
  }

  #notify<M extends keyof AgentNotifications>(method: M, params: AgentNotifications[M]): void {
    // Fails when the channel is closed: then there is nobody left to tell.
    this.#options.connection.sendNotification(method, params).catch(() => undefined);
  }
}
