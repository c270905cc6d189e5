import { randomBytes } from "node:crypto";
import type { Agent, AgentOptions, GrantedShare, RelayEndpoint, ShareInfo, ShareOptions } from "./options.ts";
import { INSTANCE_BYTES } from "../tunnel/protocol.ts";
import { ShareError } from "./share-error.ts";
import { Share } from "./share.ts";
import { Supervisor } from "./supervisor.ts";
import { validateShare } from "./validation.ts";
import { watchWake } from "./wake.ts";

export { ShareError } from "./share-error.ts";

/** What the relay logs about us. */
const PROGRAM = "portlight/0.1.0";

/** Counters are told this often at most: nobody reads numbers faster, and each change costs a message to the window. */
const COUNTERS_MS = 1_000;

/** Makes an agent. It does nothing, and keeps no process alive, until the first share. */
export function createAgent(options: AgentOptions): Agent {
  return new LocalAgent(options);
}

interface Pending {
  readonly resolve: (granted: GrantedShare) => void;
  readonly reject: (error: unknown) => void;
}

class LocalAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #shares = new Map<string, Share>();
  readonly #supervisors = new Map<string, Supervisor>();
  readonly #pending = new Map<string, Pending>();
  readonly #listeners = new Set<() => void>();
  readonly #instance = randomBytes(INSTANCE_BYTES).toString("base64url");
  readonly #stopWakeWatch: () => void;
  #counters: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#stopWakeWatch = watchWake(() => {
      for (const supervisor of this.#supervisors.values()) supervisor.probe();
    });
  }

  get shares(): readonly ShareInfo[] {
    return [...this.#shares.values()].map((share) => share.info());
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async share(options: ShareOptions, signal?: AbortSignal): Promise<GrantedShare> {
    if (this.#closed) throw new ShareError("ended", `Cannot share port ${options.port}: the agent has ended.`);
    signal?.throwIfAborted();
    validateShare(options, this.#options.forbiddenPorts ?? []);
    const share = new Share(randomBytes(9).toString("base64url"), options);
    const aborted = (): void => {
      this.#settle(share, undefined, signal?.reason);
      void this.#remove(share);
    };
    try {
      return await new Promise<GrantedShare>((resolve, reject) => {
        this.#pending.set(share.id, { resolve, reject });
        signal?.addEventListener("abort", aborted, { once: true });
        this.#shares.set(share.id, share);
        this.#supervisorOf(options.relay).add(share);
        this.#changed();
      });
    } finally {
      signal?.removeEventListener("abort", aborted);
    }
  }

  async unshare(id: string, drainMs = 0): Promise<void> {
    const share = this.#shares.get(id);
    if (share === undefined) return;
    this.#settle(share, undefined, new ShareError("ended", `The share of port ${share.options.port} was ended.`));
    await this.#remove(share, drainMs);
  }

  async close(drainMs = 0): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopWakeWatch();
    for (const share of this.#shares.values())
      this.#settle(share, undefined, new ShareError("ended", "The agent has ended."));
    for (const supervisor of this.#supervisors.values()) supervisor.announceDrain();
    const shares = [...this.#shares.values()];
    await Promise.all(shares.map((share) => drained(share, drainMs)));
    for (const share of shares) end(share);
    this.#shares.clear();
    await Promise.all([...this.#supervisors.values()].map((supervisor) => supervisor.close()));
    this.#supervisors.clear();
    clearTimeout(this.#counters);
    this.#changed();
    this.#listeners.clear();
  }

  /** A relay is the same when its URL, and what we show it and trust it by, are the same. */
  #supervisorOf(endpoint: RelayEndpoint): Supervisor {
    const key = keyOf(endpoint);
    let supervisor = this.#supervisors.get(key);
    if (supervisor === undefined) {
      supervisor = new Supervisor({
        endpoint,
        instance: this.#instance,
        program: PROGRAM,
        log: this.#options.log,
        tap: this.#options.tap,
        changed: (share) => this.#shareChanged(share),
        counted: () => this.#counted(),
      });
      this.#supervisors.set(key, supervisor);
    }
    return supervisor;
  }

  #shareChanged(share: Share): void {
    if (share.state === "online" && share.grant !== undefined) {
      this.#settle(share, { info: share.info(), secret: share.grant.secret });
    } else if (share.state === "refused" && this.#pending.has(share.id)) {
      const { code, message } = share.problem ?? { code: "internal", message: "The relay refused." };
      this.#settle(share, undefined, new ShareError(code, message));
      void this.#remove(share);
      return;
    }
    this.#changed();
  }

  #settle(share: Share, granted: GrantedShare | undefined, error?: unknown): void {
    const pending = this.#pending.get(share.id);
    this.#pending.delete(share.id);
    if (granted !== undefined) pending?.resolve(granted);
    else pending?.reject(error);
  }

  async #remove(share: Share, drainMs = 0): Promise<void> {
    if (!this.#shares.delete(share.id)) return;
    this.#changed();
    const key = keyOf(share.options.relay);
    const supervisor = this.#supervisors.get(key);
    await supervisor?.remove(share);
    await drained(share, drainMs);
    end(share);
    if (supervisor?.empty === true && this.#supervisors.get(key) === supervisor) {
      this.#supervisors.delete(key);
      await supervisor.close();
    }
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        this.#options.log.error(
          `A listener of the shares failed: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }
  }

  #counted(): void {
    if (this.#counters !== undefined || this.#closed) return;
    this.#counters = setTimeout(() => {
      this.#counters = undefined;
      this.#changed();
    }, COUNTERS_MS).unref();
  }
}

function keyOf({ url, token, pinnedFingerprint, ca, links }: RelayEndpoint): string {
  return JSON.stringify([url, token, pinnedFingerprint, ca, links]);
}

/** Resolves when no exchange is open, or after `drainMs`. */
function drained(share: Share, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (share.joins.size === 0 || drainMs <= 0) {
      resolve();
      return;
    }
    const timer = setTimeout(resolve, drainMs);
    share.idle = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}

function end(share: Share): void {
  share.cut("agent", `The share of port ${share.options.port} has ended`);
  share.service.close();
}
