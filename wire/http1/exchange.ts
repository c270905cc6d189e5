import type { Failure, Fields, Stream, StreamEvents } from "../stream.ts";

/** What a connection does for the stream of its exchange. Calls for an exchange that is over do nothing. */
export interface ExchangeOwner {
  sendHead(exchange: Exchange, fields: Fields, end: boolean): void;
  sendData(exchange: Exchange, bytes: Uint8Array, end: boolean): void;
  sendTrailers(exchange: Exchange, fields: Fields): void;
  reset(exchange: Exchange, failure: Failure): void;
  consume(exchange: Exchange, bytes: number): void;
}

export const NO_EVENTS: StreamEvents = {
  headReceived() {},
  dataReceived() {},
  trailersReceived() {},
  resetReceived() {},
  dataSent() {},
};

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
