import type { Field, Fields } from "../wire/stream.ts";

/** What stands in for a secret. Its length says nothing about the secret's. */
export const MASK = "••••••";

/** Header and metadata names (lower case) whose values let others act as the visitor. */
const SECRET_NAME =
  /^(authorization|proxy-authorization|cookie|set-cookie2?|x-api-key|x-auth.*|x-amz-security-token)$|token|secret|passw(or)?d|passphrase|api-?key|credential|session-?id|signature|authorization|(^|-)jwt($|-)|private-?key/;
/** Names that match and are no secrets. */
const HARMLESS = new Set(["access-control-allow-credentials"]);

/** Parameters of a query or a form, in any case and with `-` or `_`. */
const SECRET_PARAMETER =
  /^(key|sig|signature|code|auth|jwt|otp|pin|pass|pwd|state_token|session|sid)$|token|secret|passw(or)?d|passphrase|api[-_]?key|credential|signature/i;

/** Headers that hold a URL. */
const URL_NAMES = new Set([":path", "referer", "location", "content-location", "x-forwarded-uri", "x-original-url"]);

export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !HARMLESS.has(name);
}

export function isSecretParameter(name: string): boolean {
  return SECRET_PARAMETER.test(name);
}

/** The value as it may be shown; the same string when nothing in it is secret. */
export function maskField(field: Field): string {
  if (isSecretName(field.name)) return MASK;
  if (field.name === "sec-websocket-protocol") return maskSubprotocols(field.value);
  if (URL_NAMES.has(field.name)) return maskQuery(field.value);
  return field.value;
}

/** Browsers cannot set headers on a WebSocket, so tokens travel as sub-protocols: `bearer, eyJ…`. */
function maskSubprotocols(value: string): string {
  const items = value.split(",").map((item) => item.trim());
  let afterMarker = false;
  const masked = items.map((item) => {
    const marked = afterMarker;
    afterMarker = /^(bearer|token|access[-_]?token|authorization|auth|jwt|api[-_]?key)$/i.test(item);
    const holdsOne = /bearer[.\-_]|authorization[.\-_]|token[.\-_=:]|^eyJ[\w-]+\./i.test(item) || item.length >= 64;
    return marked || holdsOne ? MASK : item;
  });
  return masked.includes(MASK) ? masked.join(", ") : value;
}

/** A URL or path whose query has the values of secret parameters masked. Userinfo is masked, too. */
export function maskQuery(url: string): string {
  const masked = url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#@]*@/i, `$1${MASK}@`);
  const query = masked.indexOf("?");
  if (query < 0) return masked;
  const hash = masked.indexOf("#", query);
  const end = hash < 0 ? masked.length : hash;
  const parameters = masked.slice(query + 1, end).split("&");
  const shown = parameters.map((parameter) => {
    const equals = parameter.indexOf("=");
    if (equals < 0 || equals === parameter.length - 1) return parameter;
    return isSecretParameter(unescaped(parameter.slice(0, equals)))
      ? `${parameter.slice(0, equals)}=${MASK}`
      : parameter;
  });
  return masked.slice(0, query + 1) + shown.join("&") + masked.slice(end);
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Name and value pairs, masked unless told otherwise. */
export function shownPairs(fields: Fields, showSecrets: boolean): [name: string, value: string][] {
  return fields.map((field) => [field.name, showSecrets ? field.value : maskField(field)]);
}
