import type { Socket } from "node:net";
import { attachSocket } from "../../tunnel/socket.ts";
import type { ByteProtocol, HttpConnection, Transport } from "../../wire/transport.ts";

/** What answered the preface of HTTP/2. */
export type PrefaceAnswer =
  /** A SETTINGS frame: the connection is open and in use from here on. */
  | "http2"
  /** A response of HTTP/1: the service refused our preface as a request. */
  | "http1"
  /** As `http1`, in the way servers answer that would rather have had TLS. */
  | "http1-perhaps-tls"
  /** Closed without an octet, or a TLS alert. */
  | "closed"
  /** Octets of another protocol. */
  | "other"
  /** Nothing within the time. */
  | "silent";

/** Enough to see a status line and whether a body follows; an answer to our preface is rarely longer. */
const MAX_JUDGED_BYTES = 4096;

/** Type of a SETTINGS frame (RFC 9113 section 6.5), and its ACK flag. */
const SETTINGS = 4;
const ACK = 1;
const FRAME_HEAD_BYTES = 9;

/** TLS record type "alert" (RFC 8446 section 5.1). */
const TLS_ALERT = 21;

/** @returns undefined while more octets are needed. Exported for its tests. */
export function judgeAnswer(bytes: Uint8Array, ended: boolean): PrefaceAnswer | undefined {
  const [first, second] = bytes;
  if (first === undefined) return ended ? "closed" : undefined;
  if (first === TLS_ALERT && (second === undefined || second === 3)) return "closed";
  // "HTTP/1.1 400 ...": as a frame its length would be above any that is allowed.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  if (text.startsWith("HTTP/1.".slice(0, bytes.length))) {
    const headEnd = text.indexOf("\r\n\r\n");
    if (headEnd < 0 && !ended && bytes.length < MAX_JUDGED_BYTES) return undefined;
    if (bytes.length < 12) return "other";
    // Go, nginx and Apache explain in the body of a 400 that their port wants TLS; a plain server may have a body too.
    const body = headEnd >= 0 && (text.length > headEnd + 4 || /^content-length: *[1-9]/im.test(text));
    return text.startsWith("400", 9) && body ? "http1-perhaps-tls" : "http1";
  }
  if (bytes.length < FRAME_HEAD_BYTES) return ended ? "other" : undefined;
  const length = (first << 16) | ((second ?? 0) << 8) | (bytes[2] ?? 0);
  const stream = bytes.slice(5, 9).some((octet) => octet !== 0);
  const isSettings = bytes[3] === SETTINGS && ((bytes[4] ?? 0) & ACK) === 0 && length % 6 === 0 && !stream;
  return isSettings ? "http2" : "other";
}

/**
 * Speaks HTTP/2 to a service that perhaps speaks something else: our preface goes out at once, and only a SETTINGS frame
 * lets the connection live. No request is ever sent to a service that is not known to understand it.
 */
export class Http2Opening<C extends HttpConnection> implements ByteProtocol {
  readonly connection: C;
  readonly #transport: Transport;
  #answer: PrefaceAnswer | undefined;
  #received: Uint8Array = new Uint8Array(0);
  #resolve: (answer: PrefaceAnswer) => void = () => undefined;

  /** `create` makes the connection, which sends preface and SETTINGS. Never rejects. */
  static async open<C extends HttpConnection>(
    socket: Socket,
    create: (transport: Transport) => C,
    timeoutMs: number,
  ): Promise<{ answer: PrefaceAnswer; connection: C }> {
    const opening = attachSocket(socket, (transport) => new Http2Opening(transport, create(transport)));
    const answer = await new Promise<PrefaceAnswer>((resolve) => {
      const timer = setTimeout(() => opening.#decide("silent"), timeoutMs);
      opening.#resolve = (answer) => {
        clearTimeout(timer);
        resolve(answer);
      };
    });
    return { answer, connection: opening.connection };
  }

  constructor(transport: Transport, connection: C) {
    this.#transport = transport;
    this.connection = connection;
  }

  receive(bytes: Uint8Array): void {
    if (this.#answer === "http2") this.connection.receive(bytes);
    else if (this.#answer === undefined) this.#judge(bytes, false);
  }

  receiveEnd(): void {
    if (this.#answer === "http2") this.connection.receiveEnd();
    else if (this.#answer === undefined) this.#judge(new Uint8Array(0), true);
  }

  transportClosed(): void {
    if (this.#answer === undefined) this.#judge(new Uint8Array(0), true);
    this.connection.transportClosed();
  }

  drained(): void {
    this.connection.drained();
  }

  tick(now: number): void {
    if (this.#answer === "http2") this.connection.tick(now);
  }

  #judge(bytes: Uint8Array, ended: boolean): void {
    const received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    const answer = judgeAnswer(received, ended);
    this.#received = received;
    if (answer !== undefined) this.#decide(answer);
  }

  #decide(answer: PrefaceAnswer): void {
    if (this.#answer !== undefined) return;
    this.#answer = answer;
    const received = this.#received;
    this.#received = new Uint8Array(0);
    // Not a reset: a server of HTTP/1 may still be writing, and its log should not fill with aborted connections.
    if (answer === "http2") this.connection.receive(received);
    else this.#transport.close();
    this.#resolve(answer);
  }
}
