/**
 * Heads as the service expects them. Dev servers and frameworks check `Host` and `Origin` (Vite, webpack, Django,
 * Rails): a request through the public URL must look as if it came to `http://localhost:PORT`. The relay has set
 * `X-Forwarded-*` before, so a service that wants to know the public address can.
 */
import type { Field, Fields } from "../wire/stream.ts";
import { isForAgent, valueOf, without } from "../tunnel/fields.ts";

/** The service's own place, with the fields that say so made once: an HPACK encoder finds its index by the object. */
export interface ServiceOrigin {
  readonly authority: Field;
  readonly scheme: Field;
  /** `http://localhost:3000`. */
  readonly origin: string;
}

/** @param host as in the share's options: `localhost`, `127.0.0.1`, `::1`. */
export function serviceOrigin(host: string, port: number, tls: boolean): ServiceOrigin {
  const scheme = tls ? "https" : "http";
  const name = host.includes(":") ? `[${host.replace(/^\[|\]$/g, "")}]` : host;
  const authority = port === (tls ? 443 : 80) ? name : `${name}:${port}`;
  return {
    authority: { name: ":authority", value: authority },
    scheme: { name: ":scheme", value: scheme },
    origin: `${scheme}://${authority}`,
  };
}

/** Where the visitor believes to be: what redirects must name. Undefined when the head does not say. */
interface PublicPlace {
  readonly scheme: string;
  readonly authority: string;
}

function publicPlace(fields: Fields): PublicPlace | undefined {
  const authority = valueOf(fields, "x-forwarded-host") ?? valueOf(fields, ":authority");
  const scheme = valueOf(fields, "x-forwarded-proto") ?? valueOf(fields, ":scheme") ?? "http";
  return authority === undefined || authority === "" ? undefined : { scheme, authority };
}

/**
 * Only `:scheme` is set: HTTP/2 services compare it with their own connection (RFC 9113 section 8.3.1). A visitor of
 * HTTP/1.0 need not say which host he means; the service is told its own then.
 */
export function keepHost(fields: Fields, service: ServiceOrigin): Fields {
  const kept = without(fields, isForAgent).map((field) => (field.name === ":scheme" ? service.scheme : field));
  return hasAuthority(fields) ? kept : [service.authority, ...kept];
}

/**
 * `Host`/`:authority`, and `Origin` and `Referer` where they name the public place, become the service's own; what was
 * for the agent only is left out. In one go, since this is done for each request.
 */
export function rewriteRequest(fields: Fields, service: ServiceOrigin): Fields {
  const rewritten: Field[] = hasAuthority(fields) ? [] : [service.authority];
  for (const field of fields) {
    switch (field.name) {
      case ":authority":
        rewritten.push(service.authority);
        break;
      case ":scheme":
        rewritten.push(service.scheme);
        break;
      case "host":
        // `:authority` says it; two that differ would be refused (RFC 9113 section 8.3.1).
        break;
      case "origin":
      case "referer":
        rewritten.push(withOrigin(field, fields, service.origin));
        break;
      default:
        if (!isForAgent(field)) rewritten.push(field);
    }
  }
  return rewritten;
}

function hasAuthority(fields: Fields): boolean {
  return valueOf(fields, ":authority") !== undefined;
}

const ABSOLUTE = /^(https?):\/\/([^/?#]*)(.*)$/i;
const DEFAULT_PORT = /:(80|443)$/;

function withOrigin(field: Field, request: Fields, origin: string): Field {
  const match = ABSOLUTE.exec(field.value);
  const authority = match?.[2]?.toLowerCase();
  if (authority === undefined) return field;
  const isOurs = request.some(({ name, value }) => {
    if (name !== ":authority" && name !== "host" && name !== "x-forwarded-host") return false;
    const place = value.trim().toLowerCase();
    // A browser leaves out the port that its scheme implies; an `:authority` may carry it.
    return place === authority || place.replace(DEFAULT_PORT, "") === authority;
  });
  return isOurs ? { ...field, value: `${origin}${match?.[3] ?? ""}` } : field;
}

/**
 * A redirect to the service's own `localhost:PORT` would lead the visitor to his own machine: it is turned to the public
 * place that `request` names. Every other `Location` is left as it is. The same array comes back when there is nothing
 * to change.
 */
export function rewriteResponse(fields: Fields, host: string, port: number, request: Fields): Fields {
  const at = fields.findIndex((field) => field.name === "location");
  const location = fields[at];
  const match = location === undefined ? null : ABSOLUTE.exec(location.value);
  if (location === undefined || match === null || !namesService(match[1] ?? "", match[2] ?? "", host, port))
    return fields;
  const place = publicPlace(request);
  if (place === undefined) return fields;
  const rewritten = [...fields];
  rewritten[at] = { ...location, value: `${place.scheme}://${place.authority}${match[3] ?? ""}` };
  return rewritten;
}

function namesService(scheme: string, authority: string, host: string, port: number): boolean {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(authority.toLowerCase());
  const name = match?.[1]?.replace(/^\[|\]$/g, "");
  const named = match?.[2] === undefined ? (scheme.toLowerCase() === "https" ? 443 : 80) : Number(match[2]);
  return named === port && name !== undefined && [host, "localhost", "127.0.0.1", "::1"].includes(name);
}
