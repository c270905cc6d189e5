import type { Core } from "./core.ts";
import { CANCEL } from "./errors.ts";
import type { FrameReader } from "./reader.ts";
import type { Http2Stream } from "./stream.ts";

/** Less than this within `stallMs` is no progress of a stream: a reader of one octet a second only holds memory. */
const PROGRESS_BYTES = 1024;

/** Judges, once a second, what takes too long: silence, half a frame, data that nobody takes, content that does not come. */
export class Deadlines {
  readonly #core: Core;
  readonly #reader: FrameReader;

  // Times of `tick`, -1 when not running.
  #openedAt = -1;
  #idleSince = -1;
  #idleMark = -1;
  #frameSince = -1;
  #frameMark = -1;
  /** What the transport had taken at the last look. */
  #taken = 0;

  constructor(core: Core, reader: FrameReader) {
    this.#core = core;
    this.#reader = reader;
  }

  /** Returns whether the connection has been without streams for too long. */
  tick(now: number): boolean {
    const core = this.#core;
    const limits = core.limits;
    if (this.#openedAt < 0) this.#openedAt = now;
    if (core.isServer && !this.#reader.ready && now - this.#openedAt >= limits.prefaceMs) {
      core.abort(core.failure("timeout", `no preface within ${limits.prefaceMs} ms`));
      return false;
    }
    this.#judgeFrame(now);
    if (limits.stallMs !== Infinity) this.#judgeStreams(now);
    return limits.idleMs !== Infinity && this.#isIdle(now);
  }

  /** A head, or any frame but DATA, that comes octet by octet. */
  #judgeFrame(now: number): void {
    const reader = this.#reader;
    const core = this.#core;
    if (!reader.inFrame) this.#frameSince = -1;
    else if (this.#frameSince < 0 || this.#frameMark !== reader.broken) {
      this.#frameSince = now;
      this.#frameMark = reader.broken;
    } else if (now - this.#frameSince >= core.limits.headMs) {
      core.abort(core.failure("timeout", `a head or frame not complete within ${core.limits.headMs} ms`));
    }
  }

  #judgeStreams(now: number): void {
    const core = this.#core;
    const outbox = core.transport.outbox;
    // The socket took some of what waits for it, however little: a slow link is no attack.
    const moving = outbox.blocked && outbox.taken !== this.#taken;
    this.#taken = outbox.taken;
    for (const stream of core.streams.all()) {
      if (stream.closed) continue;
      if (stream.queued > 0) this.#judgeReader(stream, now, moving);
      if (stream.expected > 0) this.#judgeWriter(stream, now);
    }
  }

  /** @param moving the transport takes octets: who waits for nothing else is not stalled. */
  #judgeReader(stream: Http2Stream, now: number, moving: boolean): void {
    const core = this.#core;
    const waitsForTransport = moving && stream.sendWindow > 0 && core.sender.window > 0;
    if (stream.stalledSince < 0 || stream.progress >= PROGRESS_BYTES || waitsForTransport) {
      stream.stalledSince = now;
      stream.progress = 0;
    } else if (now - stream.stalledSince >= core.limits.stallMs) {
      core.streamError(stream, CANCEL, "timeout", `no data taken for ${core.limits.stallMs} ms`);
    }
  }

  /** Who announced how much he sends, may send it, and does not. Content of unknown length may come when it likes. */
  #judgeWriter(stream: Http2Stream, now: number): void {
    const core = this.#core;
    if (!core.isServer || stream.remoteEnded || stream.awaitsContinue) return;
    if (stream.expectedMark !== stream.expected || stream.receiveWindow <= 0) {
      stream.expectedMark = stream.expected;
      stream.silentSince = now;
    } else if (now - stream.silentSince >= core.limits.stallMs) {
      core.streamError(stream, CANCEL, "timeout", `no content for ${core.limits.stallMs} ms`);
    }
  }

  #isIdle(now: number): boolean {
    const core = this.#core;
    const mark = core.isServer ? core.lastPeerStream : core.nextStream;
    if (core.streams.size > 0 || this.#idleSince < 0 || this.#idleMark !== mark) {
      this.#idleSince = now;
      this.#idleMark = mark;
      return false;
    }
    return now - this.#idleSince >= core.limits.idleMs;
  }
}
