import type { Field, Fields } from "../stream.ts";
import type { Outbox } from "../outbox.ts";
import { COPY_BELOW_BYTES } from "../outbox.ts";
import type { BodyKind } from "./body.ts";
import { CR, EMPTY, IS_TOKEN, IS_VALUE, LF, consistsOf, writeLatin1 } from "./octets.ts";

/** Fields of a connection, never of a message that is passed on; the codec writes its own (RFC 9110 section 7.6.1). */
const CONNECTION_FIELDS = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

export function isConnectionField(name: string): boolean {
  return CONNECTION_FIELDS.has(name);
}

/** Whether a field can be written without becoming something else (RFC 9110 section 5.1, 5.5): no CR, LF, NUL, colon in a name. */
export function isWritable(field: Field): boolean {
  return field.name.length > 0 && consistsOf(field.name, IS_TOKEN) && consistsOf(field.value, IS_VALUE);
}

/** Writes `startLine`, each of `fields`, and the empty line. The caller has checked all of them. */
export function writeHead(outbox: Outbox, startLine: string, fields: Fields): void {
  let size = startLine.length + 4;
  for (const field of fields) size += field.name.length + field.value.length + 4;
  const small = size <= COPY_BELOW_BYTES;
  let at = small ? outbox.reserve(size) : 0;
  const bytes = small ? outbox.buffer : new Uint8Array(size);
  at = writeLatin1(startLine, bytes, at);
  bytes[at++] = CR;
  bytes[at++] = LF;
  for (const field of fields) at = writeField(field, bytes, at);
  bytes[at++] = CR;
  bytes[at] = LF;
  if (!small) outbox.put(bytes);
}

function writeField(field: Field, bytes: Uint8Array, offset: number): number {
  let at = writeLatin1(field.name, bytes, offset);
  bytes[at++] = 0x3a;
  bytes[at++] = 0x20;
  at = writeLatin1(field.value, bytes, at);
  bytes[at++] = CR;
  bytes[at++] = LF;
  return at;
}

/** How the sending direction goes on after its head. `raw`: octets as they are (after 101), ended by FIN. */
export type WriterKind = BodyKind | "raw";

export type WriterState = "idle" | "writing" | "done" | "failed";

const HEX = "0123456789abcdef";

/**
 * Puts a body into its framing. While the outbox is blocked, data queues here; the queue is bounded by the credit its
 * source has. One writer serves all bodies of a connection.
 *
 * `send`, `trailers` and `drained` return how many octets of data were handed to the outbox. The state becomes "done" when the
 * last octet was (the kinds "close" and "raw" then want a FIN), "failed" when data and Content-Length disagree.
 */
export class BodyWriter {
  state: WriterState = "idle";
  kind: WriterKind = "none";

  readonly #outbox: Outbox;
  /** Octets that Content-Length still promises. */
  #remaining = 0;
  #queue: Uint8Array[] = [];
  /** The end was given; it follows the queue. */
  #ended = false;
  #trailers: Fields = [];

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Data waits for the transport. */
  get waiting(): boolean {
    return this.#queue.length > 0;
  }

  /** @param length only for kind "length". */
  start(kind: WriterKind, length: number): void {
    this.kind = kind;
    this.state = "writing";
    this.#remaining = length;
    this.#ended = false;
    this.#trailers = [];
    this.#queue = [];
  }

  /** Forgets what is queued. */
  stop(): void {
    this.state = "idle";
    this.#queue = [];
    this.#trailers = [];
  }

  send(bytes: Uint8Array, end: boolean): number {
    if (this.state !== "writing" || this.#ended) return 0;
    this.#ended = end;
    if (this.#queue.length > 0 || (this.#outbox.blocked && bytes.length > 0 && this.kind !== "none")) {
      this.#queue.push(bytes);
      return 0;
    }
    return this.#write(bytes, end);
  }

  /** Ends the body; only a chunked one can carry the fields. */
  trailers(fields: Fields): number {
    if (this.state !== "writing" || this.#ended) return 0;
    this.#trailers = fields;
    return this.send(EMPTY, true);
  }

  drained(): number {
    const queue = this.#queue;
    let sent = 0;
    let taken = 0;
    while (taken < queue.length && this.state === "writing" && !this.#outbox.blocked) {
      const bytes = queue[taken++] ?? EMPTY;
      sent += this.#write(bytes, this.#ended && taken === queue.length);
    }
    this.#queue = taken === queue.length ? [] : queue.slice(taken);
    return sent;
  }

  #write(bytes: Uint8Array, end: boolean): number {
    switch (this.kind) {
      case "none":
        break;
      case "close":
      case "raw":
        this.#outbox.put(bytes);
        break;
      case "length":
        // Never an octet more than promised: it would be read as the beginning of the next message.
        if (bytes.length > this.#remaining || (end && bytes.length < this.#remaining)) {
          this.state = "failed";
          return 0;
        }
        this.#remaining -= bytes.length;
        this.#outbox.put(bytes);
        break;
      case "chunked":
        this.#writeChunk(bytes, end);
        break;
    }
    if (end) this.state = "done";
    return bytes.length;
  }

  /** Size, data, and in one go with them what ends the body: small messages cost one copy. */
  #writeChunk(bytes: Uint8Array, end: boolean): void {
    const outbox = this.#outbox;
    const size = bytes.length;
    const trailers = end && this.#trailers.length > 0;
    const prefix = size === 0 ? 0 : hexLength(size) + 2;
    const suffix = (size === 0 ? 0 : 2) + (end ? (trailers ? 3 : 5) : 0);
    if (prefix + size + suffix <= COPY_BELOW_BYTES) {
      if (prefix + suffix > 0) {
        const at = outbox.reserve(prefix + size + suffix);
        writeSize(outbox.buffer, at, size, prefix);
        outbox.buffer.set(bytes, at + prefix);
        writeSuffix(outbox.buffer, at + prefix + size, size > 0, suffix);
      }
    } else {
      const before = outbox.reserve(prefix);
      writeSize(outbox.buffer, before, size, prefix);
      outbox.put(bytes);
      const behind = outbox.reserve(suffix);
      writeSuffix(outbox.buffer, behind, true, suffix);
    }
    if (trailers) this.#writeTrailers();
  }

  #writeTrailers(): void {
    let size = 2;
    for (const field of this.#trailers) size += field.name.length + field.value.length + 4;
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const field of this.#trailers) at = writeField(field, bytes, at);
    bytes[at++] = CR;
    bytes[at] = LF;
    this.#outbox.put(bytes);
  }
}

function hexLength(size: number): number {
  let length = 1;
  for (let rest = size; rest > 15; rest = Math.floor(rest / 16)) length++;
  return length;
}

function writeSize(bytes: Uint8Array, offset: number, size: number, length: number): void {
  if (length === 0) return;
  let rest = size;
  for (let at = offset + length - 3; at >= offset; at--) {
    bytes[at] = HEX.charCodeAt(rest % 16);
    rest = Math.floor(rest / 16);
  }
  bytes[offset + length - 2] = CR;
  bytes[offset + length - 1] = LF;
}

/** CR LF behind data, and at the end the last chunk with the empty line, or without it where trailers follow. */
function writeSuffix(bytes: Uint8Array, offset: number, afterData: boolean, length: number): void {
  const end = offset + length;
  let at = offset;
  if (afterData) {
    bytes[at++] = CR;
    bytes[at++] = LF;
  }
  if (at === end) return;
  bytes[at++] = 0x30;
  while (at < end) {
    bytes[at++] = CR;
    bytes[at++] = LF;
  }
}
