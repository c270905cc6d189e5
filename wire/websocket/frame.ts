/**
 * WebSocket frames (RFC 6455 section 5.2), read in passing: header octets are looked at, payload octets only counted.
 * Never throws; what a strict reader objects to is reported as a problem, and reading goes on where that makes sense.
 */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameHeader {
  readonly fin: boolean;
  /** RFC 7692: set on the first frame of a compressed message. */
  readonly rsv1: boolean;
  /** RSV2 and RSV3: no registered extension uses them. */
  readonly rsv23: boolean;
  readonly opcode: number;
  readonly masked: boolean;
  /** Octets of payload. */
  readonly length: number;
  /** Octets of the header, mask included: 2 to 14. */
  readonly headerLength: number;
}

export const MAX_HEADER = 14;

/** Octets the header has, told by its second octet (section 5.2). */
export function headerLength(secondOctet: number): number {
  const code = secondOctet & 0x7f;
  return 2 + (code === 126 ? 2 : code === 127 ? 8 : 0) + ((secondOctet & 0x80) !== 0 ? 4 : 0);
}

/** The header at `offset`; undefined when it is not complete there. `length` is -1 when it is not a legal length. */
export function readFrameHeader(bytes: Uint8Array, offset: number, end = bytes.length): FrameHeader | undefined {
  if (end - offset < 2) return undefined;
  const first = bytes[offset] ?? 0;
  const second = bytes[offset + 1] ?? 0;
  const size = headerLength(second);
  if (end - offset < size) return undefined;
  let length = second & 0x7f;
  if (length === 126) length = bigEndian(bytes, offset + 2, 2);
  else if (length === 127) {
    // 63 bits at most; above 2^53 a number would be inexact, and nobody sends 9 petabytes: both are refused.
    const high = bigEndian(bytes, offset + 2, 4);
    length = high > 0x1f_ffff ? -1 : high * 0x1_0000_0000 + bigEndian(bytes, offset + 6, 4);
  }
  return {
    fin: (first & 0x80) !== 0,
    rsv1: (first & 0x40) !== 0,
    rsv23: (first & 0x30) !== 0,
    opcode: first & 0x0f,
    masked: (second & 0x80) !== 0,
    length,
    headerLength: size,
  };
}

function bigEndian(bytes: Uint8Array, offset: number, count: number): number {
  let value = 0;
  for (let index = 0; index < count; index++) value = value * 256 + (bytes[offset + index] ?? 0);
  return value;
}

export interface FrameEvents {
  /** A header is complete. `offset`: of its first octet in the stream. */
  frameStarted(header: FrameHeader, offset: number): void;
  /** Payload octets of the present frame. `position`: where in the frame's payload they begin. */
  payload?(bytes: Uint8Array, position: number): void;
  /** The last octet of the frame passed. `end`: the stream's offset behind it. */
  frameCompleted(end: number): void;
  /** A length that no reader can follow: nothing more is reported. `offset`: of the frame's first octet in the stream. */
  lost(problem: string, offset: number): void;
}

export class FrameReader {
  readonly #events: FrameEvents;
  readonly #header = new Uint8Array(MAX_HEADER);
  #have = 0;
  #need = 2;
  #length = 0;
  #remaining = 0;
  #inPayload = false;
  #position = 0;
  #lost = false;

  constructor(events: FrameEvents) {
    this.#events = events;
  }

  /** No frame is cut here. */
  get atBoundary(): boolean {
    return !this.#lost && !this.#inPayload && this.#have === 0;
  }

  receive(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && !this.#lost) {
      if (this.#inPayload) {
        const taken = Math.min(this.#remaining, bytes.length - at);
        this.#events.payload?.(bytes.subarray(at, at + taken), this.#length - this.#remaining);
        at += taken;
        this.#position += taken;
        this.#remaining -= taken;
      } else {
        this.#header[this.#have++] = bytes[at++] ?? 0;
        this.#position++;
        if (this.#have === 2) this.#need = headerLength(this.#header[1] ?? 0);
        if (this.#have < this.#need) continue;
        const header = readFrameHeader(this.#header, 0, this.#have);
        if (header === undefined || header.length < 0) {
          this.#lost = true;
          const offset = this.#position - this.#have;
          this.#events.lost("A frame has a length above 2^53 octets: the rest cannot be read.", offset);
          return;
        }
        this.#events.frameStarted(header, this.#position - this.#have);
        this.#length = header.length;
        this.#remaining = header.length;
        this.#inPayload = true;
      }
      if (this.#remaining === 0) {
        this.#inPayload = false;
        this.#have = 0;
        this.#need = 2;
        this.#events.frameCompleted(this.#position);
      }
    }
  }
}

/** Removes (or sets) the mask in place; `phase` is the offset of the first octet within the frame's payload. */
export function unmask(bytes: Uint8Array, mask: Uint8Array, phase = 0): void {
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = (bytes[index] ?? 0) ^ (mask[(index + phase) & 3] ?? 0);
  }
}
