import { Backoff } from "../tunnel/backoff.ts";
import type { Refused, RefusalCode, RelayMessage } from "../tunnel/protocol.ts";
import { TUNNEL_VERSION } from "../tunnel/protocol.ts";
import { DialError, dial, isLoopback, parseTunnelUrl } from "../tunnel/transports.ts";
import type { Tap } from "../capture/tap.ts";
import type { Logger } from "../wire/logger.ts";
import type { Failure, Fields, Stream, StreamEvents } from "../wire/stream.ts";
import { dispatch } from "./dispatch.ts";
import type { DispatchOptions } from "./dispatch.ts";
import type { RelayEndpoint, ShareInfo } from "./options.ts";
import type { SessionEvents } from "./session.ts";
import { Session } from "./session.ts";
import type { Share } from "./share.ts";

/** A dial to this machine costs nothing, and a relay that the user restarts here is expected back at once. */
const LONGEST_LOOPBACK_WAIT_MS = 2_000;

/** How long an orderly end may take before the connection is cut. */
const CLOSE_MS = 1_000;

/** What nothing but the user can change. */
const FINAL: ReadonlySet<RefusalCode> = new Set(["protocol", "version", "unauthorized"]);

/** As above, for one share: `limit` of a share is a number that is used up, `limit` of a session passes. */
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
  /** Program and version, for the relay's log. */
  readonly program: string;
  readonly log: Logger;
  readonly tap: Tap | undefined;
  /** State, problem, grant or time of the next dial of this share has changed. */
  readonly changed: (share: Share) => void;
  /** A number has changed. */
  readonly counted: () => void;
}

/** Keeps one session to one relay, as long as there are shares for it: dials, dials again, says hello each time. */
export class Supervisor implements SessionEvents {
  readonly #options: SupervisorOptions;
  readonly #place: string;
  readonly #backoff: Backoff;
  readonly #dispatch: DispatchOptions;
  readonly #shares = new Map<string, Share>();
  readonly #unsharing = new Map<string, () => void>();
  readonly #closing = new AbortController();
  #session: Session | undefined;
  #welcomed = false;
  /** Shares of the hello that the welcome has not answered yet. */
  #asked: ReadonlySet<string> = new Set();
  /** Sessions of a relay that goes down: their exchanges go on. */
  readonly #retiring = new Set<Session>();
  #dialling = false;
  #everConnected = false;
  #waiting: NodeJS.Timeout | undefined;
  #onEmpty: () => void = () => undefined;

  /** @param options.endpoint validated. */
  constructor(options: SupervisorOptions) {
    this.#options = options;
    // A relay reaches only the shares that were made for it.
    this.#dispatch = { tap: options.tap, counted: options.counted, share: (id) => this.#shares.get(id) };
    const { host, port } = parseTunnelUrl(options.endpoint.url);
    this.#place = `${host}:${port}`;
    this.#backoff = new Backoff({
      random: Math.random,
      now: () => performance.now(),
      ...(isLoopback(host) ? { longestMs: LONGEST_LOOPBACK_WAIT_MS } : {}),
    });
  }

  get empty(): boolean {
    return this.#shares.size === 0;
  }

  add(share: Share): void {
    this.#shares.set(share.id, share);
    if (this.#welcomed) this.#session?.send({ type: "share", share: share.request() });
    else if (this.#session === undefined) this.#wake();
  }

  /** Resolves when the relay knows, at the latest after a second: whatever comes for it from now on is refused here. */
  async remove(share: Share): Promise<void> {
    if (!this.#shares.delete(share.id) || !this.#welcomed || share.state !== "online") return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CLOSE_MS);
      this.#unsharing.set(share.id, () => {
        clearTimeout(timer);
        resolve();
      });
      this.#session?.send({ type: "unshare", id: share.id });
    });
    this.#unsharing.delete(share.id);
  }

  /** The machine slept, or the network changed: what was known about the connection is doubtful. */
  probe(): void {
    this.#session?.probe();
    if (this.#waiting !== undefined) this.#wake();
  }

  /** No new exchanges, please. */
  announceDrain(): void {
    if (this.#welcomed) this.#session?.send({ type: "draining" });
  }

  /** Ends every session: in order where that goes quickly. */
  async close(): Promise<void> {
    this.#shares.clear();
    this.#closing.abort(new Error("The agent is closing"));
    clearTimeout(this.#waiting);
    const sessions = this.#sessions();
    if (sessions.length === 0) return;
    for (const session of sessions) session.close();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        for (const session of this.#sessions())
          session.abort({ by: "agent", code: "cancelled", message: "The agent has ended" });
        resolve();
      }, CLOSE_MS);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  // What the session reports.

  opened(session: Session): void {
    const { program, endpoint } = this.#options;
    const shares = this.#wanted();
    this.#asked = new Set(shares.map(({ id }) => id));
    session.send({
      type: "hello",
      version: TUNNEL_VERSION,
      agent: program,
      ...(endpoint.token === undefined ? {} : { token: endpoint.token }),
      shares: shares.map((share) => share.request()),
    });
  }

  messageReceived(session: Session, message: RelayMessage): void {
    switch (message.type) {
      case "welcome":
        if (session === this.#session) this.#welcome(session, message);
        break;
      case "refused":
        if (session === this.#session) this.#refused(session, message);
        break;
      case "shared": {
        const share = this.#shares.get(message.share.id);
        if (share === undefined || session !== this.#session) break;
        share.granted(message.share);
        this.#options.changed(share);
        break;
      }
      case "unshared":
        // On a former session it only means that the present one has taken the name over.
        if (session === this.#session) this.#unshared(message.id);
        break;
      case "draining":
        if (session === this.#session) this.#retire(session);
        break;
    }
  }

  streamOpened(stream: Stream, fields: Fields, end: boolean): StreamEvents {
    return dispatch(stream, fields, end, this.#dispatch);
  }

  measured(session: Session): void {
    if (session !== this.#session) return;
    for (const share of this.#shares.values()) if (share.state === "online") share.rttMs = session.rttMs;
    this.#options.counted();
  }

  ended(session: Session, failure: Failure | undefined): void {
    this.#retiring.delete(session);
    if (session === this.#session) {
      this.#session = undefined;
      this.#welcomed = false;
      const code = failure?.code ?? "closed";
      const message = failure?.message ?? "The relay closed the connection";
      this.#options.log.info(`Tunnel to ${this.#place} ended: ${message}`);
      if (!this.#closing.signal.aborted) this.#lost({ code, message: `${this.#place}: ${message}` });
    }
    if (this.#sessions().length === 0) this.#onEmpty();
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  #sessions(): Session[] {
    return this.#session === undefined ? [...this.#retiring] : [this.#session, ...this.#retiring];
  }

  #wanted(): Share[] {
    return [...this.#shares.values()].filter(({ state }) => state !== "refused");
  }

  /** Dials now, unless that is under way or there is a session. */
  #wake(): void {
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    this.#backoff.reset();
    void this.#dial();
  }

  /** Never rejects. */
  async #dial(): Promise<void> {
    if (this.#dialling || this.#session !== undefined || this.#closing.signal.aborted) return;
    if (this.#wanted().length === 0) return;
    this.#dialling = true;
    const { endpoint, log } = this.#options;
    try {
      const socket = await dial({
        url: endpoint.url,
        signal: this.#closing.signal,
        ...(endpoint.ca === undefined ? {} : { ca: endpoint.ca }),
        ...(endpoint.pinnedFingerprint === undefined ? {} : { pinnedFingerprint: endpoint.pinnedFingerprint }),
      });
      this.#dialling = false;
      this.#session = new Session(socket, this);
    } catch (error) {
      this.#dialling = false;
      if (this.#isClosing()) return;
      const message = error instanceof Error ? error.message : String(error);
      log.info(`Dialling ${this.#place}: ${message}`);
      // The first time nobody has ever met this relay here: the address or the certificate is wrong. Later it may be a
      // hotel's network that answers for it.
      const final = error instanceof DialError && error.problem === "untrusted" && !this.#everConnected;
      if (final) this.#giveUp({ code: "unauthorized", message });
      else
        this.#lost({
          code: error instanceof DialError && error.problem === "timeout" ? "timeout" : "unreachable",
          message,
        });
    }
  }

  #lost(problem: NonNullable<ShareInfo["problem"]>): void {
    for (const wake of this.#unsharing.values()) wake();
    const shares = this.#wanted();
    if (shares.length === 0) return;
    const wait = this.#backoff.next();
    const retryAt = Date.now() + Math.round(wait);
    for (const share of shares) {
      share.setState(share.grant === undefined ? "connecting" : "reconnecting", problem, retryAt);
      this.#options.changed(share);
    }
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => {
      this.#waiting = undefined;
      void this.#dial();
    }, wait);
  }

  #giveUp(problem: NonNullable<ShareInfo["problem"]>): void {
    for (const share of this.#wanted()) {
      share.setState("refused", problem);
      this.#options.changed(share);
    }
  }

  #welcome(session: Session, message: Extract<RelayMessage, { type: "welcome" }>): void {
    this.#welcomed = true;
    this.#everConnected = true;
    this.#backoff.connected();
    this.#options.log.info(`Tunnel to ${this.#place} (${message.relay.slice(0, 80)}) is open`);
    for (const grant of message.shares) {
      const share = this.#shares.get(grant.id);
      if (share === undefined) {
        // Ended while the hello was under way.
        session.send({ type: "unshare", id: grant.id });
        continue;
      }
      share.granted(grant);
      this.#options.changed(share);
    }
    // Shares added in between were in no hello.
    for (const share of this.#wanted())
      if (!this.#asked.has(share.id)) session.send({ type: "share", share: share.request() });
    session.probe();
  }

  #refused(session: Session, { id, code, message }: Refused): void {
    const problem = { code, message: `The relay at ${this.#place} refused: ${message.slice(0, 500)}` };
    if (id !== undefined) {
      const share = this.#shares.get(id);
      if (share === undefined) return;
      if (FINAL_FOR_SHARE.has(code)) {
        share.setState("refused", problem);
        this.#options.changed(share);
      } else {
        // "internal", "draining": the session is over for this share, so it is begun anew.
        session.abort({ by: "relay", code: "refused", message });
      }
      return;
    }
    this.#options.log.warn(problem.message);
    if (FINAL.has(code)) this.#giveUp(problem);
    session.abort({ by: "relay", code: "refused", message });
  }

  #unshared(id: string): void {
    const resolve = this.#unsharing.get(id);
    if (resolve !== undefined) {
      resolve();
      return;
    }
    const share = this.#shares.get(id);
    if (share === undefined) return;
    share.setState("refused", { code: "unknown-name", message: `The relay at ${this.#place} ended the share` });
    this.#options.changed(share);
  }

  /** The relay goes down: another instance may answer at once, and what is open here is finished. */
  #retire(session: Session): void {
    this.#retiring.add(session);
    this.#session = undefined;
    this.#welcomed = false;
    this.#lost({ code: "draining", message: `The relay at ${this.#place} is going down` });
  }
}
