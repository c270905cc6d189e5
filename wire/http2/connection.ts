import type { Failure, Fields, Stream, StreamEvents } from "../stream.ts";
import type { HttpConnection } from "../transport.ts";
import { Core, LAST_STREAM } from "./core.ts";
import { Deadlines } from "./deadlines.ts";
import { CANCEL, INTERNAL_ERROR, NO_ERROR, http2CodeOf } from "./errors.ts";
import type { Http2Options } from "./options.ts";
import { PUBLIC_EDGE, SERVICE_CLIENT } from "./profiles.ts";
import { FrameReader } from "./reader.ts";
import { Receiver } from "./receiver.ts";
import { DEFAULT_WINDOW, settingsEntries } from "./settings.ts";
import { Http2Stream, SILENT, type StreamOwner } from "./stream.ts";

export type { Http2Events, Http2Options } from "./options.ts";

/** Contents of our PINGs: one asks whether the peer lives, the other how far our first GOAWAY has come. */
const LIVENESS_PING = Uint8Array.from([0x70, 0x6f, 0x72, 0x74, 0x6c, 0x69, 0x76, 0x65]);
const DRAIN_PING = Uint8Array.from([0x70, 0x6f, 0x72, 0x74, 0x64, 0x72, 0x61, 0x69]);

/** A peer that does not answer the PING of a drain gets its final GOAWAY after so long. Milliseconds. */
const DRAIN_PING_MS = 5_000;

/**
 * An HTTP/2 connection (RFC 9113) in either role: bytes in, events out. The constructor sends the preface and SETTINGS.
 */
export class Http2Connection implements HttpConnection, StreamOwner {
  readonly #core: Core;
  readonly #reader: FrameReader;
  readonly #deadlines: Deadlines;
  #pingUnderWay = false;
  #drainPingUnderWay = false;

  /** Time of `tick`, -1 when not running. */
  #drainedAt = -1;

  constructor(options: Http2Options) {
    const core = new Core(options, this);
    this.#core = core;
    const profile = core.isServer ? PUBLIC_EDGE : SERVICE_CLIENT;
    const connectionWindow = Math.max(options.connectionWindow ?? profile.connectionWindow, DEFAULT_WINDOW);
    const receiver = new Receiver(core, connectionWindow, (bytes, from) => this.#pingAnswered(bytes, from));
    const reader = new FrameReader(receiver, {
      expectPreface: core.isServer,
      maxFrameSize: core.settings.maxFrameSize,
      maxBlockBytes: core.limits.headerBytesHard,
      maxContinuations: core.limits.continuations,
    });
    this.#reader = reader;
    this.#deadlines = new Deadlines(core, reader);
    core.stopReading = () => {
      reader.stopped = true;
    };
    if (!core.isServer) core.writer.preface();
    core.writer.settings(settingsEntries(core.settings, options.role));
    if (connectionWindow > DEFAULT_WINDOW) core.writer.windowUpdate(0, connectionWindow - DEFAULT_WINDOW);
  }

  get openStreams(): number {
    return this.#core.streams.size;
  }

  get capacity(): number {
    return this.#core.capacity;
  }

  /** False until the peer's SETTINGS say so. */
  get extendedConnect(): boolean {
    return this.#core.peerExtendedConnect;
  }

  /** The peer's first SETTINGS have come: it speaks HTTP/2. */
  get settingsReceived(): boolean {
    return this.#core.settingsReceived;
  }

  /**
   * A head that must not be sent (a name or value with forbidden octets) is reported as a reset with code "internal"
   * before this returns; one that is more than the peer takes, with "head-too-large".
   */
  open(fields: Fields, end: boolean, events: StreamEvents): Stream | undefined {
    const core = this.#core;
    if (core.capacity === 0) return undefined;
    const id = core.nextStream;
    const stream = new Http2Stream(this, id, core.peerWindow, core.localWindow);
    stream.events = events;
    stream.headSent = true;
    const method = methodOf(fields);
    stream.isHead = method === "HEAD";
    stream.isConnect = method === "CONNECT";
    stream.localEnded = end;
    const outcome = core.writer.headers(id, fields, end);
    if (outcome === "too-large") {
      // Nothing was written: the peer will never know of this stream.
      stream.closed = true;
      events.resetReceived(core.tooLarge("a request"));
      return stream;
    }
    core.nextStream += 2;
    core.streams.add(stream);
    if (outcome !== "sent" || method === "") core.unsendable(stream, "a request", "invalid");
    // The last identifier is used up: whoever needs more dials again.
    if (core.nextStream > LAST_STREAM) core.beginDraining();
    return stream;
  }

  /**
   * One PING is under way at most: false when there is one already, or the connection has ended. The answer is reported
   * as `pingAnswered`.
   */
  ping(): boolean {
    if (this.#pingUnderWay || this.#core.ended) return false;
    this.#pingUnderWay = true;
    this.#core.writer.ping(LIVENESS_PING, 0, false);
    return true;
  }

  #pingAnswered(bytes: Uint8Array, from: number): boolean {
    // The two contents differ in their fifth octet; anything else answers nothing we asked.
    if (this.#pingUnderWay && bytes[from + 4] === LIVENESS_PING[4]) {
      this.#pingUnderWay = false;
      this.#core.events.pingAnswered();
      return true;
    }
    if (!this.#drainPingUnderWay || bytes[from + 4] !== DRAIN_PING[4]) return false;
    this.#finalGoaway();
    return true;
  }

  /**
   * A server says GOAWAY twice (RFC 9113 section 6.8): first that it will stop, then, when the client has certainly heard
   * that, which stream was the last. No request is lost in between.
   */
  drain(): void {
    const core = this.#core;
    if (core.ended || core.draining) return;
    if (core.isServer) {
      core.writer.goaway(LAST_STREAM, NO_ERROR, "");
      core.writer.ping(DRAIN_PING, 0, false);
      this.#drainPingUnderWay = true;
    }
    core.beginDraining();
    core.finishIfDrained();
  }

  #finalGoaway(): void {
    const core = this.#core;
    this.#drainPingUnderWay = false;
    core.lastAccepted = core.lastPeerStream;
    core.writer.goaway(core.lastAccepted, NO_ERROR, "");
    core.finishIfDrained();
  }

  abort(failure: Failure): void {
    this.#core.abort(failure);
  }

  // ByteProtocol

  receive(bytes: Uint8Array): void {
    const core = this.#core;
    if (core.ended) return;
    core.turn++;
    this.#reader.receive(bytes);
    this.#judgeBacklog();
  }

  /** A peer that makes us answer and reads no answer: nothing more can be told to it. */
  #judgeBacklog(): void {
    const core = this.#core;
    if (core.ended || core.writer.backlog <= core.limits.backlogBytes) return;
    const failure = core.failure("limit", "too many octets are waiting that the peer does not read");
    core.writer.goaway(core.lastPeerStream, http2CodeOf(failure), "");
    core.end(failure, failure, () => core.transport.destroy());
  }

  /** HTTP/2 knows no half-closed connection: without the peer's side no stream can end in order. */
  receiveEnd(): void {
    const core = this.#core;
    if (core.ended) return;
    const failure = core.failure("closed", "closed by the peer");
    const outcome = core.streams.size > 0 ? (core.goawayFailure ?? failure) : core.goawayFailure;
    core.end(failure, outcome, () => core.transport.close());
  }

  transportClosed(): void {
    const core = this.#core;
    if (core.ended) return;
    const failure = core.failure("closed", "the connection was lost");
    core.end(failure, core.goawayFailure ?? failure, () => {});
  }

  drained(): void {
    const core = this.#core;
    if (core.ended) return;
    core.writer.backlog = 0;
    core.sender.pump();
  }

  tick(now: number): void {
    const core = this.#core;
    if (core.ended) return;
    core.flood.tick(now);
    if (this.#drainPingUnderWay) {
      if (this.#drainedAt < 0) this.#drainedAt = now;
      else if (now - this.#drainedAt >= DRAIN_PING_MS) this.#finalGoaway();
    }
    if (this.#deadlines.tick(now)) this.drain();
  }

  // StreamOwner: what the streams ask for. They have checked that their sending direction is open.

  sendHead(stream: Http2Stream, fields: Fields, end: boolean): void {
    const core = this.#core;
    const status = fields[0];
    // The client's head went out with `open`.
    if (!core.isServer) return;
    if (status?.name !== ":status" || status.value.length !== 3 || stream.headSent) {
      core.ownDefect(stream, stream.headSent ? "a second head" : "an answer without :status");
      return;
    }
    const interim = status.value.startsWith("1");
    if (!interim) stream.headSent = true;
    else if (status.value === "100") stream.awaitsContinue = false;
    if (end && !interim) stream.localEnded = true;
    const outcome = core.writer.headers(stream.id, fields, end && !interim);
    if (outcome !== "sent") core.unsendable(stream, "a head", outcome);
    else if (stream.localEnded) core.localEnded(stream);
  }

  sendData(stream: Http2Stream, bytes: Uint8Array, end: boolean): void {
    if (!stream.headSent) {
      this.#core.ownDefect(stream, "content before the head");
      return;
    }
    this.#core.sender.send(stream, bytes, end);
  }

  sendTrailers(stream: Http2Stream, fields: Fields): void {
    if (!stream.headSent) {
      this.#core.ownDefect(stream, "trailers before the head");
      return;
    }
    stream.ending = "trailers";
    stream.trailers = fields;
    this.#core.sender.sendTrailersAfterQueue(stream);
  }

  reset(stream: Http2Stream, failure: Failure): void {
    const core = this.#core;
    if (core.ended) {
      stream.closed = true;
      return;
    }
    let code = http2CodeOf(failure);
    if (code === NO_ERROR && !(core.isServer && stream.localEnded)) {
      if (core.isServer && stream.ending !== "none") {
        // The answer is complete here and only waits for the window: it is sent to its end first.
        stream.resetAfterEnd = true;
        stream.events = SILENT;
        return;
      }
      // A cut must not look like an end: some peers take NO_ERROR for one, of an answer or of an upload. To a gRPC client
      // NO_ERROR is INTERNAL (doc/PROTOCOL-HTTP2.md), and so is INTERNAL_ERROR; CANCEL would be its own wish.
      code = core.isServer ? INTERNAL_ERROR : CANCEL;
    }
    core.writer.reset(stream.id, code);
    core.detach(stream, "reset-here");
    core.afterClose();
  }

  credit(stream: Http2Stream, bytes: number): void {
    stream.unacknowledged += bytes;
    if (stream.unacknowledged < this.#core.settings.initialWindowSize >>> 2) return;
    this.#core.writer.windowUpdate(stream.id, stream.unacknowledged);
    stream.receiveWindow += stream.unacknowledged;
    stream.unacknowledged = 0;
  }
}

/** Among the pseudo-fields, which come first. "" when there is none. */
function methodOf(fields: Fields): string {
  for (const field of fields) {
    if (field.name === ":method") return field.value;
    if (!field.name.startsWith(":")) break;
  }
  return "";
}
