import type { Field, Fields } from "../stream.ts";
import type { BodyKind } from "./body.ts";
import { IS_TARGET, consistsOf, isToken } from "./octets.ts";
import { parseLength } from "./summary.ts";
import { isConnectionField, isWritable } from "./write.ts";

/** How a request goes on the wire. */
export interface RequestPlan {
  readonly startLine: string;
  readonly fields: Fields;
  readonly kind: BodyKind;
  readonly length: number;
  readonly method: string;
  /** This is a WebSocket handshake with this key. */
  readonly key: string | undefined;
}

/** Why a request cannot be written. */
export interface RequestFault {
  readonly code: "malformed" | "unsupported";
  readonly message: string;
}

const CHUNKED: Field = { name: "transfer-encoding", value: "chunked" };
const NO_LENGTH: Field = { name: "content-length", value: "0" };
const CONNECTION_TE: Field = { name: "connection", value: "TE" };
const CONNECTION_UPGRADE: Field = { name: "connection", value: "Upgrade" };
const UPGRADE: Field = { name: "upgrade", value: "websocket" };
const VERSION: Field = { name: "sec-websocket-version", value: "13" };

/** Methods whose requests have a body by nature: an empty one is announced (RFC 9110 section 8.6). */
const BODY_METHODS = new Set(["POST", "PUT", "PATCH"]);

interface Pseudo {
  method: string;
  authority: string | undefined;
  path: string;
  protocol: string | undefined;
}

/** The request as HTTP/1.1 says it: Host first (RFC 9110 section 7.2), then the fields in their order. */
export function planRequest(fields: Fields, end: boolean, randomKey: () => string): RequestPlan | RequestFault {
  const pseudo: Pseudo = { method: "", authority: undefined, path: "", protocol: undefined };
  const own: Field[] = [];
  const rest: Field[] = [];
  const crumbs: string[] = [];
  let host: string | undefined;
  let trailersWanted = false;
  let length: number | undefined;
  for (const field of fields) {
    if (field.name.startsWith(":")) {
      if (!setPseudo(pseudo, field)) return UNWRITABLE;
      continue;
    }
    if (!isWritable(field)) return UNWRITABLE;
    switch (field.name) {
      case "host":
        host = field.value;
        break;
      case "te":
        trailersWanted ||= /(?:^|,)\s*trailers\s*(?:,|$)/i.test(field.value);
        break;
      case "cookie":
        // RFC 9113 section 8.2.3: HTTP/2 splits it, HTTP/1 has one.
        if (crumbs.push(field.value) === 1) rest.push(field);
        break;
      case "content-length":
        if (length !== undefined) return BAD_LENGTH;
        length = parseLength(field.value);
        if (length === undefined) return BAD_LENGTH;
        rest.push(field);
        break;
      default:
        if (!isConnectionField(field.name)) rest.push(field);
    }
  }
  if (crumbs.length > 1) {
    const first = rest.findIndex((field) => field.name === "cookie");
    rest[first] = { name: "cookie", value: crumbs.join("; ") };
  }
  const authority = pseudo.authority !== undefined && pseudo.authority !== "" ? pseudo.authority : (host ?? "");
  own.push({ name: "host", value: authority });
  if (!isWritable({ name: "host", value: authority })) return UNWRITABLE;
  // PRI is how HTTP/2 begins: a service might believe it does (RFC 9113 section 3.4).
  if (!isToken(pseudo.method) || pseudo.method === "PRI") return UNWRITABLE;

  if (pseudo.method === "CONNECT") {
    if (pseudo.protocol !== "websocket") return NO_CONNECT;
    if (!isPath(pseudo.path, "GET")) return UNWRITABLE;
    const key = randomKey();
    own.push(CONNECTION_UPGRADE, UPGRADE, { name: "sec-websocket-key", value: key });
    if (!rest.some((field) => field.name === "sec-websocket-version")) own.push(VERSION);
    const kept = rest.filter((field) => field.name !== "content-length" && field.name !== "sec-websocket-key");
    const startLine = `GET ${pseudo.path} HTTP/1.1`;
    return { startLine, fields: [...own, ...kept], kind: "none", length: 0, method: "GET", key };
  }
  if (pseudo.protocol !== undefined || !isPath(pseudo.path, pseudo.method)) return UNWRITABLE;
  if (trailersWanted) own.push({ name: "te", value: "trailers" }, CONNECTION_TE);

  let kind: BodyKind = "none";
  if (end) {
    if (length !== undefined && length > 0) return BAD_LENGTH;
    if (length === undefined && BODY_METHODS.has(pseudo.method)) rest.push(NO_LENGTH);
  } else if (length !== undefined) {
    kind = "length";
  } else {
    kind = "chunked";
    rest.push(CHUNKED);
  }
  const startLine = `${pseudo.method} ${pseudo.path} HTTP/1.1`;
  for (const field of rest) own.push(field);
  return { startLine, fields: own, kind, length: length ?? 0, method: pseudo.method, key: undefined };
}

function setPseudo(pseudo: Pseudo, field: Field): boolean {
  switch (field.name) {
    case ":method":
      pseudo.method = field.value;
      return true;
    case ":authority":
      pseudo.authority = field.value;
      return true;
    case ":path":
      pseudo.path = field.value;
      return true;
    case ":protocol":
      pseudo.protocol = field.value;
      return true;
    default:
      return field.name === ":scheme";
  }
}

/** Origin form, or `*` with OPTIONS; no octet that would end the request target (RFC 9112 section 3.2). */
function isPath(path: string, method: string): boolean {
  return (path.startsWith("/") && consistsOf(path, IS_TARGET)) || (path === "*" && method === "OPTIONS");
}

const UNWRITABLE: RequestFault = { code: "malformed", message: "The head of the request cannot be written as HTTP/1." };
const BAD_LENGTH: RequestFault = {
  code: "malformed",
  message: "The Content-Length of the request is not one number, or contradicts its body.",
};
const NO_CONNECT: RequestFault = {
  code: "unsupported",
  message: "HTTP/1 carries no CONNECT but that of a WebSocket.",
};
