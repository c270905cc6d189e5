import { Base64Reader } from "../wire/grpc/base64.ts";
import {
  COMPRESSED,
  CONNECT_END,
  ENVELOPE_FLAGS,
  ENVELOPE_PREFIX,
  EnvelopeReader,
  WEB_TRAILERS,
} from "../wire/grpc/envelope.ts";
import type { EnvelopeEvents } from "../wire/grpc/envelope.ts";
import type { Side } from "../wire/stream.ts";
import { MessageReader } from "../wire/websocket/message.ts";
import type { ByteLog } from "./byte-log.ts";
import { FOLLOW_BYTES, MESSAGE_CAP } from "./limits.ts";
import type { Layout } from "./detect.ts";
import type { MessageLog } from "./message-log.ts";
import type { MessageKind } from "./protocol.ts";

/** What the tracks of an exchange share. */
export interface TrackContext {
  readonly messages: MessageLog;
  /** WebSocket: permessage-deflate is in force, as far as the heads say. */
  readonly deflating: boolean;
  /** TCP: `side` speaks now. Whether the other one did before. */
  turned(side: Side): boolean;
  /** A message began. */
  counted(side: Side): void;
  /** The rest of this message is not kept. */
  capped(index: number): void;
  /** A message is complete that may tell the exchange's fate: trailers in a body, an end-of-stream, a close frame. */
  closing(side: Side, index: number): void;
  /** Another `FOLLOW_BYTES` of messages passed that may be compressed with what came before them. */
  compressed(side: Side): void;
}

/**
 * Follows the bytes of one side as they pass and records where messages are. Looks at framing octets only (event
 * streams: at line ends), so that its cost does not grow with what is in the messages.
 */
export abstract class Track {
  readonly side: Side;
  readonly log: ByteLog;
  protected readonly context: TrackContext;
  /** Index of the message that is growing; -1 between messages. */
  protected open = -1;
  /** Where it began. */
  protected openStart = 0;
  #capped = -1;

  constructor(side: Side, log: ByteLog, context: TrackContext) {
    this.side = side;
    this.log = log;
    this.context = context;
  }

  receive(bytes: Uint8Array, at: number): void {
    if (bytes.length === 0) return;
    const before = this.open;
    this.follow(bytes, at);
    // Only a chunk that lies wholly inside one message is left out, so that framing octets are always there.
    if (before >= 0 && before === this.open && this.full()) {
      this.log.skip(bytes.length);
      if (this.#capped !== before) this.context.capped(before);
      this.#capped = before;
    } else this.log.append(bytes);
    this.appended();
  }

  /** The side ended in order. */
  ended(at: number): void {
    this.finish(at);
  }

  /** The exchange was cut. */
  cut(): void {
    if (this.open >= 0) this.context.messages.markPartial(this.open);
  }

  /** No more of the open message is to be kept. */
  protected full(): boolean {
    return this.log.position - this.openStart >= MESSAGE_CAP;
  }

  protected abstract follow(bytes: Uint8Array, at: number): void;

  /** Bytes are in the log now. */
  protected appended(): void {}

  protected finish(_at: number): void {
    if (this.open < 0) return;
    this.context.messages.markPartial(this.open);
    this.context.messages.flaw(this.open, "The stream ended in the middle of this message.");
    this.open = -1;
  }

  protected begin(kind: MessageKind, at: number, start: number, compressed: boolean): number {
    this.open = this.context.messages.add(this.side, kind, at, start, compressed);
    this.openStart = start;
    this.context.counted(this.side);
    return this.open;
  }
}

/** gRPC, gRPC-Web and Connect streams. Listens itself: closures for each call would cost more than the call's messages. */
class EnvelopeTrack extends Track implements EnvelopeEvents {
  readonly #reader: EnvelopeReader;
  readonly #endFlag: number;
  #at = 0;
  #end = 0;
  #size = 0;
  /** Index of the end-of-stream that is to be read once it is in the log. */
  #closing = -1;
  /** An end-of-stream began. */
  #closed = false;

  constructor(side: Side, log: ByteLog, context: TrackContext, kind: "grpc" | "grpc-web" | "connect") {
    super(side, log, context);
    this.#endFlag = kind === "grpc-web" ? WEB_TRAILERS : kind === "connect" ? CONNECT_END : 0;
    this.#reader = new EnvelopeReader(ENVELOPE_FLAGS[kind], this);
  }

  started(flags: number, length: number, offset: number): void {
    const last = (flags & this.#endFlag) !== 0;
    const index = this.begin(last ? "end-of-stream" : "grpc", this.#at, offset, (flags & COMPRESSED) !== 0);
    this.#size = length;
    this.#end = offset + ENVELOPE_PREFIX + length;
    this.context.messages.grow(index, this.#end, length);
    // What comes behind the first one is none, in the same chunk or in another.
    if (last && !this.#closed) this.#closing = index;
    this.#closed ||= last;
  }

  completed(): void {
    this.context.messages.complete(this.open, this.#at, this.#end, this.#size);
    this.open = -1;
  }

  invalid(problem: string): void {
    const index = this.begin("body", this.#at, this.#reader.position - 1, false);
    this.context.messages.flaw(index, problem);
  }

  protected override follow(bytes: Uint8Array, at: number): void {
    this.#at = at;
    this.#reader.receive(bytes);
  }

  protected override appended(): void {
    if (this.#closing < 0 || this.open === this.#closing) return;
    this.context.closing(this.side, this.#closing);
    this.#closing = -1;
  }
}

/** `application/grpc-web-text`: what is kept is the decoded stream. */
class WebTextTrack extends EnvelopeTrack {
  readonly #base64 = new Base64Reader();

  constructor(side: Side, log: ByteLog, context: TrackContext) {
    super(side, log, context, "grpc-web");
  }

  override receive(bytes: Uint8Array, at: number): void {
    super.receive(this.#base64.receive(bytes), at);
  }
}

class WebSocketTrack extends Track {
  readonly #reader: MessageReader;
  #at = 0;
  #closing = -1;
  #followAt: number;

  constructor(side: Side, log: ByteLog, context: TrackContext) {
    super(side, log, context);
    const compression = context.deflating;
    this.#followAt = compression ? FOLLOW_BYTES : Infinity;
    const { messages } = context;
    this.#reader = new MessageReader(
      { masked: side === "visitor", compression },
      {
        messageStarted: (kind, compressed, offset) => this.begin(kind, this.#at, offset, compressed),
        messageCompleted: (end, size, problem) => {
          messages.complete(this.open, this.#at, end, size, problem);
          this.open = -1;
        },
        control: (kind, offset, end, size, problem) => {
          const index = messages.add(side, kind, this.#at, offset, false);
          messages.complete(index, this.#at, end, size, problem);
          context.counted(side);
          // The first one ends the connection (RFC 6455 section 1.4); others may come in the same chunk.
          if (kind === "close" && this.#closing < 0) this.#closing = index;
        },
        lost: (problem, offset) => {
          const index = this.open >= 0 ? this.open : this.begin("binary", this.#at, offset, false);
          messages.flaw(index, problem);
        },
      },
    );
  }

  protected override follow(bytes: Uint8Array, at: number): void {
    this.#at = at;
    this.#reader.receive(bytes);
  }

  protected override appended(): void {
    if (this.log.position >= this.#followAt) {
      this.#followAt = this.log.position + FOLLOW_BYTES;
      this.context.compressed(this.side);
    }
    if (this.#closing < 0) return;
    this.context.closing(this.side, this.#closing);
    this.#closing = -1;
  }
}

/** Server-sent events (WHATWG HTML, section 9.2.5): a blank line ends an event; lines end with LF, CR or CRLF. */
class EventStreamTrack extends Track {
  #position = 0;
  #lineEmpty = true;
  #afterReturn = false;

  protected override follow(bytes: Uint8Array, at: number): void {
    for (const octet of bytes) {
      const position = this.#position++;
      if (octet === 0x0a && this.#afterReturn) {
        this.#afterReturn = false;
        continue;
      }
      this.#afterReturn = octet === 0x0d;
      if (octet !== 0x0a && octet !== 0x0d) {
        if (this.open < 0) this.begin("event", at, position, false);
        this.#lineEmpty = false;
      } else if (this.#lineEmpty && this.open >= 0) {
        const size = position + 1 - this.openStart;
        this.context.messages.complete(this.open, at, position + 1, size);
        this.open = -1;
      } else this.#lineEmpty = true;
    }
    if (this.open >= 0) this.context.messages.grow(this.open, this.#position, this.#position - this.openStart);
  }
}

/** A body is one message. */
class BodyTrack extends Track {
  #size = 0;

  /** A body is of no use without its beginning, so what counts is the memory it takes: the rest is not kept. */
  protected override full(): boolean {
    return this.log.charge >= MESSAGE_CAP;
  }

  protected override follow(bytes: Uint8Array, at: number): void {
    if (this.open < 0) this.begin("body", at, 0, false);
    this.#size += bytes.length;
    this.context.messages.grow(this.open, this.#size, this.#size);
  }

  protected override finish(at: number): void {
    if (this.open < 0) return;
    this.context.messages.complete(this.open, at, this.#size, this.#size);
    this.open = -1;
  }
}

/** A TCP connection has no messages: what one side says until the other answers counts as one. */
class TcpTrack extends Track {
  #size = 0;

  protected override follow(bytes: Uint8Array, at: number): void {
    if (this.context.turned(this.side)) this.finish();
    if (this.open < 0) this.begin("binary", at, this.#size, false);
    this.#size += bytes.length;
    this.context.messages.complete(this.open, at, this.#size, this.#size - this.openStart);
  }

  protected override finish(): void {
    this.open = -1;
  }

  override cut(): void {
    this.open = -1;
  }
}

export function createTrack(side: Side, log: ByteLog, context: TrackContext, layout: Layout): Track {
  log.whole = layout === "body";
  switch (layout) {
    case "grpc":
    case "grpc-web":
    case "connect":
      return new EnvelopeTrack(side, log, context, layout);
    case "grpc-web-text":
      return new WebTextTrack(side, log, context);
    case "websocket":
      return new WebSocketTrack(side, log, context);
    case "event-stream":
      return new EventStreamTrack(side, log, context);
    case "tcp":
      return new TcpTrack(side, log, context);
    case "body":
      return new BodyTrack(side, log, context);
  }
}
