import { Disposable, Emitter, type CancellationToken, type MessageConnection } from "vscode-jsonrpc";
import type { RelayEndpoint, ShareInfo, ShareOptions } from "../agent/options.ts";
import type { AgentRequests } from "../agent/protocol.ts";
import type { Logger } from "../wire/logger.ts";
import type { LocalRelay } from "./local-relay.ts";
import type { Memory, RememberedShare, SharePlace } from "./memory.ts";
import {
  newShareInfo,
  relayName,
  remoteEndpoint,
  sameRequest,
  type Share,
  type ShareRequest,
} from "./share-request.ts";
import type { Supervisor } from "./supervisor.ts";

interface Entry {
  readonly request: ShareRequest;
  info: ShareInfo;
  /** What the last grant gave; asked for again when agent or relay come back. */
  granted: RememberedShare | undefined;
  /** URL of the relay it was granted by, to notice a local relay that came back elsewhere. */
  relayUrl: string;
  /** Counts up with each attempt to have it granted: only the newest may say anything. */
  generation: number;
}

export interface SharesOptions {
  readonly agent: Supervisor;
  readonly relay: LocalRelay;
  readonly memory: Memory;
  readonly log: Logger;
}

/** The ports shared by this window. Survives the death of agent and relay, not that of the window. */
export class Shares {
  readonly #options: SharesOptions;
  readonly #entries = new Map<number, Entry>();
  readonly #changed = new Emitter<readonly Share[]>();

  readonly onChanged = this.#changed.event;

  constructor(options: SharesOptions) {
    this.#options = options;
    options.agent.onStateChanged((state) => {
      if (state === "restarting" || state === "failed") this.#agentLost(state === "failed");
      if (state === "running") this.#agentBack();
    });
    options.relay.supervisor.onStateChanged((state) => {
      if (state === "running") this.#relayBack();
    });
  }

  get all(): readonly Share[] {
    return [...this.#entries.values()].map(shown);
  }

  get(port: number): Share | undefined {
    const entry = this.#entries.get(port);
    return entry === undefined ? undefined : shown(entry);
  }

  /**
   * Shares a port, and resolves when the relay granted it. While the relay cannot be reached this waits; cancelling
   * removes the share. Rejects, and removes it, when it is refused. A port already shared otherwise is shared anew.
   */
  async share(request: ShareRequest, token: CancellationToken): Promise<Share> {
    const existing = this.#entries.get(request.port);
    if (existing !== undefined) {
      if (sameRequest(existing.request, request) && existing.info.state === "online") return shown(existing);
      await this.stop(request.port);
    }
    const entry: Entry = { request, info: newShareInfo(request), granted: undefined, relayUrl: "", generation: 0 };
    this.#entries.set(request.port, entry);
    this.#fire();
    let cancelled = Disposable.create(() => {});
    const cancellation = new Promise<never>((_, reject) => {
      cancelled = token.onCancellationRequested(() => {
        void this.stop(request.port);
        reject(new ShareEndedError(request.port));
      });
    });
    try {
      entry.granted = await this.#options.memory.share(placeOf(request));
      await Promise.race([this.#grant(entry, token), cancellation]);
      return shown(entry);
    } catch (error) {
      if (this.#entries.get(request.port) === entry) this.#entries.delete(request.port);
      this.#fire();
      throw error;
    } finally {
      cancelled.dispose();
    }
  }

  /** Asks again for a share that was refused. */
  async retry(port: number, token: CancellationToken): Promise<Share> {
    const entry = this.#entries.get(port);
    if (entry === undefined) throw new Error(`Port ${port} is not shared.`);
    await this.#grant(entry, token);
    return shown(entry);
  }

  /** Ends a share. Never rejects: what cannot be told to the agent has ended with it. */
  async stop(port: number): Promise<void> {
    const entry = this.#entries.get(port);
    if (entry === undefined) return;
    entry.generation++;
    this.#entries.delete(port);
    this.#fire();
    await this.#unshare(entry.info.id);
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#entries.keys()].map((port) => this.stop(port)));
  }

  /** What the agent says about its shares. */
  update(infos: readonly ShareInfo[]): void {
    for (const info of infos) {
      const entry = this.#entries.get(info.port);
      if (entry !== undefined && (entry.info.id === "" || entry.info.id === info.id)) entry.info = known(entry, info);
    }
    this.#fire();
  }

  async #grant(entry: Entry, token?: CancellationToken): Promise<void> {
    const generation = ++entry.generation;
    const superseded = (): boolean => entry.generation !== generation;
    for (;;) {
      const endpoint = await this.#endpoint(entry.request);
      const agent = await this.#options.agent.acquire();
      if (superseded()) throw new ShareEndedError(entry.request.port);
      const options = shareOptions(entry, endpoint);
      try {
        const result = await askToShare(agent, options, token);
        if (superseded()) {
          void this.#unshare(result.share.id);
          throw new ShareEndedError(entry.request.port);
        }
        await this.#granted(entry, result.share, result.secret, endpoint.url);
        return;
      } catch (error) {
        if (error instanceof ShareEndedError || superseded()) throw new ShareEndedError(entry.request.port);
        // The agent died in between: its successor is asked.
        if (this.#options.agent.connection !== agent) continue;
        if (refusalCode(error) === "name-taken" && entry.granted !== undefined && entry.request.name === undefined) {
          entry.granted = undefined;
          await this.#options.memory.forgetShare(placeOf(entry.request));
          continue;
        }
        throw error;
      }
    }
  }

  async #granted(entry: Entry, info: ShareInfo, secret: string, relayUrl: string): Promise<void> {
    entry.info = known(entry, info);
    entry.relayUrl = relayUrl;
    const { name, publicPort } = info;
    entry.granted = { name, secret, ...(publicPort === undefined ? {} : { publicPort }) };
    this.#fire();
    await this.#options.memory.rememberShare(placeOf(entry.request), entry.granted);
  }

  async #endpoint({ relay }: ShareRequest): Promise<RelayEndpoint> {
    if (relay.kind === "local") return (await this.#options.relay.start()).endpoint;
    return remoteEndpoint(relay, await this.#options.memory.token(relay.url));
  }

  async #unshare(id: string): Promise<void> {
    if (id === "") return;
    const params: AgentRequests["agent/unshare"]["params"] = { id };
    try {
      await this.#options.agent.connection?.sendRequest("agent/unshare", params);
    } catch (error) {
      // An agent that is gone has ended its shares.
      this.#options.log.debug(`unshare ${id}: ${messageOf(error)}`);
    }
  }

  #agentLost(failed: boolean): void {
    for (const entry of this.#entries.values()) {
      const message = failed
        ? "Portlight's agent process keeps ending. See the log."
        : "Portlight's agent process ended and is being restarted.";
      // Its ids mean nothing to the next agent.
      entry.info = {
        ...entry.info,
        id: "",
        state: "reconnecting",
        openExchanges: 0,
        problem: { code: "internal", message },
      };
    }
    this.#fire();
  }

  /** A first start has nothing to restore: whoever caused it asks for its own share. */
  #agentBack(): void {
    for (const entry of this.#entries.values()) if (entry.relayUrl !== "") this.#restore(entry);
  }

  /** The agent dials a relay that comes back at the same address by itself; a moved one has to be told. */
  #relayBack(): void {
    const url = this.#options.relay.address?.endpoint.url;
    for (const entry of this.#entries.values()) {
      if (entry.request.relay.kind !== "local" || entry.relayUrl === "" || entry.relayUrl === url) continue;
      const { id } = entry.info;
      entry.info = { ...entry.info, id: "" };
      void this.#unshare(id);
      this.#restore(entry);
    }
  }

  #restore(entry: Entry): void {
    this.#grant(entry).catch((error: unknown) => {
      if (error instanceof ShareEndedError) return;
      const message = messageOf(error);
      this.#options.log.warn(`Port ${entry.request.port} could not be shared again: ${message}`);
      entry.info = { ...entry.info, state: "refused", problem: { code: refusalCode(error) ?? "internal", message } };
      this.#fire();
    });
  }

  #fire(): void {
    this.#changed.fire(this.all);
  }
}

/** The share was stopped while its grant was awaited. */
export class ShareEndedError extends Error {
  override readonly name = "ShareEndedError";

  constructor(port: number) {
    super(`Sharing port ${port} was stopped.`);
  }
}

/** What a relay of the user's choice grants is public, wherever that relay is: the agent only sees where it dials. */
function known({ request }: Entry, info: ShareInfo): ShareInfo {
  return request.relay.kind === "remote" ? { ...info, reach: "public" } : info;
}

/** Without the secrets of the entry. */
function shown({ request, info }: Entry): Share {
  return { request, info };
}

function placeOf(request: ShareRequest): SharePlace {
  return { relay: relayName(request.relay), port: request.port, kind: request.kind };
}

function shareOptions({ request, granted }: Entry, relay: RelayEndpoint): ShareOptions {
  const { port, kind, reach, keepHost } = request;
  const name = request.name ?? granted?.name;
  return {
    port,
    kind,
    keepHost,
    relay,
    ...(request.relay.kind === "local" ? { reach } : {}),
    ...(name === undefined ? {} : { name }),
    ...(granted !== undefined && granted.name === name ? { secret: granted.secret } : {}),
    ...(granted?.publicPort === undefined ? {} : { publicPort: granted.publicPort }),
  };
}

function askToShare(
  agent: MessageConnection,
  options: ShareOptions,
  token: CancellationToken | undefined,
): Promise<AgentRequests["agent/share"]["result"]> {
  return token === undefined
    ? agent.sendRequest("agent/share", options)
    : agent.sendRequest("agent/share", options, token);
}

type ProblemCode = NonNullable<ShareInfo["problem"]>["code"];

/** The code that the agent sends in the `data` of its error. */
export function refusalCode(error: unknown): ProblemCode | undefined {
  if (typeof error !== "object" || error === null || !("data" in error)) return undefined;
  const { data } = error;
  if (typeof data !== "object" || data === null || !("code" in data) || typeof data.code !== "string") return undefined;
  return data.code as ProblemCode;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
