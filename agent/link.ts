import { Backoff } from "../tunnel/backoff.ts";
import type { Refused, RefusalCode, RelayMessage, ShareRequest, Welcome } from "../tunnel/protocol.ts";
import { DialError, dial, isLoopback, parseTunnelUrl } from "../tunnel/transports.ts";
import type { Logger } from "../wire/logger.ts";
import type { Fields, Failure, Stream, StreamEvents } from "../wire/stream.ts";
import type { LinkEvents, Problem } from "./link-events.ts";
import type { RelayEndpoint } from "./options.ts";
import type { SessionEvents } from "./session.ts";
import { Session } from "./session.ts";

/** A dial to this machine costs nothing, and a relay that the user restarts here is expected back at once. */
const LONGEST_LOOPBACK_WAIT_MS = 2_000;

/** How long an orderly end may take before the connection is cut. */
const CLOSE_MS = 1_000;

/** What nothing but the user can change. */
const FINAL: ReadonlySet<RefusalCode> = new Set(["protocol", "version", "unauthorized"]);

export interface LinkOptions {
  readonly endpoint: RelayEndpoint;
  readonly log: Logger;
  readonly events: LinkEvents;
}

/** One link to a relay, from dial to dial: at most one session that serves, and former ones that end. */
export class Link implements SessionEvents {
  /** Shares that the relay serves through this link. */
  readonly held = new Set<string>();
  /** Shares that were asked for here and not answered yet. */
  readonly asked = new Set<string>();
  /** Shares that the present session does not get. */
  readonly denied = new Set<string>();
  /** Milliseconds since the epoch of the next dial. */
  retryAt: number | undefined;

  readonly #options: LinkOptions;
  readonly #place: string;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  #session: Session | undefined;
  #welcomed = false;
  /** Why the present session ends, where the reason is final. */
  #final: Problem | undefined;
  /** Sessions of a relay that goes down: what they carry goes on. */
  readonly #retiring = new Set<Session>();
  #dialling = false;
  #everConnected = false;
  #timer: NodeJS.Timeout | undefined;
  #onEmpty: () => void = () => undefined;

  /** @param options.endpoint validated. */
  constructor(options: LinkOptions) {
    this.#options = options;
    const { host, port } = parseTunnelUrl(options.endpoint.url);
    this.#place = `${host}:${port}`;
    this.#backoff = new Backoff({
      random: Math.random,
      now: () => performance.now(),
      ...(isLoopback(host) ? { longestMs: LONGEST_LOOPBACK_WAIT_MS } : {}),
    });
  }

  /** The relay has welcomed it. */
  get online(): boolean {
    return this.#welcomed;
  }

  get rttMs(): number | undefined {
    return this.#welcomed ? this.#session?.rttMs : undefined;
  }

  /** Dials, unless that is under way, or will be, or there is a session. */
  start(): void {
    if (this.#timer === undefined) void this.#dial();
  }

  /** Dials now: something says that it may succeed. */
  wake(): void {
    this.#backoff.reset();
    this.#clearTimer();
    void this.#dial();
  }

  /** The machine slept, or the network changed: what was known about the connection is doubtful. */
  probe(): void {
    this.#session?.probe();
    if (this.#timer !== undefined) this.wake();
  }

  ask(request: ShareRequest): void {
    this.asked.add(request.id);
    this.#session?.send({ type: "share", share: request });
  }

  unshare(id: string): void {
    this.held.delete(id);
    this.#session?.send({ type: "unshare", id });
  }

  /** No new exchanges, please. */
  announceDrain(): void {
    if (this.#welcomed) this.#session?.send({ type: "draining" });
  }

  /** Ends the session now, and begins another. */
  abort(message: string): void {
    this.#session?.abort({ by: "relay", code: "refused", message });
  }

  /** Ends every session: in order where that goes quickly. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("The agent is closing"));
    this.#clearTimer();
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

  // What the sessions report.

  opened(session: Session): void {
    if (session === this.#session) session.send(this.#options.events.hello(this));
  }

  messageReceived(session: Session, message: RelayMessage): void {
    // What a former session says of a share is history.
    if (session !== this.#session) return;
    const { events } = this.#options;
    switch (message.type) {
      case "welcome":
        this.#welcome(session, message);
        break;
      case "refused":
        if (message.id !== undefined) events.refused(this, message.id, message);
        else this.#refused(session, message);
        break;
      case "shared":
        events.granted(this, message.share);
        break;
      case "unshared":
        this.held.delete(message.id);
        events.unshared(this, message.id);
        break;
      case "draining":
        this.#retire(session);
        break;
    }
  }

  streamOpened(stream: Stream, fields: Fields, end: boolean): StreamEvents {
    return this.#options.events.streamOpened(stream, fields, end);
  }

  measured(session: Session): void {
    if (session === this.#session) this.#options.events.measured(this);
  }

  ended(session: Session, failure: Failure | undefined): void {
    const message = failure?.message ?? "The relay closed the connection";
    const problem: Problem = { code: failure?.code ?? "closed", message: `${this.#place}: ${message}` };
    if (session === this.#session) {
      this.#options.log.info(`Tunnel to ${this.#place} ended: ${message}`);
      if (this.#isClosing()) this.#leave();
      else this.#sessionLost(problem);
    } else if (this.#retiring.delete(session) && this.#retiring.size === 0 && !this.#welcomed && !this.#isClosing()) {
      // It served until now, and its successor is not there yet.
      this.held.clear();
      this.#options.events.lost(this, problem);
    }
    if (this.#sessions().length === 0) this.#onEmpty();
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  #sessions(): Session[] {
    return this.#session === undefined ? [...this.#retiring] : [this.#session, ...this.#retiring];
  }

  #clearTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.retryAt = undefined;
  }

  /** Never rejects. */
  async #dial(): Promise<void> {
    const { endpoint, events, log } = this.#options;
    if (this.#dialling || this.#session !== undefined || this.#isClosing() || !events.needed(this)) return;
    this.#dialling = true;
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
      const problem = error instanceof DialError ? error.problem : "unreachable";
      // The first time nobody has ever met this relay here: the address or the certificate is wrong. Later it may be a
      // hotel's network that answers for it.
      if (problem === "untrusted" && !this.#everConnected) this.#final = { code: "unauthorized", message };
      this.#sessionLost({ code: problem === "timeout" ? "timeout" : "unreachable", message });
    }
  }

  #welcome(session: Session, message: Welcome): void {
    this.#welcomed = true;
    this.#everConnected = true;
    this.#backoff.connected();
    this.held.clear();
    this.#options.log.info(`Tunnel to ${this.#place} (${message.relay.slice(0, 80)}) is open`);
    this.#options.events.welcomed(this, message);
    session.probe();
  }

  #refused(session: Session, { code, message }: Refused): void {
    const problem = { code, message: `The relay at ${this.#place} refused: ${message.slice(0, 500)}` };
    this.#options.log.warn(problem.message);
    if (FINAL.has(code)) this.#final = problem;
    session.abort({ by: "relay", code: "refused", message });
  }

  #sessionLost(problem: Problem): void {
    const final = this.#final;
    this.#final = undefined;
    this.#leave();
    this.held.clear();
    if (final !== undefined) {
      this.#options.events.gaveUp(this, final);
      return;
    }
    this.#wait();
    this.#options.events.lost(this, problem);
  }

  #leave(): void {
    this.#session = undefined;
    this.#welcomed = false;
    this.asked.clear();
    this.denied.clear();
  }

  #wait(): void {
    this.#clearTimer();
    const wait = this.#backoff.next();
    this.retryAt = Date.now() + Math.round(wait);
    this.#timer = setTimeout(() => {
      this.#clearTimer();
      void this.#dial();
    }, wait);
  }

  /** The relay goes down: another may answer at once, and until then this one serves. */
  #retire(session: Session): void {
    this.#retiring.add(session);
    this.#leave();
    this.#options.log.info(`The relay at ${this.#place} is going down`);
    this.#wait();
    this.#options.events.retired(this);
  }
}
