import type { Field, StreamEvents } from "../stream.ts";
import { ControlReceiver, type PingHandler } from "./control.ts";
import type { Core } from "./core.ts";
import {
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
  errorName,
  failureCodeOf,
} from "./errors.ts";
import { HeadCollector, HeadTooLargeError, type HeadRole } from "./head.ts";
import { HpackError } from "./hpack/decoder.ts";
import type { FrameSink } from "./reader.ts";
import { Http2Stream } from "./stream.ts";

/** Our own answer to a request that is not passed on. */
interface Refusal {
  readonly head: readonly Field[];
  readonly empty: readonly Field[];
  readonly body: Uint8Array;
}

function refusal(status: string, reason: string): Refusal {
  const body = Uint8Array.from(reason, (character) => character.charCodeAt(0));
  const first: Field = { name: ":status", value: status };
  return {
    head: [
      first,
      { name: "content-type", value: "text/plain; charset=utf-8" },
      { name: "content-length", value: String(body.length) },
    ],
    empty: [first, { name: "content-length", value: "0" }],
    body,
  };
}

/** RFC 6585 section 5, RFC 9110 section 15.5.15. */
const HEAD_TOO_LARGE = refusal("431", "The head of the request, or one of its fields, is too large.\n");
const PATH_TOO_LONG = refusal("414", "The request target is too long.\n");

/** Judges each frame against the state of its stream and connection, and reports what is in order. */
export class Receiver extends ControlReceiver implements FrameSink {
  readonly #head: HeadCollector;
  /** The stream of the DATA frame that is being read; undefined when its content is to be ignored. */
  #dataStream: Http2Stream | undefined = undefined;
  /** Octets the peer may still send on the connection, and those received since the last WINDOW_UPDATE. */
  #window: number;
  #unacknowledged = 0;
  readonly #grantFrom: number;

  /** @param connectionWindow the window the peer has been, or is being, given. */
  constructor(core: Core, connectionWindow: number, onPingAnswer: PingHandler) {
    super(core, onPingAnswer);
    this.#head = new HeadCollector(core.settings.maxHeaderListSize, core.limits);
    this.#window = connectionWindow;
    this.#grantFrom = connectionWindow >>> 2;
  }

  dataBegan(id: number, length: number, endStream: boolean): void {
    const core = this.core;
    this.#dataStream = undefined;
    this.#window -= length;
    if (this.#window < 0) {
      core.violated(FLOW_CONTROL_ERROR, "more DATA than the connection's window");
      return;
    }
    // Credited on receipt: a stream that nobody reads must not hold up the others, and its own window bounds it.
    this.#unacknowledged += length;
    if (this.#unacknowledged >= this.#grantFrom) {
      core.writer.windowUpdate(0, this.#unacknowledged);
      this.#window += this.#unacknowledged;
      this.#unacknowledged = 0;
    }
    if (length === 0 && !endStream && !core.flood.emptyData()) {
      core.violated(ENHANCE_YOUR_CALM, "too many empty DATA frames");
      return;
    }
    const stream = core.streams.get(id);
    if (stream === undefined) {
      this.#lateData(id);
      return;
    }
    if (stream.remoteEnded) {
      core.streamError(stream, STREAM_CLOSED, "malformed", "DATA after the end of a stream");
      return;
    }
    if (!core.isServer && !stream.headReceived) {
      core.streamError(stream, PROTOCOL_ERROR, "malformed", "DATA before the head of an answer");
      return;
    }
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      core.streamError(stream, FLOW_CONTROL_ERROR, "malformed", "more DATA than a stream's window");
      return;
    }
    this.#dataStream = stream;
  }

  #lateData(id: number): void {
    const core = this.core;
    if (this.isIdle(id)) {
      core.violated(PROTOCOL_ERROR, "DATA on a stream that was never opened");
      return;
    }
    const closing = core.closedStreams.find(id);
    // What was under way when we reset the stream is ignored (RFC 9113 section 5.1).
    if (closing === "reset-here" || (closing === undefined && core.closedStreams.forgetful)) this.idle();
    else core.refuse(id, STREAM_CLOSED);
  }

  dataPart(bytes: Uint8Array, end: boolean): void {
    const stream = this.#dataStream;
    if (stream === undefined || stream.closed) return;
    if (stream.expected >= 0) {
      stream.expected -= bytes.length;
      stream.awaitsContinue = false;
      if (stream.expected < 0 || (end && stream.expected > 0)) {
        this.core.streamError(stream, PROTOCOL_ERROR, "malformed", "content that differs from content-length");
        return;
      }
    }
    if (end) stream.remoteEnded = true;
    stream.events.dataReceived(bytes, end);
    if (end) this.#completeIfBothEnded(stream);
  }

  dataPadding(octets: number, alone: boolean): void {
    if (alone && !this.core.flood.emptyData()) {
      this.core.violated(ENHANCE_YOUR_CALM, "too many DATA frames of padding");
      return;
    }
    const stream = this.#dataStream;
    if (stream !== undefined && !stream.closed) stream.consume(octets);
  }

  blockReceived(
    id: number,
    endStream: boolean,
    selfDependent: boolean,
    bytes: Uint8Array,
    from: number,
    to: number,
  ): void {
    const core = this.core;
    const stream = core.streams.get(id);
    let role: HeadRole = "trailers";
    if (stream === undefined) {
      if (core.isServer && id > core.lastPeerStream) role = "request";
    } else if (!core.isServer && !stream.headReceived) role = "response";
    // Decoded in any case: the compression state is the connection's (RFC 9113 section 4.3).
    if (!this.#decode(role, bytes, from, to)) return;
    if (stream === undefined) {
      if (role === "request") this.#request(id, endStream, selfDependent);
      else this.#lateBlock(id);
    } else if (stream.remoteEnded) {
      core.streamError(stream, STREAM_CLOSED, "malformed", "HEADERS after the end of a stream");
    } else if (selfDependent) {
      core.streamError(stream, PROTOCOL_ERROR, "malformed", "a stream that depends on itself");
    } else if (this.#head.malformed !== undefined) {
      core.streamError(stream, PROTOCOL_ERROR, "malformed", `malformed ${role}: ${this.#head.malformed}`);
    } else if (this.#head.tooLarge) {
      core.streamError(stream, ENHANCE_YOUR_CALM, "head-too-large", `${role} above the limit of octets or fields`);
    } else if (role === "response") this.#response(stream, endStream);
    else this.#trailers(stream, endStream);
  }

  #decode(role: HeadRole, bytes: Uint8Array, from: number, to: number): boolean {
    this.#head.begin(role);
    try {
      this.decoder.decode(bytes, from, to, this.#head);
    } catch (error) {
      if (error instanceof HpackError) this.core.violated(COMPRESSION_ERROR, error.message);
      else if (error instanceof HeadTooLargeError) this.core.violated(ENHANCE_YOUR_CALM, error.message);
      else throw error;
      return false;
    }
    this.#head.finish(this.core.isServer && this.core.settings.enableConnectProtocol);
    return true;
  }

  #request(id: number, end: boolean, selfDependent: boolean): void {
    const core = this.core;
    const head = this.#head;
    if ((id & 1) === 0) {
      core.violated(PROTOCOL_ERROR, "a client's stream with an even identifier");
      return;
    }
    core.lastPeerStream = id;
    // Above the final GOAWAY: the peer knows that nobody will look at it (RFC 9113 section 6.8).
    if (id > core.lastAccepted) {
      core.closedStreams.add(id, "reset-here");
      this.idle();
      return;
    }
    if (selfDependent) {
      this.#refuse(id, PROTOCOL_ERROR);
      return;
    }
    if (core.streams.size >= core.settings.maxConcurrentStreams) {
      // Until it has seen our SETTINGS the peer could not know.
      if (core.settingsAcknowledged) {
        this.#refuse(id, REFUSED_STREAM);
        return;
      }
      core.closedStreams.add(id, "reset-here");
      core.writer.reset(id, REFUSED_STREAM);
      this.idle();
      return;
    }
    if (head.malformed !== undefined) {
      this.#refuse(id, PROTOCOL_ERROR);
      return;
    }
    if (head.tooLarge) {
      this.#answerTooLarge(id, end);
      return;
    }
    const isConnect = head.method === "CONNECT";
    if (end && head.contentLength > 0 && !isConnect) {
      this.#refuse(id, PROTOCOL_ERROR);
      return;
    }

    const stream = new Http2Stream(core.owner, id, core.peerWindow, core.localWindow);
    stream.isConnect = isConnect;
    if (!isConnect) stream.expected = head.contentLength;
    if (stream.expected > 0) stream.awaitsContinue = head.fields.some((field) => field.name === "expect");
    stream.remoteEnded = end;
    stream.bornIn = core.turn;
    core.streams.add(stream);
    core.flood.opened();
    const events: StreamEvents = core.events.streamOpened(stream, head.fields, end);
    if (!stream.closed) stream.events = events;
    else if (stream.lateFailure !== undefined) events.resetReceived(stream.lateFailure);
  }

  #refuse(id: number, code: number): void {
    this.core.closedStreams.add(id, "reset-here");
    this.core.refuse(id, code);
  }

  /** A head above our limits, and below the hard one: this request alone is answered, with 431 or 414. */
  #answerTooLarge(id: number, end: boolean): void {
    const core = this.core;
    const { head, empty, body } = this.#head.pathTooLong ? PATH_TOO_LONG : HEAD_TOO_LARGE;
    // No stream is kept for it, so its content must go out at once or not at all.
    const window = Math.min(core.sender.window, core.peerWindow);
    const explained = this.#head.method !== "HEAD" && body.length <= window && !core.transport.outbox.blocked;
    if (core.writer.headers(id, explained ? head : empty, !explained) !== "sent") {
      this.#refuse(id, ENHANCE_YOUR_CALM);
      return;
    }
    if (explained) core.sender.sendAlone(id, body);
    core.closedStreams.add(id, end ? "ended" : "reset-here");
    if (!end) core.writer.reset(id, NO_ERROR);
    core.provoked();
  }

  /** A block on a stream that is not open. */
  #lateBlock(id: number): void {
    const core = this.core;
    if (this.isIdle(id)) {
      core.violated(PROTOCOL_ERROR, "HEADERS on a stream that was never opened");
      return;
    }
    const closing = core.closedStreams.find(id);
    if (closing === "reset-there") {
      core.refuse(id, STREAM_CLOSED);
      return;
    }
    if (closing === "ended") {
      core.violated(STREAM_CLOSED, "HEADERS on a closed stream");
      return;
    }
    // An identifier that was skipped cannot be used any more (RFC 9113 section 5.1.1).
    if (closing === undefined && core.isServer && !core.closedStreams.forgetful) {
      core.violated(PROTOCOL_ERROR, "a stream identifier below an earlier one");
      return;
    }
    this.idle();
  }

  #response(stream: Http2Stream, end: boolean): void {
    const core = this.core;
    const { status, contentLength, fields } = this.#head;
    if (status < 200) {
      if (end) {
        core.streamError(stream, PROTOCOL_ERROR, "malformed", "an interim answer that ends the stream");
        return;
      }
      if (++stream.interims > core.limits.interimHeads) {
        core.streamError(stream, ENHANCE_YOUR_CALM, "limit", "nothing but 1xx heads for an answer");
        return;
      }
      stream.events.headReceived(fields, false);
      return;
    }
    stream.headReceived = true;
    // These have no content, whatever content-length says of the content they stand for (RFC 9110 section 6.4.1).
    if (stream.isHead || status === 204 || status === 304) stream.expected = 0;
    else if (!stream.isConnect) stream.expected = contentLength;
    if (end && stream.expected > 0) {
      core.streamError(stream, PROTOCOL_ERROR, "malformed", "content that differs from content-length");
      return;
    }
    stream.remoteEnded = end;
    stream.events.headReceived(fields, end);
    if (end) this.#completeIfBothEnded(stream);
  }

  #trailers(stream: Http2Stream, end: boolean): void {
    const core = this.core;
    if (!end) {
      core.streamError(stream, PROTOCOL_ERROR, "malformed", "trailers that do not end the stream");
      return;
    }
    if (stream.expected > 0) {
      core.streamError(stream, PROTOCOL_ERROR, "malformed", "content that differs from content-length");
      return;
    }
    stream.remoteEnded = true;
    stream.events.trailersReceived(this.#head.fields);
    this.#completeIfBothEnded(stream);
  }

  #completeIfBothEnded(stream: Http2Stream): void {
    if (stream.localEnded && !stream.closed) this.core.complete(stream);
  }

  resetReceived(id: number, code: number): void {
    const core = this.core;
    const stream = core.streams.get(id);
    let hasty = false;
    if (stream !== undefined) {
      hasty = core.isServer && !stream.headSent && stream.bornIn === core.turn;
      // Only a server's NO_ERROR after its whole answer says that all is well (RFC 9113 section 8.1).
      const unneeded = !core.isServer && code === NO_ERROR && stream.remoteEnded;
      core.detach(stream, "reset-there");
      stream.events.resetReceived({
        by: core.peer,
        code: unneeded ? "unneeded" : failureCodeOf(code),
        message: `The ${core.peer} reset the HTTP/2 stream with ${errorName(code)}.`,
        http2Code: code,
      });
      core.afterClose();
    } else if (this.isIdle(id)) {
      core.violated(PROTOCOL_ERROR, "RST_STREAM on a stream that was never opened");
      return;
    }
    if (!core.flood.reset(hasty)) core.violated(ENHANCE_YOUR_CALM, "too many resets");
  }
}
