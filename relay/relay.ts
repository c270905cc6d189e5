import { timingSafeEqual } from "node:crypto";
import type { Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { isLoopback } from "../tunnel/transports.ts";
import { unwatch, watch } from "../tunnel/wheel.ts";
import { dialable, inUrl } from "./addresses.ts";
import { Edge } from "./edge.ts";
import { GUESS_WINDOW_MS, Guesses } from "./guesses.ts";
import type { Lease } from "./lease.ts";
import { knowsReusePort, listen } from "./listener.ts";
import { digest } from "./names.ts";
import type { Relay, RelayOptions } from "./options.ts";
import { Publisher, portSuffix } from "./publisher.ts";
import { Registry } from "./registry.ts";
import type { ShareRecord } from "./registry.ts";
import { Router } from "./router.ts";
import { Session } from "./session.ts";
import type { SessionHost } from "./session.ts";
import { listenForAgents } from "./tunnel-listener.ts";
import type { TunnelListener } from "./tunnel-listener.ts";
import { VisitorConnection, openTcpVisitor } from "./visitor.ts";
import { WaitingRoom } from "./waiting.ts";

const DEFAULT_DRAIN_MS = 30_000;

/** Links welcomed at once: of 1 000 agents with two each. */
const MAX_SESSIONS = 2_000;

/** Sessions that wait for a refusal: few of all sockets that agents may have. */
const MAX_DELAYED = 100;

/**
 * Names that do not exist, asked for by one network in a minute: a person mistypes a few, a page of a share that has
 * ended names one. A random name has 65 bits; this is about names that people chose.
 */
const WRONG_NAMES = 60;

/** Wrong tokens of one network in a minute: a machine has one, a whole office of machines with old ones has some. */
const WRONG_TOKENS = 20;

/** Names of others, or wrong resume secrets: an agent that lost its secrets asks for each of its shares once. */
const WRONG_CLAIMS = 100;

/**
 * While another relay takes over: how long visitors may keep HTTP/1 connections that are idle. Who sends a request on one
 * meanwhile is served and told that it was the last; closed at once, the connection would take that request with it.
 */
const LINGER_MS = 5_000;

/** While another relay takes over: agents dial it within 250 ms, and their links to us stay until they have. */
const HANDOVER_MS = 1_000;

/** While draining: how often it is looked whether all is done. */
const POLL_MS = 20;

/** After the last exchange: how long the last octets may take to leave before sockets are destroyed. */
const FLUSH_MS = 2_000;

/** Name and version, as agents see it. */
const RELAY_NAME = "portlight/0.1.0";

/** Options that contradict each other or would be unsafe. */
export class RelayOptionsError extends Error {
  override readonly name = "RelayOptionsError";
}

/**
 * Starts a relay. Rejects with `RelayOptionsError`, or with Node's error of `listen` (EADDRINUSE, EACCES).
 */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  check(options);
  const running = new RunningRelay(options);
  try {
    await running.start();
  } catch (error) {
    await running.close(0);
    if (options.reusePort === true && (error as NodeJS.ErrnoException).code === "ENOTSUP") throw noReusePort(error);
    throw error;
  }
  return running;
}

function noReusePort(cause?: unknown): RelayOptionsError {
  const needs = "it needs Linux or a BSD, and Node 22.12, 23.1 or newer";
  return new RelayOptionsError(`Two relays cannot listen on one port here: ${needs}`, { cause });
}

function check(options: RelayOptions): void {
  const { mode, tunnelListen, tls, tokenDigests, domain } = options;
  const loopback = isLoopback(tunnelListen.host);
  const encrypted = mode === "remote" && tls !== undefined;
  if (!loopback && !encrypted) {
    throw new RelayOptionsError(
      `Agents would dial ${tunnelListen.host} in cleartext: give a certificate and a key, or listen on 127.0.0.1`,
    );
  }
  if (tokenDigests === undefined && !loopback) {
    throw new RelayOptionsError(`Anybody could share through ${tunnelListen.host}: give at least one token`);
  }
  if (tokenDigests?.some((hex) => !/^[0-9a-fA-F]{64}$/.test(hex)) === true) {
    throw new RelayOptionsError("A token digest must be a SHA-256: 64 hexadecimal digits");
  }
  if (!/^[a-z0-9](?:[a-z0-9.-]{0,200}[a-z0-9])?$/.test(domain)) {
    throw new RelayOptionsError(`The domain ${domain} is not a lower-case host name`);
  }
  if (options.reusePort === true && !knowsReusePort()) throw noReusePort();
}

class RunningRelay implements Relay {
  publicUrl = "";
  tunnelUrl = "";

  readonly #options: RelayOptions;
  readonly #registry = new Registry<Lease>(() => Date.now());
  readonly #guesses: { readonly names: Guesses; readonly tokens: Guesses; readonly claims: Guesses };
  readonly #room: WaitingRoom;
  readonly #edge: Edge;
  readonly #router: Router;
  readonly #visitors = new Set<VisitorConnection>();
  readonly #sessions = new Set<Session>();
  readonly #tokens: readonly Buffer[] | undefined;
  readonly #closers: (() => void)[] = [];
  /** What visitors come to. */
  readonly #listeners: { drain(): Promise<void>; close(): void }[] = [];
  #tunnelListener: TunnelListener | undefined;
  #draining = false;
  /** While draining: idle connections of visitors may stay. */
  #lingering: boolean;
  #closed: Promise<void> | undefined;
  /** Cuts the wait of `close` short. */
  #hurry: () => void = () => undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#lingering = options.reusePort === true;
    this.#tokens = options.tokenDigests?.map((hex) => Buffer.from(hex, "hex"));
    // Everybody on this machine is the same person there.
    const exempt = (address: string): boolean => options.mode === "local" && isLoopback(address);
    const counting = (limit: number): Guesses => new Guesses(() => performance.now(), { limit, exempt });
    this.#guesses = {
      names: counting(WRONG_NAMES),
      tokens: counting(WRONG_TOKENS),
      claims: counting(WRONG_CLAIMS),
    };
    this.#room = new WaitingRoom({ now: () => performance.now(), returnMs: options.returnMs });
    this.#edge = new Edge({ tls: options.tls });
    this.#router = new Router({
      registry: this.#registry,
      guesses: this.#guesses.names,
      room: this.#room,
      domain: options.domain,
      ownHosts: options.mode === "local" ? ["localhost", "127.0.0.1", "[::1]"] : [],
    });
  }

  async start(): Promise<void> {
    const { mode, listen: address, tunnelListen, domain, tls, log, allowLan, reusePort } = this.#options;
    const accept = (socket: Socket): void => this.#acceptHttp(socket, undefined);
    // `localhost` and `name.localhost` mean ::1 to some programs.
    const wished = address.host === "127.0.0.1" ? ["::1"] : [];
    const main = await listen({ ...address, wished, reusePort, accept });
    this.#listeners.push(main);
    const mainPort = this.#options.publicPort ?? main.port;
    const scheme = mode === "remote" && tls !== undefined ? "https" : "http";
    const publisher = new Publisher({
      ...{ mode, host: address.host, domain, allowLan, scheme, mainPort, log, reusePort },
      acceptHttp: (socket, record) => this.#acceptHttp(socket, record),
      acceptTcp: (socket, record) => {
        if (this.#edge.acceptRaw(socket)) openTcpVisitor(socket, record, this.#router);
      },
    });
    publisher.reserve(main.port);
    this.#listeners.push(publisher);
    const host: SessionHost = {
      ...{ registry: this.#registry, publisher, room: this.#room, log, relay: RELAY_NAME },
      tokens: this.#guesses.tokens,
      claims: this.#guesses.claims,
      authorised: (token) => this.#authorised(token),
      // Who has shown no token takes nobody's place.
      admits: () => this.#count((session) => session.welcomed) < MAX_SESSIONS,
      // The one that asks is delayed already.
      delays: () => this.#count((session) => session.delayed) <= MAX_DELAYED,
      sessionEnded: (session) => this.#sessions.delete(session),
    };
    const tunnels = await listenForAgents({
      address: tunnelListen,
      tls: mode === "remote" ? tls : undefined,
      reusePort,
      accept: (socket) => {
        const session = new Session(socket, host);
        this.#sessions.add(session);
        if (this.#draining) session.drain();
      },
    });
    this.#tunnelListener = tunnels;
    publisher.reserve(tunnels.port);
    watch(this.#room);
    this.#closers.push(() => unwatch(this.#room));
    const forget = setInterval(() => {
      for (const guesses of Object.values(this.#guesses)) guesses.sweep();
    }, GUESS_WINDOW_MS).unref();
    this.#closers.push(() => clearInterval(forget));
    const publicHost = mode === "remote" ? domain : dialable(address.host);
    this.publicUrl = `${scheme}://${inUrl(publicHost)}${portSuffix(scheme, mainPort)}`;
    this.tunnelUrl =
      mode === "remote" && tls !== undefined
        ? `tls://${domain}:${tunnels.port}`
        : `tcp://${inUrl(dialable(tunnelListen.host))}:${tunnels.port}`;
    log.info(`Relay listens at ${this.publicUrl}, agents dial ${this.tunnelUrl}`);
  }

  close(drainMs: number = this.#options.drainMs ?? DEFAULT_DRAIN_MS): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = this.#close(drainMs);
    } else if (drainMs === 0) {
      this.#hurry();
    }
    return this.#closed;
  }

  async #close(drainMs: number): Promise<void> {
    let hurried = drainMs <= 0;
    this.#hurry = () => {
      hurried = true;
    };
    const { reusePort = false } = this.#options;
    this.#draining = true;
    this.#room.close();
    // Agents first: they dial anew, and what visitors send us meanwhile still goes through the links that are left.
    this.#tunnelListener?.close();
    for (const session of this.#sessions) session.drain();
    if (reusePort && !hurried) await Promise.all(this.#listeners.map((listener) => listener.drain()));
    else for (const listener of this.#listeners) listener.close();
    const deadline = performance.now() + drainMs;
    const past = (limit: number): boolean => hurried || performance.now() >= limit;
    if (reusePort) {
      for (const visitor of this.#visitors) visitor.retire();
      const handedOver = Math.min(performance.now() + HANDOVER_MS, deadline);
      const lingered = Math.min(performance.now() + LINGER_MS, deadline);
      while ((this.#edge.sockets.size > 0 || !past(handedOver)) && !past(lingered)) await pause(POLL_MS);
      this.#lingering = false;
    }
    for (const visitor of this.#visitors) visitor.drain();
    while (this.#router.inFlight > 0 && !past(deadline)) await pause(POLL_MS);
    // What is complete for us may still be in the sockets' queues.
    const flushed = Math.min(performance.now() + FLUSH_MS, Math.max(deadline, performance.now()));
    while (this.#unsent() && !past(flushed)) await pause(POLL_MS);
    // Now whatever is still open is cut: its visitor sees an error.
    for (const session of this.#sessions) session.close();
    await pause(0);
    const sockets = [...this.#edge.sockets, ...(this.#tunnelListener?.sockets ?? [])];
    await Promise.all(sockets.map((socket) => destroyed(socket)));
    for (const close of this.#closers.splice(0)) close();
    this.#options.log.info("Relay closed");
  }

  #count(counts: (session: Session) => boolean): number {
    let count = 0;
    for (const session of this.#sessions) if (counts(session)) count++;
    return count;
  }

  #unsent(): boolean {
    for (const socket of this.#edge.sockets) if (socket.writableLength > 0) return true;
    return false;
  }

  #acceptHttp(socket: Socket, record: ShareRecord<Lease> | undefined): void {
    this.#edge.accept(socket, (arrival) => {
      const visitor = new VisitorConnection(arrival, record, this.#router, (over) => this.#visitors.delete(over));
      this.#visitors.add(visitor);
      if (!this.#draining) return;
      if (this.#lingering) visitor.retire();
      else visitor.drain();
    });
  }

  /** Every digest is compared, so the time tells neither which token matched nor whether one did. */
  #authorised(token: string | undefined): boolean {
    if (this.#tokens === undefined) return true;
    const shown = digest(token ?? "");
    let found = false;
    for (const known of this.#tokens) found = timingSafeEqual(shown, known) || found;
    return found && token !== undefined;
  }
}

function destroyed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) {
      resolve();
      return;
    }
    socket.once("close", () => resolve());
    socket.destroy();
  });
}
