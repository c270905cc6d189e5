import type { Field } from "../stream.ts";
import {
  AUTHORITY,
  CONTENT_LENGTH,
  HOST,
  INVALID,
  METHOD,
  PATH,
  PROTOCOL,
  REGULAR,
  SCHEME,
  STATUS,
} from "./classify.ts";
import type { FieldSink } from "./hpack/decoder.ts";
import type { Http2Limits } from "./limits.ts";

/** What a block of fields is. */
export type HeadRole = "request" | "response" | "trailers";

/** The head is above the hard limit: the connection ends. */
export class HeadTooLargeError extends Error {
  override readonly name = "HeadTooLargeError";
}

const ENTRY_OVERHEAD = 32;

const HAS_METHOD = 1 << METHOD;
const HAS_AUTHORITY = 1 << AUTHORITY;
const HAS_PROTOCOL = 1 << PROTOCOL;
const HAS_TARGET = (1 << SCHEME) | (1 << PATH);

/**
 * Collects the fields of one block and judges whether they are a head (RFC 9113 section 8.3). One object per connection,
 * used again for each block. What is malformed or too large is still decoded to its end, since the compression state
 * must follow, but not kept.
 */
export class HeadCollector implements FieldSink {
  fields: Field[] = [];
  /** Why the block is malformed, for people; undefined when it is not. */
  malformed: string | undefined;
  /** Above the limits of octets or fields. `fields` is incomplete then. */
  tooLarge = false;
  /** What is too large is `:path`. */
  pathTooLong = false;
  /** -1: not given. */
  contentLength = -1;
  /** Response heads; 0 otherwise. */
  status = 0;
  method = "";

  readonly #maxBytes: number;
  readonly #limits: Pick<Http2Limits, "headerFields" | "headerValueBytes" | "pathBytes">;
  readonly #hardBytes: number;
  #role: HeadRole = "request";
  #bytes = 0;
  #regular = 0;
  /** A bit for each pseudo-field seen. */
  #seen = 0;
  #scheme = "";
  #authority = "";
  #path = "";
  #host: string | undefined;

  /** Octets are counted as SETTINGS_MAX_HEADER_LIST_SIZE does: 32 more for each field. */
  constructor(
    maxBytes: number,
    limits: Pick<Http2Limits, "headerFields" | "headerBytesHard" | "headerValueBytes" | "pathBytes">,
  ) {
    this.#maxBytes = maxBytes;
    this.#limits = limits;
    this.#hardBytes = Math.max(limits.headerBytesHard, maxBytes);
  }

  begin(role: HeadRole): void {
    this.fields = [];
    this.malformed = undefined;
    this.tooLarge = false;
    this.pathTooLong = false;
    this.contentLength = -1;
    this.status = 0;
    this.method = "";
    this.#role = role;
    this.#bytes = 0;
    this.#regular = 0;
    this.#seen = 0;
    this.#host = undefined;
  }

  field(field: Field, kind: number): void {
    this.#bytes += field.name.length + field.value.length + ENTRY_OVERHEAD;
    if (this.#bytes > this.#maxBytes) {
      if (this.#bytes > this.#hardBytes) throw new HeadTooLargeError(`a head above ${this.#hardBytes} octets`);
      this.tooLarge = true;
    }
    if (kind < METHOD && ++this.#regular > this.#limits.headerFields) this.tooLarge = true;
    if (field.value.length > this.#limits.pathBytes && kind === PATH) this.tooLarge = this.pathTooLong = true;
    else if (field.value.length > this.#limits.headerValueBytes) this.tooLarge = true;
    if (this.tooLarge) {
      // Whoever answers must know whether that answer may have content.
      if (kind === METHOD) this.method = field.value;
      this.fields.length = 0;
      return;
    }
    this.fields.push(field);
    if (kind !== REGULAR && this.malformed === undefined) this.#special(field, kind);
  }

  /** Judges the head as a whole. `extendedConnect`: whether `:protocol` may be used. */
  finish(extendedConnect: boolean): void {
    if (this.tooLarge || this.malformed !== undefined) return;
    if (this.#role === "request") this.#finishRequest(extendedConnect);
    else if (this.#role === "response" && this.#seen !== 1 << STATUS) this.malformed = "a response without :status";
  }

  #special(field: Field, kind: number): void {
    const { name, value } = field;
    if (kind >= METHOD) {
      if (this.#regular > 0) this.malformed = "a pseudo-field after a regular field";
      else if (this.#role === "trailers") this.malformed = "a pseudo-field in trailers";
      else if ((kind === STATUS) !== (this.#role === "response")) this.malformed = `${name} in a ${this.#role}`;
      else if ((this.#seen & (1 << kind)) !== 0) this.malformed = `${name} given twice`;
      this.#seen |= 1 << kind;
      if (kind === METHOD) this.method = value;
      else if (kind === SCHEME) this.#scheme = value;
      else if (kind === AUTHORITY) this.#authority = value;
      else if (kind === PATH) this.#path = value;
      else if (kind === STATUS) this.status = Number(value);
    } else if (kind === INVALID) {
      this.malformed = "a field that is not allowed, or whose name or value is invalid";
    } else if (this.#role === "trailers") {
      // Framing and routing are over when trailers come (RFC 9110 section 6.5.1).
      this.malformed = `${name} in trailers`;
    } else if (kind === CONTENT_LENGTH) {
      if (this.contentLength >= 0) this.malformed = "content-length given twice";
      this.contentLength = Number(value);
    } else if (kind === HOST && this.#role === "request") {
      if (this.#host !== undefined) this.malformed = "host given twice";
      this.#host = value;
    }
  }

  #finishRequest(extendedConnect: boolean): void {
    const seen = this.#seen;
    if ((seen & HAS_METHOD) === 0) this.malformed = "a request without :method";
    else if ((seen & HAS_PROTOCOL) !== 0 && (this.method !== "CONNECT" || !extendedConnect)) {
      this.malformed = ":protocol where it is not allowed";
    } else if (this.method === "CONNECT" && (seen & HAS_PROTOCOL) === 0) {
      // RFC 9113 section 8.5.
      if ((seen & HAS_TARGET) !== 0) this.malformed = "CONNECT with :scheme or :path";
      else if ((seen & HAS_AUTHORITY) === 0) this.malformed = "CONNECT without :authority";
    } else if ((seen & HAS_TARGET) !== HAS_TARGET) this.malformed = "a request without :scheme or :path";
    else if (!this.#path.startsWith("/") && !(this.#path === "*" && this.method === "OPTIONS")) {
      this.malformed = ":path does not begin with /";
    } else if ((seen & HAS_PROTOCOL) !== 0 && (seen & HAS_AUTHORITY) === 0) {
      this.malformed = "extended CONNECT without :authority";
    }
    if (this.malformed === undefined && this.#host !== undefined && (seen & HAS_AUTHORITY) !== 0) {
      // Whoever routes by the one and checks by the other must not be told two names (RFC 9113 section 8.3.1).
      if (!isSameHost(this.#host, this.#authority, this.#scheme)) this.malformed = "host differs from :authority";
    }
  }
}

function isSameHost(host: string, authority: string, scheme: string): boolean {
  return host === authority || normalHost(host, scheme) === normalHost(authority, scheme);
}

/** Lower case, without the scheme's own port (RFC 3986 section 6.2). */
function normalHost(host: string, scheme: string): string {
  const lower = host.toLowerCase();
  const suffix = scheme.toLowerCase() === "https" ? ":443" : ":80";
  if (lower.endsWith(":")) return lower.slice(0, -1);
  return lower.endsWith(suffix) ? lower.slice(0, -suffix.length) : lower;
}
