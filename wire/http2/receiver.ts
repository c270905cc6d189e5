import type { Field, StreamEvents } from "../stream.ts";
import type { Core } from "./core.ts";
import {
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
  errorName,
  failureCodeOf,
} from "./errors.ts";
import { readUint32 } from "./frame.ts";
import { HeadCollector, HeadTooLargeError, type HeadRole } from "./head.ts";
import { HpackDecoder, HpackError } from "./hpack/decoder.ts";
import type { FrameSink } from "./reader.ts";
import {
  DEFAULT_WINDOW,
  MAX_MAX_FRAME_SIZE,
  MAX_WINDOW,
  MIN_MAX_FRAME_SIZE,
  SETTINGS_ENABLE_CONNECT_PROTOCOL,
  SETTINGS_ENABLE_PUSH,
  SETTINGS_HEADER_TABLE_SIZE,
  SETTINGS_INITIAL_WINDOW_SIZE,
  SETTINGS_MAX_CONCURRENT_STREAMS,
  SETTINGS_MAX_FRAME_SIZE,
} from "./settings.ts";
import { Http2Stream } from "./stream.ts";

/** A frame with more is an attack (CVE-2020-11080); nghttp2 allows as many. */
const MAX_SETTINGS_ENTRIES = 32;

const HEAD_TOO_LARGE: readonly Field[] = [
  { name: ":status", value: "431" },
  { name: "content-length", value: "0" },
];

/** What the connection wants to know of PING acknowledgements. */
export type PingHandler = (bytes: Uint8Array, from: number) => void;

/** Judges each frame against the state of its stream and connection, and reports what is in order. */
export class Receiver implements FrameSink {
  readonly #core: Core;
  readonly #decoder: HpackDecoder;
  readonly #head: HeadCollector;
  readonly #onPingAnswer: PingHandler;
  /** The stream of the DATA frame that is being read; undefined when its content is to be ignored. */
  #dataStream: Http2Stream | undefined = undefined;
  /** Octets the peer may still send on the connection, and those received since the last WINDOW_UPDATE. */
  #window = DEFAULT_WINDOW;
  #unacknowledged = 0;
  readonly #grantFrom: number;

  /** @param connectionWindow the window the peer has been, or is being, given. */
  constructor(core: Core, connectionWindow: number, onPingAnswer: PingHandler) {
    this.#core = core;
    this.#decoder = new HpackDecoder(core.settings.headerTableSize);
    this.#head = new HeadCollector(
      core.settings.maxHeaderListSize,
      core.limits.headerFields,
      core.limits.headerBytesHard,
    );
    this.#onPingAnswer = onPingAnswer;
    this.#window = connectionWindow;
    this.#grantFrom = connectionWindow >>> 2;
  }

  violated(code: number, reason: string): void {
    this.#core.violated(code, reason);
  }

  dataBegan(id: number, length: number, endStream: boolean): void {
    const core = this.#core;
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
    const core = this.#core;
    if (this.#isIdle(id)) {
      core.violated(PROTOCOL_ERROR, "DATA on a stream that was never opened");
      return;
    }
    const closing = core.closedStreams.find(id);
    // What was under way when we reset the stream is ignored (RFC 9113 section 5.1).
    if (closing === "reset-here" || (closing === undefined && core.closedStreams.forgetful)) return;
    core.refuse(id, STREAM_CLOSED);
  }

  dataPart(bytes: Uint8Array, end: boolean): void {
    const stream = this.#dataStream;
    if (stream === undefined || stream.closed) return;
    if (stream.expected >= 0) {
      stream.expected -= bytes.length;
      if (stream.expected < 0 || (end && stream.expected > 0)) {
        this.#core.streamError(stream, PROTOCOL_ERROR, "malformed", "content that differs from content-length");
        return;
      }
    }
    if (end) stream.remoteEnded = true;
    stream.events.dataReceived(bytes, end);
    if (end) this.#completeIfBothEnded(stream);
  }

  dataPadding(octets: number): void {
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
    const core = this.#core;
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
      this.#decoder.decode(bytes, from, to, this.#head);
    } catch (error) {
      if (error instanceof HpackError) this.#core.violated(COMPRESSION_ERROR, error.message);
      else if (error instanceof HeadTooLargeError) this.#core.violated(ENHANCE_YOUR_CALM, error.message);
      else throw error;
      return false;
    }
    this.#head.finish(this.#core.isServer && this.#core.settings.enableConnectProtocol);
    return true;
  }

  #request(id: number, end: boolean, selfDependent: boolean): void {
    const core = this.#core;
    const head = this.#head;
    if ((id & 1) === 0) {
      core.violated(PROTOCOL_ERROR, "a client's stream with an even identifier");
      return;
    }
    core.lastPeerStream = id;
    // Above the final GOAWAY: the peer knows that nobody will look at it (RFC 9113 section 6.8).
    if (id > core.lastAccepted) {
      core.closedStreams.add(id, "reset-here");
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
    stream.remoteEnded = end;
    core.streams.set(id, stream);
    const events: StreamEvents = core.events.streamOpened(stream, head.fields, end);
    if (!stream.closed) stream.events = events;
  }

  #refuse(id: number, code: number): void {
    this.#core.closedStreams.add(id, "reset-here");
    this.#core.refuse(id, code);
  }

  /** A head above our limits, and below the hard one: this request alone is answered with 431 (RFC 6585 section 5). */
  #answerTooLarge(id: number, end: boolean): void {
    const core = this.#core;
    core.writer.headers(id, HEAD_TOO_LARGE, true);
    core.closedStreams.add(id, end ? "ended" : "reset-here");
    if (!end) core.writer.reset(id, NO_ERROR);
    core.provoked();
  }

  /** A block on a stream that is not open. */
  #lateBlock(id: number): void {
    const core = this.#core;
    if (this.#isIdle(id)) {
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
    }
  }

  #response(stream: Http2Stream, end: boolean): void {
    const core = this.#core;
    const { status, contentLength, fields } = this.#head;
    if (status < 200) {
      if (end) {
        core.streamError(stream, PROTOCOL_ERROR, "malformed", "an interim answer that ends the stream");
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
    const core = this.#core;
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
    if (stream.localEnded && !stream.closed) this.#core.complete(stream);
  }

  priorityReceived(id: number, selfDependent: boolean, valid: boolean): void {
    const core = this.#core;
    if (!core.flood.priority()) {
      core.violated(ENHANCE_YOUR_CALM, "too many PRIORITY frames");
      return;
    }
    if (valid && !selfDependent) return;
    const code = valid ? PROTOCOL_ERROR : FRAME_SIZE_ERROR;
    const stream = core.streams.get(id);
    if (stream !== undefined) core.streamError(stream, code, "malformed", "an invalid PRIORITY frame");
    // A stream that is not open cannot be reset without breaking the rules ourselves.
    else if (this.#isIdle(id)) core.violated(code, "an invalid PRIORITY frame");
    else core.refuse(id, code);
  }

  resetReceived(id: number, code: number): void {
    const core = this.#core;
    const stream = core.streams.get(id);
    let beforeHead = false;
    if (stream !== undefined) {
      beforeHead = core.isServer && !stream.headSent;
      const unneeded = code === NO_ERROR && stream.remoteEnded;
      core.detach(stream, "reset-there");
      stream.events.resetReceived({
        by: core.peer,
        code: unneeded ? "unneeded" : failureCodeOf(code),
        message: `The ${core.peer} reset the HTTP/2 stream with ${errorName(code)}.`,
        http2Code: code,
      });
      core.afterClose();
    } else if (this.#isIdle(id)) {
      core.violated(PROTOCOL_ERROR, "RST_STREAM on a stream that was never opened");
      return;
    }
    if (!core.flood.reset(beforeHead)) core.violated(ENHANCE_YOUR_CALM, "too many resets");
  }

  settingsReceived(bytes: Uint8Array, from: number, to: number): void {
    const core = this.#core;
    if (!core.flood.settings()) {
      core.violated(ENHANCE_YOUR_CALM, "too many SETTINGS frames");
      return;
    }
    if (to - from > MAX_SETTINGS_ENTRIES * 6) {
      core.violated(ENHANCE_YOUR_CALM, "too many SETTINGS entries");
      return;
    }
    // The first frame says everything; what it leaves out has its default: no limit.
    if (!core.settingsReceived) core.peerMaxStreams = Infinity;
    core.settingsReceived = true;
    for (let at = from; at < to && !core.ended; at += 6) {
      this.#setting(((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0), readUint32(bytes, at + 2));
    }
    if (core.ended) return;
    core.writer.settingsAck();
    core.sender.pump();
    if (!core.isServer) core.events.capacityChanged();
  }

  #setting(identifier: number, value: number): void {
    const core = this.#core;
    switch (identifier) {
      case SETTINGS_HEADER_TABLE_SIZE: {
        core.writer.encoder.setCapacity(value);
        return;
      }
      case SETTINGS_ENABLE_PUSH:
        if (value > 1 || (value === 1 && !core.isServer)) core.violated(PROTOCOL_ERROR, "an invalid ENABLE_PUSH");
        return;
      case SETTINGS_MAX_CONCURRENT_STREAMS:
        core.peerMaxStreams = value;
        return;
      case SETTINGS_INITIAL_WINDOW_SIZE: {
        this.#initialWindow(value);
        return;
      }
      case SETTINGS_MAX_FRAME_SIZE:
        if (value < MIN_MAX_FRAME_SIZE || value > MAX_MAX_FRAME_SIZE) {
          core.violated(PROTOCOL_ERROR, "an invalid MAX_FRAME_SIZE");
          return;
        }
        core.writer.maxFrameSize = value;
        return;
      case SETTINGS_ENABLE_CONNECT_PROTOCOL:
        // Once given it cannot be taken back (RFC 8441 section 3).
        if (value > 1 || (value === 0 && core.peerExtendedConnect)) {
          core.violated(PROTOCOL_ERROR, "an invalid ENABLE_CONNECT_PROTOCOL");
          return;
        }
        core.peerExtendedConnect = !core.isServer && value === 1;
        return;
      default:
        return;
    }
  }

  /** Every open stream's window moves by the difference, below zero if need be (RFC 9113 section 6.9.2). */
  #initialWindow(value: number): void {
    const core = this.#core;
    if (value > MAX_WINDOW) {
      core.violated(FLOW_CONTROL_ERROR, "an INITIAL_WINDOW_SIZE above 2^31-1");
      return;
    }
    const delta = value - core.peerWindow;
    core.peerWindow = value;
    for (const stream of core.streams.values()) {
      stream.sendWindow += delta;
      if (stream.sendWindow > MAX_WINDOW) {
        core.violated(FLOW_CONTROL_ERROR, "a stream window above 2^31-1");
        return;
      }
      core.sender.schedule(stream);
    }
  }

  settingsAcknowledged(): void {
    const core = this.#core;
    if (core.settingsAcknowledged) return;
    core.settingsAcknowledged = true;
    this.#decoder.setLimit(core.settings.headerTableSize);
    const delta = core.settings.initialWindowSize - core.localWindow;
    core.localWindow = core.settings.initialWindowSize;
    if (delta !== 0) for (const stream of core.streams.values()) stream.receiveWindow += delta;
  }

  pingReceived(bytes: Uint8Array, from: number): void {
    const core = this.#core;
    if (!core.flood.ping()) {
      core.violated(ENHANCE_YOUR_CALM, "too many PING frames");
      return;
    }
    core.writer.ping(bytes, from, true);
  }

  pingAcknowledged(bytes: Uint8Array, from: number): void {
    this.#onPingAnswer(bytes, from);
  }

  goawayReceived(lastStream: number, code: number): void {
    const core = this.#core;
    core.goawayReceived = true;
    if (code !== NO_ERROR) {
      core.goawayFailure = {
        by: core.peer,
        code: failureCodeOf(code),
        message: `The ${core.peer} ended the HTTP/2 connection with ${errorName(code)}.`,
        http2Code: code,
      };
    }
    core.beginDraining();
    if (!core.isServer) this.#dropAbove(lastStream);
    core.finishIfDrained();
  }

  /** The peer has not looked at these: they may be sent again elsewhere (RFC 9113 section 6.8). */
  #dropAbove(lastStream: number): void {
    const core = this.#core;
    for (const stream of [...core.streams.values()]) {
      if (stream.id <= lastStream || stream.closed) continue;
      core.detach(stream, "reset-there");
      stream.events.resetReceived({
        by: core.peer,
        code: "refused",
        message: `The ${core.peer} ended the HTTP/2 connection before it looked at this request.`,
      });
    }
  }

  windowUpdateReceived(id: number, increment: number): void {
    const core = this.#core;
    if (id === 0) {
      if (!core.flood.windowUpdate()) {
        core.violated(ENHANCE_YOUR_CALM, "too many WINDOW_UPDATE frames");
        return;
      }
      if (increment === 0) {
        core.violated(PROTOCOL_ERROR, "WINDOW_UPDATE by 0");
        return;
      }
      core.sender.window += increment;
      if (core.sender.window > MAX_WINDOW) {
        core.violated(FLOW_CONTROL_ERROR, "a connection window above 2^31-1");
        return;
      }
      core.sender.pump();
      return;
    }
    const stream = core.streams.get(id);
    if (stream === undefined) {
      if (this.#isIdle(id)) core.violated(PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that was never opened");
      return;
    }
    if (increment === 0) {
      core.streamError(stream, PROTOCOL_ERROR, "malformed", "WINDOW_UPDATE by 0");
      return;
    }
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_WINDOW) {
      core.streamError(stream, FLOW_CONTROL_ERROR, "malformed", "a stream window above 2^31-1");
      return;
    }
    if (stream.queued > 0) {
      core.sender.schedule(stream);
      core.sender.pump();
    }
  }

  /** No stream of this identifier was ever opened. */
  #isIdle(id: number): boolean {
    const core = this.#core;
    if ((id & 1) === 0) return true;
    return core.isServer ? id > core.lastPeerStream : id >= core.nextStream;
  }
}
