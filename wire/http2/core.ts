import type { Failure, FailureCode, Party } from "../stream.ts";
import type { Transport } from "../transport.ts";
import { ClosedStreams, type Closing } from "./closed.ts";
import { ENHANCE_YOUR_CALM, NO_ERROR, http2CodeOf } from "./errors.ts";
import { FloodGuard } from "./flood.ts";
import type { Http2Limits } from "./limits.ts";
import type { Http2Events, Http2Options } from "./options.ts";
import { PUBLIC_EDGE, SERVICE_CLIENT } from "./profiles.ts";
import { Sender, type SenderEvents } from "./sender.ts";
import { ASSUMED_CONCURRENT_STREAMS, DEFAULT_WINDOW, type Http2Settings } from "./settings.ts";
import { StreamTable } from "./stream-table.ts";
import { NO_EVENTS, type Http2Stream, type StreamOwner } from "./stream.ts";
import { FrameWriter, type Unsendable } from "./writer.ts";

/** The highest stream identifier. */
export const LAST_STREAM = 0x7fffffff;

/**
 * The state of one connection, and the few transitions that its two halves share: `Receiver` (what the peer does) and
 * `Http2Connection` (what our side asks for).
 */
export class Core implements SenderEvents {
  readonly isServer: boolean;
  readonly settings: Http2Settings;
  readonly limits: Http2Limits;
  readonly events: Http2Events;
  readonly transport: Transport;
  readonly peer: Party;
  readonly party: Party;
  readonly writer: FrameWriter;
  readonly sender: Sender;
  readonly flood: FloodGuard;
  readonly streams = new StreamTable();
  readonly closedStreams = new ClosedStreams();

  /** Nothing is sent, received or reported any more. */
  ended = false;
  /** `draining` has been reported: we open, or the peer will open, no new streams. */
  draining = false;
  /** The peer's GOAWAY came: why, when it was an error. */
  goawayFailure: Failure | undefined = undefined;
  /** Server role, final GOAWAY sent: streams above this id are ignored. */
  lastAccepted = LAST_STREAM;
  /** Server role: the highest stream id the peer has used. */
  lastPeerStream = 0;
  /** Client role: the id of the next stream. */
  nextStream = 1;
  /** Counts the chunks received: what has the same number came at once. */
  turn = 0;

  // What the peer's SETTINGS say.
  settingsReceived = false;
  peerWindow = DEFAULT_WINDOW;
  peerMaxStreams = ASSUMED_CONCURRENT_STREAMS;
  peerExtendedConnect = false;

  // What of ours the peer has acknowledged.
  settingsAcknowledged = false;
  /** The window new streams have for receiving. Before the acknowledgement the peer may still use the default. */
  localWindow: number;

  /** Where the streams' own calls go. */
  readonly owner: StreamOwner;
  /** Set by the receiver's side: the reader must stop at once. */
  stopReading: () => void = () => {};

  constructor(options: Http2Options, owner: StreamOwner) {
    const profile = options.role === "server" ? PUBLIC_EDGE : SERVICE_CLIENT;
    this.isServer = options.role === "server";
    this.settings = { ...profile.settings, ...options.settings };
    this.limits = { ...profile.limits, ...options.limits };
    this.events = options.events;
    this.transport = options.transport;
    this.peer = options.peer;
    this.party = options.party;
    this.owner = owner;
    this.writer = new FrameWriter(options.transport.outbox);
    this.sender = new Sender(this.writer, options.transport.outbox, this);
    this.flood = new FloodGuard(this.limits);
    this.localWindow = Math.max(this.settings.initialWindowSize, DEFAULT_WINDOW);
  }

  /** Client role: how many more streams the peer takes, and identifiers allow. */
  get capacity(): number {
    if (this.isServer || this.ended || this.draining) return 0;
    const identifiers = (LAST_STREAM - this.nextStream) / 2 + 1;
    return Math.max(0, Math.min(this.peerMaxStreams - this.streams.size, identifiers));
  }

  failure(code: FailureCode, what: string): Failure {
    return { by: this.peer, code, message: `HTTP/2 connection to the ${this.peer}: ${what}.` };
  }

  /** The peer broke the connection's rules: GOAWAY, and the end (RFC 9113 section 5.4.1). */
  violated(code: number, reason: string): void {
    if (this.ended) return;
    this.writer.goaway(this.lastPeerStream, code, reason);
    const failure = this.failure(code === ENHANCE_YOUR_CALM ? "limit" : "malformed", reason);
    this.end(failure, failure, () => this.transport.close());
  }

  /** The peer broke one stream's rules (RFC 9113 section 5.4.2). */
  streamError(stream: Http2Stream, http2Code: number, code: FailureCode, reason: string): void {
    if (this.ended || stream.closed) return;
    this.writer.reset(stream.id, http2Code);
    this.detach(stream, "reset-here");
    stream.events.resetReceived(this.failure(code, reason));
    this.afterClose();
    this.provoked();
  }

  /** RST_STREAM for an error of the peer on a stream that is not, or no longer, ours to report on. */
  refuse(stream: number, http2Code: number): void {
    this.writer.reset(stream, http2Code);
    this.provoked();
  }

  provoked(): void {
    if (!this.flood.provokedReset()) this.violated(ENHANCE_YOUR_CALM, "too many streams had to be reset");
  }

  /** Takes a stream out of the connection. The caller reports what there is to report, then calls `afterClose`. */
  detach(stream: Http2Stream, closing: Closing): void {
    stream.closed = true;
    this.sender.forget(stream);
    this.streams.delete(stream.id);
    this.closedStreams.add(stream.id, closing);
  }

  /** Both directions ended in order. */
  complete(stream: Http2Stream): void {
    this.detach(stream, "ended");
    this.flood.completed();
    this.afterClose();
  }

  /** A stream is gone: the last one of a draining connection ends it, others leave room for a new one. */
  afterClose(): void {
    if (this.ended) return;
    if (this.draining && this.streams.size === 0) this.finishIfDrained();
    else if (!this.isServer && !this.draining && this.streams.size === this.peerMaxStreams - 1) {
      this.events.capacityChanged();
    }
  }

  /** `draining` and no stream left: the orderly end, when everybody knows that no more are coming. */
  finishIfDrained(): void {
    if (this.ended || this.streams.size > 0) return;
    // Between the two GOAWAYs of a server's drain new streams are still welcome.
    if (
      this.isServer &&
      this.goawayFailure === undefined &&
      this.lastAccepted === LAST_STREAM &&
      !this.goawayReceived
    ) {
      return;
    }
    if (!this.isServer) this.writer.goaway(0, NO_ERROR, "");
    this.end(undefined, this.goawayFailure, () => this.transport.close());
  }

  goawayReceived = false;

  /** Reports `draining` once. */
  beginDraining(): void {
    if (this.draining) return;
    this.draining = true;
    this.events.draining();
  }

  /** Our side gives the connection up. */
  abort(failure: Failure): void {
    if (this.ended) return;
    this.writer.goaway(this.lastPeerStream, http2CodeOf(failure), "");
    // A peer that is silent or reads nothing takes no farewell either.
    const dead = failure.code === "timeout";
    this.end(failure, failure, () => (dead ? this.transport.destroy() : this.transport.close()));
  }

  /** The last transition: every open stream reports `streams`, then the connection `ended(outcome)`. */
  end(streams: Failure | undefined, outcome: Failure | undefined, close: () => void): void {
    if (this.ended) return;
    this.ended = true;
    this.stopReading();
    close();
    const open = this.streams.all();
    this.streams.clear();
    for (const stream of open) {
      // A handler may have reset it in the meantime.
      if (stream.closed) continue;
      stream.closed = true;
      this.sender.forget(stream);
      if (streams !== undefined) this.report(stream, streams);
    }
    this.events.ended(outcome);
  }

  // SenderEvents

  localEnded(stream: Http2Stream): void {
    if (stream.closed) return;
    if (stream.remoteEnded) {
      this.complete(stream);
      return;
    }
    if (!stream.resetAfterEnd) return;
    this.writer.reset(stream.id, NO_ERROR);
    this.detach(stream, "reset-here");
    this.afterClose();
  }

  frameSent(): void {
    this.flood.dataSent();
  }

  trailersUnsendable(stream: Http2Stream, why: Unsendable): void {
    this.unsendable(stream, "trailers", why);
  }

  /** A head that could not be sent: through a defect of ours, or because it is more than the peer takes. */
  unsendable(stream: Http2Stream, what: string, why: Unsendable): void {
    if (why === "invalid") {
      this.ownDefect(stream, `${what} with an invalid field`);
      return;
    }
    if (stream.closed) return;
    const failure = this.tooLarge(what);
    this.writer.reset(stream.id, http2CodeOf(failure));
    this.detach(stream, "reset-here");
    this.report(stream, failure);
    this.afterClose();
    // The peer chose its limit: asking, and taking no answer, must not cost it less than a reset would.
    if (this.isServer) this.provoked();
  }

  /** Requests come from the visitor, answers from the service: whose head it is decides what he is told. */
  tooLarge(what: string): Failure {
    return {
      by: this.isServer ? "service" : "visitor",
      code: "head-too-large",
      message: `The ${this.peer} takes no head above ${this.writer.maxHeaderListSize} octets: ${what} could not be sent.`,
    };
  }

  /** We were asked to send what must not be sent. */
  ownDefect(stream: Http2Stream, what: string): void {
    if (stream.closed) return;
    const failure: Failure = { by: this.party, code: "internal", message: `The ${this.party} was to send ${what}.` };
    this.writer.reset(stream.id, http2CodeOf(failure));
    this.detach(stream, "reset-here");
    this.report(stream, failure);
    this.afterClose();
  }

  /** The last report of a stream; within `streamOpened` it waits until that returns. */
  report(stream: Http2Stream, failure: Failure): void {
    if (stream.events === NO_EVENTS) stream.lateFailure = failure;
    else stream.events.resetReceived(failure);
  }
}
