/**
 * Finds out what a service speaks, without flags and without a request that could do anything.
 *
 * 1. The preface of HTTP/2. A gRPC server answers with SETTINGS, and the connection is used as it is: nothing was lost.
 *    A server of HTTP/1 answers 400, 404 or 505 at once, since no method is called PRI (RFC 9113 section 3.4 chose it for that).
 * 2. Only when it was closed without an answer, or with one that points to TLS: a TLS handshake, whose ALPN tells the rest.
 * 3. Only when that fails too: HTTP/1, by an `OPTIONS *` without `Host`, which RFC 9112 section 3.2 has answered by 400.
 *
 * Whether a service of HTTP/2 understands HTTP/1 as well is asked when somebody needs it, in the same way.
 */
import type { TLSSocket } from "node:tls";
import type { HttpConnection, Transport } from "../../wire/transport.ts";
import type { ServiceTarget } from "./dial.ts";
import { openSocket, openTls } from "./dial.ts";
import { Http2Opening } from "./http2-opening.ts";

/** A server that is idle answers in a few milliseconds; one that serves one request at a time may be busy for long. */
export const PROBE_TIMEOUT_MS = 1_000;

/** What a service speaks. */
export interface Offers {
  readonly tls: boolean;
  readonly http2: boolean;
  /** Undefined: nobody asked yet. */
  readonly http1: boolean | undefined;
  /** False: nothing answered, so HTTP/1 is assumed; a request will show. */
  readonly certain: boolean;
}

export interface Identity<C> {
  readonly offers: Offers;
  readonly address: string;
  /** An open connection of HTTP/2, SETTINGS received. */
  readonly connection?: C;
  /** An open connection of TLS on which nothing was sent yet, for `offers.http1`. */
  readonly socket?: TLSSocket;
}

/**
 * @param create makes the connection of HTTP/2, which sends preface and SETTINGS when it is made.
 * @throws ServiceError when no connection can be opened.
 */
export async function identify<C extends HttpConnection>(
  target: ServiceTarget,
  preferred: string | undefined,
  create: (transport: Transport, tls: boolean) => C,
): Promise<Identity<C>> {
  const { socket, address } = await openSocket(target, preferred);
  const { answer, connection } = await Http2Opening.open(
    socket,
    (transport) => create(transport, false),
    PROBE_TIMEOUT_MS,
  );
  const cleartext = { tls: false, http2: false, http1: true, certain: true };
  if (answer === "http2") return { offers: { ...cleartext, http2: true, http1: undefined }, address, connection };
  if (answer === "http1") return { offers: cleartext, address };
  // A server of TLS does not wait in silence for more of what is no record of TLS.
  if (answer === "silent") return { offers: { ...cleartext, certain: false }, address };
  if (answer === "closed" || answer === "http1-perhaps-tls") {
    const secure = await identifyTls(target, address, create);
    if (secure !== undefined) return secure;
  }
  if (answer === "http1-perhaps-tls") return { offers: cleartext, address };
  return { offers: { ...cleartext, certain: await answersHttp1(target, address) }, address };
}

async function identifyTls<C extends HttpConnection>(
  target: ServiceTarget,
  preferred: string,
  create: (transport: Transport, tls: boolean) => C,
): Promise<Identity<C> | undefined> {
  const opened = await openTls(target, preferred, ["h2", "http/1.1"]).catch(() => undefined);
  if (opened === undefined) return undefined;
  const { socket, address } = opened;
  if (socket.alpnProtocol !== "h2")
    return { offers: { tls: true, http2: false, http1: true, certain: true }, address, socket };
  const { answer, connection } = await Http2Opening.open(
    socket,
    (transport) => create(transport, true),
    PROBE_TIMEOUT_MS,
  );
  const offers = { tls: true, http2: true, http1: undefined, certain: true };
  return answer === "http2" ? { offers, address, connection } : { offers, address };
}

/** Whether a service that speaks HTTP/2 over TLS takes `http/1.1` as well: asked by ALPN, so nothing is sent. */
export async function offersHttp1OverTls(target: ServiceTarget, preferred: string | undefined): Promise<boolean> {
  const opened = await openTls(target, preferred, ["http/1.1"]).catch(() => undefined);
  opened?.socket.destroy();
  return opened?.socket.alpnProtocol === "http/1.1";
}

/** Without `Host`: refused by every server before it looks what is asked (RFC 9112 section 3.2), and harmless where it is not. */
const HTTP1_QUESTION = "OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n";

/** Whether the cleartext port answers HTTP/1. Never rejects. */
export async function answersHttp1(target: ServiceTarget, preferred: string | undefined): Promise<boolean> {
  const opened = await openSocket(target, preferred).catch(() => undefined);
  if (opened === undefined) return false;
  const { socket } = opened;
  return new Promise((resolve) => {
    let received = "";
    const decide = (answer: boolean): void => {
      clearTimeout(timer);
      // What is still to come is read and thrown away, so that the server sees an ordinary end.
      socket.removeAllListeners("data").resume();
      socket.end();
      setTimeout(() => socket.destroy(), PROBE_TIMEOUT_MS).unref();
      resolve(answer);
    };
    const timer = setTimeout(() => decide(false), PROBE_TIMEOUT_MS);
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
      if (received.startsWith("HTTP/1.")) decide(true);
      else if (!"HTTP/1.".startsWith(received)) decide(false);
    });
    socket.once("end", () => decide(false));
    socket.once("close", () => decide(false));
    socket.write(HTTP1_QUESTION);
  });
}
