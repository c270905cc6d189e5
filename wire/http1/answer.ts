import type { Field, Fields } from "../stream.ts";
import type { Outbox } from "../outbox.ts";
import type { BodyKind } from "./body.ts";
import { FORBIDDEN_TRAILERS } from "./body.ts";
import type { Problem } from "./head.ts";
import { encodeLatin1 } from "./octets.ts";
import { statusLine } from "./reasons.ts";
import type { RequestHead } from "./request.ts";
import { parseLength } from "./summary.ts";
import { isConnectionField, isWritable, writeHead } from "./write.ts";

/** How an answer goes on the wire. */
export interface AnswerPlan {
  readonly fields: Field[];
  readonly kind: BodyKind;
  readonly length: number;
}

const CLOSE: Field = { name: "connection", value: "close" };
const KEEP_ALIVE: Field = { name: "connection", value: "keep-alive" };
const CHUNKED: Field = { name: "transfer-encoding", value: "chunked" };
const NO_LENGTH: Field = { name: "content-length", value: "0" };
const UPGRADE: Field = { name: "connection", value: "Upgrade" };
const WEBSOCKET: Field = { name: "upgrade", value: "websocket" };

const STATUS_PATTERN = /^[1-9][0-9]{2}$/;

/** The `:status` of a response head, or undefined when there is none that HTTP/1 can carry. */
export function statusOf(fields: Fields): number | undefined {
  const first = fields[0];
  return first?.name === ":status" && STATUS_PATTERN.test(first.value) ? Number(first.value) : undefined;
}

/** The fields to be written of a head, or undefined if one of them cannot be. Connection-specific ones are ours to set. */
export function writableFields(fields: Fields): Field[] | undefined {
  const kept: Field[] = [];
  for (const field of fields) {
    if (field.name.startsWith(":") || isConnectionField(field.name)) continue;
    if (!isWritable(field)) return undefined;
    kept.push(field);
  }
  return kept;
}

/** The same for trailers: what may not be merged into a head is left out. */
export function writableTrailers(fields: Fields): Field[] | undefined {
  return writableFields(fields)?.filter((field) => !FORBIDDEN_TRAILERS.has(field.name));
}

function withoutLength(fields: readonly Field[]): Field[] {
  return fields.filter((field) => field.name !== "content-length");
}

/** RFC 9110 section 8.6: no Content-Length in a 1xx. */
export function writeInterim(outbox: Outbox, status: number, fields: Field[]): void {
  writeHead(outbox, statusLine(status), withoutLength(fields));
}

/** RFC 6455 section 4.2.2. */
export function writeSwitch(outbox: Outbox, fields: Field[], accept: string): void {
  const own = [WEBSOCKET, UPGRADE, { name: "sec-websocket-accept", value: accept }];
  writeHead(outbox, statusLine(101), [...own, ...withoutLength(fields)]);
}

/**
 * The framing of a final answer, RFC 9112 section 6; undefined when its Content-Length is not one number or contradicts `end`.
 * @param fields from `writableFields`.
 */
export function planAnswer(
  request: RequestHead,
  status: number,
  fields: Field[],
  end: boolean,
): AnswerPlan | undefined {
  let length: number | undefined;
  for (const field of fields) {
    if (field.name !== "content-length") continue;
    if (length !== undefined) return undefined;
    length = parseLength(field.value);
    if (length === undefined) return undefined;
  }
  // RFC 9110 section 8.6: a 204 has none; with HEAD and 304 it says what a GET would have brought.
  if (status === 204) return { fields: withoutLength(fields), kind: "none", length: 0 };
  if (request.method === "HEAD" || status === 304) return { fields, kind: "none", length: 0 };
  if (length !== undefined) return end && length > 0 ? undefined : { fields, kind: "length", length };
  if (end) {
    fields.push(NO_LENGTH);
    return { fields, kind: "length", length: 0 };
  }
  if (request.minor === 0) return { fields, kind: "close", length: 0 };
  fields.push(CHUNKED);
  return { fields, kind: "chunked", length: 0 };
}

export function writeAnswer(outbox: Outbox, status: number, plan: AnswerPlan, minor: number, close: boolean): void {
  // RFC 9112 section 9.3: 1.1 persists unless it says otherwise, 1.0 only if it says so.
  if (close) plan.fields.push(CLOSE);
  else if (minor === 0) plan.fields.push(KEEP_ALIVE);
  writeHead(outbox, statusLine(status), plan.fields);
}

/** The codec's own answer to what is not passed on. */
export function writeRefusal(outbox: Outbox, problem: Problem): void {
  const body = encodeLatin1(`${problem.reason}\n`);
  const fields: Field[] = [
    { name: "content-type", value: "text/plain; charset=utf-8" },
    { name: "content-length", value: String(body.length) },
  ];
  if (problem.status === 426) {
    // RFC 6455 section 4.4 and RFC 9110 section 15.5.22: what would be accepted instead.
    fields.push({ name: "sec-websocket-version", value: "13" }, WEBSOCKET);
    fields.push({ name: "connection", value: "Upgrade, close" });
  } else {
    fields.push(CLOSE);
  }
  writeHead(outbox, statusLine(problem.status), fields);
  outbox.put(body);
}
