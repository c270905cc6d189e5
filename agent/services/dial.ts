import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import type { Failure } from "../../wire/stream.ts";

/** A service on this machine takes a connection at once, or its backlog is full (then the kernel asks again after 1 s and 3 s). */
export const CONNECT_TIMEOUT_MS = 5_000;

/** RFC 8305 section 5: how long one address is waited for before the other is tried beside it. */
const NEXT_ADDRESS_MS = 250;

/** Where a service is: loopback addresses as literals, in the order of preference. */
export interface ServiceTarget {
  /** For messages: `localhost`. */
  readonly host: string;
  readonly addresses: readonly string[];
  readonly port: number;
}

export interface OpenedSocket<S extends Socket = Socket> {
  readonly socket: S;
  /** Which of the addresses answered. */
  readonly address: string;
}

/** Carries a `Failure` through a promise. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly failure: Failure;
  constructor(code: Failure["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = { by: "service", code, message };
  }
}

/**
 * A TCP connection to whichever of the addresses takes it (happy eyeballs), ready for `attachSocket`. Rejects with
 * `ServiceError`: `unreachable`, `timeout`, or `limit` when this process may open no more sockets.
 *
 * @param preferred the address that answered last.
 */
export function openSocket(target: ServiceTarget, preferred?: string): Promise<OpenedSocket> {
  const addresses = [...target.addresses].sort(
    (left, right) => Number(right === preferred) - Number(left === preferred),
  );
  return new Promise((resolve, reject) => {
    const attempts = new Set<Socket>();
    let problem: NodeJS.ErrnoException | undefined;
    let hedge: NodeJS.Timeout | undefined;
    const finish = (): void => {
      clearTimeout(timeout);
      clearTimeout(hedge);
      for (const socket of attempts) socket.destroy();
      attempts.clear();
    };
    const fail = (error: ServiceError): void => {
      finish();
      reject(error);
    };
    const timeout = setTimeout(() => {
      fail(new ServiceError("timeout", `${place(target)} took no connection within ${CONNECT_TIMEOUT_MS} ms`));
    }, CONNECT_TIMEOUT_MS);
    const next = (): void => {
      clearTimeout(hedge);
      const address = addresses.shift();
      if (address === undefined) {
        if (attempts.size === 0) fail(connectProblem(target, problem));
        return;
      }
      // `host` is a literal: nothing is resolved.
      const socket = connectTcp({ host: address, port: target.port, allowHalfOpen: true, noDelay: true });
      attempts.add(socket);
      const failed = (error: NodeJS.ErrnoException): void => {
        attempts.delete(socket);
        // "Refused" says more than that a machine has no IPv6.
        if (problem?.code !== "ECONNREFUSED") problem = error;
        next();
      };
      socket.once("error", failed);
      socket.once("connect", () => {
        attempts.delete(socket);
        socket.off("error", failed);
        // Until a protocol is attached.
        socket.on("error", () => undefined);
        finish();
        resolve({ socket, address });
      });
      if (addresses.length > 0) hedge = setTimeout(next, NEXT_ADDRESS_MS);
    };
    next();
  });
}

/**
 * TLS to a service. Its certificate is not checked: it is self-signed nearly always, and the connection does not leave
 * this machine. Rejects with `ServiceError`, code `malformed` when what answers does not speak TLS with these protocols.
 */
export async function openTls(
  target: ServiceTarget,
  preferred: string | undefined,
  protocols: readonly string[],
): Promise<OpenedSocket<TLSSocket>> {
  const { socket: raw, address } = await openSocket(target, preferred);
  return new Promise((resolve, reject) => {
    const options = {
      socket: raw,
      allowHalfOpen: true,
      rejectUnauthorized: false,
      ALPNProtocols: [...protocols],
      // A server with several certificates wants a name; an address is none.
      servername: "localhost",
    };
    const socket = connectTls(options);
    const fail = (error: ServiceError): void => {
      clearTimeout(timeout);
      socket.off("close", closed);
      socket.destroy();
      reject(error);
    };
    const closed = (): void => fail(new ServiceError("malformed", `${place(target)} ended the TLS handshake`));
    const timeout = setTimeout(() => {
      fail(
        new ServiceError("timeout", `${place(target)} did not answer a TLS handshake within ${CONNECT_TIMEOUT_MS} ms`),
      );
    }, CONNECT_TIMEOUT_MS);
    socket.on("error", (error: NodeJS.ErrnoException) =>
      fail(
        new ServiceError("malformed", `${place(target)} refused TLS (${error.code ?? "unknown"})`, { cause: error }),
      ),
    );
    socket.once("close", closed);
    socket.once("secureConnect", () => {
      clearTimeout(timeout);
      socket.off("close", closed);
      socket.removeAllListeners("error");
      socket.on("error", () => undefined);
      resolve({ socket, address });
    });
  });
}

export function place(target: ServiceTarget): string {
  return `${target.host}:${target.port}`;
}

function connectProblem(target: ServiceTarget, error: NodeJS.ErrnoException | undefined): ServiceError {
  const cause = error === undefined ? undefined : { cause: error };
  switch (error?.code) {
    case "EMFILE":
    case "ENFILE":
    case "EADDRNOTAVAIL":
      if (error.code !== "EADDRNOTAVAIL" || target.addresses.length === 1)
        return new ServiceError(
          "limit",
          `No more connections to ${place(target)} can be opened (${error.code})`,
          cause,
        );
      return new ServiceError("unreachable", `Nothing listens on ${place(target)} (${error.code})`, cause);
    case "ETIMEDOUT":
      return new ServiceError("timeout", `${place(target)} took no connection in time`, cause);
    case "ECONNREFUSED":
      return new ServiceError("unreachable", `Nothing listens on ${place(target)}`, cause);
    default:
      return new ServiceError(
        "unreachable",
        `${place(target)} cannot be reached (${error?.code ?? "no address"})`,
        cause,
      );
  }
}
