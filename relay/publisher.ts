import type { Socket } from "node:net";
import type { Logger } from "../wire/logger.ts";
import type { RefusalCode, ShareGrant, ShareRequest } from "../tunnel/protocol.ts";
import type { Ticking } from "../tunnel/wheel.ts";
import { unwatch, watch } from "../tunnel/wheel.ts";
import { inUrl, lanAddress } from "./addresses.ts";
import type { Lease } from "./lease.ts";
import { listen } from "./listener.ts";
import type { Listener } from "./listener.ts";
import type { ShareRecord } from "./registry.ts";

/**
 * How long the port of a share stays bound without its agent: visitors get 503 and nobody else can take the port, while
 * a restarted agent is back in seconds. Longer, ports of agents that never come back would pile up.
 */
const OFFLINE_PORT_MS = 10 * 60 * 1000;

export type Published = Pick<ShareGrant, "url" | "alternativeUrls" | "publicPort">;

/** A share that cannot be published as asked. */
export class PublishError extends Error {
  override readonly name = "PublishError";
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface PublisherOptions {
  readonly mode: "local" | "remote";
  /** Where the ports of TCP shares are bound in remote mode. */
  readonly host: string;
  readonly domain: string;
  readonly allowLan: boolean;
  /** `https` when the relay has a certificate. */
  readonly scheme: "http" | "https";
  /** The main port as visitors see it. */
  readonly mainPort: number;
  readonly log: Logger;
  /** Another relay may have the ports of shares as well: the one that took over, or is taken over from. */
  readonly reusePort?: boolean | undefined;
  /** Default: the machine's own. */
  readonly lanAddress?: () => string | undefined;
  readonly acceptHttp: (socket: Socket, record: ShareRecord<Lease>) => void;
  readonly acceptTcp: (socket: Socket, record: ShareRecord<Lease>) => void;
}

interface OwnPort {
  readonly listener: Listener;
  readonly lan: string | undefined;
  offlineSince: number | undefined;
}

/** Gives shares their URLs and, where they have one, their own port. A port outlives the session that asked for it. */
export class Publisher implements Ticking {
  readonly #options: PublisherOptions;
  readonly #ports = new Map<ShareRecord<Lease>, OwnPort>();
  /** Publishing of one share is done one after the other. */
  readonly #running = new Map<ShareRecord<Lease>, Promise<Published>>();
  /** Ports that are no share's to wish for: with `reusePort` the kernel does not refuse them. */
  readonly #taken = new Set<number>();
  #closed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    watch(this);
  }

  /** A port of the relay itself. */
  reserve(port: number): void {
    this.#taken.add(port);
  }

  /** Rejects with `PublishError`. */
  publish(record: ShareRecord<Lease>, request: ShareRequest): Promise<Published> {
    const before = this.#running.get(record);
    const after =
      before === undefined
        ? this.#publish(record, request)
        : before.then(
            () => this.#publish(record, request),
            () => this.#publish(record, request),
          );
    this.#running.set(record, after);
    const done = (): void => {
      if (this.#running.get(record) === after) this.#running.delete(record);
    };
    after.then(done, done);
    return after;
  }

  /** The agent stopped sharing: its port is closed at once. */
  withdraw(record: ShareRecord<Lease>): void {
    const listener = this.#ports.get(record)?.listener;
    if (listener === undefined) return;
    listener.close();
    this.#taken.delete(listener.port);
    this.#ports.delete(record);
  }

  tick(now: number): void {
    for (const [record, own] of this.#ports) {
      if (record.holders.length > 0) {
        own.offlineSince = undefined;
      } else {
        own.offlineSince ??= now;
        if (now - own.offlineSince >= OFFLINE_PORT_MS) this.withdraw(record);
      }
    }
  }

  /** As `close`, after the connections that are under way to the ports were taken. */
  async drain(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#ports.values()].map(({ listener }) => listener.drain()));
    this.close();
  }

  close(): void {
    this.#closed = true;
    unwatch(this);
    for (const record of this.#ports.keys()) this.withdraw(record);
  }

  async #publish(record: ShareRecord<Lease>, request: ShareRequest): Promise<Published> {
    const { mode, domain, scheme, mainPort } = this.#options;
    if (request.reach === "lan" && (mode === "remote" || !this.#options.allowLan)) {
      throw new PublishError("unsupported", "This relay does not share into the local network");
    }
    if (mode === "remote" && record.kind === "http") {
      return { url: `${scheme}://${record.name}.${domain}${portSuffix(scheme, mainPort)}`, alternativeUrls: [] };
    }
    const { listener, lan } = await this.#ownPort(record, request);
    const { port } = listener;
    if (mode === "remote") return { url: `tcp://${domain}:${port}`, alternativeUrls: [], publicPort: port };
    const kind = record.kind === "tcp" ? "tcp" : "http";
    const alternativeUrls: string[] = [];
    if (kind === "http") alternativeUrls.push(`http://${record.name}.${domain}${portSuffix("http", mainPort)}`);
    if (lan !== undefined) alternativeUrls.push(`${kind}://${inUrl(lan)}:${port}`);
    return { url: `${kind}://127.0.0.1:${port}`, alternativeUrls, publicPort: port };
  }

  async #ownPort(record: ShareRecord<Lease>, request: ShareRequest): Promise<OwnPort> {
    const lan = request.reach === "lan" ? (this.#options.lanAddress ?? lanAddress)() : undefined;
    if (request.reach === "lan" && lan === undefined) {
      throw new PublishError("unsupported", "This machine has no address in a local network");
    }
    const known = this.#ports.get(record);
    if (known?.lan === lan && known !== undefined) return known;
    // Another reach than before: bound again, on the same port if it can be had.
    this.withdraw(record);
    const wanted = known?.listener.port ?? request.publicPort ?? 0;
    const listener = await this.#listen(record, wanted, lan);
    if (this.#closed || record.stopped) {
      listener.close();
      this.#taken.delete(listener.port);
      throw new PublishError("draining", "The share was stopped before it was published");
    }
    const own: OwnPort = { listener, lan, offlineSince: undefined };
    this.#ports.set(record, own);
    return own;
  }

  async #listen(record: ShareRecord<Lease>, wanted: number, lan: string | undefined): Promise<Listener> {
    const { mode, host, acceptHttp, acceptTcp } = this.#options;
    const accept = record.kind === "tcp" ? acceptTcp : acceptHttp;
    const options = {
      reusePort: this.#options.reusePort,
      host: mode === "local" ? "127.0.0.1" : host,
      wished: mode === "local" ? ["::1"] : [],
      needed: lan === undefined ? [] : [lan],
      accept: (socket: Socket) => accept(socket, record),
    };
    if (wanted !== 0 && !this.#taken.has(wanted)) {
      // Before it is bound: two who wish for it at once must not both have it.
      this.#taken.add(wanted);
      try {
        return await listen({ ...options, port: wanted });
      } catch (error) {
        this.#taken.delete(wanted);
        const code = (error as NodeJS.ErrnoException).code ?? "";
        this.#options.log.info(`Port ${wanted} cannot be bound again (${code}); ${record.name} gets another`);
      }
    }
    try {
      const listener = await listen({ ...options, port: 0 });
      this.#taken.add(listener.port);
      return listener;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
      throw new PublishError("limit", `The relay could not open a port (${code})`, { cause: error });
    }
  }
}

export function portSuffix(scheme: "http" | "https", port: number): string {
  return port === (scheme === "https" ? 443 : 80) ? "" : `:${port}`;
}
