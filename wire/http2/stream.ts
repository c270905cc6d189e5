import type { Failure, Fields, Stream, StreamEvents } from "../stream.ts";

/** What a stream asks of its connection. */
export interface StreamOwner {
  sendHead(stream: Http2Stream, fields: Fields, end: boolean): void;
  sendData(stream: Http2Stream, bytes: Uint8Array, end: boolean): void;
  sendTrailers(stream: Http2Stream, fields: Fields): void;
  reset(stream: Http2Stream, failure: Failure): void;
  credit(stream: Http2Stream, bytes: number): void;
}

/** How the sending direction is to end once the queue is empty. */
export type Ending = "none" | "data" | "trailers";

/** Nobody is told yet: between a request's arrival and the answer of `streamOpened`. */
export const NO_EVENTS: StreamEvents = {
  headReceived() {},
  dataReceived() {},
  trailersReceived() {},
  resetReceived() {},
  dataSent() {},
};

/** Nobody wants to be told any more, while the queue is sent to its end. */
export const SILENT: StreamEvents = { ...NO_EVENTS };

/**
 * One stream of an HTTP/2 connection. It holds the state that RFC 9113 section 5.1 gives it; the connection that owns it
 * reads and writes that state. The only object made for an exchange.
 */
export class Http2Stream implements Stream {
  events: StreamEvents = NO_EVENTS;
  readonly id: number;

  /** Both directions are over, in whatever way. Nothing is reported any more. */
  closed = false;
  /** END_STREAM went out. */
  localEnded = false;
  /** END_STREAM came in. */
  remoteEnded = false;
  /** The request, or the final response head, went out. */
  headSent = false;
  /** Client role: the final response head came in. */
  headReceived = false;
  /** Client role: interim heads that came in. */
  interims = 0;
  /** Client role: the request was HEAD, whose answer has no content whatever its fields say. */
  isHead = false;
  /** The request was CONNECT: content-length means nothing. */
  isConnect = false;
  /** `reset` was called with "unneeded" while the end of a complete answer was still queued: reset when it is out. */
  resetAfterEnd = false;

  /** The failure of a stream that ended before `streamOpened` said who is to be told. */
  lateFailure: Failure | undefined = undefined;

  /** Octets the peer lets us send; below 0 after the peer reduced its initial window (RFC 9113 section 6.9.2). */
  sendWindow: number;
  /** Octets the peer may still send. */
  receiveWindow: number;
  /** Octets consumed and not yet granted again. */
  unacknowledged = 0;
  /** Octets of content still to come by content-length, or -1. */
  expected = -1;

  /** What waits to be sent; `queue[queueHead]` is next, without its first `offset` octets. */
  queue: Uint8Array[] | undefined = undefined;
  queueHead = 0;
  offset = 0;
  /** Octets in the queue. */
  queued = 0;
  ending: Ending = "none";
  trailers: Fields | undefined = undefined;
  /** In the sender's list of streams that could send. */
  scheduled = false;

  /** Server role: the `Core.turn` in which the request came. */
  bornIn = 0;
  /** Octets sent since `stalledSince`. */
  progress = 0;
  /** When the queue was first seen not to move, in the time of `tick`, or -1. */
  stalledSince = -1;
  /** Content still to come when it was last looked at, and since when it is as much. */
  expectedMark = -1;
  silentSince = -1;
  /** Server role: the request asked for a 100 before its content, and neither has come. */
  awaitsContinue = false;

  readonly #owner: StreamOwner;

  constructor(owner: StreamOwner, id: number, sendWindow: number, receiveWindow: number) {
    this.#owner = owner;
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }

  sendHead(fields: Fields, end: boolean): void {
    if (!this.closed && !this.localEnded && this.ending === "none") this.#owner.sendHead(this, fields, end);
  }

  sendData(bytes: Uint8Array, end: boolean): void {
    if (!this.closed && !this.localEnded && this.ending === "none") this.#owner.sendData(this, bytes, end);
  }

  sendTrailers(fields: Fields): void {
    if (!this.closed && !this.localEnded && this.ending === "none") this.#owner.sendTrailers(this, fields);
  }

  reset(failure: Failure): void {
    // Whoever gives a stream up is told nothing of it any more, not even what is waiting to be told.
    if (this.closed) this.lateFailure = undefined;
    else this.#owner.reset(this, failure);
  }

  consume(bytes: number): void {
    if (!this.closed && !this.remoteEnded) this.#owner.credit(this, bytes);
  }
}
