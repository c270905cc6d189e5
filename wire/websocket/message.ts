import { decodeUtf8 } from "../utf8.ts";
import { FrameReader, OPCODE, readFrameHeader, unmask } from "./frame.ts";
import type { FrameHeader } from "./frame.ts";

export type WebSocketKind = "text" | "binary" | "ping" | "pong" | "close";

export interface MessageEvents {
  /** `offset`: of the first frame's header in the stream. `compressed`: RSV1 is set (RFC 7692). */
  messageStarted(kind: WebSocketKind, compressed: boolean, offset: number): void;
  /** `end`: offset behind the last frame; `size`: octets of payload of all its frames. */
  messageCompleted(end: number, size: number, problem: string | undefined): void;
  /** A control frame came, perhaps between the frames of a message (section 5.4). */
  control(kind: WebSocketKind, offset: number, end: number, size: number, problem: string | undefined): void;
  /** Nothing more can be read from this side, from the frame at `offset` on. */
  lost(problem: string, offset: number): void;
}

/**
 * Follows one direction of a WebSocket connection and says where its messages are, looking at frame headers only.
 * `masked`: whether frames must be masked here (from the visitor) or must not (from the service), section 5.1.
 */
export class MessageReader {
  readonly #reader: FrameReader;
  readonly #events: MessageEvents;
  readonly #masked: boolean;
  readonly #compression: boolean;
  #open = false;
  #size = 0;
  #problem: string | undefined;
  #frame: FrameHeader | undefined;
  #frameOffset = 0;
  #frameProblem: string | undefined;

  constructor(options: { readonly masked: boolean; readonly compression: boolean }, events: MessageEvents) {
    this.#events = events;
    this.#masked = options.masked;
    this.#compression = options.compression;
    this.#reader = new FrameReader({
      frameStarted: (header, offset) => this.#frameStarted(header, offset),
      frameCompleted: (end) => this.#frameCompleted(end),
      lost: (problem, offset) => events.lost(problem, offset),
    });
  }

  receive(bytes: Uint8Array): void {
    this.#reader.receive(bytes);
  }

  /** Neither a frame nor a message is cut here. */
  get atBoundary(): boolean {
    return this.#reader.atBoundary && !this.#open;
  }

  #frameStarted(header: FrameHeader, offset: number): void {
    this.#frame = header;
    this.#frameOffset = offset;
    this.#frameProblem = frameProblem(header, this.#masked, this.#compression, this.#open);
    if (header.opcode >= 8) return;
    // A new text or binary frame inside an unfinished message: the old one ends here, flawed, and the new one begins.
    if (this.#open && header.opcode !== OPCODE.continuation) {
      this.#events.messageCompleted(offset, this.#size, "The message was not finished before the next one began.");
      this.#open = false;
    }
    if (!this.#open) {
      this.#open = true;
      this.#size = 0;
      this.#problem = undefined;
      this.#events.messageStarted(header.opcode === OPCODE.text ? "text" : "binary", header.rsv1, offset);
    }
    this.#problem ??= this.#frameProblem;
  }

  #frameCompleted(end: number): void {
    const header = this.#frame;
    if (header === undefined) return;
    if (header.opcode >= 8) {
      this.#events.control(controlKind(header.opcode), this.#frameOffset, end, header.length, this.#frameProblem);
      return;
    }
    this.#size += header.length;
    if (!header.fin) return;
    this.#open = false;
    this.#events.messageCompleted(end, this.#size, this.#problem);
  }
}

function controlKind(opcode: number): WebSocketKind {
  return opcode === OPCODE.close ? "close" : opcode === OPCODE.pong ? "pong" : "ping";
}

function frameProblem(header: FrameHeader, masked: boolean, compression: boolean, open: boolean): string | undefined {
  if (header.rsv23) return "A frame sets RSV2 or RSV3, which no extension defines.";
  if (header.rsv1 && (!compression || header.opcode >= 8 || (open && header.opcode === OPCODE.continuation))) {
    return "A frame sets RSV1 where no extension allows it.";
  }
  if ((header.opcode > 2 && header.opcode < 8) || header.opcode > 10) return `Opcode ${header.opcode} is reserved.`;
  if (header.opcode >= 8 && !header.fin) return "A control frame is fragmented.";
  if (header.opcode >= 8 && header.length > 125) return "A control frame is longer than 125 octets.";
  if (!open && header.opcode === OPCODE.continuation) return "A continuation frame continues no message.";
  if (header.masked !== masked)
    return masked ? "A frame from the visitor is not masked." : "A frame from the service is masked.";
  return undefined;
}

/**
 * The payload of a message (or of one control frame), joined and unmasked, from the octets between the offsets that
 * `MessageReader` told. Control frames in between are left out. `bytes` is not changed.
 */
export function joinPayload(bytes: Uint8Array, control: boolean): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (let offset = 0; offset < bytes.length;) {
    const header = readFrameHeader(bytes, offset);
    if (header === undefined || header.length < 0) break;
    const start = offset + header.headerLength;
    const end = Math.min(start + header.length, bytes.length);
    if (control || header.opcode < 8) {
      const piece = bytes.subarray(start, end);
      // A copy made by the constructor: `slice` of Node's Buffer is a view, and these octets are still on their way.
      const payload = header.masked ? new Uint8Array(piece) : piece;
      if (header.masked) unmask(payload, bytes.subarray(start - 4, start));
      parts.push(payload);
      total += payload.length;
    }
    offset = start + header.length;
  }
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const joined = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export interface ClosePayload {
  /** 1005 stands for a close frame without a code (section 7.1.5). */
  readonly code: number;
  readonly reason: string;
  readonly problem?: string;
}

/** Section 5.5.1 and 7.4: a close payload is empty, or a legal code and a UTF-8 reason. */
export function readClosePayload(payload: Uint8Array): ClosePayload {
  if (payload.length === 0) return { code: 1005, reason: "" };
  if (payload.length === 1) return { code: 1005, reason: "", problem: "The close payload is a single octet." };
  const code = (payload[0] ?? 0) * 256 + (payload[1] ?? 0);
  const reason = decodeUtf8(payload, 2);
  if (reason === undefined) return { code, reason: "", problem: "The close reason is not UTF-8." };
  if (!isCloseCode(code)) return { code, reason, problem: `Close code ${code} must not be used on the wire.` };
  return { code, reason };
}

/** Codes that may be on the wire: section 7.4.1 and the IANA registry, 3000 to 4999 for libraries and applications. */
export function isCloseCode(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) || (code >= 3000 && code <= 4999)
  );
}
