import type { Field } from "../stream.ts";
import type { HeadReader, Problem } from "./head.ts";
import { listMembers } from "./octets.ts";

const NONE: readonly string[] = [];
const PLACE: Field = { name: "", value: "" };
const TE_TRAILERS: Field = { name: "te", value: "trailers" };

/**
 * Fields that `Connection` cannot make anybody remove: those that frame, route or authorise. RFC 9110 section 7.6.1 forbids
 * to name end-to-end fields there; attacks do, so that the service misses what a proxy checked.
 */
const PROTECTED = new Set([
  "authorization",
  "cache-control",
  "content-encoding",
  "content-length",
  "content-type",
  "cookie",
  "date",
  "forwarded",
  "host",
  "origin",
  "range",
  "set-cookie",
  "te",
  "transfer-encoding",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
]);

/**
 * What the connection-specific fields of a head say (RFC 9110 section 7.6.1), and the head without them: what remains means
 * the same in every version of HTTP.
 */
export class Summary {
  /** Room for pseudo-fields, then the end-to-end fields except `host`, and `te: trailers` if it was given. */
  readonly fields: Field[] = [];
  host: Field | undefined;
  hosts = 0;
  contentLength: Field | undefined;
  contentLengths = 0;
  transferEncoding: string | undefined;
  transferEncodings = 0;
  close = false;
  keepAlive = false;
  /** `Connection` names `upgrade`. */
  upgradeNamed = false;
  /** The members of `Upgrade`, lower case. */
  upgrades: readonly string[] = NONE;
  expectsContinue = false;

  /** @param room how many places for pseudo-fields `fields` begins with. */
  constructor(head: HeadReader, room: number) {
    const fields = this.fields;
    for (let index = 0; index < room; index++) fields.push(PLACE);
    let named: string[] | undefined;
    for (const field of head.fields) {
      switch (field.name) {
        case "host":
          this.host = field;
          this.hosts++;
          break;
        case "content-length":
          this.contentLength = field;
          this.contentLengths++;
          fields.push(field);
          break;
        case "transfer-encoding":
          this.transferEncoding = field.value;
          this.transferEncodings++;
          break;
        case "connection":
          named = this.#connection(field.value, named);
          break;
        case "upgrade":
          this.upgrades = [...this.upgrades, ...listMembers(field.value)];
          break;
        case "te":
          if (/(?:^|,)\s*trailers\s*(?:,|$)/i.test(field.value)) fields.push(TE_TRAILERS);
          break;
        case "keep-alive":
        case "proxy-connection":
        case "http2-settings":
          break;
        case "expect":
          this.expectsContinue = field.value.toLowerCase() === "100-continue";
          fields.push(field);
          break;
        default:
          fields.push(field);
      }
    }
    if (named !== undefined) this.#remove(named, room);
  }

  #connection(value: string, named: string[] | undefined): string[] | undefined {
    let others = named;
    // What nearly everybody sends.
    if (value === "keep-alive" || value === "Keep-Alive") {
      this.keepAlive = true;
      return others;
    }
    if (value === "close") {
      this.close = true;
      return others;
    }
    for (const option of listMembers(value)) {
      if (option === "close") this.close = true;
      else if (option === "keep-alive") this.keepAlive = true;
      else if (option === "upgrade") this.upgradeNamed = true;
      else if (!PROTECTED.has(option)) (others ??= []).push(option);
    }
    return others;
  }

  #remove(names: readonly string[], from: number): void {
    const fields = this.fields;
    let kept = from;
    for (let index = from; index < fields.length; index++) {
      const field = fields[index];
      if (field !== undefined && !names.includes(field.name)) fields[kept++] = field;
    }
    fields.length = kept;
  }
}

/** How long a body is, RFC 9112 section 6.3. `unknown`: neither Content-Length nor Transfer-Encoding. */
export interface Framing {
  readonly kind: "unknown" | "length" | "chunked";
  /** Only of kind "length". */
  readonly length: number;
}

const UNKNOWN: Framing = { kind: "unknown", length: 0 };
const CHUNKED: Framing = { kind: "chunked", length: 0 };

/** 16 digits hold each integer that a number holds exactly. */
const LENGTH_PATTERN = /^[0-9]{1,16}$/;

/** The value of a Content-Length, or undefined when it is not one. */
export function parseLength(value: string): number | undefined {
  if (!LENGTH_PATTERN.test(value)) return undefined;
  const length = Number(value);
  return Number.isSafeInteger(length) ? length : undefined;
}

/**
 * Everything that two parsers could understand differently is refused, also where RFC 9112 would allow to repair it. A
 * Content-Length with leading zeros (some services pad theirs) is passed on in its shortest form.
 */
export function framingOf(summary: Summary, minor: number): Framing | Problem {
  const coding = summary.transferEncoding;
  if (coding !== undefined) {
    if (minor === 0) return TE_IN_1_0;
    if (summary.contentLengths > 0) return TE_AND_LENGTH;
    if (summary.transferEncodings > 1) return BAD_TE;
    if (coding === "chunked" || coding.toLowerCase() === "chunked") return CHUNKED;
    // RFC 9112 section 6.1: a coding that is not understood, 501; anything else is not a list that ends with chunked.
    return /^[a-z0-9-]+[ \t]*(?:,[ \t]*[a-z0-9-]+)*,[ \t]*chunked$/i.test(coding) && !/chunked.*chunked/i.test(coding)
      ? UNKNOWN_CODING
      : BAD_TE;
  }
  const field = summary.contentLength;
  if (field === undefined) return UNKNOWN;
  const length = parseLength(field.value);
  if (length === undefined || summary.contentLengths > 1) return BAD_LENGTH;
  const shortest = String(length);
  if (shortest !== field.value) {
    summary.fields[summary.fields.indexOf(field)] = { name: "content-length", value: shortest };
  }
  return { kind: "length", length };
}

const TE_IN_1_0: Problem = { status: 400, reason: "Transfer-Encoding is not allowed in HTTP/1.0." };
const TE_AND_LENGTH: Problem = { status: 400, reason: "Content-Length and Transfer-Encoding exclude each other." };
const BAD_TE: Problem = { status: 400, reason: "Transfer-Encoding is not exactly chunked." };
const UNKNOWN_CODING: Problem = { status: 501, reason: "The only transfer coding understood is chunked." };
const BAD_LENGTH: Problem = { status: 400, reason: "Content-Length is not one decimal number." };
