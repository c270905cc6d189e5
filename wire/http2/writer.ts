import type { Outbox } from "../outbox.ts";
import { COPY_BELOW_BYTES } from "../outbox.ts";
import type { Fields } from "../stream.ts";
import {
  ACK,
  CLIENT_PREFACE,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEAD,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
  writeFrameHead,
  writeUint32,
} from "./frame.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import { MIN_MAX_FRAME_SIZE } from "./settings.ts";

/**
 * Why a head was not sent. `invalid`: one of its fields cannot be; the peer was given a head that it will take for
 * malformed. `too-large`: above the peer's SETTINGS_MAX_HEADER_LIST_SIZE; nothing was written.
 */
export type Unsendable = "invalid" | "too-large";

/** SETTINGS_MAX_HEADER_LIST_SIZE counts 32 octets for each field; `HpackEncoder.bound` 12, and 12 more in all. */
const BOUND_OVERHEAD = 12;

/** Writes frames into an outbox. Nothing here waits: what may be sent, and when, others have decided. */
export class FrameWriter {
  readonly encoder = new HpackEncoder();
  /** The peer's SETTINGS_MAX_FRAME_SIZE. */
  maxFrameSize = MIN_MAX_FRAME_SIZE;
  /** The peer's SETTINGS_MAX_HEADER_LIST_SIZE: above it some end the connection, which is everybody's on a tunnel. */
  maxHeaderListSize = Infinity;
  /** Octets put while the transport was blocked, since it last was not. */
  backlog = 0;

  readonly #outbox: Outbox;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  preface(): void {
    this.#outbox.put(CLIENT_PREFACE);
  }

  /** `bytes` has at most `maxFrameSize` octets; it is kept by reference when large. */
  data(stream: number, bytes: Uint8Array, end: boolean): void {
    const outbox = this.#outbox;
    const length = bytes.length;
    const flags = end ? END_STREAM : 0;
    if (FRAME_HEAD + length <= COPY_BELOW_BYTES) {
      const at = outbox.reserve(FRAME_HEAD + length);
      const payload = writeFrameHead(outbox.buffer, at, length, DATA, flags, stream);
      if (length > 0) outbox.buffer.set(bytes, payload);
    } else {
      const at = outbox.reserve(FRAME_HEAD);
      writeFrameHead(outbox.buffer, at, length, DATA, flags, stream);
      outbox.put(bytes);
    }
  }

  /** HEADERS, and CONTINUATION where the peer's frames are too small. Unless "sent", the stream is to be reset. */
  headers(stream: number, fields: Fields, end: boolean): "sent" | Unsendable {
    const outbox = this.#outbox;
    const bound = this.encoder.bound(fields);
    if (bound - BOUND_OVERHEAD + (32 - BOUND_OVERHEAD) * fields.length > this.maxHeaderListSize) return "too-large";
    const flags = end ? END_STREAM : 0;
    if (FRAME_HEAD + bound <= COPY_BELOW_BYTES) {
      // Encoded in place; what the bound was too large by is given back.
      const at = outbox.reserve(FRAME_HEAD + bound);
      const buffer = outbox.buffer;
      const behind = this.encoder.encode(fields, buffer, at + FRAME_HEAD);
      const length = behind - at - FRAME_HEAD;
      writeFrameHead(buffer, at, length, HEADERS, flags | END_HEADERS, stream);
      outbox.giveBack(bound - length);
      this.#count(FRAME_HEAD + length);
    } else {
      const block = new Uint8Array(bound);
      this.#split(stream, block.subarray(0, this.encoder.encode(fields, block, 0)), flags);
    }
    return this.encoder.invalid ? "invalid" : "sent";
  }

  #split(stream: number, block: Uint8Array, flags: number): void {
    let type = HEADERS;
    for (let from = 0; from === 0 || from < block.length; from += this.maxFrameSize) {
      const part = block.subarray(from, from + this.maxFrameSize);
      const last = from + part.length === block.length;
      const at = this.#outbox.reserve(FRAME_HEAD);
      writeFrameHead(this.#outbox.buffer, at, part.length, type, flags | (last ? END_HEADERS : 0), stream);
      this.#outbox.put(part);
      this.#count(FRAME_HEAD + part.length);
      type = CONTINUATION;
      flags = 0;
    }
  }

  reset(stream: number, code: number): void {
    const at = this.#frame(4, RST_STREAM, 0, stream);
    writeUint32(this.#outbox.buffer, at, code);
  }

  windowUpdate(stream: number, increment: number): void {
    const at = this.#frame(4, WINDOW_UPDATE, 0, stream);
    writeUint32(this.#outbox.buffer, at, increment);
  }

  settings(entries: readonly (readonly [number, number])[]): void {
    let at = this.#frame(entries.length * 6, SETTINGS, 0, 0);
    const buffer = this.#outbox.buffer;
    for (const [identifier, value] of entries) {
      buffer[at++] = identifier >>> 8;
      buffer[at++] = identifier;
      at = writeUint32(buffer, at, value);
    }
  }

  settingsAck(): void {
    this.#frame(0, SETTINGS, ACK, 0);
  }

  /** `bytes[from, from + 8)` is the opaque content. */
  ping(bytes: Uint8Array, from: number, ack: boolean): void {
    const at = this.#frame(8, PING, ack ? ACK : 0, 0);
    for (let index = 0; index < 8; index++) this.#outbox.buffer[at + index] = bytes[from + index] ?? 0;
  }

  /** `reason` is for the people who read the peer's log; ASCII, at most 200 characters are sent. */
  goaway(lastStream: number, code: number, reason: string): void {
    const text = reason.slice(0, 200);
    let at = this.#frame(8 + text.length, GOAWAY, 0, 0);
    const buffer = this.#outbox.buffer;
    at = writeUint32(buffer, at, lastStream);
    at = writeUint32(buffer, at, code);
    for (let index = 0; index < text.length; index++) buffer[at++] = text.charCodeAt(index) & 0x7f;
  }

  /** Returns where the payload of `length` octets is to be written. */
  #frame(length: number, type: number, flags: number, stream: number): number {
    const at = this.#outbox.reserve(FRAME_HEAD + length);
    this.#count(FRAME_HEAD + length);
    return writeFrameHead(this.#outbox.buffer, at, length, type, flags, stream);
  }

  #count(size: number): void {
    if (this.#outbox.blocked) this.backlog += size;
  }
}
