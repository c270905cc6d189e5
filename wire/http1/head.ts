import type { Field } from "../stream.ts";
import type { Http1Limits } from "./limits.ts";
import { fieldName } from "./names.ts";
import { COLON, CR, HTAB, IS_TARGET, IS_TOKEN, IS_VALUE, LF, SP, EMPTY, latin1 } from "./octets.ts";

/** Why a message is refused, with the status a visitor is told. */
export interface Problem {
  readonly status: 400 | 408 | 414 | 426 | 431 | 501 | 505;
  /** One sentence for people, without any octet of the message. */
  readonly reason: string;
  /** The sender does not speak HTTP/1 at all and would not understand the answer. */
  readonly foreign?: true;
}

export type HeadKind = "request" | "response" | "trailers";
export type HeadState = "reading" | "done" | "failed";

/** A method or version beside the target takes less than this. */
const START_LINE_EXTRA_BYTES = 128;
/** Longer field names do not occur. */
const NAME_BYTES = 1024;
/** Longer methods do not occur; the longest registered one has 16 octets (RFC 4437). */
const METHOD_BYTES = 64;

/** A connection mostly repeats its field lines: each slot holds one of them with its `Field`. */
const CACHE_SLOTS = 32;
/** Bounds the cache of a connection at 32 KiB. */
const CACHED_LINE_BYTES = 1024;

interface CachedLine {
  readonly bytes: Uint8Array;
  readonly field: Field;
}

/**
 * Reads one head (start line, fields, empty line) or the trailers, in pieces of any size; may be used again after
 * `start`. Strict, because two parsers that disagree about a head are a security hole (RFC 9112 section 11.2): lines end
 * with CRLF only, no line folding, no space before the colon, no control octets.
 */
export class HeadReader {
  state: HeadState = "reading";
  /** Set when `state` is "failed". */
  problem: Problem | undefined;
  /** Whether an octet of this head arrived. */
  begun = false;
  /** Regular fields in wire order, names lower case. */
  fields: Field[] = [];
  method = "";
  target = "";
  /** Minor HTTP version: 0 or 1. */
  minor = 1;
  status = 0;

  readonly #limits: Http1Limits;
  #kind: HeadKind;
  #octets = 0;
  #startLineDue: boolean;
  #emptyLines = 0;
  /** The beginning of a line whose end has not come yet. */
  #partial = EMPTY;
  #partialLength = 0;
  /** Those of `target`: a connection often asks for the same again. */
  #targetOctets = EMPTY;
  #seen: Int32Array | undefined;
  #cache: (CachedLine | undefined)[] = [];

  constructor(kind: HeadKind, limits: Http1Limits) {
    this.#kind = kind;
    this.#startLineDue = kind !== "trailers";
    this.#limits = limits;
  }

  /** Ready for the next head. */
  start(): void {
    this.state = "reading";
    this.begun = false;
    this.fields = [];
    this.#octets = 0;
    this.#startLineDue = this.#kind !== "trailers";
    this.#emptyLines = 0;
    this.#partialLength = 0;
  }

  /** No further head is expected: gives its memory back. */
  forget(): void {
    this.fields = [];
    this.#partial = EMPTY;
    this.#targetOctets = EMPTY;
    this.#seen = undefined;
    this.#cache = [];
  }

  /** Takes `bytes` from `offset` on and returns the offset behind what belongs to the head. */
  read(bytes: Uint8Array, offset: number): number {
    const length = bytes.length;
    let at = offset;
    while (at < length && this.state === "reading") {
      // Again for each line: the head may begin behind an empty one, in the same piece.
      this.begun = true;
      let hash = 0;
      let end = at;
      while (end < length) {
        const octet = bytes[end] ?? 0;
        if (octet === LF) break;
        hash = (Math.imul(hash, 31) + octet) | 0;
        end++;
      }
      this.#octets += end - at + 1;
      if (this.#octets > this.#limits.headBytes) {
        // A target that alone fills the head is a target too long; the check below comes too late for one that comes in one piece.
        this.#fail(this.#startLineDue && this.#kind === "request" ? TARGET_TOO_LONG : HEAD_TOO_LARGE);
        return at;
      }
      if (end === length) {
        this.#octets--;
        this.#keep(bytes, at, end);
        return end;
      }
      if (this.#partialLength > 0) {
        this.#keep(bytes, at, end);
        const whole = this.#partialLength;
        this.#partialLength = 0;
        // The hash covers the last piece only, and so cannot be used.
        if (this.#isReading()) this.#line(this.#partial, 0, whole, undefined);
      } else {
        this.#line(bytes, at, end, hash);
      }
      at = end + 1;
    }
    return at;
  }

  /** `state` as the compiler cannot know it after a call. */
  #isReading(): boolean {
    return this.state === "reading";
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    const needed = this.#partialLength + to - from;
    if (!this.#fits(needed)) return;
    if (needed > this.#partial.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#partial.length, 256));
      grown.set(this.#partial.subarray(0, this.#partialLength));
      this.#partial = grown;
    }
    this.#partial.set(bytes.subarray(from, to), this.#partialLength);
    this.#partialLength = needed;
  }

  /** Refuses a line that is longer than any that can be valid, before its end came or when it came in one piece. */
  #fits(length: number): boolean {
    const bound = this.#startLineDue
      ? this.#limits.urlBytes + START_LINE_EXTRA_BYTES
      : this.#limits.valueBytes + NAME_BYTES;
    if (length <= bound) return true;
    this.#fail(this.#startLineDue && this.#kind === "request" ? TARGET_TOO_LONG : HEAD_TOO_LARGE);
    return false;
  }

  #fail(problem: Problem): void {
    this.state = "failed";
    this.problem = problem;
  }

  /** `bytes[from, to)` is a line without its LF. */
  #line(bytes: Uint8Array, from: number, to: number, hash: number | undefined): void {
    if (!this.#fits(to - from)) return;
    if (to === from || bytes[to - 1] !== CR) {
      this.#fail(BARE_LF);
      return;
    }
    const end = to - 1;
    if (end > from) {
      if (this.#startLineDue) {
        this.#startLineDue = false;
        if (this.#kind === "request") this.#requestLine(bytes, from, end);
        else this.#statusLine(bytes, from, end);
      } else {
        this.#fieldLine(bytes, from, end, hash);
      }
    } else if (!this.#startLineDue) {
      this.state = "done";
    } else if (this.#kind === "response" || ++this.#emptyLines > 1) {
      // RFC 9112 section 2.2: a server ignores at least one empty line before a request.
      this.#fail(NO_START_LINE);
    } else {
      this.begun = false;
    }
  }

  /** RFC 9112 section 3: method SP request-target SP HTTP-version, with exactly these two spaces. */
  #requestLine(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to && IS_TOKEN[bytes[at] ?? 0] === 1) at++;
    if (at === from || bytes[at] !== SP || at === to) {
      this.#fail(BAD_REQUEST_LINE);
      return;
    }
    if (at - from > METHOD_BYTES) {
      this.#fail({ status: 501, reason: `The method is longer than ${METHOD_BYTES} octets.` });
      return;
    }
    this.method = knownMethod(bytes, from, at);
    const target = ++at;
    while (at < to && IS_TARGET[bytes[at] ?? 0] === 1) at++;
    if (at - target > this.#limits.urlBytes) {
      this.#fail(TARGET_TOO_LONG);
      return;
    }
    if (at === target || at === to || bytes[at] !== SP) {
      this.#fail(BAD_REQUEST_LINE);
      return;
    }
    if (!sameOctets(bytes, target, at, this.#targetOctets)) {
      this.target = latin1(bytes, target, at);
      this.#targetOctets = bytes.slice(target, at);
    }
    this.#version(bytes, at + 1, to, namesHttp(bytes, at + 1, to) ? BAD_REQUEST_LINE : FOREIGN_LINE);
  }

  /** RFC 9112 section 4: HTTP-version SP status-code SP [ reason-phrase ]; the second space is often left out. */
  #statusLine(bytes: Uint8Array, from: number, to: number): void {
    this.#version(bytes, from, Math.min(from + 8, to), BAD_STATUS_LINE);
    if (!this.#isReading()) return;
    const digits = from + 9;
    let status = 0;
    for (let at = digits; at < digits + 3; at++) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (at >= to || digit < 0 || digit > 9) status = -1000;
      status = status * 10 + digit;
    }
    let valid = bytes[from + 8] === SP && status >= 100 && (digits + 3 === to || bytes[digits + 3] === SP);
    for (let at = digits + 3; at < to; at++) if (IS_VALUE[bytes[at] ?? 0] !== 1) valid = false;
    if (!valid) {
      this.#fail(BAD_STATUS_LINE);
      return;
    }
    this.status = status;
  }

  #version(bytes: Uint8Array, from: number, to: number, problem: Problem): void {
    const major = (bytes[from + 5] ?? 0) - 0x30;
    const minor = (bytes[from + 7] ?? 0) - 0x30;
    if (
      to - from !== 8 ||
      bytes[from] !== 0x48 ||
      bytes[from + 1] !== 0x54 ||
      bytes[from + 2] !== 0x54 ||
      bytes[from + 3] !== 0x50 ||
      bytes[from + 4] !== 0x2f ||
      bytes[from + 6] !== 0x2e ||
      major < 0 ||
      major > 9 ||
      minor < 0 ||
      minor > 9
    ) {
      this.#fail(problem);
      return;
    }
    if (major !== 1 || minor > 1) {
      this.#fail({ status: 505, reason: "Only HTTP/1.0 and HTTP/1.1 are spoken here." });
      return;
    }
    this.minor = minor;
  }

  #fieldLine(bytes: Uint8Array, from: number, to: number, hash: number | undefined): void {
    if (this.fields.length >= this.#limits.fields) {
      this.#fail({ status: 431, reason: `More than ${this.#limits.fields} header fields.` });
      return;
    }
    const slot = hash === undefined || to - from > CACHED_LINE_BYTES ? -1 : hash & (CACHE_SLOTS - 1);
    if (slot >= 0) {
      const cached = this.#cache[slot];
      if (cached !== undefined && sameOctets(bytes, from, to, cached.bytes)) {
        this.fields.push(cached.field);
        return;
      }
    }
    let at = from;
    while (at < to && IS_TOKEN[bytes[at] ?? 0] === 1) at++;
    // RFC 9112 section 5.1: no whitespace before the colon. Section 5.2: a line that begins with whitespace is folded.
    if (at === from || bytes[at] !== COLON || at === to) {
      this.#fail(BAD_FIELD_LINE);
      return;
    }
    const nameEnd = at++;
    while (at < to && (bytes[at] === SP || bytes[at] === HTAB)) at++;
    let end = to;
    while (end > at && (bytes[end - 1] === SP || bytes[end - 1] === HTAB)) end--;
    for (let index = at; index < end; index++) {
      if (IS_VALUE[bytes[index] ?? 0] !== 1) {
        this.#fail(BAD_FIELD_LINE);
        return;
      }
    }
    if (end - at > this.#limits.valueBytes || nameEnd - from > NAME_BYTES) {
      this.#fail({ status: 431, reason: "A header field is too large." });
      return;
    }
    const field: Field = { name: fieldName(bytes, from, nameEnd), value: latin1(bytes, at, end) };
    this.fields.push(field);
    if (slot >= 0 && hash !== undefined) this.#remember(slot, hash, bytes, from, to, field);
  }

  /** A line is cached when it comes the second time: what changes from head to head would only cost copies. */
  #remember(slot: number, hash: number, bytes: Uint8Array, from: number, to: number, field: Field): void {
    const seen = (this.#seen ??= new Int32Array(CACHE_SLOTS));
    if (seen[slot] === hash) this.#cache[slot] = { bytes: bytes.slice(from, to), field };
    else seen[slot] = hash;
  }
}

/** `HTTP/` with the bit cleared that tells the cases of a letter apart. */
const HTTP_SLASH = [0x48, 0x54, 0x54, 0x50, 0x0f] as const;

const METHODS = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT"] as const;

function knownMethod(bytes: Uint8Array, from: number, to: number): string {
  for (const method of METHODS) {
    if (method.length !== to - from || bytes[from] !== method.charCodeAt(0)) continue;
    let at = 1;
    while (at < method.length && bytes[from + at] === method.charCodeAt(at)) at++;
    if (at === method.length) return method;
  }
  return latin1(bytes, from, to);
}

/** Whether "HTTP/" is somewhere in `bytes[from, to)`, in any case. */
function namesHttp(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at + 5 <= to; at++) {
    let length = 0;
    while (length < 5 && ((bytes[at + length] ?? 0) & 0xdf) === (HTTP_SLASH[length] ?? 0)) length++;
    if (length === 5) return true;
  }
  return false;
}

function sameOctets(bytes: Uint8Array, from: number, to: number, other: Uint8Array): boolean {
  const length = to - from;
  if (other.length !== length) return false;
  for (let at = 0; at < length; at++) if (bytes[from + at] !== other[at]) return false;
  return true;
}

const BARE_LF: Problem = { status: 400, reason: "A line of the head does not end with CR LF." };
const NO_START_LINE: Problem = { status: 400, reason: "The message begins with empty lines." };
const BAD_REQUEST_LINE: Problem = { status: 400, reason: "The request line is malformed." };
/** RFC 9113 section 3.4: an invalid connection preface of HTTP/2 looks like this, and no GOAWAY nor anything else is due. */
const FOREIGN_LINE: Problem = { ...BAD_REQUEST_LINE, foreign: true };
const BAD_STATUS_LINE: Problem = { status: 400, reason: "The status line is malformed." };
const BAD_FIELD_LINE: Problem = { status: 400, reason: "A header field is malformed." };
const TARGET_TOO_LONG: Problem = { status: 414, reason: "The request target is too long." };
const HEAD_TOO_LARGE: Problem = { status: 431, reason: "The head is too large." };
