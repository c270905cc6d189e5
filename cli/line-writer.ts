import type { Writable } from "node:stream";

/** 8 MiB of lines nobody has read: a reader that pauses for some seconds loses nothing at ordinary rates. */
const MAX_QUEUED = 8 * 1024 * 1024;

export interface LineWriterOptions {
  /** Octets that may wait in the stream before lines are dropped. */
  readonly maxQueued?: number;
  /** What takes the place of `count` dropped lines, once there is room again. */
  readonly gap: (count: number) => string;
  /** The reader is gone (EPIPE): nothing will be written any more. */
  readonly closed: () => void;
}

/**
 * Writes lines to a stream that may be slower than we are. It never waits and never queues without bound: what does not
 * fit is dropped, counted, and told in its place.
 */
export class LineWriter {
  readonly #stream: Writable;
  readonly #options: LineWriterOptions;
  readonly #maxQueued: number;
  #dropped = 0;
  #closed = false;

  constructor(stream: Writable, options: LineWriterOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#maxQueued = options.maxQueued ?? MAX_QUEUED;
    stream.on("error", () => this.#close());
    stream.on("close", () => this.#close());
    stream.on("drain", () => this.#tellGap());
  }

  /** `important` lines (URLs, failures) are written even when the queue is full; there are few of them. */
  write(line: string, important = false): void {
    if (this.#closed) return;
    if (!important && this.#stream.writableLength > this.#maxQueued) {
      this.#dropped++;
      return;
    }
    this.#tellGap();
    this.#stream.write(`${line}\n`);
  }

  /** Resolves when all was taken, or the reader is gone, or after `ms`. */
  async flush(ms: number): Promise<void> {
    this.#tellGap();
    if (this.#closed || this.#stream.writableLength === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
      this.#stream.once("close", resolve);
      this.#stream.once("error", () => resolve());
      this.#stream.write("", () => resolve());
    });
    clearTimeout(timer);
  }

  #tellGap(): void {
    if (this.#dropped === 0 || this.#closed || this.#stream.writableLength > this.#maxQueued) return;
    const count = this.#dropped;
    this.#dropped = 0;
    this.#stream.write(`${this.#options.gap(count)}\n`);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.closed();
  }
}
