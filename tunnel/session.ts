import type { ByteProtocol, HttpConnection } from "../wire/transport.ts";
import { KeepAlive } from "./keepalive.ts";

/** `Http2Connection`, as far as it matters here. */
export interface PingableConnection extends HttpConnection {
  /** Sends a PING; false when one is outstanding or the connection ended. */
  ping(): boolean;
}

/**
 * Either end of a tunnel as its socket sees it: the HTTP/2 connection, with every chunk also counted as a sign of life.
 * Whoever makes it hands `pingAnswered` of `Http2Events` on to it.
 */
export class TunnelProtocol<C extends PingableConnection> implements ByteProtocol {
  readonly connection: C;
  readonly #keepAlive: KeepAlive;
  readonly #now: () => number;

  /**
   * @param now monotonic milliseconds, for the round trip time.
   * @param dead the peer was silent for 15 s although it was asked: end the connection. Called once.
   */
  constructor(connection: C, now: () => number, dead: () => void) {
    this.connection = connection;
    this.#now = now;
    this.#keepAlive = new KeepAlive({ ping: () => connection.ping(), dead });
  }

  /** Milliseconds; undefined before the first answer. */
  get rttMs(): number | undefined {
    return this.#keepAlive.rttMs;
  }

  pingAnswered(): void {
    this.#keepAlive.answered(this.#now());
  }

  /** Asks for a round trip now. */
  probe(): void {
    this.#keepAlive.probe(this.#now());
  }

  receive(bytes: Uint8Array): void {
    this.#keepAlive.received();
    this.connection.receive(bytes);
  }

  receiveEnd(): void {
    this.connection.receiveEnd();
  }

  transportClosed(): void {
    this.connection.transportClosed();
  }

  drained(): void {
    this.connection.drained();
  }

  tick(now: number): void {
    this.connection.tick(now);
    this.#keepAlive.tick(now);
  }
}
