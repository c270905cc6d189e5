import { isName, isToken, isValue } from "./hpack/octets.ts";

/**
 * What a field means for the validity of a head. A decoder judges a name and value once, when it reads the literal;
 * fields that come by index bring their kind along, so that checking a head costs one comparison per field.
 */
export const REGULAR = 0;
/** Never valid: octets that are not allowed, a connection-specific field, an unknown pseudo-field. */
export const INVALID = 1;
export const CONTENT_LENGTH = 2;
export const HOST = 3;
/** Pseudo-fields are all kinds from here on. */
export const METHOD = 8;
export const SCHEME = 9;
export const AUTHORITY = 10;
export const PATH = 11;
export const PROTOCOL = 12;
export const STATUS = 13;

/** Names that need more than the check of their octets. Connection-specific fields: RFC 9113 section 8.2.2. */
const KINDS: ReadonlyMap<string, number> = new Map([
  ["content-length", CONTENT_LENGTH],
  ["host", HOST],
  [":method", METHOD],
  [":scheme", SCHEME],
  [":authority", AUTHORITY],
  [":path", PATH],
  [":protocol", PROTOCOL],
  [":status", STATUS],
  ["connection", INVALID],
  ["proxy-connection", INVALID],
  ["keep-alive", INVALID],
  ["transfer-encoding", INVALID],
  ["upgrade", INVALID],
]);

/** `name` and `value` hold one octet a character. */
export function classify(name: string, value: string): number {
  const kind = KINDS.get(name);
  if (kind === undefined) {
    if (!isName(name) || !isValue(value)) return INVALID;
    // "te" may say nothing but "trailers" (RFC 9113 section 8.2.2).
    return name === "te" && value !== "trailers" ? INVALID : REGULAR;
  }
  return isValue(value) && isOfKind(kind, value) ? kind : INVALID;
}

function isOfKind(kind: number, value: string): boolean {
  switch (kind) {
    case METHOD:
    case PROTOCOL:
      return isToken(value);
    case SCHEME:
      return /^[A-Za-z][A-Za-z0-9+.-]*$/.test(value);
    case HOST:
      // Empty is allowed for a URI without authority (RFC 9110 section 7.2).
      return value === "" || isAuthority(value);
    case AUTHORITY:
      return isAuthority(value);
    case PATH:
      // Not empty, no space, no fragment; where it must begin with "/" depends on the method (RFC 9113 section 8.3.1).
      return /^[!"$-~\x80-\xff]+$/.test(value);
    case STATUS:
      // 101 does not exist in HTTP/2 (RFC 9113 section 8.6).
      return /^[1-9][0-9][0-9]$/.test(value) && value !== "101";
    case CONTENT_LENGTH:
      // Digits only, and exact as a number.
      return /^[0-9]{1,15}$/.test(value);
    default:
      return false;
  }
}

/** Host and port; no userinfo (RFC 9113 section 8.3.1), no delimiter, no space. */
function isAuthority(value: string): boolean {
  return /^(?:\[[0-9A-Fa-f:.v%~_-]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{0,5})?$/.test(value);
}
