import type { Outbox } from "../outbox.ts";
import { DEFAULT_WINDOW } from "./settings.ts";
import type { Http2Stream } from "./stream.ts";
import type { FrameWriter, Unsendable } from "./writer.ts";

const EMPTY = new Uint8Array(0);

/**
 * What one stream may send before the next has its turn: a large frame of the tunnel, or four of the default size, so
 * that a small answer waits at most this much per busy stream.
 */
const SLICE_BYTES = 64 * 1024;

/**
 * A frame that the peer's window cut to less than this earns it nothing: WINDOW_UPDATEs of one octet would pay for
 * themselves (CVE-2019-9511). No honest window is smaller.
 */
const DRIBBLE_BYTES = 256;

export interface SenderEvents {
  /** END_STREAM of this stream has been written. */
  localEnded(stream: Http2Stream): void;
  /** A DATA frame has been written, as long as the stream's content and the frame size let it be. */
  frameSent(): void;
  /** The trailers could not be sent. */
  trailersUnsendable(stream: Http2Stream, why: Unsendable): void;
}

/**
 * Sends DATA within the windows of the peer (RFC 9113 section 5.2): at once when they are open and the transport takes
 * it, else from the streams' queues in turn.
 */
export class Sender {
  /** Octets the peer takes on all streams together. */
  window = DEFAULT_WINDOW;

  readonly #writer: FrameWriter;
  readonly #outbox: Outbox;
  readonly #events: SenderEvents;
  /** Streams with queued octets and an open window of their own, in the order of their turns. */
  #ready: Http2Stream[] = [];
  #readyHead = 0;
  #pumping = false;

  constructor(writer: FrameWriter, outbox: Outbox, events: SenderEvents) {
    this.#writer = writer;
    this.#outbox = outbox;
    this.#events = events;
  }

  send(stream: Http2Stream, bytes: Uint8Array, end: boolean): void {
    const total = bytes.length;
    let sent = 0;
    if (stream.queued === 0) {
      if (!this.#outbox.blocked) {
        while (sent < total) {
          const size = this.#allowed(stream, total - sent);
          if (size <= 0) break;
          const part = size === total ? bytes : bytes.subarray(sent, sent + size);
          sent += size;
          this.#write(stream, part, end && sent === total);
        }
      }
      // An end without content is not flow-controlled, and too small to wait for the transport.
      if (total === 0 && end) this.#write(stream, EMPTY, true);
    }
    if (sent < total || (total === 0 && end && stream.queued > 0)) this.#enqueue(stream, bytes, sent, end);
    else if (end) stream.localEnded = true;
    if (sent > 0) stream.events.dataSent(sent);
    if (stream.localEnded && !stream.closed) this.#events.localEnded(stream);
  }

  /** All the content of an answer without a stream: the caller has seen that the windows have room for it. */
  sendAlone(stream: number, bytes: Uint8Array): void {
    this.window -= bytes.length;
    this.#writer.data(stream, bytes, true);
    this.#events.frameSent();
  }

  /** The caller has checked that nothing ended the stream. With a queue, the trailers wait for its end. */
  sendTrailersAfterQueue(stream: Http2Stream): void {
    if (stream.queued === 0) this.#finish(stream);
  }

  /** The stream's own window has opened, or it was queued: it takes its turn. */
  schedule(stream: Http2Stream): void {
    if (stream.scheduled || stream.closed || stream.queued === 0 || stream.sendWindow <= 0) return;
    stream.scheduled = true;
    this.#ready.push(stream);
  }

  /** Sends what windows and transport allow. */
  pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.window > 0 && !this.#outbox.blocked && this.#readyHead < this.#ready.length) {
      const stream = this.#ready[this.#readyHead++];
      if (this.#readyHead === this.#ready.length) {
        this.#ready = [];
        this.#readyHead = 0;
      }
      if (stream === undefined) continue;
      stream.scheduled = false;
      if (!stream.closed) this.#turn(stream);
    }
    this.#pumping = false;
    if (this.#readyHead > 1024) {
      this.#ready = this.#ready.slice(this.#readyHead);
      this.#readyHead = 0;
    }
  }

  /** Drops what waits on a stream that is over. */
  forget(stream: Http2Stream): void {
    stream.queue = undefined;
    stream.queued = 0;
    stream.trailers = undefined;
    stream.ending = "none";
  }

  #turn(stream: Http2Stream): void {
    const queue = stream.queue;
    let sent = 0;
    while (queue !== undefined && stream.queued > 0 && sent < SLICE_BYTES) {
      const bytes = queue[stream.queueHead] ?? EMPTY;
      const size = this.#allowed(stream, bytes.length - stream.offset);
      if (size <= 0) break;
      const part = size === bytes.length ? bytes : bytes.subarray(stream.offset, stream.offset + size);
      stream.offset += size;
      stream.queued -= size;
      sent += size;
      if (stream.offset === bytes.length) {
        stream.offset = 0;
        queue[stream.queueHead++] = EMPTY;
        if (stream.queueHead === queue.length) {
          queue.length = 0;
          stream.queueHead = 0;
        }
      }
      this.#write(stream, part, stream.queued === 0 && stream.ending === "data");
    }
    const done = stream.queued === 0;
    if (done && stream.ending === "data") stream.localEnded = true;
    if (!done) this.schedule(stream);
    if (sent > 0) stream.events.dataSent(sent);
    if (stream.closed) return;
    if (stream.localEnded) this.#events.localEnded(stream);
    else if (stream.queued === 0 && stream.ending === "trailers") this.#finish(stream);
  }

  #finish(stream: Http2Stream): void {
    const trailers = stream.trailers ?? [];
    stream.trailers = undefined;
    stream.localEnded = true;
    if (trailers.length === 0) this.#write(stream, EMPTY, true);
    else {
      const outcome = this.#writer.headers(stream.id, trailers, true);
      if (outcome !== "sent") {
        this.#events.trailersUnsendable(stream, outcome);
        return;
      }
    }
    this.#events.localEnded(stream);
  }

  #enqueue(stream: Http2Stream, bytes: Uint8Array, from: number, end: boolean): void {
    if (bytes.length > from) {
      (stream.queue ??= []).push(from === 0 ? bytes : bytes.subarray(from));
      if (stream.queued === 0) stream.stalledSince = -1;
      stream.queued += bytes.length - from;
    }
    if (end) stream.ending = "data";
    this.schedule(stream);
  }

  #allowed(stream: Http2Stream, wanted: number): number {
    return Math.min(wanted, this.window, stream.sendWindow, this.#writer.maxFrameSize);
  }

  #write(stream: Http2Stream, part: Uint8Array, end: boolean): void {
    const size = part.length;
    this.window -= size;
    stream.sendWindow -= size;
    stream.progress += size;
    this.#writer.data(stream.id, part, end);
    if (size >= DRIBBLE_BYTES || (stream.sendWindow > 0 && this.window > 0)) this.#events.frameSent();
  }
}
