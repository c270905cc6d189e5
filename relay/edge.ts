import type { Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Server as TlsServer, TLSSocket } from "node:tls";
import { reportDefect } from "../tunnel/defects.ts";
import type { Ticking } from "../tunnel/wheel.ts";
import { unwatch, watch } from "../tunnel/wheel.ts";

/**
 * A socket that has not said enough to be known by then is closed, as HTTP/2 closes one without its preface. Browsers open
 * spare connections; those not used within seconds they close themselves, and they open another without being asked.
 */
export const SILENT_MS = 5_000;

/** From the first octet of TLS to the end of the handshake. */
const HANDSHAKE_MS = 10_000;

/** Visitors' sockets at once, over all ports. Each costs about 30 KB with its connection: 300 MB at worst. */
const MAX_SOCKETS = 10_000;

/** RFC 9113 section 3.4. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** RFC 8446 section 5.1: ContentType handshake. No method of HTTP begins with it. */
const TLS_HANDSHAKE = 0x16;

export type EdgeProtocol = "http/1" | "http/2";

export interface Arrival {
  readonly socket: Socket;
  readonly protocol: EdgeProtocol;
  readonly secure: boolean;
  /** What was read to find out. */
  readonly initial: Uint8Array | undefined;
}

export type Guess = EdgeProtocol | "tls" | "undecided";

/** What speaks on a connection that began with these octets. */
export function guess(bytes: Uint8Array): Guess {
  if (bytes[0] === TLS_HANDSHAKE) return "tls";
  const size = Math.min(bytes.length, PREFACE.length);
  for (let index = 0; index < size; index++) if (bytes[index] !== PREFACE[index]) return "http/1";
  return size === PREFACE.length ? "http/2" : "undecided";
}

export interface EdgeOptions {
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly maxSockets?: number;
  readonly silentMs?: number;
}

/**
 * Takes sockets of visitors and finds out what they speak: TLS (ALPN h2 or http/1.1), cleartext HTTP/2 with prior
 * knowledge, or HTTP/1, all on one port.
 */
export class Edge {
  readonly #options: EdgeOptions;
  readonly #tls: TlsServer | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #pending = new WeakMap<Socket, (arrival: Arrival) => void>();

  constructor(options: EdgeOptions) {
    this.#options = options;
    if (options.tls === undefined) return;
    // Never listens: it only makes TLS sockets of those that begin with a handshake.
    this.#tls = createTlsServer({
      ...options.tls,
      ALPNProtocols: ["h2", "http/1.1"],
      minVersion: "TLSv1.2",
      handshakeTimeout: HANDSHAKE_MS,
    });
    this.#tls.on("secureConnection", (socket) => this.#secured(socket));
    // The socket is destroyed by Node; without a listener nothing else happens either, but the intent is said.
    this.#tls.on("tlsClientError", (_error, socket) => socket.destroy());
  }

  /** Every socket accepted and not yet closed. */
  get sockets(): ReadonlySet<Socket> {
    return this.#sockets;
  }

  /** Reports to `arrived` at most once, or closes the socket. */
  accept(socket: Socket, arrived: (arrival: Arrival) => void): void {
    socket.on("error", () => undefined);
    if (this.#sockets.size >= (this.#options.maxSockets ?? MAX_SOCKETS)) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    new Peek(socket, this.#options.silentMs ?? SILENT_MS, (protocol, initial) => {
      if (protocol !== "tls") {
        arrived({ socket, protocol, secure: false, initial });
      } else if (this.#tls === undefined) {
        socket.destroy();
      } else {
        this.#pending.set(socket, arrived);
        socket.unshift(initial);
        this.#tls.emit("connection", socket);
      }
    });
  }

  /** For a port that carries bytes of any kind: counted and bounded, not looked at. */
  acceptRaw(socket: Socket): boolean {
    socket.on("error", () => undefined);
    if (this.#sockets.size >= (this.#options.maxSockets ?? MAX_SOCKETS)) {
      socket.destroy();
      return false;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return true;
  }

  #secured(socket: TLSSocket): void {
    socket.on("error", () => undefined);
    const below = parentOf(socket);
    const arrived = below === undefined ? undefined : this.#pending.get(below);
    if (below === undefined || arrived === undefined) {
      socket.destroy();
      return;
    }
    // From here on it stands for the one below: one visitor, one socket.
    this.#sockets.delete(below);
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    arrived({ socket, protocol: socket.alpnProtocol === "h2" ? "http/2" : "http/1", secure: true, initial: undefined });
  }
}

/** The socket that a TLS socket was made of: Node keeps it, without saying so in its types. */
function parentOf(socket: TLSSocket): Socket | undefined {
  return (socket as TLSSocket & { readonly _parent?: Socket })._parent;
}

/** Reads until it is known what the peer speaks. */
class Peek implements Ticking {
  readonly #socket: Socket;
  readonly #limitMs: number;
  readonly #known: (protocol: Exclude<Guess, "undecided">, bytes: Buffer) => void;
  #bytes: Buffer | undefined;
  #since: number | undefined;

  constructor(socket: Socket, limitMs: number, known: (protocol: Exclude<Guess, "undecided">, bytes: Buffer) => void) {
    this.#socket = socket;
    this.#limitMs = limitMs;
    this.#known = known;
    socket.on("data", this.#data);
    socket.on("end", this.#gone);
    socket.on("close", this.#gone);
    watch(this);
  }

  tick(now: number): void {
    this.#since ??= now;
    if (now - this.#since >= this.#limitMs) this.#gone();
  }

  readonly #data = (chunk: Buffer): void => {
    const bytes = this.#bytes === undefined ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#bytes = bytes;
    const protocol = guess(bytes);
    if (protocol === "undecided") return;
    this.#stop();
    try {
      this.#known(protocol, bytes);
    } catch (error) {
      reportDefect("relay/edge", error);
      this.#socket.destroy();
    }
  };

  readonly #gone = (): void => {
    this.#stop();
    this.#socket.destroy();
  };

  #stop(): void {
    unwatch(this);
    this.#socket.pause();
    this.#socket.removeListener("data", this.#data);
    this.#socket.removeListener("end", this.#gone);
    this.#socket.removeListener("close", this.#gone);
  }
}
