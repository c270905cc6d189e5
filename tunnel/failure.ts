/**
 * Failures as a visitor sees them: one table from `FailureCode` to an HTTP status, a gRPC status and a Connect code,
 * and one function that answers in the visitor's own protocol.
 */
import type { Failure, FailureCode, Field, Fields, Stream } from "../wire/stream.ts";
import { valueOf } from "./fields.ts";

export interface FailureAnswer {
  readonly status: number;
  readonly reason: string;
  /** https://grpc.io/docs/guides/status-codes/ */
  readonly grpcStatus: number;
  /** https://connectrpc.com/docs/protocol#error-codes */
  readonly connectCode: string;
  /** Seconds: `retry-after`. Set where the same request may succeed without anybody doing anything. */
  readonly retryAfter?: number;
  /** What to do next. */
  readonly advice: string;
}

const bad = { status: 502, reason: "Bad Gateway" } as const;
const unavailable = { grpcStatus: 14, connectCode: "unavailable" } as const;

export const FAILURES: Readonly<Record<FailureCode, FailureAnswer>> = {
  cancelled: {
    ...bad,
    grpcStatus: 1,
    connectCode: "canceled",
    advice: "The service cancelled the request; see its log.",
  },
  closed: { ...bad, ...unavailable, advice: "Try again; if it happens again, see the log of the service." },
  refused: {
    status: 503,
    reason: "Service Unavailable",
    ...unavailable,
    retryAfter: 1,
    advice: "Nothing was processed: the same request may be sent again.",
  },
  unneeded: { ...bad, ...unavailable, advice: "The service gave up the request before it answered; see its log." },
  malformed: {
    status: 400,
    reason: "Bad Request",
    grpcStatus: 13,
    connectCode: "internal",
    advice: "The request breaks its protocol and was not forwarded.",
  },
  "head-too-large": {
    status: 431,
    reason: "Request Header Fields Too Large",
    grpcStatus: 8,
    connectCode: "resource_exhausted",
    advice: "Send fewer or shorter header fields (often: cookies).",
  },
  limit: {
    status: 503,
    reason: "Service Unavailable",
    grpcStatus: 8,
    connectCode: "resource_exhausted",
    retryAfter: 5,
    advice: "Too much at once: try again in a moment.",
  },
  unreachable: { ...bad, ...unavailable, advice: "Start the service, or share the port that it really listens on." },
  timeout: {
    status: 504,
    reason: "Gateway Timeout",
    ...unavailable,
    advice: "The other side was silent for too long: see whether the service still runs.",
  },
  "unknown-name": {
    status: 404,
    reason: "Not Found",
    ...unavailable,
    advice: "Check the URL, or ask whoever gave it to you whether the port is still shared.",
  },
  "too-often": {
    status: 429,
    reason: "Too Many Requests",
    grpcStatus: 8,
    connectCode: "resource_exhausted",
    retryAfter: 60,
    advice: "Check the URL, and try again in a minute.",
  },
  offline: {
    status: 503,
    reason: "Service Unavailable",
    ...unavailable,
    retryAfter: 5,
    advice: "The port is shared, but its machine is not connected at the moment. Try again soon.",
  },
  loop: {
    status: 508,
    reason: "Loop Detected",
    grpcStatus: 9,
    connectCode: "failed_precondition",
    advice: "The service forwards requests to its own public URL: let it call localhost instead.",
  },
  unauthorized: {
    status: 401,
    reason: "Unauthorized",
    grpcStatus: 16,
    connectCode: "unauthenticated",
    advice: "Ask whoever shared the port for access.",
  },
  unsupported: {
    status: 501,
    reason: "Not Implemented",
    grpcStatus: 12,
    connectCode: "unimplemented",
    advice: "The service does not offer what this request asks for.",
  },
  internal: {
    status: 500,
    reason: "Internal Server Error",
    grpcStatus: 13,
    connectCode: "internal",
    advice: "This is a defect of Portlight: please report it, with the time.",
  },
};

const BAD_SERVICE: FailureAnswer = {
  ...bad,
  grpcStatus: 13,
  connectCode: "internal",
  advice: "The answer of the service breaks its protocol; see the log of the service.",
};

/** What the visitor is told. A violation is the visitor's (4xx) only when the visitor made it. */
export function answerFor(failure: Failure): FailureAnswer {
  const notTheVisitors = failure.by !== "visitor";
  if (notTheVisitors && (failure.code === "malformed" || failure.code === "head-too-large")) return BAD_SERVICE;
  return FAILURES[failure.code];
}

type Dialect = "page" | "grpc" | "grpc-web" | "connect-unary" | "connect-stream";

function dialectOf(request: Fields, contentType: string): Dialect {
  if (contentType.startsWith("application/grpc-web")) return "grpc-web";
  if (/^application\/grpc(?:$|[+; ])/.test(contentType)) return "grpc";
  if (contentType.startsWith("application/connect+")) return "connect-stream";
  if (valueOf(request, "connect-protocol-version") !== undefined) return "connect-unary";
  // A Connect GET carries its version in the query.
  if (/[?&]connect=v1(?:&|$)/.test(valueOf(request, ":path") ?? "")) return "connect-unary";
  return "page";
}

/** Octet per character, as `Field.value` wants it; all that gRPC's percent-encoding leaves is ASCII. */
export function percentEncode(message: string): string {
  let encoded = "";
  for (const octet of new TextEncoder().encode(message)) {
    const plain = octet >= 0x20 && octet <= 0x7e && octet !== 0x25;
    encoded += plain ? String.fromCharCode(octet) : `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/**
 * Answers `request` on `stream` with a failure, in the dialect the request speaks: a small page, gRPC trailers-only,
 * gRPC-Web, or Connect JSON. Only for a stream on which no final head was sent. Ends the sending direction.
 *
 * @returns the octets of the body given to `sendData`.
 */
export function respond(stream: Stream, request: Fields, failure: Failure): number {
  const answer = answerFor(failure);
  const contentType = (valueOf(request, "content-type") ?? "").trim().toLowerCase();
  const head = (status: number, type: string, ...more: Field[]): Field[] => [
    { name: ":status", value: String(status) },
    { name: "content-type", value: type },
    { name: "cache-control", value: "no-store" },
    ...more,
  ];
  switch (dialectOf(request, contentType)) {
    case "grpc":
      stream.sendHead(head(200, "application/grpc", ...grpcStatus(answer, failure)), true);
      return 0;
    case "grpc-web":
      stream.sendHead(
        head(200, latin1(contentType), ...grpcStatus(answer, failure), ...readableByPages(request)),
        true,
      );
      return 0;
    case "connect-unary":
      return sendBody(
        stream,
        request,
        head(answer.status, "application/json", ...retryAfter(answer), ...readableByPages(request)),
        connectError(answer, failure),
      );
    case "connect-stream": {
      const json = utf8(`{"error":${text(connectError(answer, failure))}}`);
      const envelope = new Uint8Array(5 + json.length);
      // End-of-stream flag, then the length (https://connectrpc.com/docs/protocol#streaming-response).
      envelope[0] = 2;
      new DataView(envelope.buffer).setUint32(1, json.length);
      envelope.set(json, 5);
      return sendBody(stream, request, head(200, latin1(contentType), ...readableByPages(request)), envelope);
    }
    case "page": {
      const html = (valueOf(request, "accept") ?? "").includes("text/html");
      const type = html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8";
      const guard: Field[] = html
        ? [{ name: "content-security-policy", value: "default-src 'none'; style-src 'unsafe-inline'" }]
        : [];
      const page = html ? htmlPage(answer, failure) : textPage(answer, failure);
      const fields = head(
        answer.status,
        type,
        { name: "x-content-type-options", value: "nosniff" },
        ...guard,
        ...retryAfter(answer),
      );
      return sendBody(stream, request, fields, utf8(page));
    }
  }
}

function sendBody(stream: Stream, request: Fields, head: readonly Field[], body: Uint8Array): number {
  const fields = [...head, { name: "content-length", value: String(body.length) }];
  // RFC 9110 section 9.3.2: the head of the answer, without the answer.
  if (valueOf(request, ":method") === "HEAD") {
    stream.sendHead(fields, true);
    return 0;
  }
  stream.sendHead(fields, false);
  stream.sendData(body, true);
  return body.length;
}

function grpcStatus(answer: FailureAnswer, failure: Failure): Field[] {
  return [
    { name: "grpc-status", value: String(answer.grpcStatus) },
    { name: "grpc-message", value: percentEncode(`Portlight: ${sentence(failure.message)} ${answer.advice}`) },
  ];
}

function connectError(answer: FailureAnswer, failure: Failure): Uint8Array {
  const message = `Portlight: ${sentence(failure.message)} ${answer.advice}`;
  return utf8(JSON.stringify({ code: answer.connectCode, message }));
}

function retryAfter(answer: FailureAnswer): Field[] {
  return answer.retryAfter === undefined ? [] : [{ name: "retry-after", value: String(answer.retryAfter) }];
}

/** Without this a page of another origin sees only "failed to fetch". There is nothing in the answer to protect. */
function readableByPages(request: Fields): Field[] {
  const origin = valueOf(request, "origin");
  if (origin === undefined) return [];
  return [
    { name: "access-control-allow-origin", value: origin },
    { name: "access-control-expose-headers", value: "grpc-status, grpc-message" },
    { name: "vary", value: "origin" },
  ];
}

function textPage(answer: FailureAnswer, failure: Failure): string {
  return `${answer.status} ${answer.reason}\n\n${sentence(failure.message)}\n${answer.advice}\n\nThis answer is from Portlight (${failure.by}: ${failure.code}), not from the service.\n`;
}

function htmlPage(answer: FailureAnswer, failure: Failure): string {
  const title = `${answer.status} ${answer.reason}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:15vh auto;padding:0 1em;color-scheme:light dark}small{opacity:.7}</style></head>
<body><h1>${title}</h1><p>${escapeHtml(sentence(failure.message))}</p><p>${escapeHtml(answer.advice)}</p>
<p><small>This page is from Portlight (${failure.by}: ${failure.code}), not from the service.</small></p></body></html>
`;
}

function sentence(message: string): string {
  return /[.!?]$/.test(message) ? message : `${message}.`;
}

function escapeHtml(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function utf8(value: string): Uint8Array {
  return encoder.encode(value);
}

function text(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** What comes from a request goes back only where it cannot break a field. */
function latin1(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, "");
}
