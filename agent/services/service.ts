import type { Socket } from "node:net";
import { attachSocket } from "../../tunnel/socket.ts";
import { unwatch, watch } from "../../tunnel/wheel.ts";
import type { Failure } from "../../wire/stream.ts";
import type { Transport } from "../../wire/transport.ts";
import { Burst } from "./burst.ts";
import type { Wants } from "./choice.ts";
import { chooseVersion } from "./choice.ts";
import { ServiceConnection } from "./connection.ts";
import type { OpenedSocket, ServiceTarget } from "./dial.ts";
import { CONNECT_TIMEOUT_MS, ServiceError, openSocket, openTls, place } from "./dial.ts";
import { Http2Opening } from "./http2-opening.ts";
import type { Offers } from "./probe.ts";
import { answersHttp1, identify, offersHttp1OverTls } from "./probe.ts";

/** What a service speaks is asked again when nothing has confirmed it for so long. */
const KNOWN_MS = 60_000;

/** The same for what was only assumed, because nothing answered. */
const ASSUMED_MS = 2_000;

/** A tunnel carries at most 1 000 exchanges at once, and each may be a WebSocket with a connection of its own. */
const MAX_CONNECTIONS = 1_024;

/** Exchanges that wait for a connection: as many as a tunnel may bring on top of those that have one. */
const MAX_WAITING = 1_024;

/** A visitor who waits longer thinks that the service hangs; a service that stays full so long does. */
const MAX_WAIT_MS = 10_000;

/** Needed only where a service allows few streams. */
const MAX_DIALS_HTTP2 = 8;

/** A service that has connections of HTTP/2 and did not take another one is not asked again for so long: room comes from those. */
const REDIAL_HTTP2_MS = 1_000;

/** Idle connections kept. A browser comes with six, a load test with a hundred: with fewer each of its requests dials. */
const MAX_IDLE = 128;

/** Below the 5 s after which Node closes idle connections, by more than a turn of the wheel. */
const IDLE_HTTP1_MS = 3_000;
const IDLE_HTTP2_MS = 30_000;

/** A request that cannot be repeated goes only on a connection idle for less: some servers close after one or two seconds, and the request would be lost with it. */
const FRESH_MS = 500;

/** How often the service is asked again what it speaks before an exchange gives up. */
const MAX_IDENTIFICATIONS = 2;

/** Who waits for a connection. Not a promise, since most exchanges get theirs at once. */
export interface Waiter {
  readonly wants: Wants;
  /** The request may be sent once more when the connection turns out to be closed. */
  readonly repeatable: boolean;
  /** The visitor went away. */
  readonly abandoned: boolean;
  /** @returns false when the connection could not be used after all. */
  connected(connection: ServiceConnection): boolean;
  failed(failure: Failure): void;
}

interface Waiting {
  readonly waiter: Waiter;
  readonly since: number;
  identifications: number;
}

/**
 * The service of one share: what it speaks, and the connections to it. Found out once and remembered for a minute, or
 * until a connection fails. Connects to nothing but the loopback addresses and the port it was made with.
 */
export class Service {
  readonly target: ServiceTarget;
  #preferred: string | undefined;
  #offers: Offers | undefined;
  #confirmedAt = 0;
  #identifying = false;
  #askingHttp1 = false;
  #waiting: Waiting[] = [];
  #idleHttp1: ServiceConnection[] = [];
  readonly #http2 = new Set<ServiceConnection>();
  readonly #connections = new Set<ServiceConnection>();
  #dialsHttp1 = 0;
  #dialsHttp2 = 0;
  /** When a further connection of HTTP/2 could not be had. */
  #http2FullAt = -Infinity;
  readonly #burst = new Burst<ServiceConnection>(() => this.#serve());
  #raw = 0;
  #serving = false;
  #serveCalls = 0;
  #closed = false;

  constructor(target: ServiceTarget) {
    this.target = target;
    watch(this);
  }

  /** Gives the waiter a connection: at once when one is there. */
  acquire(waiter: Waiter): void {
    if (this.#closed) {
      waiter.failed(this.#failure("closed", `The share of ${place(this.target)} has ended`));
      return;
    }
    const offers = this.#known();
    if (offers !== undefined && this.#waiting.length === 0) {
      const version = chooseVersion(waiter.wants, offers);
      if (version !== "ask" && this.#give(waiter, version)) return;
    }
    if (this.#waiting.length >= MAX_WAITING) {
      waiter.failed(this.#failure("limit", `More than ${MAX_WAITING} requests wait for ${place(this.target)}`));
      return;
    }
    this.#waiting.push({ waiter, since: performance.now(), identifications: 0 });
    this.#serve();
  }

  /** For TCP shares. Rejects with `ServiceError`. */
  async openRaw(): Promise<Socket> {
    if (this.#raw >= MAX_CONNECTIONS)
      throw new ServiceError("limit", `More than ${MAX_CONNECTIONS} connections to ${place(this.target)}`);
    this.#raw += 1;
    try {
      const { socket, address } = await openSocket(this.target, this.#preferred);
      this.#preferred = address;
      socket.once("close", () => (this.#raw -= 1));
      return socket;
    } catch (error) {
      this.#raw -= 1;
      throw error;
    }
  }

  /** The service answered on this connection, as what we take it for. */
  confirmed(connection: ServiceConnection | undefined): void {
    this.#confirmedAt = performance.now();
    if (connection !== undefined && this.#burst.answered(connection) && this.#waiting.length > 0) this.#serve();
  }

  /** An exchange failed in a way that a service which now speaks something else would cause as well. */
  forget(): void {
    this.#offers = undefined;
  }

  /** Ends idle connections; those with exchanges end with them. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    unwatch(this);
    this.#burst.close();
    for (const { waiter } of this.#waiting.splice(0))
      waiter.failed(this.#failure("closed", `The share of ${place(this.target)} has ended`));
    for (const connection of [...this.#connections]) connection.http.drain();
  }

  changed(connection: ServiceConnection): void {
    if (connection.version === 1 && connection.http.capacity > 0 && !connection.listed && this.#isHeld(connection)) {
      connection.listed = true;
      this.#idleHttp1.push(connection);
      if (this.#idleHttp1.length > MAX_IDLE) this.#unlist(this.#idleHttp1[0])?.http.drain();
    }
    if (this.#waiting.length > 0) this.#serve();
  }

  ended(connection: ServiceConnection): void {
    this.#connections.delete(connection);
    this.#http2.delete(connection);
    this.#burst.ended(connection);
    this.#unlist(connection);
    if (this.#waiting.length > 0) this.#serve();
  }

  tick(now: number): void {
    for (const connection of [...this.#connections]) {
      const limit = connection.version === 1 ? IDLE_HTTP1_MS : IDLE_HTTP2_MS;
      if (connection.http.openStreams === 0 && now - connection.idleSince > limit) {
        this.#unlist(connection);
        this.#http2.delete(connection);
        connection.http.drain();
      }
    }
    if (this.#waiting.length === 0) return;
    // Perhaps it takes another connection now.
    if (this.#http2.size > 0 && now - this.#http2FullAt >= REDIAL_HTTP2_MS) this.#serve();
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ waiter, since }) => !waiter.abandoned && now - since <= MAX_WAIT_MS);
    for (const { waiter, since } of waiting)
      if (!waiter.abandoned && now - since > MAX_WAIT_MS)
        waiter.failed(
          this.#failure("limit", `${place(this.target)} had no connection free for ${MAX_WAIT_MS / 1000} seconds`),
        );
  }

  #known(): Offers | undefined {
    const offers = this.#offers;
    if (offers === undefined) return undefined;
    const limit = offers.certain ? KNOWN_MS : ASSUMED_MS;
    return performance.now() - this.#confirmedAt <= limit ? offers : undefined;
  }

  #failure(code: Failure["code"], message: string): Failure {
    return { by: "agent", code, message };
  }

  #isHeld(connection: ServiceConnection): boolean {
    return this.#connections.has(connection);
  }

  #unlist(connection: ServiceConnection | undefined): ServiceConnection | undefined {
    if (connection?.listed === true) {
      connection.listed = false;
      this.#idleHttp1.splice(this.#idleHttp1.indexOf(connection), 1);
    }
    return connection;
  }

  #give(waiter: Waiter, version: 1 | 2): boolean {
    if (version === 2) {
      for (const connection of this.#http2) {
        if (connection.http.capacity === 0) continue;
        if (waiter.connected(connection) || waiter.abandoned) return true;
      }
      return false;
    }
    // The one used last is the least likely to be closed.
    for (let index = this.#idleHttp1.length - 1; index >= 0; index--) {
      const connection = this.#idleHttp1[index];
      if (connection === undefined) continue;
      if (connection.http.capacity === 0) {
        this.#unlist(connection);
        continue;
      }
      if (!waiter.repeatable && connection.exchanges > 0 && performance.now() - connection.idleSince > FRESH_MS)
        return false;
      this.#unlist(connection);
      if (waiter.connected(connection)) return true;
      if (!waiter.abandoned) {
        // It said that it had room. Whatever is wrong with it, nobody else shall wait for it.
        connection.http.drain();
        return false;
      }
      this.changed(connection);
      return true;
    }
    return false;
  }

  /** Gives connections to those who wait, and opens what is missing. What it calls may call it again: then it goes round once more. */
  #serve(): void {
    this.#serveCalls += 1;
    if (this.#serving) return;
    this.#serving = true;
    let calls;
    do {
      calls = this.#serveCalls;
      this.#serveOnce();
    } while (calls !== this.#serveCalls);
    this.#serving = false;
  }

  #serveOnce(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    const offers = this.#known();
    const left: Waiting[] = [];
    const wanted = { 1: 0, 2: 0 };
    let ask = false;
    for (const entry of waiting) {
      const { waiter } = entry;
      if (waiter.abandoned) continue;
      if (offers === undefined) {
        if (!this.#identifying && entry.identifications++ >= MAX_IDENTIFICATIONS)
          waiter.failed({
            by: "service",
            code: "closed",
            message: `${place(this.target)} closes every connection before it answers`,
          });
        else left.push(entry);
        continue;
      }
      const version = chooseVersion(waiter.wants, offers);
      if (version === "ask") {
        ask = true;
        left.push(entry);
      } else if (version === 2 && waiter.wants.kind === "websocket" && this.#refusesExtendedConnect()) {
        waiter.failed({
          by: "service",
          code: "unsupported",
          message: `${place(this.target)} speaks only HTTP/2 and takes no WebSockets over it`,
        });
      } else if (!this.#give(waiter, version)) {
        left.push(entry);
        wanted[version] += 1;
      }
    }
    this.#waiting = left.concat(this.#waiting);
    if (this.#closed) return;
    if (offers === undefined) {
      if (left.length > 0) void this.#identify();
      return;
    }
    if (ask) void this.#askHttp1(offers);
    this.#dialMissing(offers, wanted);
  }

  #refusesExtendedConnect(): boolean {
    for (const { http } of this.#http2) if (!http.extendedConnect) return true;
    return false;
  }

  #dialMissing(offers: Offers, wanted: { readonly 1: number; readonly 2: number }): void {
    const room = (): boolean => this.#connections.size + this.#dialsHttp1 + this.#dialsHttp2 < MAX_CONNECTIONS;
    while (this.#dialsHttp1 < wanted[1] && room() && this.#burst.allows(this.#dialsHttp1, performance.now())) {
      this.#dialsHttp1 += 1;
      void this.#dial(1, offers)
        .finally(() => (this.#dialsHttp1 -= 1))
        .then(() => this.#serve());
    }
    if (!this.#mayDialHttp2()) return;
    // The first connection may have room for all.
    const atOnce = this.#http2.size === 0 ? 1 : MAX_DIALS_HTTP2;
    while (this.#dialsHttp2 < Math.min(wanted[2], atOnce) && room()) {
      this.#dialsHttp2 += 1;
      void this.#dial(2, offers)
        .finally(() => (this.#dialsHttp2 -= 1))
        .then(() => this.#serve());
    }
  }

  #mayDialHttp2(): boolean {
    if (performance.now() - this.#http2FullAt < REDIAL_HTTP2_MS && this.#hasHttp2()) return false;
    // MAX_CONCURRENT_STREAMS is 0 for now (RFC 9113 section 5.1.2): another connection would be told the same.
    for (const { http, closing } of this.#http2)
      if (!closing && http.openStreams === 0 && http.capacity === 0) return false;
    return true;
  }

  /** There are connections of HTTP/2 that go on. */
  #hasHttp2(): boolean {
    for (const { closing } of this.#http2) if (!closing) return true;
    return false;
  }

  #create(version: 1 | 2, tls: boolean, transport: Transport): ServiceConnection {
    return new ServiceConnection(this, version, tls, transport);
  }

  /** Never rejects. */
  async #identify(): Promise<void> {
    if (this.#identifying) return;
    this.#identifying = true;
    try {
      let made: ServiceConnection | undefined;
      const identity = await identify(this.target, this.#preferred, (transport, tls) => {
        made = this.#create(2, tls, transport);
        return made.http;
      });
      this.#learn(identity.offers, identity.address);
      if (identity.connection !== undefined && made !== undefined) this.#add(made);
      if (identity.socket !== undefined) this.#addSocket(identity.socket, 1, true);
    } catch (error) {
      this.#failWaiting(error);
    } finally {
      this.#identifying = false;
    }
    this.#serve();
  }

  async #askHttp1(offers: Offers): Promise<void> {
    if (this.#askingHttp1) return;
    this.#askingHttp1 = true;
    const http1 = offers.tls
      ? await offersHttp1OverTls(this.target, this.#preferred)
      : await answersHttp1(this.target, this.#preferred);
    this.#askingHttp1 = false;
    // In the meantime a connection may have failed, and all that was known be forgotten.
    if (this.#offers === offers) this.#offers = { ...offers, http1 };
    this.#serve();
  }

  /** Never rejects. */
  async #dial(version: 1 | 2, offers: Offers): Promise<void> {
    const from = performance.now();
    try {
      const opened: OpenedSocket = offers.tls
        ? await openTls(this.target, this.#preferred, [version === 2 ? "h2" : "http/1.1"])
        : await openSocket(this.target, this.#preferred);
      this.#preferred = opened.address;
      this.#burst.dialled(performance.now() - from);
      if (version === 1) this.#addSocket(opened.socket, 1, offers.tls);
      else await this.#openHttp2(opened.socket, offers.tls);
    } catch (error) {
      if (version === 2 && this.#hasHttp2()) {
        // It takes no further one. Those who wait get their turn on the connections that there are.
        this.#http2FullAt = performance.now();
        return;
      }
      // Whatever it was: the next exchange asks the service anew.
      this.forget();
      const changed = error instanceof ServiceError && error.failure.code === "malformed";
      if (!changed) this.#failWaiting(error);
    }
  }

  async #openHttp2(socket: Socket, tls: boolean): Promise<void> {
    let made: ServiceConnection | undefined;
    const { answer } = await Http2Opening.open(
      socket,
      (transport) => {
        made = this.#create(2, tls, transport);
        return made.http;
      },
      CONNECT_TIMEOUT_MS,
    );
    if (answer !== "http2" || made === undefined)
      throw new ServiceError("malformed", `${place(this.target)} no longer speaks HTTP/2`);
    // GOAWAY came with the first SETTINGS: to dial again at once would go on for ever.
    if (made.closing) throw new ServiceError("refused", `${place(this.target)} ends new connections at once`);
    this.#add(made);
  }

  #learn(offers: Offers, address: string): void {
    this.#offers = offers;
    this.#preferred = address;
    this.confirmed(undefined);
  }

  #addSocket(socket: Socket, version: 1 | 2, tls: boolean): void {
    let made: ServiceConnection | undefined;
    attachSocket(socket, (transport) => {
      made = this.#create(version, tls, transport);
      return made.http;
    });
    if (made !== undefined) this.#add(made);
  }

  #add(connection: ServiceConnection): void {
    if (this.#closed) {
      connection.http.drain();
      return;
    }
    // Of one that is over already nothing more would be heard.
    if (connection.closing) return;
    this.#connections.add(connection);
    if (connection.version === 2) this.#http2.add(connection);
    else this.#burst.opened(connection, performance.now());
    this.changed(connection);
  }

  #failWaiting(error: unknown): void {
    const failure =
      error instanceof ServiceError
        ? error.failure
        : this.#failure("internal", `The connection to ${place(this.target)} could not be made`);
    for (const { waiter } of this.#waiting.splice(0)) if (!waiter.abandoned) waiter.failed(failure);
  }
}
