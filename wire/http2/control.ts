import type { Core } from "./core.ts";
import {
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  NO_ERROR,
  PROTOCOL_ERROR,
  errorName,
  failureCodeOf,
} from "./errors.ts";
import { readUint32 } from "./frame.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import {
  MAX_MAX_FRAME_SIZE,
  MAX_WINDOW,
  MIN_MAX_FRAME_SIZE,
  SETTINGS_ENABLE_CONNECT_PROTOCOL,
  SETTINGS_ENABLE_PUSH,
  SETTINGS_HEADER_TABLE_SIZE,
  SETTINGS_INITIAL_WINDOW_SIZE,
  SETTINGS_MAX_CONCURRENT_STREAMS,
  SETTINGS_MAX_FRAME_SIZE,
  SETTINGS_MAX_HEADER_LIST_SIZE,
} from "./settings.ts";

/** A frame with more is an attack (CVE-2020-11080); nghttp2 allows as many. */
const MAX_SETTINGS_ENTRIES = 32;

/** What the connection wants to know of PING acknowledgements. Returns whether it waited for this one. */
export type PingHandler = (bytes: Uint8Array, from: number) => boolean;

/** The frames that carry no part of an exchange: SETTINGS, PING, GOAWAY, WINDOW_UPDATE, PRIORITY. */
export class ControlReceiver {
  protected readonly core: Core;
  protected readonly decoder: HpackDecoder;
  readonly #onPingAnswer: PingHandler;

  constructor(core: Core, onPingAnswer: PingHandler) {
    this.core = core;
    this.decoder = new HpackDecoder(core.settings.headerTableSize);
    this.#onPingAnswer = onPingAnswer;
  }

  violated(code: number, reason: string): void {
    this.core.violated(code, reason);
  }

  unknownReceived(): void {
    this.idle();
  }

  /** A frame that means nothing here: ignored, and counted. */
  protected idle(): void {
    if (!this.core.flood.idle()) this.core.violated(ENHANCE_YOUR_CALM, "too many frames that mean nothing");
  }

  priorityReceived(id: number, selfDependent: boolean, valid: boolean): void {
    const core = this.core;
    if (!core.flood.priority()) {
      core.violated(ENHANCE_YOUR_CALM, "too many PRIORITY frames");
      return;
    }
    if (valid && !selfDependent) return;
    const code = valid ? PROTOCOL_ERROR : FRAME_SIZE_ERROR;
    const stream = core.streams.get(id);
    if (stream !== undefined) core.streamError(stream, code, "malformed", "an invalid PRIORITY frame");
    // A stream that is not open cannot be reset without breaking the rules ourselves.
    else if (this.isIdle(id)) core.violated(code, "an invalid PRIORITY frame");
    else core.refuse(id, code);
  }

  settingsReceived(bytes: Uint8Array, from: number, to: number): void {
    const core = this.core;
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
    const core = this.core;
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
      case SETTINGS_MAX_HEADER_LIST_SIZE:
        core.writer.maxHeaderListSize = value;
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
    const core = this.core;
    if (value > MAX_WINDOW) {
      core.violated(FLOW_CONTROL_ERROR, "an INITIAL_WINDOW_SIZE above 2^31-1");
      return;
    }
    const delta = value - core.peerWindow;
    core.peerWindow = value;
    for (const stream of core.streams.all()) {
      stream.sendWindow += delta;
      if (stream.sendWindow > MAX_WINDOW) {
        core.violated(FLOW_CONTROL_ERROR, "a stream window above 2^31-1");
        return;
      }
      core.sender.schedule(stream);
    }
  }

  settingsAcknowledged(): void {
    const core = this.core;
    if (core.settingsAcknowledged) {
      this.idle();
      return;
    }
    core.settingsAcknowledged = true;
    this.decoder.setLimit(core.settings.headerTableSize);
    const delta = core.settings.initialWindowSize - core.localWindow;
    core.localWindow = core.settings.initialWindowSize;
    if (delta !== 0) for (const stream of core.streams.all()) stream.receiveWindow += delta;
  }

  pingReceived(bytes: Uint8Array, from: number): void {
    const core = this.core;
    if (!core.flood.ping()) {
      core.violated(ENHANCE_YOUR_CALM, "too many PING frames");
      return;
    }
    core.writer.ping(bytes, from, true);
  }

  pingAcknowledged(bytes: Uint8Array, from: number): void {
    if (!this.#onPingAnswer(bytes, from)) this.idle();
  }

  goawayReceived(lastStream: number, code: number): void {
    const core = this.core;
    // A drain says it twice (RFC 9113 section 6.8); more often it means nothing.
    if (core.goawayReceived) this.idle();
    if (core.ended) return;
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
    const core = this.core;
    for (const stream of core.streams.all()) {
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
    const core = this.core;
    if (!core.flood.windowUpdate()) {
      core.violated(ENHANCE_YOUR_CALM, "too many WINDOW_UPDATE frames");
      return;
    }
    if (id === 0) {
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
      if (this.isIdle(id)) core.violated(PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that was never opened");
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
  protected isIdle(id: number): boolean {
    const core = this.core;
    if ((id & 1) === 0) return true;
    return core.isServer ? id > core.lastPeerStream : id >= core.nextStream;
  }
}
