import type { Fields } from "../stream.ts";
import type { Http1Limits } from "./limits.ts";
import { HeadReader } from "./head.ts";
import type { HeadState } from "./head.ts";
import { CR, IS_TOKEN, IS_VALUE, LF } from "./octets.ts";

/** `close`: all until the peer's FIN. `none`: no octet follows the head. */
export type BodyKind = "none" | "length" | "chunked" | "close";

/** 13 hexadecimal digits are 52 bits: exact in a number. Longer sizes are an attack on parsers that overflow. */
const SIZE_DIGITS = 13;

/** Where a chunked body (RFC 9112 section 7.1) stands. */
type ChunkState = "first-digit" | "size" | ExtensionState | "size-lf" | "data" | "data-cr" | "data-lf" | "trailers";

/** Where a chunk's extensions (RFC 9112 section 7.1.1) stand: `;name`, `;name=token` or `;name="text"`, without white space. */
type ExtensionState = "name-due" | "name" | "value-due" | "value" | "quoted" | "escaped" | "unquoted";

/** Trailers that would change framing, routing or the connection if somebody merged them into the head (RFC 9110 section 6.5.1). */
export const FORBIDDEN_TRAILERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Takes a body out of its framing, in pieces of any size. One call of `read` yields at most one piece of data, a view of
 * the given octets. One reader serves all bodies of a connection.
 */
export class BodyReader {
  state: HeadState = "done";
  kind: BodyKind = "none";
  /** What the last `read` found, or undefined. */
  data: Uint8Array | undefined;
  /** One sentence, set when `state` is "failed". */
  reason = "";

  readonly #limits: Http1Limits;
  /** Made for the first chunked body. */
  #trailers: HeadReader | undefined;
  #chunk: ChunkState = "first-digit";
  /** Octets of the body, or of the chunk, still to come. */
  #remaining = 0;
  #digits = 0;
  #extensionBytes = 0;

  constructor(limits: Http1Limits) {
    this.#limits = limits;
  }

  /** Trailers of a chunked body that is done; empty if there were none. */
  get trailers(): Fields {
    return this.kind === "chunked" ? (this.#trailers?.fields ?? []) : [];
  }

  /** @param length only for kind "length". */
  start(kind: BodyKind, length: number): void {
    this.kind = kind;
    this.#remaining = length;
    this.state = kind === "none" || (kind === "length" && length === 0) ? "done" : "reading";
    this.data = undefined;
    this.#chunk = "first-digit";
    this.#extensionBytes = 0;
    this.#trailers?.start();
  }

  /** Takes `bytes` from `offset` on and returns the offset behind what it took. */
  read(bytes: Uint8Array, offset: number): number {
    this.data = undefined;
    if (this.state !== "reading") return offset;
    switch (this.kind) {
      case "close":
        this.data = offset === 0 ? bytes : bytes.subarray(offset);
        return bytes.length;
      case "length": {
        const end = this.#take(bytes, offset);
        if (this.#remaining === 0) this.state = "done";
        return end;
      }
      case "chunked":
        return this.#chunked(bytes, offset);
      case "none":
        return offset;
    }
  }

  #take(bytes: Uint8Array, offset: number): number {
    const end = Math.min(bytes.length, offset + this.#remaining);
    this.data = offset === 0 && end === bytes.length ? bytes : bytes.subarray(offset, end);
    this.#remaining -= end - offset;
    return end;
  }

  #chunked(bytes: Uint8Array, offset: number): number {
    let at = offset;
    while (at < bytes.length) {
      const octet = bytes[at] ?? 0;
      switch (this.#chunk) {
        case "first-digit":
        case "size": {
          const digit = hexDigit(octet);
          if (digit >= 0) {
            if (this.#chunk === "first-digit") {
              this.#remaining = 0;
              this.#digits = 0;
            }
            this.#chunk = "size";
            if (++this.#digits > SIZE_DIGITS) return this.#fail(at, "A chunk size has too many digits.");
            this.#remaining = this.#remaining * 16 + digit;
          } else if (this.#chunk === "size" && octet === CR) {
            this.#chunk = "size-lf";
          } else if (this.#chunk === "size" && octet === SEMICOLON) {
            this.#chunk = "name-due";
          } else {
            return this.#fail(at, "A chunk size is not hexadecimal.");
          }
          at++;
          break;
        }
        case "name-due":
        case "name":
        case "value-due":
        case "value":
        case "quoted":
        case "escaped":
        case "unquoted": {
          const next = extensionState(this.#chunk, octet);
          if (next === undefined) return this.#fail(at, "A chunk extension is malformed.");
          if (++this.#extensionBytes > this.#limits.chunkExtensionBytes) {
            return this.#fail(at, "The chunk extensions are too large.");
          }
          this.#chunk = next;
          at++;
          break;
        }
        case "size-lf":
          if (octet !== LF) return this.#fail(at, "A chunk size does not end with CR LF.");
          this.#chunk = this.#remaining === 0 ? "trailers" : "data";
          at++;
          break;
        case "data":
          at = this.#take(bytes, at);
          if (this.#remaining === 0) this.#chunk = "data-cr";
          return at;
        case "data-cr":
          if (octet !== CR) return this.#fail(at, "A chunk is longer than its size.");
          this.#chunk = "data-lf";
          at++;
          break;
        case "data-lf":
          if (octet !== LF) return this.#fail(at, "A chunk does not end with CR LF.");
          this.#chunk = "first-digit";
          at++;
          break;
        case "trailers":
          return this.#readTrailers(bytes, at);
      }
    }
    return at;
  }

  #readTrailers(bytes: Uint8Array, offset: number): number {
    const trailers = (this.#trailers ??= new HeadReader("trailers", this.#limits));
    const end = trailers.read(bytes, offset);
    if (trailers.state === "failed") return this.#fail(end, trailers.problem?.reason ?? "The trailers are malformed.");
    if (trailers.state === "done") {
      for (const field of trailers.fields) {
        if (FORBIDDEN_TRAILERS.has(field.name))
          return this.#fail(end, "The trailers hold a field that frames or routes.");
      }
      this.state = "done";
    }
    return end;
  }

  #fail(at: number, reason: string): number {
    this.state = "failed";
    this.reason = reason;
    return at;
  }
}

/** They are passed over, but another parser that reads them otherwise may see the chunk begin elsewhere. */
function extensionState(state: ExtensionState, octet: number): ExtensionState | "size-lf" | undefined {
  switch (state) {
    case "quoted":
      if (octet === QUOTE) return "unquoted";
      if (octet === BACKSLASH) return "escaped";
      return IS_VALUE[octet] === 1 ? "quoted" : undefined;
    case "escaped":
      return IS_VALUE[octet] === 1 ? "quoted" : undefined;
    case "value-due":
      if (octet === QUOTE) return "quoted";
      return IS_TOKEN[octet] === 1 ? "value" : undefined;
    case "name-due":
      return IS_TOKEN[octet] === 1 ? "name" : undefined;
    case "name":
      if (octet === EQUALS) return "value-due";
      break;
    case "value":
    case "unquoted":
      break;
  }
  if (octet === CR) return "size-lf";
  if (octet === SEMICOLON) return "name-due";
  return IS_TOKEN[octet] === 1 && state !== "unquoted" ? state : undefined;
}

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function hexDigit(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  if (octet >= 0x61 && octet <= 0x66) return octet - 0x61 + 10;
  if (octet >= 0x41 && octet <= 0x46) return octet - 0x41 + 10;
  return -1;
}
