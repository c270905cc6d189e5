import { grpcStatusName } from "../wire/grpc/status.ts";
import type { Failure } from "../wire/stream.ts";
import type { ExchangeState, Protocol } from "./protocol.ts";

/** Names of the IANA registry of HTTP status codes. */
const HTTP_STATUS: Readonly<Record<number, string>> = {
  100: "Continue",
  101: "Switching Protocols",
  103: "Early Hints",
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  207: "Multi-Status",
  208: "Already Reported",
  226: "IM Used",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  418: "I'm a Teapot",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  511: "Network Authentication Required",
};

export function httpStatusName(status: number): string {
  return HTTP_STATUS[status] ?? "";
}

/** `404 Not Found`. */
export function httpStatusText(status: number): string {
  return `${status} ${httpStatusName(status)}`.trimEnd();
}

export interface StatusFacts {
  readonly protocol: Protocol;
  readonly state: ExchangeState;
  readonly status: number | undefined;
  readonly grpcStatus: number | undefined;
  readonly closeCode: number | undefined;
  readonly failure: Failure | undefined;
  /** TCP: who ended first. */
  readonly closedBy: string | undefined;
}

/** What the protocol calls the state of affairs, short enough for a column. */
export function statusText(facts: StatusFacts): string {
  const { protocol, state, status, failure } = facts;
  if (protocol === "tcp") return tcpText(facts);
  if (protocol === "websocket" && (status === 101 || status === undefined)) {
    if (facts.closeCode !== undefined) return String(facts.closeCode);
    // 1006 is what a peer is told when the connection was cut without a close frame (RFC 6455 section 7.1.5).
    if (state !== "open" && status === 101) return "1006";
    return status === undefined ? failureText(failure) : "101";
  }
  if (protocol === "grpc" || protocol === "grpc-web" || protocol === "connect") {
    if (facts.grpcStatus !== undefined) return grpcStatusName(facts.grpcStatus);
    if (state === "cancelled") return "CANCELLED";
    if (status !== undefined && (status !== 200 || (state === "ended" && protocol === "connect")))
      return httpStatusText(status);
    if (state === "failed") return failureText(failure);
    return state === "ended" ? "no status" : "";
  }
  if (status === undefined) return failureText(failure);
  if (state === "failed" && failure !== undefined) return `${httpStatusText(status)}, ${failureText(failure)}`;
  return httpStatusText(status);
}

function tcpText({ state, failure, closedBy }: StatusFacts): string {
  if (state === "open") return "open";
  if (failure !== undefined) return failureText(failure);
  return closedBy === undefined ? "closed" : `closed by ${closedBy}`;
}

/** `unreachable`, `closed by service`, … */
function failureText(failure: Failure | undefined): string {
  if (failure === undefined) return "";
  return failure.code === "unreachable" || failure.code === "internal"
    ? failure.code
    : `${failure.code} by ${failure.by}`;
}
