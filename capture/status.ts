import { grpcStatusName } from "../wire/grpc/status.ts";
import { reasonPhrase } from "../wire/http1/reasons.ts";
import type { Failure } from "../wire/stream.ts";
import type { ExchangeState, Protocol } from "./protocol.ts";

/** `404 Not Found`. */
export function httpStatusText(status: number): string {
  return `${status} ${reasonPhrase(status)}`.trimEnd();
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
