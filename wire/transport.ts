import type { Failure, Fields, Stream, StreamEvents } from "./stream.ts";
import type { Outbox } from "./outbox.ts";

/** What a protocol may ask of the socket below it. `tunnel/socket.ts` implements it; tests use an in-memory pipe. */
export interface Transport {
  /** Where bytes to be sent are put. The transport empties it once per event-loop turn. */
  readonly outbox: Outbox;
  /** Stop delivering `receive`. Used by protocols without flow control of their own (HTTP/1, TCP). */
  pauseReading(): void;
  resumeReading(): void;
  /** Half-close: send what the outbox holds, then FIN. */
  endWriting(): void;
  /** Send what the outbox holds, as far as the peer takes it at once, then close both directions. */
  close(): void;
  /** Close at once and visibly abnormally (RST where the platform can): what the peer does not take at once is dropped. */
  destroy(): void;
}

/**
 * A state machine fed with bytes: the lower rim of every protocol in `wire/`. It does no I/O and reads no clock.
 * None of these methods throws for what a peer sent.
 */
export interface ByteProtocol {
  /** `bytes` belongs to the protocol from now on; nobody writes into it again. */
  receive(bytes: Uint8Array): void;
  /** The peer half-closed (FIN). */
  receiveEnd(): void;
  /** The transport is gone, whatever the reason. Called exactly once, last. Open streams report `resetReceived`. */
  transportClosed(): void;
  /** `transport.outbox.blocked` was true and is false again: queued DATA may flow. */
  drained(): void;
  /**
   * Nothing more arrives at the peer, and the last octets sent may not have arrived either; what the peer sent before
   * that is still received. After it comes `transportClosed`, never `receiveEnd`: a FIN and a reset can no longer be
   * told apart. A protocol without this method has its transport closed at once instead.
   */
  writingFailed?(): void;
  /** Called about once a second with a monotonic time in milliseconds: rates, stalls and time limits are judged here. */
  tick(now: number): void;
}

export interface HttpConnectionEvents {
  /** Server role: a request head arrived. Returns who is told about the rest of this stream; `headReceived` is not called for the head given here. */
  streamOpened(stream: Stream, fields: Fields, end: boolean): StreamEvents;
  /** Client role: `capacity` or `extendedConnect` changed. */
  capacityChanged(): void;
  /** No new streams from now on (GOAWAY, Connection: close, `drain`); those open go on. */
  draining(): void;
  /** The connection is over. Called once; every open stream has been told before. Undefined: an orderly end. */
  ended(failure: Failure | undefined): void;
}

/** An HTTP connection in either role and any version: what relay and agent hold. */
export interface HttpConnection extends ByteProtocol {
  /** Streams now open. */
  readonly openStreams: number;
  /** Client role: how many streams `open` would accept now. 0 when draining or ended. */
  readonly capacity: number;
  /** Client role: whether the peer takes `:protocol` (RFC 8441; HTTP/1 clients translate to Upgrade, so always true there). */
  readonly extendedConnect: boolean;
  /** Client role: undefined when `capacity` is 0. The head is sent at once. */
  open(fields: Fields, end: boolean, events: StreamEvents): Stream | undefined;
  /** Accept no new streams, let those open finish, then end (HTTP/2: GOAWAY). */
  drain(): void;
  /** End now: every open stream reports `failure`, the peer is told where the protocol can. */
  abort(failure: Failure): void;
}
