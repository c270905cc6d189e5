/** The names of `grpc-status` 0 to 16 (google.rpc.Code), in order. */
export const GRPC_STATUS_NAMES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** `NOT_FOUND`, or the number itself where gRPC has no name for it. */
export function grpcStatusName(status: number): string {
  return GRPC_STATUS_NAMES[status] ?? `status ${status}`;
}

/** The number of a Connect error code (`not_found`; `canceled` has one l there); undefined for others. */
export function connectCodeNumber(code: string): number | undefined {
  if (code === "canceled") return 1;
  const index = (GRPC_STATUS_NAMES as readonly string[]).indexOf(code.toUpperCase());
  return index > 0 && code === code.toLowerCase() ? index : undefined;
}

/** `grpc-status` as a number: 1 to 3 decimal digits; undefined for anything else. */
export function parseGrpcStatus(value: string): number | undefined {
  return /^\d{1,3}$/.test(value) ? Number(value) : undefined;
}

const TIMEOUT_UNITS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** `grpc-timeout` in milliseconds: at most 8 digits and a unit (PROTOCOL-HTTP2.md); undefined when malformed. */
export function parseGrpcTimeout(value: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value);
  const unit = TIMEOUT_UNITS[match?.[2] ?? ""];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}
