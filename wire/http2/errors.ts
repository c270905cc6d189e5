import type { Failure, FailureCode } from "../stream.ts";

/** Error codes of RFC 9113 section 7, as RST_STREAM and GOAWAY carry them. */
export const NO_ERROR = 0x0;
export const PROTOCOL_ERROR = 0x1;
export const INTERNAL_ERROR = 0x2;
export const FLOW_CONTROL_ERROR = 0x3;
export const SETTINGS_TIMEOUT = 0x4;
export const STREAM_CLOSED = 0x5;
export const FRAME_SIZE_ERROR = 0x6;
export const REFUSED_STREAM = 0x7;
export const CANCEL = 0x8;
export const COMPRESSION_ERROR = 0x9;
export const CONNECT_ERROR = 0xa;
export const ENHANCE_YOUR_CALM = 0xb;
export const INADEQUATE_SECURITY = 0xc;
export const HTTP_1_1_REQUIRED = 0xd;

interface ErrorEntry {
  readonly name: string;
  readonly failure: FailureCode;
}

/** By error code: its name for people, and what it means for an exchange when a peer sends it. */
const ERRORS: readonly ErrorEntry[] = [
  // A complete answer followed by NO_ERROR is "unneeded", see `failureOfReset`; without one the peer gave up.
  { name: "NO_ERROR", failure: "cancelled" },
  { name: "PROTOCOL_ERROR", failure: "malformed" },
  // The peer's defect, not ours: for the exchange it is a connection that broke.
  { name: "INTERNAL_ERROR", failure: "closed" },
  { name: "FLOW_CONTROL_ERROR", failure: "malformed" },
  { name: "SETTINGS_TIMEOUT", failure: "timeout" },
  { name: "STREAM_CLOSED", failure: "malformed" },
  { name: "FRAME_SIZE_ERROR", failure: "malformed" },
  { name: "REFUSED_STREAM", failure: "refused" },
  { name: "CANCEL", failure: "cancelled" },
  { name: "COMPRESSION_ERROR", failure: "malformed" },
  { name: "CONNECT_ERROR", failure: "closed" },
  { name: "ENHANCE_YOUR_CALM", failure: "limit" },
  { name: "INADEQUATE_SECURITY", failure: "unsupported" },
  { name: "HTTP_1_1_REQUIRED", failure: "unsupported" },
];

const HTTP2_CODES: Readonly<Record<FailureCode, number>> = {
  cancelled: CANCEL,
  closed: INTERNAL_ERROR,
  refused: REFUSED_STREAM,
  unneeded: NO_ERROR,
  malformed: PROTOCOL_ERROR,
  "head-too-large": ENHANCE_YOUR_CALM,
  limit: ENHANCE_YOUR_CALM,
  unreachable: INTERNAL_ERROR,
  timeout: CANCEL,
  "unknown-name": INTERNAL_ERROR,
  "too-often": ENHANCE_YOUR_CALM,
  offline: INTERNAL_ERROR,
  loop: INTERNAL_ERROR,
  unauthorized: INTERNAL_ERROR,
  unsupported: INTERNAL_ERROR,
  internal: INTERNAL_ERROR,
};

/** `CANCEL`, or `0x2a` for a code this table does not know. */
export function errorName(code: number): string {
  return ERRORS[code]?.name ?? `0x${code.toString(16)}`;
}

/** Unknown codes are equivalent to INTERNAL_ERROR (RFC 9113 section 7). */
export function failureCodeOf(http2Code: number): FailureCode {
  return ERRORS[http2Code]?.failure ?? "closed";
}

/** The code to put into RST_STREAM or GOAWAY: the one that told us, else the one of the table. */
export function http2CodeOf(failure: Failure): number {
  if (failure.http2Code !== undefined) return failure.http2Code;
  // A visitor who went away looks to the service as if he had cancelled; nobody else's cut may look like a wish.
  if (failure.code === "closed" && failure.by === "visitor") return CANCEL;
  return HTTP2_CODES[failure.code];
}
