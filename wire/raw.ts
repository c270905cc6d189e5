import type { Failure, Party, Stream, StreamEvents } from "./stream.ts";
import type { ByteProtocol, Transport } from "./transport.ts";
import { Intake } from "./http1/intake.ts";

/** As for HTTP/1: one socket read. TCP has no flow control that we could leave to the peer. */
const UNCONSUMED_BYTES = 64 * 1024;

export interface RawConnectionOptions {
  readonly transport: Transport;
  readonly events: StreamEvents;
  /** Who is at the other end. */
  readonly peer: Party;
  /** Who we are. */
  readonly party: Party;
}

const EMPTY = new Uint8Array(0);

/** A TCP connection as a stream: an end is a FIN, the two directions end independently, and anything else is a reset. */
export class RawConnection implements ByteProtocol, Stream {
  events: StreamEvents;

  readonly #transport: Transport;
  readonly #peer: Party;
  readonly #intake: Intake;
  #queue: Uint8Array[] = [];
  /** Our end was given; it follows the queue. */
  #endGiven = false;
  #endSent = false;
  #peerEnded = false;
  /** Both directions ended, or the stream was reset: nothing more is reported. */
  #over = false;

  constructor(options: RawConnectionOptions) {
    this.#transport = options.transport;
    this.events = options.events;
    this.#peer = options.peer;
    this.#intake = new Intake(options.transport, UNCONSUMED_BYTES);
  }

  /** A TCP connection has none. */
  sendHead(): void {}

  sendData(bytes: Uint8Array, end: boolean): void {
    if (this.#over || this.#endGiven) return;
    this.#endGiven = end;
    if (this.#transport.outbox.blocked || this.#queue.length > 0) {
      if (bytes.length > 0) this.#queue.push(bytes);
    } else {
      this.#put(bytes);
    }
    this.#finish();
  }

  /** TCP carries none: an end. */
  sendTrailers(): void {
    this.sendData(EMPTY, true);
  }

  reset(_failure: Failure): void {
    if (this.#over) return;
    this.#over = true;
    this.#queue = [];
    this.#transport.destroy();
  }

  consume(bytes: number): void {
    this.#intake.consume(bytes);
  }

  receive(bytes: Uint8Array): void {
    if (this.#over || bytes.length === 0) return;
    this.#intake.add(bytes.length);
    this.events.dataReceived(bytes, false);
  }

  receiveEnd(): void {
    if (this.#over || this.#peerEnded) return;
    this.#peerEnded = true;
    this.events.dataReceived(EMPTY, true);
    if (this.#endSent) this.#over = true;
  }

  transportClosed(): void {
    if (this.#over) return;
    this.#over = true;
    this.#queue = [];
    this.events.resetReceived({
      by: this.#peer,
      code: "closed",
      message: `The TCP connection of the ${this.#peer} was closed without an orderly end.`,
    });
  }

  drained(): void {
    const outbox = this.#transport.outbox;
    while (this.#queue.length > 0 && !outbox.blocked) {
      const bytes = this.#queue.shift();
      if (bytes !== undefined) this.#put(bytes);
    }
    this.#finish();
  }

  tick(_now: number): void {}

  #put(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#transport.outbox.put(bytes);
    this.events.dataSent(bytes.length);
  }

  /** Sends the FIN once all that was given before it is handed over. */
  #finish(): void {
    if (!this.#endGiven || this.#endSent || this.#over || this.#queue.length > 0) return;
    this.#endSent = true;
    this.#transport.endWriting();
    if (this.#peerEnded) this.#over = true;
  }
}
