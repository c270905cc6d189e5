import type { Socket } from "node:net";

/** What is wrong with one direction of a link. Nothing set: octets pass as they come. */
export interface Toxics {
  /** Each octet arrives this much later. */
  readonly latencyMs?: number;
  /** The latency varies by this much either way; order is kept, as TCP does. */
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** At most this many octets in one write, each write in a turn of the event loop of its own. */
  readonly sliceBytes?: number;
  /** Nothing passes, neither octets nor ends, and nobody is told. What was sent meanwhile passes when this is over. */
  readonly silent?: boolean;
}

/**
 * Octets held by one direction of one connection. Enough for 500 ms at 500 KB/s; beyond it the source is no longer read,
 * and the kernel's own buffers push back, as on a real link.
 */
export const QUEUE_BYTES = 256 * 1024;

/** Writes per second under a limit of bandwidth: fine enough to look steady, coarse enough to cost nothing. */
const WRITES_PER_SECOND = 50;

/** RST. While its FIN is on the way to the kernel a socket takes none, and Node would leak the handle (see `tunnel/socket.ts`). */
export function reset(socket: Socket): void {
  const { writableEnded, writableFinished, writableLength } = socket;
  if (writableEnded && !writableFinished && writableLength === 0 && !socket.destroyed)
    socket.once("finish", () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

interface Item {
  /** `performance.now()` from which it may pass. */
  readonly due: number;
  /** What happens to the sink; `reset` and `end` are the last of a direction. */
  readonly what: "data" | "end" | "reset";
  bytes: Buffer;
}

const NOTHING = Buffer.alloc(0);

/** One direction of one connection: reads `source`, writes `sink`, and does to the octets between what it is told. */
export class Conduit {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #random: () => number;
  #toxics: Toxics;
  #queue: Item[] = [];
  #queued = 0;
  #mostQueued = 0;
  /** No earlier than this may the next octet pass (bandwidth). */
  #free = 0;
  #lastDue = 0;
  #stopped = false;
  #draining = false;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  /** @param random uniform in [0, 1). The sockets are half-open ones, `source` is paused. */
  constructor(source: Socket, sink: Socket, toxics: Toxics, random: () => number) {
    this.#source = source;
    this.#sink = sink;
    this.#toxics = toxics;
    this.#random = random;
    source.on("data", this.#receive);
    source.on("end", this.#end);
    sink.on("drain", this.#drained);
    this.#readOrNot();
  }

  /** The most octets it has held. */
  get mostQueued(): number {
    return this.#mostQueued;
  }

  set(toxics: Toxics): void {
    this.#toxics = toxics;
    this.#free = 0;
    this.#cancel();
    this.#readOrNot();
    this.#pump();
  }

  /** The source is gone without an end: the sink learns it, behind what is still under way. */
  sourceLost(): void {
    this.#push("reset", NOTHING);
  }

  /** Nothing passes any more; the sockets are somebody else's. */
  stop(): void {
    this.#stopped = true;
    this.#cancel();
    this.#queue = [];
    this.#queued = 0;
    this.#source.off("data", this.#receive);
    this.#source.off("end", this.#end);
    this.#sink.off("drain", this.#drained);
  }

  readonly #receive = (bytes: Buffer): void => this.#push("data", bytes);
  readonly #end = (): void => this.#push("end", NOTHING);
  readonly #drained = (): void => {
    this.#draining = false;
    this.#pump();
  };

  #push(what: Item["what"], bytes: Buffer): void {
    if (this.#stopped) return;
    const { latencyMs = 0, jitterMs = 0 } = this.#toxics;
    const latency = Math.max(0, latencyMs + jitterMs * (2 * this.#random() - 1));
    this.#lastDue = Math.max(this.#lastDue, performance.now() + latency);
    this.#queue.push({ due: this.#lastDue, what, bytes });
    this.#queued += bytes.length;
    this.#mostQueued = Math.max(this.#mostQueued, this.#queued);
    this.#readOrNot();
    this.#pump();
  }

  #readOrNot(): void {
    if (this.#stopped) return;
    if (this.#toxics.silent === true || this.#queued >= QUEUE_BYTES) this.#source.pause();
    else this.#source.resume();
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
  }

  readonly #pump = (): void => {
    for (;;) {
      const item = this.#queue[0];
      if (item === undefined || this.#toxics.silent === true || this.#stopped || this.#draining) return;
      if (this.#timer !== undefined || this.#immediate !== undefined) return;
      const now = performance.now();
      const wait = Math.max(this.#toxics.latencyMs === undefined ? 0 : item.due, this.#free) - now;
      if (wait > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.#pump();
        }, Math.ceil(wait));
        return;
      }
      if (item.what !== "data") {
        this.#queue.shift();
        if (item.what === "end") this.#sink.end();
        else reset(this.#sink);
        continue;
      }
      this.#write(item, now);
      if (this.#toxics.sliceBytes === undefined) continue;
      this.#immediate = setImmediate(() => {
        this.#immediate = undefined;
        this.#pump();
      });
      return;
    }
  };

  #write(item: Item, now: number): void {
    const { sliceBytes = Infinity, bytesPerSecond = Infinity } = this.#toxics;
    const most = Math.min(sliceBytes, Math.max(1, Math.floor(bytesPerSecond / WRITES_PER_SECOND)));
    const piece = item.bytes.subarray(0, most);
    item.bytes = item.bytes.subarray(piece.length);
    if (item.bytes.length === 0) this.#queue.shift();
    this.#queued -= piece.length;
    this.#free = Math.max(now, this.#free) + (piece.length / bytesPerSecond) * 1000;
    // A sink that is gone has told the other direction, or will; here its octets vanish.
    if (!this.#sink.destroyed && this.#sink.writable && !this.#sink.write(piece)) this.#draining = true;
    this.#readOrNot();
  }
}
