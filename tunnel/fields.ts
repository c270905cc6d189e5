/**
 * What a forwarder must do to a head, as pure functions. Names are never folded, case is never changed, and the same
 * array comes back when there is nothing to remove, which is nearly always: HPACK then finds its own indexes again.
 */
import type { Field, Fields } from "../wire/stream.ts";
import { HOPS_FIELD, RESERVED_FIELD_PREFIX } from "./protocol.ts";

/** The value of the first field of this (lower-case) name. */
export function valueOf(fields: Fields, name: string): string | undefined {
  for (const field of fields) if (field.name === name) return field.value;
  return undefined;
}

/** RFC 9110 section 7.6.1, RFC 9113 section 8.2.2, and the proxy fields of RFC 9110 section 11.7, which concern the next hop only. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/**
 * Names that `Connection` cannot remove. RFC 9110 section 7.6.1 lets a sender nominate any field; nominating one of
 * these is only ever done to make a forwarder drop what it vouches for, or what the receiver's security rests on.
 */
const PROTECTED: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "authorization",
  "cookie",
  "set-cookie",
  "origin",
  "cache-control",
  "te",
  "trailer",
  "expect",
  "date",
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
]);

/** What `Connection` nominates, without the protected names. Undefined when there is no such field. */
function nominated(fields: Fields): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined;
  for (const field of fields) {
    if (field.name !== "connection") continue;
    names ??= new Set();
    for (const token of field.value.split(",")) {
      const name = token.trim().toLowerCase();
      if (name !== "" && !name.startsWith(":") && !PROTECTED.has(name)) names.add(name);
    }
  }
  return names;
}

function isHopByHop(field: Field, names: ReadonlySet<string> | undefined): boolean {
  const name = field.name;
  if (HOP_BY_HOP.has(name) || names?.has(name) === true) return true;
  // gRPC asks for `te: trailers`, the one value that HTTP/2 allows (RFC 9113 section 8.2.2).
  return name === "te" && field.value.trim().toLowerCase() !== "trailers";
}

/** Without the fields for which `drop` is true; the same array when there are none. */
export function without(fields: Fields, drop: (field: Field) => boolean): Fields {
  let kept: Field[] | undefined;
  for (let index = 0; index < fields.length; index++) {
    const field = fields[index];
    if (field === undefined) continue;
    if (drop(field)) kept ??= fields.slice(0, index);
    else kept?.push(field);
  }
  return kept ?? fields;
}

export function withoutHopByHop(fields: Fields): Fields {
  const names = nominated(fields);
  return names === undefined ? without(fields, concernsOneHop) : without(fields, (field) => isHopByHop(field, names));
}

function concernsOneHop(field: Field): boolean {
  return isHopByHop(field, undefined);
}

export function isReserved(field: Field): boolean {
  return field.name.startsWith(RESERVED_FIELD_PREFIX);
}

/** What the relay says to the agent only. The hop count goes on: a service that calls its own URL must carry it. */
export function isForAgent(field: Field): boolean {
  return isReserved(field) && field.name !== HOPS_FIELD;
}

/**
 * RFC 9110 section 6.5.1: what frames or routes a message cannot come after it. Some programs merge trailers into the
 * head all the same, so what only a forwarder may say is taken out as well.
 */
function isNoTrailer(field: Field): boolean {
  const { name } = field;
  if (HOP_BY_HOP.has(name) || isReserved(field)) return true;
  return (
    name === "host" ||
    name === "content-length" ||
    name === "te" ||
    name === "forwarded" ||
    name === "x-real-ip" ||
    name.startsWith("x-forwarded-")
  );
}

/** A response head as it may leave towards the visitor: nothing hop-by-hop, nothing in our own name space. */
export function responseFields(fields: Fields): Fields {
  return without(withoutHopByHop(fields), isReserved);
}

/** Trailers, of either side. */
export function trailerFields(fields: Fields): Fields {
  return without(fields, isNoTrailer);
}

/** How often the request has passed a relay. A value that is not a small number counts as too often. */
export function hopsOf(fields: Fields): number {
  const value = valueOf(fields, HOPS_FIELD);
  if (value === undefined) return 0;
  return /^[0-9]{1,3}$/.test(value) ? Number(value) : Number.MAX_SAFE_INTEGER;
}

/** `:status` as a number; 0 when there is none. */
export function statusOf(fields: Fields): number {
  const value = valueOf(fields, ":status");
  return value === undefined ? 0 : Number(value);
}
