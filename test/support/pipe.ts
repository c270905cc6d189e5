import { Outbox } from "../../wire/outbox.ts";
import type { ByteProtocol, Transport } from "../../wire/transport.ts";

export interface PipeOptions {
  /** Deliver at most so many octets at a time. Default: everything that one `take` gave, in one chunk. */
  readonly slice?: number;
}

/**
 * One end of an in-memory connection. Nothing moves by itself: `Pipe.run` delivers until both ends are silent, so that a
 * test decides when bytes travel.
 */
export class PipeEnd implements Transport {
  readonly outbox = new Outbox(() => {});
  protocol: ByteProtocol | undefined;
  /** Everything this end has sent, for tests that look at frames. */
  readonly sent: Uint8Array[] = [];
  reading = true;
  /** How this end was closed by its own protocol. */
  closing: "open" | "half" | "closed" | "destroyed" = "open";
  /** Bytes on their way from this end to the other. */
  readonly wire: Uint8Array[] = [];
  /** The other end has seen this one's FIN. */
  finDelivered = false;
  /** `transportClosed` has been called here. */
  gone = false;
  readonly #hold: () => boolean;

  constructor(hold: () => boolean) {
    this.#hold = hold;
  }

  pauseReading(): void {
    this.reading = false;
  }

  resumeReading(): void {
    this.reading = true;
  }

  endWriting(): void {
    if (this.closing === "open") this.closing = "half";
  }

  close(): void {
    if (this.closing === "open" || this.closing === "half") this.closing = "closed";
  }

  destroy(): void {
    this.closing = "destroyed";
    this.outbox.take();
    this.wire.length = 0;
  }

  /** Moves what the outbox holds onto the wire. False when there was nothing. */
  flush(): boolean {
    if (this.closing === "destroyed" || this.#hold()) return false;
    const pieces = this.outbox.take();
    for (const piece of pieces) {
      this.sent.push(piece);
      this.wire.push(piece);
    }
    return pieces.length > 0;
  }
}

/** Two transports joined. */
export class Pipe {
  readonly left: PipeEnd;
  readonly right: PipeEnd;
  readonly #slice: number;
  #cut = false;

  constructor(options: PipeOptions = {}) {
    this.#slice = options.slice ?? Infinity;
    this.left = new PipeEnd(() => this.#cut);
    this.right = new PipeEnd(() => this.#cut);
  }

  /** Connects two protocols by their transports and delivers what their constructors sent. */
  attach(left: (transport: Transport) => ByteProtocol, right: (transport: Transport) => ByteProtocol): void {
    this.left.protocol = left(this.left);
    this.right.protocol = right(this.right);
    this.run();
  }

  /** Delivers until nothing moves. Throws after a million steps: the two ends keep each other busy for ever. */
  run(): void {
    for (let step = 0; step < 1_000_000; step++) {
      const moved = this.#deliver(this.left, this.right) || this.#deliver(this.right, this.left);
      if (!moved) return;
    }
    throw new Error("The two ends of the pipe never become silent.");
  }

  /** Says that the transport of `end` holds too much, or (false) that it takes data again. */
  block(end: PipeEnd, blocked: boolean): void {
    end.outbox.blocked = blocked;
    if (!blocked) end.protocol?.drained();
    this.run();
  }

  /** The connection breaks: what is under way is lost, both ends learn of it. */
  cut(): void {
    this.#cut = true;
    for (const end of [this.left, this.right]) {
      end.wire.length = 0;
      this.#gone(end);
    }
  }

  #deliver(from: PipeEnd, to: PipeEnd): boolean {
    let moved = from.flush();
    if (to.gone) from.wire.length = 0;
    while (from.wire.length > 0 && to.reading && !to.gone) {
      const bytes = this.#next(from.wire);
      moved = true;
      if (to.closing === "open" || to.closing === "half") to.protocol?.receive(bytes);
    }
    if (from.wire.length > 0) return moved;
    if (from.closing === "destroyed") {
      moved = this.#gone(to) || moved;
      return this.#gone(from) || moved;
    }
    if (from.closing !== "open" && !from.finDelivered && from.outbox.pending === 0) {
      from.finDelivered = true;
      moved = true;
      if (!to.gone && to.closing !== "closed") to.protocol?.receiveEnd();
    }
    if (from.closing === "closed" && (to.closing === "closed" || to.finDelivered)) {
      moved = this.#gone(from) || moved;
      moved = this.#gone(to) || moved;
    }
    return moved;
  }

  #next(wire: Uint8Array[]): Uint8Array {
    const first = wire[0] ?? new Uint8Array(0);
    if (this.#slice < first.length) {
      wire[0] = first.subarray(this.#slice);
      // A copy, as a socket would read it: nobody may rely on what lies beside it.
      return first.slice(0, this.#slice);
    }
    wire.shift();
    return first.slice();
  }

  #gone(end: PipeEnd): boolean {
    if (end.gone) return false;
    end.gone = true;
    end.protocol?.transportClosed();
    return true;
  }
}
