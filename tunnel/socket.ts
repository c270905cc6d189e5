import type { Socket } from "node:net";
import { Outbox } from "../wire/outbox.ts";
import type { ByteProtocol, Transport } from "../wire/transport.ts";
import { reportDefect } from "./defects.ts";
import { unwatch, watch } from "./wheel.ts";

/**
 * Octets in the socket's queue above which DATA waits. 256 KiB keeps a 1 Gbit/s link busy for 2 ms, longer than a turn
 * of the event loop takes; more would only be memory, multiplied by the number of slow readers.
 */
export const HIGH_WATER_BYTES = 256 * 1024;

/**
 * What a gathering socket does not hold back: above this a write is worth its system call, and waiting would only keep the
 * other end idle.
 */
const GATHER_BYTES = 16 * 1024;

export interface SocketOptions {
  /** Octets already read from the socket: received first. */
  readonly initial?: Uint8Array | undefined;
  /**
   * For a tunnel: what all other sockets bring in one turn of the event loop leaves in one write at the end of the turn,
   * instead of one for each of them. Nothing waits for a clock.
   */
  readonly gathers?: boolean;
}

/** After `close`, how long the last octets may take to leave: what a body may stall elsewhere. */
const FLUSH_LINGER_MS = 30_000;

/**
 * After our FIN, how long what the peer still sends is read and thrown away. Without it the kernel answers the rest of
 * a request with RST, which can destroy our last response before the peer has read it (RFC 9112 section 9.6).
 */
const FIN_LINGER_MS = 2_000;

/**
 * After a failed write, how long a protocol may leave unread what the peer sent before it went: what a body may stall
 * elsewhere. The peer is gone, so only a protocol that does not read (its visitor is slow) can make this last.
 */
const FAILED_LINGER_MS = 30_000;

/** Dead peers behind a NAT are found by the kernel when nothing else asks. */
const TCP_KEEPALIVE_MS = 30_000;

/**
 * Wires a Node socket to a protocol and returns the protocol that `create` made.
 *
 * The socket must have been made with `allowHalfOpen` (else a visitor's FIN would end our answer) and nobody else may
 * read from it. Reading begins after the current job of the event loop, so the caller can keep the returned protocol
 * before it reports anything.
 */
export function attachSocket<P extends ByteProtocol>(
  socket: Socket,
  create: (transport: Transport) => P,
  options: SocketOptions = {},
): P {
  const transport = new SocketTransport(socket, options.gathers === true);
  const protocol = create(transport);
  transport.start(protocol, options.initial);
  return protocol;
}

interface Handle {
  readonly writeQueueSize?: number;
  readonly _parent?: Handle;
}

/**
 * A number that changes when the kernel takes octets of a write that is under way. "drain" and `writableLength` only tell
 * when all of it has gone, which for a quarter of a megabyte takes a slow link minutes.
 */
function takenFrom(socket: Socket): number {
  // Node's own idle timeout asks the handle in the same way; without one there is nothing under way either. Below TLS lies
  // another handle: the one above it knows only of whole writes.
  const handle = (socket as Socket & { readonly _handle?: Handle | null })._handle;
  return socket.bytesWritten - socket.writableLength - ((handle?._parent ?? handle)?.writeQueueSize ?? 0);
}

type WriteCallback = (error?: Error | null) => void;

class SocketTransport implements Transport {
  readonly outbox: Outbox;
  readonly #socket: Socket;
  #protocol: ByteProtocol | undefined;
  /** `close` was called: what arrives is thrown away. */
  #closing = false;
  /** Our FIN is asked for: nothing more is written. */
  #writingEnded = false;
  #paused = false;
  #reading = false;
  #finished = false;
  /** A write failed, and the protocol still wants what was received before. */
  #failed = false;
  #gone = false;
  /** When the present linger began; set at the first tick after `close` or a failed write. */
  #lingerSince: number | undefined;

  constructor(socket: Socket, gathers: boolean) {
    this.#socket = socket;
    const afterJob = gathers ? this.#gather : this.#flush;
    this.outbox = new Outbox(() => queueMicrotask(afterJob));
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    // The reason of an error is of no use to a protocol: for all it knows the transport is gone, and `close` says so.
    socket.on("error", () => undefined);
    socket.on("drain", this.#drain);
    socket.on("finish", () => {
      this.#finished = true;
      this.#lingerSince = undefined;
    });
    socket.on("close", this.#close);
  }

  start(protocol: ByteProtocol, initial: Uint8Array | undefined): void {
    this.#protocol = protocol;
    if (protocol.writingFailed !== undefined) this.#holdFailedWrites();
    watch(this);
    queueMicrotask(() => {
      if (this.#gone) return;
      if (this.#socket.destroyed && this.#socket.closed) {
        // It was gone before we came: "close" was emitted already and will not be again.
        this.#close();
        return;
      }
      if (initial !== undefined && initial.length > 0) this.#receive(initial);
      this.#reading = true;
      // Node reads into memory of its own for every chunk and never touches it again: the protocol may keep it.
      this.#socket.on("data", this.#receive);
      this.#socket.on("end", this.#end);
      if (this.#paused && !this.#closing) this.#socket.pause();
      else this.#socket.resume();
    });
  }

  pauseReading(): void {
    if (this.#paused) return;
    this.#paused = true;
    if (this.#reading && !this.#closing) this.#socket.pause();
  }

  resumeReading(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#reading) this.#socket.resume();
  }

  endWriting(): void {
    if (this.#writingEnded) return;
    this.#flush();
    this.#writingEnded = true;
    this.#socket.end();
  }

  close(): void {
    if (this.#closing) return;
    this.endWriting();
    this.#closing = true;
    if (this.#failed) this.#socket.destroy();
    else if (this.#reading) this.#socket.resume();
  }

  destroy(): void {
    // What came in the same turn as the reset, passes in the same turn: whoever resets has said it before.
    this.#flush();
    this.#closing = true;
    this.#writingEnded = true;
    const { destroyed, writableEnded, writableFinished, writableLength } = this.#socket;
    if (destroyed) return;
    // While the kernel is being given our FIN, for a turn of the event loop, it takes no reset: libuv says EINVAL, and
    // Node then forgets the handle without closing it, descriptor, "close" and all.
    if (writableEnded && !writableFinished && writableLength === 0) this.#socket.once("finish", this.#reset);
    else this.#reset();
  }

  readonly #reset = (): void => {
    try {
      this.#socket.resetAndDestroy();
    } catch {
      // Only a TCP handle can be reset. TLS: closing without close_notify is the abnormal end it has.
      this.#socket.destroy();
    }
  };

  tick(now: number): void {
    if (this.#closing) {
      this.#lingerSince ??= now;
      const limit = this.#finished ? FIN_LINGER_MS : FLUSH_LINGER_MS;
      if (now - this.#lingerSince > limit) this.#socket.destroy();
      return;
    }
    if (this.#failed) {
      this.#lingerSince ??= now;
      if (now - this.#lingerSince > FAILED_LINGER_MS) this.#socket.destroy();
    }
    if (this.outbox.blocked) this.outbox.taken = takenFrom(this.#socket);
    try {
      this.#protocol?.tick(now);
    } catch (error) {
      this.#defect("tick", error);
    }
  }

  readonly #receive = (bytes: Uint8Array): void => {
    if (this.#closing) return;
    this.#lingerSince = undefined;
    try {
      this.#protocol?.receive(bytes);
    } catch (error) {
      this.#defect("receive", error);
    }
  };

  readonly #end = (): void => {
    if (this.#closing) return;
    if (this.#failed) {
      // The failed write has consumed the socket's error, and after it the kernel says "end" to a reset connection too.
      this.#socket.destroy();
      return;
    }
    try {
      this.#protocol?.receiveEnd();
    } catch (error) {
      this.#defect("receiveEnd", error);
    }
  };

  /** Immediates run when every socket that had something has been read. */
  readonly #gather = (): void => {
    if (this.outbox.pending > GATHER_BYTES) this.#flush();
    else if (this.outbox.pending > 0) setImmediate(this.#flush);
  };

  readonly #flush = (): void => {
    const pieces = this.outbox.take();
    const socket = this.#socket;
    if (pieces.length === 0 || this.#writingEnded || socket.destroyed) return;
    const [first] = pieces;
    if (pieces.length === 1 && first !== undefined) {
      socket.write(first);
    } else {
      // One writev for the turn.
      socket.cork();
      for (const piece of pieces) socket.write(piece);
      socket.uncork();
    }
    // "drain" comes only after a write was answered with false, which writableNeedDrain tells.
    if (socket.writableLength > HIGH_WATER_BYTES && socket.writableNeedDrain) this.outbox.blocked = true;
  };

  /**
   * Node destroys a socket when a write on it fails, with everything that arrived before and was not read yet: the
   * answer of a service that refuses an upload and closes (RFC 9112 section 9.6). So the failure is kept from the
   * stream, which then believes the write to be under way, and reading goes on to its end.
   */
  #holdFailedWrites(): void {
    const socket = this.#socket;
    const write = socket._write.bind(socket);
    const writeSeveral = socket._writev?.bind(socket);
    socket._write = (chunk, encoding, callback) => write(chunk, encoding, this.#holding(callback));
    if (writeSeveral !== undefined)
      socket._writev = (chunks, callback) => writeSeveral(chunks, this.#holding(callback));
  }

  #holding(callback: WriteCallback): WriteCallback {
    return (error) => {
      if (error === undefined || error === null || this.#closing || this.#gone) {
        callback(error);
        return;
      }
      this.#failed = true;
      this.#writingEnded = true;
      this.outbox.take();
      this.outbox.blocked = true;
      // The write may have been made from within the protocol (`endWriting`).
      queueMicrotask(() => {
        if (this.#closing) {
          this.#socket.destroy();
          return;
        }
        try {
          this.#protocol?.writingFailed?.();
        } catch (defect) {
          this.#defect("writingFailed", defect);
        }
      });
    };
  }

  readonly #drain = (): void => {
    if (!this.outbox.blocked) return;
    this.outbox.blocked = false;
    if (this.#closing) return;
    try {
      this.#protocol?.drained();
    } catch (error) {
      this.#defect("drained", error);
    }
  };

  readonly #close = (): void => {
    if (this.#gone) return;
    this.#gone = true;
    this.#closing = true;
    this.#writingEnded = true;
    unwatch(this);
    try {
      this.#protocol?.transportClosed();
    } catch (error) {
      reportDefect("tunnel/socket: transportClosed", error);
    }
    this.outbox.take();
  };

  #defect(where: string, error: unknown): void {
    reportDefect(`tunnel/socket: ${where}`, error);
    this.destroy();
  }
}
