import { createHash, timingSafeEqual } from "node:crypto";
import { connect as connectTcp, isIP } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import { TUNNEL_ALPN } from "./protocol.ts";

/** Resolving, connecting and the TLS handshake together: what frp allows; a relay that takes longer is as good as gone. */
export const DIAL_TIMEOUT_MS = 10_000;

export interface TunnelAddress {
  readonly scheme: "tcp" | "tls";
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

export type DialProblem =
  /** The URL, or the fingerprint, is not one. */
  | "invalid"
  /** Nothing answered there. */
  | "unreachable"
  | "timeout"
  /** What answered is not the relay that was meant: its certificate, or its protocol, is another. */
  | "untrusted";

/** Why a relay could not be dialled. The message names the address and never more of the URL than that. */
export class DialError extends Error {
  override readonly name = "DialError";
  readonly problem: DialProblem;
  constructor(problem: DialProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}

/** Names and addresses that never leave this machine. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  if (isIP(name) === 4) return name.startsWith("127.");
  return name === "::1" || name.startsWith("::ffff:127.");
}

/**
 * `tcp://127.0.0.1:41001` (loopback only: nothing on it is encrypted) or `tls://relay.example.com:4443`.
 * @throws DialError "invalid"
 */
export function parseTunnelUrl(url: string): TunnelAddress {
  const match = /^(tcp|tls):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?\/?$/.exec(url);
  const scheme = match?.[1] === "tcp" ? "tcp" : "tls";
  const host = match?.[2]?.replace(/^\[|\]$/g, "");
  const port = match?.[3] === undefined ? (scheme === "tls" ? 443 : 0) : Number(match[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new DialError(
      "invalid",
      "The relay's URL must look like tls://relay.example.com:4443 or tcp://127.0.0.1:41001",
    );
  }
  if (scheme === "tcp" && !isLoopback(host)) {
    throw new DialError("invalid", `tcp:// is not encrypted and only allowed to this machine; use tls:// for ${host}`);
  }
  return { scheme, host, port };
}

export interface DialOptions {
  readonly url: string;
  /** PEM of the CA to trust instead of the system's. */
  readonly ca?: string;
  /** SHA-256 of the relay's certificate (DER) in hex, colons allowed: trust this one and nothing else. */
  readonly pinnedFingerprint?: string;
  readonly signal?: AbortSignal;
  /** Default `DIAL_TIMEOUT_MS`. */
  readonly timeoutMs?: number;
}

/**
 * A socket to a relay's tunnel address, ready for `attachSocket`; for `tls://` authenticated and with the tunnel's ALPN.
 * Rejects with `DialError`, or with the signal's reason.
 */
export function dial(options: DialOptions): Promise<Socket | TLSSocket> {
  return new Promise((resolve, reject) => {
    const address = parseTunnelUrl(options.url);
    const pin = options.pinnedFingerprint === undefined ? undefined : readFingerprint(options.pinnedFingerprint);
    const where = `${address.host}:${address.port}`;
    options.signal?.throwIfAborted();
    const socket = address.scheme === "tcp" ? openTcp(address) : openTls(address, options.ca, pin !== undefined);
    const limit = options.timeoutMs ?? DIAL_TIMEOUT_MS;
    const timer = setTimeout(() => {
      give(new DialError("timeout", `The relay at ${where} did not answer within ${limit} ms`));
    }, limit);
    const aborted = (): void => give(options.signal?.reason ?? new Error("aborted"));
    const failed = (error: Error): void => give(problemOf(error, where));
    const ready = (): void => {
      const problem = address.scheme === "tls" ? distrust(socket as TLSSocket, pin, where) : undefined;
      if (problem !== undefined) {
        give(problem);
        return;
      }
      settle();
      resolve(socket);
    };
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", aborted);
      socket.removeListener("error", failed);
      socket.on("error", () => undefined);
    };
    const give = (reason: unknown): void => {
      settle();
      socket.destroy();
      reject(reason instanceof Error ? reason : new Error(String(reason)));
    };
    options.signal?.addEventListener("abort", aborted, { once: true });
    socket.once("error", failed);
    socket.once(address.scheme === "tls" ? "secureConnect" : "connect", ready);
  });
}

function openTcp(address: TunnelAddress): Socket {
  return connectTcp({
    host: address.host,
    port: address.port,
    allowHalfOpen: true,
    noDelay: true,
    autoSelectFamily: true,
  });
}

function openTls(address: TunnelAddress, ca: string | undefined, pinned: boolean): TLSSocket {
  // `allowHalfOpen` is passed through to the socket; the type of @types/node leaves it out.
  const options = {
    host: address.host,
    port: address.port,
    allowHalfOpen: true,
    autoSelectFamily: true,
    ALPNProtocols: [TUNNEL_ALPN],
    minVersion: "TLSv1.2" as const,
    // Always set, so that a resumed session can never skip the host check (CVE-2026-48934); an address has no SNI.
    ...(isIP(address.host) === 0 ? { servername: address.host } : {}),
    ...(ca === undefined ? {} : { ca }),
    // A pin replaces the chain: `distrust` compares before anything is sent.
    rejectUnauthorized: !pinned,
  };
  return connectTls(options);
}

/** @throws DialError "invalid" */
function readFingerprint(text: string): Uint8Array {
  const hex = text.replace(/^sha256[:/]/i, "").replace(/[:\s]/g, "");
  if (!/^[0-9A-Fa-f]{64}$/.test(hex)) {
    throw new DialError("invalid", "The pinned fingerprint must be a SHA-256: 64 hexadecimal digits, colons allowed");
  }
  return Buffer.from(hex, "hex");
}

function distrust(socket: TLSSocket, pin: Uint8Array | undefined, where: string): DialError | undefined {
  if (pin !== undefined) {
    const certificate = socket.getPeerX509Certificate();
    const digest = createHash("sha256")
      .update(certificate?.raw ?? "")
      .digest();
    if (certificate === undefined || !timingSafeEqual(digest, pin)) {
      return new DialError(
        "untrusted",
        `The certificate of ${where} is not the pinned one: its SHA-256 is ${digest.toString("hex")}`,
      );
    }
  }
  if (socket.alpnProtocol !== TUNNEL_ALPN) {
    return new DialError(
      "untrusted",
      `${where} is not a Portlight relay's tunnel port: it does not speak ${TUNNEL_ALPN}`,
    );
  }
  return undefined;
}

function problemOf(error: Error, where: string): DialError {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (/CERT|TLS|SSL|ALTNAME|SELF_SIGNED|VERIFY/.test(code)) {
    return new DialError("untrusted", `The relay at ${where} could not be authenticated (${code})`, { cause: error });
  }
  return new DialError("unreachable", `Nothing answers at ${where}${code === "" ? "" : ` (${code})`}`, {
    cause: error,
  });
}
