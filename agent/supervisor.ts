import type { Tap } from "../capture/tap.ts";
import type { Hello, Refused, RefusalCode, ShareGrant, Welcome } from "../tunnel/protocol.ts";
import { MAX_LINKS, TUNNEL_VERSION } from "../tunnel/protocol.ts";
import { isLoopback, parseTunnelUrl } from "../tunnel/transports.ts";
import type { Logger } from "../wire/logger.ts";
import type { Fields, Stream, StreamEvents } from "../wire/stream.ts";
import { dispatch } from "./dispatch.ts";
import type { DispatchOptions } from "./dispatch.ts";
import { Link } from "./link.ts";
import type { LinkEvents, Problem } from "./link-events.ts";
import type { RelayEndpoint } from "./options.ts";
import type { Share } from "./share.ts";

/** How long the relay's word that a share is over is waited for. */
const UNSHARE_MS = 1_000;

/** What the user must change, for one share: `limit` of a share is a number that is used up, `limit` of a session passes. */
const FINAL_FOR_SHARE: ReadonlySet<RefusalCode> = new Set([
  "protocol",
  "version",
  "unauthorized",
  "name-taken",
  "name-invalid",
  "limit",
  "unsupported",
]);

export interface SupervisorOptions {
  readonly endpoint: RelayEndpoint;
  /** Of the agent process: what tells the relay that its links belong together. */
  readonly instance: string;
  /** Program and version, for the relay's log. */
  readonly program: string;
  readonly log: Logger;
  readonly tap: Tap | undefined;
  /** State, problem, grant or time of the next dial of this share has changed. */
  readonly changed: (share: Share) => void;
  /** A number has changed. */
  readonly counted: () => void;
}

/**
 * The shares of one relay over the links to it. While no link is online, one dials; it is welcomed with the names, and
 * then the others join with their secrets. A share is online while any link holds it.
 */
export class Supervisor implements LinkEvents {
  readonly #options: SupervisorOptions;
  readonly #place: string;
  readonly #dispatch: DispatchOptions;
  readonly #shares = new Map<string, Share>();
  readonly #unsharing = new Map<string, () => void>();
  readonly #links: readonly Link[];
  /** The link that dials while none is online. */
  #lead: Link;
  /** Links that the relay takes: known from its welcome. */
  #admitted = 1;

  /** @param options.endpoint validated. */
  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { endpoint, log, tap, counted } = options;
    // A relay reaches only the shares that were made for it.
    this.#dispatch = { tap, counted, share: (id) => this.#shares.get(id) };
    const { host, port } = parseTunnelUrl(endpoint.url);
    this.#place = `${host}:${port}`;
    // On the way to this machine nothing can fail that would not fail for both.
    const wanted = endpoint.links ?? (isLoopback(host) ? 1 : 2);
    this.#lead = new Link({ endpoint, log, events: this });
    const more = Math.min(wanted, MAX_LINKS) - 1;
    this.#links = [this.#lead, ...Array.from({ length: more }, () => new Link({ endpoint, log, events: this }))];
  }

  get empty(): boolean {
    return this.#shares.size === 0;
  }

  add(share: Share): void {
    this.#shares.set(share.id, share);
    if (this.#online()) this.#spread();
    else this.#lead.wake();
  }

  /** Resolves when the relay knows, at the latest after a second: whatever comes for it from now on is refused here. */
  async remove(share: Share): Promise<void> {
    if (!this.#shares.delete(share.id)) return;
    const holding = this.#links.filter(({ online, held }) => online && held.has(share.id));
    if (holding.length === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, UNSHARE_MS);
      this.#unsharing.set(share.id, () => {
        clearTimeout(timer);
        resolve();
      });
      // On each: one of them may be lost without our knowing.
      for (const link of holding) link.unshare(share.id);
    });
    this.#unsharing.delete(share.id);
  }

  probe(): void {
    for (const link of this.#links) link.probe();
  }

  /** No new exchanges, please. */
  announceDrain(): void {
    for (const link of this.#links) link.announceDrain();
  }

  async close(): Promise<void> {
    this.#shares.clear();
    await Promise.all(this.#links.map((link) => link.close()));
  }

  // What the links report.

  needed(link: Link): boolean {
    if (this.#wanted().length === 0) return false;
    const online = this.#links.filter((other) => other.online).length;
    return online === 0 ? link === this.#lead : online < this.#admitted;
  }

  hello(link: Link): Hello {
    const { program, endpoint, instance } = this.#options;
    const shares = this.#wanted().filter((share) => this.#mayAsk(share));
    for (const { id } of shares) link.asked.add(id);
    return {
      type: "hello",
      version: TUNNEL_VERSION,
      agent: program,
      ...(endpoint.token === undefined ? {} : { token: endpoint.token }),
      instance,
      shares: shares.map((share) => share.request()),
    };
  }

  welcomed(link: Link, { links, shares }: Welcome): void {
    this.#lead = link;
    this.#admitted = links ?? 1;
    for (const grant of shares) this.#grant(link, grant);
    // Shares added in between were in no hello.
    this.#spread();
    for (const other of this.#links) if (!other.online) other.start();
  }

  granted(link: Link, grant: ShareGrant): void {
    this.#grant(link, grant);
    this.#spread();
  }

  refused(link: Link, id: string, { code, message }: Refused): void {
    link.asked.delete(id);
    const share = this.#shares.get(id);
    if (share === undefined) return;
    if (!FINAL_FOR_SHARE.has(code)) {
      // "internal", "draining": the session is over for this share, so it is begun anew.
      link.abort(message);
      return;
    }
    link.denied.add(id);
    const problem = { code, message: `The relay at ${this.#place} refused: ${message.slice(0, 500)}` };
    // Another link serves it: nobody but the log need know.
    if (this.#isHeld(share)) this.#options.log.warn(`${problem.message} (a further link)`);
    else this.#end(share, problem);
  }

  unshared(_link: Link, id: string): void {
    const resolve = this.#unsharing.get(id);
    if (resolve !== undefined) {
      resolve();
      return;
    }
    const share = this.#shares.get(id);
    if (share !== undefined && share.state !== "refused")
      this.#end(share, { code: "unknown-name", message: `The relay at ${this.#place} ended the share` });
  }

  streamOpened(stream: Stream, fields: Fields, end: boolean): StreamEvents {
    return dispatch(stream, fields, end, this.#dispatch);
  }

  measured(): void {
    const measured = this.#links.flatMap(({ rttMs }) => (rttMs === undefined ? [] : [rttMs]));
    const rttMs = measured.length === 0 ? undefined : Math.min(...measured);
    for (const share of this.#shares.values()) if (share.state === "online") share.rttMs = rttMs;
    this.#options.counted();
  }

  retired(link: Link): void {
    if (!this.#online()) this.#lead = link;
  }

  lost(link: Link, problem: Problem): void {
    if (!this.#online()) {
      // Whoever was there last dials: its last success is the latest. The others wait for its welcome.
      this.#lead = link;
      for (const wake of this.#unsharing.values()) wake();
    }
    for (const share of this.#wanted()) {
      if (this.#isHeld(share)) continue;
      share.setState(share.grant === undefined ? "connecting" : "reconnecting", problem, this.#retryAt());
      this.#options.changed(share);
    }
    this.measured();
    // A share that was asked for on the lost link alone is asked for on another.
    this.#spread();
  }

  gaveUp(link: Link, problem: Problem): void {
    if (this.#online()) this.lost(link, problem);
    else for (const share of this.#wanted()) this.#end(share, problem);
  }

  #online(): boolean {
    return this.#links.some(({ online }) => online);
  }

  #wanted(): Share[] {
    return [...this.#shares.values()].filter(({ state }) => state !== "refused");
  }

  #isHeld({ id }: Share): boolean {
    return this.#links.some(({ held }) => held.has(id));
  }

  #retryAt(): number | undefined {
    const times = this.#links.flatMap(({ retryAt }) => (retryAt === undefined ? [] : [retryAt]));
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** A share without a grant is asked for on one link: on two it might be given two names. */
  #mayAsk({ id, grant }: Share): boolean {
    return grant !== undefined || !this.#links.some(({ asked }) => asked.has(id));
  }

  /** Every link that is online is to serve every share. */
  #spread(): void {
    for (const link of this.#links) {
      if (!link.online) continue;
      for (const share of this.#wanted()) {
        const { id } = share;
        if (link.held.has(id) || link.asked.has(id) || link.denied.has(id)) continue;
        if (this.#mayAsk(share)) link.ask(share.request());
      }
    }
  }

  #grant(link: Link, grant: ShareGrant): void {
    link.asked.delete(grant.id);
    const share = this.#shares.get(grant.id);
    if (share === undefined) {
      // Ended while the question was under way.
      link.unshare(grant.id);
      return;
    }
    link.held.add(grant.id);
    const known = share.state === "online" && share.grant?.url === grant.url;
    share.granted(grant);
    if (!known) this.#options.changed(share);
  }

  #end(share: Share, problem: Problem): void {
    share.setState("refused", problem);
    this.#options.changed(share);
  }
}
