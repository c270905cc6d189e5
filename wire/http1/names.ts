import { LOWER, latin1 } from "./octets.ts";

/** Field names that come in nearly every head: found without making a string. */
const COMMON = [
  "accept",
  "accept-encoding",
  "accept-language",
  "accept-ranges",
  "access-control-allow-credentials",
  "access-control-allow-headers",
  "access-control-allow-methods",
  "access-control-allow-origin",
  "access-control-expose-headers",
  "access-control-request-headers",
  "access-control-request-method",
  "age",
  "alt-svc",
  "authorization",
  "cache-control",
  "connect-protocol-version",
  "connect-timeout-ms",
  "connection",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-length",
  "content-range",
  "content-security-policy",
  "content-type",
  "cookie",
  "date",
  "dnt",
  "etag",
  "expect",
  "expires",
  "forwarded",
  "grpc-message",
  "grpc-status",
  "grpc-timeout",
  "host",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "keep-alive",
  "last-event-id",
  "last-modified",
  "link",
  "location",
  "origin",
  "pragma",
  "priority",
  "proxy-connection",
  "range",
  "referer",
  "sec-ch-ua",
  "sec-ch-ua-mobile",
  "sec-ch-ua-platform",
  "sec-fetch-dest",
  "sec-fetch-mode",
  "sec-fetch-site",
  "sec-fetch-user",
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "sec-websocket-key",
  "sec-websocket-protocol",
  "sec-websocket-version",
  "server",
  "set-cookie",
  "strict-transport-security",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "upgrade-insecure-requests",
  "user-agent",
  "vary",
  "via",
  "www-authenticate",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-grpc-web",
  "x-powered-by",
  "x-request-id",
  "x-requested-with",
  "x-user-agent",
] as const;

/** A power of two, some six times the names, so that few of them share a slot (the later of two is simply not interned). */
const SLOTS = 512;

const interned: (string | undefined)[] = new Array<string | undefined>(SLOTS).fill(undefined);

function slotOf(first: number, middle: number, last: number, length: number): number {
  return (first * 31 + middle * 17 + last * 7 + length * 113) & (SLOTS - 1);
}

for (const name of COMMON) {
  const slot = slotOf(
    name.charCodeAt(0),
    name.charCodeAt(name.length >> 1),
    name.charCodeAt(name.length - 1),
    name.length,
  );
  interned[slot] ??= name;
}

/** The lower-case name in `bytes[from, to)`, which holds at least one octet and only token characters. */
export function fieldName(bytes: Uint8Array, from: number, to: number): string {
  const length = to - from;
  const first = LOWER[bytes[from] ?? 0] ?? 0;
  const middle = LOWER[bytes[from + (length >> 1)] ?? 0] ?? 0;
  const last = LOWER[bytes[to - 1] ?? 0] ?? 0;
  const candidate = interned[slotOf(first, middle, last, length)];
  if (candidate !== undefined && equalsLower(bytes, from, to, candidate)) return candidate;
  return latin1(bytes, from, to).toLowerCase();
}

function equalsLower(bytes: Uint8Array, from: number, to: number, name: string): boolean {
  if (name.length !== to - from) return false;
  for (let at = from; at < to; at++) if (LOWER[bytes[at] ?? 0] !== name.charCodeAt(at - from)) return false;
  return true;
}
