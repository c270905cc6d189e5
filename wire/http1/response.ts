import type { Field, Fields } from "../stream.ts";
import type { BodyKind } from "./body.ts";
import type { HeadReader, Problem } from "./head.ts";
import { Summary, framingOf } from "./summary.ts";
import { acceptsWebSocket, withoutHandshake } from "./upgrade.ts";

/** A response head with its meaning, RFC 9112 section 6.3. */
export interface ResponseHead {
  /** `:status`, then the end-to-end fields. */
  readonly fields: Fields;
  readonly status: number;
  readonly kind: BodyKind;
  readonly length: number;
  /** The connection may carry another exchange. */
  readonly persistent: boolean;
}

const STATUS_FIELDS = new Map<number, Field>();

function statusField(status: number): Field {
  let field = STATUS_FIELDS.get(status);
  if (field === undefined) {
    field = { name: ":status", value: String(status) };
    STATUS_FIELDS.set(status, field);
  }
  return field;
}

/** @param accept the Sec-WebSocket-Accept that a 101 must bring; undefined: no upgrade was asked for. */
export function interpretResponse(
  head: HeadReader,
  method: string,
  accept: string | undefined,
): ResponseHead | Problem {
  const status = head.status;
  const summary = new Summary(head, 1);
  const framing = framingOf(summary, head.minor);
  if ("reason" in framing) return framing;
  const persistent = head.minor === 1 ? !summary.close : summary.keepAlive && !summary.close;
  summary.fields[0] = statusField(status);

  if (status < 200 || status === 204) {
    // RFC 9110 section 8.6 forbids both. An explicit length of 0 does no harm, and some services send it.
    if (framing.kind === "chunked" || framing.length > 0) return BODY_FORBIDDEN;
    const fields = summary.fields.filter((field) => field.name !== "content-length");
    if (status !== 101) return { fields, status, kind: "none", length: 0, persistent };
    if (accept === undefined) return UNASKED_UPGRADE;
    if (!acceptsWebSocket(summary, accept)) return BAD_ACCEPT;
    const accepted = [statusField(200), ...withoutHandshake(fields, 1)];
    return { fields: accepted, status, kind: "none", length: 0, persistent: false };
  }
  const fields = summary.fields;
  if (method === "HEAD" || status === 304) return { fields, status, kind: "none", length: 0, persistent };
  if (framing.kind === "unknown") return { fields, status, kind: "close", length: 0, persistent: false };
  return { fields, status, kind: framing.kind, length: framing.length, persistent };
}

const BODY_FORBIDDEN: Problem = { status: 400, reason: "An answer that cannot have a body announces one." };
const UNASKED_UPGRADE: Problem = { status: 400, reason: "The answer is 101, but no upgrade was asked for." };
const BAD_ACCEPT: Problem = { status: 400, reason: "The answer does not accept the WebSocket it was asked for." };
