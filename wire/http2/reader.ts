import { ENHANCE_YOUR_CALM, FRAME_SIZE_ERROR, PROTOCOL_ERROR } from "./errors.ts";
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
  PADDED,
  PING,
  PRIORITY,
  PRIORITY_FLAG,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
  readUint31,
  readUint32,
} from "./frame.ts";

/** What a reader reports: frames that are well-formed by themselves. Whether they fit the state is the sink's affair. */
export interface FrameSink {
  /** A DATA frame begins; `length` includes padding. Its payload follows as `dataPart`s, as it comes. */
  dataBegan(stream: number, length: number, endStream: boolean): void;
  /** `end`: the last part of a frame with END_STREAM. Empty only then. */
  dataPart(bytes: Uint8Array, end: boolean): void;
  /** `octets` of padding and of its length, which nobody consumes. `alone`: the frame carries and ends nothing. */
  dataPadding(octets: number, alone: boolean): void;
  /** A whole header block: `bytes[from, to)`. */
  blockReceived(
    stream: number,
    endStream: boolean,
    selfDependent: boolean,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void;
  priorityReceived(stream: number, selfDependent: boolean, valid: boolean): void;
  resetReceived(stream: number, code: number): void;
  settingsReceived(bytes: Uint8Array, from: number, to: number): void;
  settingsAcknowledged(): void;
  pingReceived(bytes: Uint8Array, from: number): void;
  pingAcknowledged(bytes: Uint8Array, from: number): void;
  goawayReceived(lastStream: number, code: number): void;
  windowUpdateReceived(stream: number, increment: number): void;
  /** A frame of a type that RFC 9113 does not know; it is to be ignored (section 5.5). */
  unknownReceived(): void;
  /** The connection is to end with this error code. */
  violated(code: number, reason: string): void;
}

const EMPTY = new Uint8Array(0);

/**
 * Cuts a byte stream into frames, in one pass and without an object per frame. A frame that lies within one chunk is
 * reported in place; the payload of DATA is reported in the parts in which it arrives; other frames that straddle chunks
 * are joined first, at most our SETTINGS_MAX_FRAME_SIZE octets.
 */
export class FrameReader {
  /** Set by the sink: nothing more is reported. */
  stopped = false;
  /** The preface and the first SETTINGS have come. */
  ready = false;
  /** Frames and header blocks so far that did not come at once; with `inFrame` it tells how long one takes. */
  broken = 0;

  readonly #sink: FrameSink;
  readonly #maxFrameSize: number;
  readonly #maxBlockBytes: number;
  readonly #maxContinuations: number;

  /** Octets of the preface still to come. */
  #prefaceLeft: number;
  /** The head of a frame that straddles chunks, then its payload. */
  readonly #head = new Uint8Array(FRAME_HEAD);
  #headFilled = 0;
  #payload: Uint8Array = EMPTY;
  #payloadFilled = 0;
  #collecting = false;

  // The frame that is being read.
  #length = 0;
  #type = 0;
  #flags = 0;
  #stream = 0;

  // DATA: octets of payload and of padding still to come.
  #inData = false;
  #padLengthDue = false;
  #dataLeft = 0;
  #padLeft = 0;

  /** Octets still to come of a frame that is ignored; they are not kept. */
  #skipLeft = 0;

  // A header block that is continued: its stream, or 0.
  #blockStream = 0;
  #blockFlags = 0;
  #blockSelfDependent = false;
  #block: Uint8Array = EMPTY;
  #blockSize = 0;
  #continuations = 0;

  /** @param expectPreface server role: 24 octets come before the first frame. */
  constructor(
    sink: FrameSink,
    options: {
      readonly expectPreface: boolean;
      readonly maxFrameSize: number;
      readonly maxBlockBytes: number;
      readonly maxContinuations: number;
    },
  ) {
    this.#sink = sink;
    this.#prefaceLeft = options.expectPreface ? CLIENT_PREFACE.length : 0;
    this.#maxFrameSize = options.maxFrameSize;
    this.#maxBlockBytes = options.maxBlockBytes;
    this.#maxContinuations = options.maxContinuations;
  }

  /** A header block, or a frame other than DATA, has begun and is not complete. */
  get inFrame(): boolean {
    return this.#blockStream !== 0 || this.#collecting || this.#headFilled > 0 || this.#skipLeft > 0;
  }

  receive(bytes: Uint8Array): void {
    let at = 0;
    const size = bytes.length;
    if (this.#prefaceLeft > 0) at = this.#readPreface(bytes);
    while (at < size && !this.stopped) {
      if (this.#inData) at = this.#readData(bytes, at);
      else if (this.#skipLeft > 0) at = this.#skip(bytes, at);
      else if (this.#collecting) at = this.#collect(bytes, at);
      else if (this.#headFilled > 0 || size - at < FRAME_HEAD) at = this.#collectHead(bytes, at);
      else {
        if (!this.#parseHead(bytes, at)) return;
        at += FRAME_HEAD;
        if (this.#type === DATA) this.#beginData();
        else if (this.#type > CONTINUATION) this.#beginSkipping();
        else if (size - at >= this.#length) {
          const from = at;
          at += this.#length;
          this.#dispatch(bytes, from, at);
        } else {
          this.#brokenOff();
          this.#beginCollecting();
        }
      }
    }
  }

  #readPreface(bytes: Uint8Array): number {
    const start = CLIENT_PREFACE.length - this.#prefaceLeft;
    const count = Math.min(this.#prefaceLeft, bytes.length);
    for (let index = 0; index < count; index++) {
      if (bytes[index] !== CLIENT_PREFACE[start + index]) {
        this.#violate(PROTOCOL_ERROR, "the connection does not begin with the HTTP/2 preface");
        return bytes.length;
      }
    }
    this.#prefaceLeft -= count;
    return count;
  }

  #collectHead(bytes: Uint8Array, at: number): number {
    if (this.#headFilled === 0) this.#brokenOff();
    const count = Math.min(FRAME_HEAD - this.#headFilled, bytes.length - at);
    for (let index = 0; index < count; index++) this.#head[this.#headFilled + index] = bytes[at + index] ?? 0;
    this.#headFilled += count;
    if (this.#headFilled < FRAME_HEAD) return at + count;
    this.#headFilled = 0;
    if (!this.#parseHead(this.#head, 0)) return bytes.length;
    if (this.#type === DATA) this.#beginData();
    else if (this.#type > CONTINUATION) this.#beginSkipping();
    else if (this.#length === 0) this.#dispatch(EMPTY, 0, 0);
    else this.#beginCollecting();
    return at + count;
  }

  /** Unknown types are ignored (RFC 9113 section 5.5). */
  #beginSkipping(): void {
    this.#brokenOff();
    this.#skipLeft = this.#length;
    this.#sink.unknownReceived();
  }

  #skip(bytes: Uint8Array, at: number): number {
    const count = Math.min(this.#skipLeft, bytes.length - at);
    this.#skipLeft -= count;
    return at + count;
  }

  /** The time of a header block does not begin anew with each of its frames. */
  #brokenOff(): void {
    if (this.#blockStream === 0) this.broken++;
  }

  #beginCollecting(): void {
    this.#payload = new Uint8Array(this.#length);
    this.#payloadFilled = 0;
    this.#collecting = true;
  }

  #collect(bytes: Uint8Array, at: number): number {
    const count = Math.min(this.#length - this.#payloadFilled, bytes.length - at);
    this.#payload.set(bytes.subarray(at, at + count), this.#payloadFilled);
    this.#payloadFilled += count;
    if (this.#payloadFilled === this.#length) {
      const payload = this.#payload;
      this.#payload = EMPTY;
      this.#collecting = false;
      this.#dispatch(payload, 0, payload.length);
    }
    return at + count;
  }

  /** False when the frame may not be where it is. */
  #parseHead(bytes: Uint8Array, at: number): boolean {
    this.#length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    this.#type = bytes[at + 3] ?? 0;
    this.#flags = bytes[at + 4] ?? 0;
    this.#stream = readUint31(bytes, at + 5);
    if (this.#length > this.#maxFrameSize) {
      return this.#violate(FRAME_SIZE_ERROR, `a frame of ${this.#length} octets; ${this.#maxFrameSize} are allowed`);
    }
    // RFC 9113 section 4.3: nothing may come between the frames of one block.
    if (this.#blockStream !== 0 && (this.#type !== CONTINUATION || this.#stream !== this.#blockStream)) {
      return this.#violate(PROTOCOL_ERROR, "a frame within a header block");
    }
    if (!this.ready) {
      if (this.#type !== SETTINGS || (this.#flags & ACK) !== 0) {
        return this.#violate(PROTOCOL_ERROR, "the first frame is not SETTINGS");
      }
      this.ready = true;
    }
    return true;
  }

  #beginData(): void {
    const padded = (this.#flags & PADDED) !== 0;
    if (!this.#onStream("DATA") || !this.#hasSize("DATA", !padded || this.#length > 0)) return;
    const endStream = (this.#flags & END_STREAM) !== 0;
    this.#sink.dataBegan(this.#stream, this.#length, endStream);
    if (this.#length === 0) {
      if (endStream && !this.stopped) this.#sink.dataPart(EMPTY, true);
      return;
    }
    this.#inData = true;
    this.#padLengthDue = padded;
    this.#dataLeft = this.#length;
    this.#padLeft = 0;
  }

  #readData(bytes: Uint8Array, at: number): number {
    const size = bytes.length;
    if (this.#padLengthDue) {
      this.#padLengthDue = false;
      const padding = bytes[at++] ?? 0;
      this.#dataLeft -= 1 + padding;
      if (this.#dataLeft < 0) {
        this.#violate(PROTOCOL_ERROR, "padding longer than the frame");
        return size;
      }
      this.#padLeft = padding;
      this.#sink.dataPadding(1 + padding, this.#dataLeft === 0 && (this.#flags & END_STREAM) === 0);
      if (this.stopped) return size;
    }
    const endStream = (this.#flags & END_STREAM) !== 0;
    const count = Math.min(this.#dataLeft, size - at);
    const from = at;
    at += count;
    this.#dataLeft -= count;
    const skipped = this.#dataLeft === 0 ? Math.min(this.#padLeft, size - at) : 0;
    at += skipped;
    this.#padLeft -= skipped;
    // The stream has ended when the frame has: its padding too.
    if (this.#dataLeft === 0 && this.#padLeft === 0) this.#inData = false;
    const end = endStream && !this.#inData;
    if (count > 0 || end) this.#sink.dataPart(count > 0 ? bytes.subarray(from, from + count) : EMPTY, end);
    return at;
  }

  #dispatch(bytes: Uint8Array, from: number, to: number): void {
    switch (this.#type) {
      case HEADERS:
        this.#headers(bytes, from, to);
        break;
      case CONTINUATION:
        this.#continuation(bytes, from, to);
        break;
      case PRIORITY:
        if (!this.#onStream("PRIORITY")) return;
        this.#sink.priorityReceived(this.#stream, readUint31(bytes, from) === this.#stream, to - from === 5);
        break;
      case RST_STREAM:
        if (!this.#onStream("RST_STREAM") || !this.#hasSize("RST_STREAM", to - from === 4)) return;
        this.#sink.resetReceived(this.#stream, readUint32(bytes, from));
        break;
      case SETTINGS:
        this.#settings(bytes, from, to);
        break;
      case PUSH_PROMISE:
        // Our SETTINGS_ENABLE_PUSH is 0, and no client may push (RFC 9113 section 8.4).
        this.#violate(PROTOCOL_ERROR, "PUSH_PROMISE");
        break;
      case PING:
        if (!this.#onConnection("PING") || !this.#hasSize("PING", to - from === 8)) return;
        if ((this.#flags & ACK) !== 0) this.#sink.pingAcknowledged(bytes, from);
        else this.#sink.pingReceived(bytes, from);
        break;
      case GOAWAY:
        if (!this.#onConnection("GOAWAY") || !this.#hasSize("GOAWAY", to - from >= 8)) return;
        this.#sink.goawayReceived(readUint31(bytes, from), readUint32(bytes, from + 4));
        break;
      case WINDOW_UPDATE:
        if (!this.#hasSize("WINDOW_UPDATE", to - from === 4)) return;
        this.#sink.windowUpdateReceived(this.#stream, readUint31(bytes, from));
        break;
      default:
      // Unknown types do not come here.
    }
  }

  #onStream(frame: string): boolean {
    return this.#stream !== 0 || this.#violate(PROTOCOL_ERROR, `${frame} on stream 0`);
  }

  #onConnection(frame: string): boolean {
    return this.#stream === 0 || this.#violate(PROTOCOL_ERROR, `${frame} on a stream`);
  }

  #hasSize(frame: string, right: boolean): boolean {
    return right || this.#violate(FRAME_SIZE_ERROR, `${frame} of the wrong size`);
  }

  #settings(bytes: Uint8Array, from: number, to: number): void {
    const ack = (this.#flags & ACK) !== 0;
    const size = to - from;
    if (!this.#onConnection("SETTINGS") || !this.#hasSize("SETTINGS", ack ? size === 0 : size % 6 === 0)) return;
    if (ack) this.#sink.settingsAcknowledged();
    else this.#sink.settingsReceived(bytes, from, to);
  }

  #headers(bytes: Uint8Array, from: number, to: number): void {
    if (!this.#onStream("HEADERS")) return;
    let selfDependent = false;
    let padding = 0;
    if ((this.#flags & PADDED) !== 0) {
      if (!this.#hasSize("HEADERS", to - from >= 1)) return;
      padding = bytes[from++] ?? 0;
    }
    if ((this.#flags & PRIORITY_FLAG) !== 0) {
      if (!this.#hasSize("HEADERS", to - from >= 5)) return;
      selfDependent = readUint31(bytes, from) === this.#stream;
      from += 5;
    }
    to -= padding;
    if (to < from) return void this.#violate(PROTOCOL_ERROR, "padding longer than the frame");
    const endStream = (this.#flags & END_STREAM) !== 0;
    if ((this.#flags & END_HEADERS) !== 0) {
      this.#sink.blockReceived(this.#stream, endStream, selfDependent, bytes, from, to);
      return;
    }
    this.#brokenOff();
    this.#blockStream = this.#stream;
    this.#blockFlags = this.#flags;
    this.#blockSelfDependent = selfDependent;
    this.#block = bytes.slice(from, to);
    this.#blockSize = to - from;
    this.#continuations = 0;
  }

  #continuation(bytes: Uint8Array, from: number, to: number): void {
    if (this.#blockStream === 0) return void this.#violate(PROTOCOL_ERROR, "CONTINUATION without HEADERS");
    const size = this.#blockSize + to - from;
    if (++this.#continuations > this.#maxContinuations || size > this.#maxBlockBytes) {
      return void this.#violate(ENHANCE_YOUR_CALM, "a header block in too many frames");
    }
    if (size > this.#block.length) {
      const larger = new Uint8Array(Math.max(size, this.#block.length * 2));
      larger.set(this.#block.subarray(0, this.#blockSize));
      this.#block = larger;
    }
    this.#block.set(bytes.subarray(from, to), this.#blockSize);
    this.#blockSize = size;
    if ((this.#flags & END_HEADERS) === 0) return;
    const block = this.#block;
    const stream = this.#blockStream;
    this.#block = EMPTY;
    this.#blockStream = 0;
    const endStream = (this.#blockFlags & END_STREAM) !== 0;
    this.#sink.blockReceived(stream, endStream, this.#blockSelfDependent, block, 0, size);
  }

  #violate(code: number, reason: string): false {
    this.stopped = true;
    this.#sink.violated(code, reason);
    return false;
  }
}
