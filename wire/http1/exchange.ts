import type { Failure, Fields, Stream, StreamEvents } from "../stream.ts";

/** What a connection does for the stream of its exchange. Calls for an exchange that is over do nothing. */
export interface ExchangeOwner {
  sendHead(exchange: Exchange, fields: Fields, end: boolean): void;
  sendData(exchange: Exchange, bytes: Uint8Array, end: boolean): void;
  sendTrailers(exchange: Exchange, fields: Fields): void;
  reset(exchange: Exchange, failure: Failure): void;
  consume(exchange: Exchange, bytes: number): void;
}

/**
 * Who listens while `streamOpened` runs, which may already answer: it is told afterwards, when it has said who it is. Nothing of
 * the request is reported in that time. One serves all exchanges of a connection.
 */
export class EarlyEvents implements StreamEvents {
  #sent = 0;
  #failure: Failure | undefined;

  headReceived(): void {}
  dataReceived(): void {}
  trailersReceived(): void {}

  resetReceived(failure: Failure): void {
    this.#failure = failure;
  }

  dataSent(bytes: number): void {
    this.#sent += bytes;
  }

  /** The stream was reset by its holder: he is told nothing any more. */
  forget(): void {
    this.#sent = 0;
    this.#failure = undefined;
  }

  /** Passes on what was noted, and forgets it. */
  tell(events: StreamEvents): void {
    const sent = this.#sent;
    const failure = this.#failure;
    this.forget();
    if (sent > 0) events.dataSent(sent);
    if (failure !== undefined) events.resetReceived(failure);
  }
}

/**
 * The stream of one HTTP/1 exchange. A handle of its own, because its holder may keep it longer than the connection keeps the
 * exchange: what he then does must not reach the next one.
 */
export class Exchange implements Stream {
  events: StreamEvents;
  readonly #owner: ExchangeOwner;

  constructor(owner: ExchangeOwner, events: StreamEvents) {
    this.#owner = owner;
    this.events = events;
  }

  sendHead(fields: Fields, end: boolean): void {
    this.#owner.sendHead(this, fields, end);
  }

  sendData(bytes: Uint8Array, end: boolean): void {
    this.#owner.sendData(this, bytes, end);
  }

  sendTrailers(fields: Fields): void {
    this.#owner.sendTrailers(this, fields);
  }

  reset(failure: Failure): void {
    this.#owner.reset(this, failure);
  }

  consume(bytes: number): void {
    this.#owner.consume(this, bytes);
  }
}
