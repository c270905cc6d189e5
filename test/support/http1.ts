import { createHash, randomBytes } from "node:crypto";
import { Http1Client } from "../../wire/http1/client.ts";
import type { Http1Limits } from "../../wire/http1/limits.ts";
import { Http1Server } from "../../wire/http1/server.ts";
import { Outbox } from "../../wire/outbox.ts";
import type { Failure, Fields, Stream, StreamEvents } from "../../wire/stream.ts";
import type { HttpConnectionEvents, Transport } from "../../wire/transport.ts";

export function acceptKey(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

export function randomKey(): string {
  return randomBytes(16).toString("base64");
}

/** A transport that only notes what it is asked for. */
export class NotingTransport implements Transport {
  readonly outbox = new Outbox(() => undefined);
  readonly #log: string[];
  #written = "";

  constructor(log: string[]) {
    this.#log = log;
  }

  pauseReading(): void {
    this.#log.push("pause");
  }
  resumeReading(): void {
    this.#log.push("resume");
  }
  endWriting(): void {
    this.#log.push("FIN");
  }
  close(): void {
    this.#log.push("close");
  }
  destroy(): void {
    this.#log.push("destroy");
  }

  /** All that was put so far, latin-1. */
  get written(): string {
    for (const piece of this.outbox.take()) this.#written += Buffer.from(piece).toString("latin1");
    return this.#written;
  }
}

/** Fields as `name=value` with `|` between. */
export function showFields(fields: Fields): string {
  return fields.map((field) => `${field.name}=${field.value}`).join("|");
}

/** Writes what a stream reports into a transcript. Data of subsequent events is joined, so that it does not depend on how it was cut. */
export class Transcript implements StreamEvents {
  readonly log: string[];
  /** Octets reported and not consumed yet. */
  received = 0;
  sent = 0;

  constructor(log: string[]) {
    this.log = log;
  }

  headReceived(fields: Fields, end: boolean): void {
    this.log.push(`head ${showFields(fields)}${end ? " END" : ""}`);
  }
  dataReceived(bytes: Uint8Array, end: boolean): void {
    this.received += bytes.length;
    // Large bodies are not written out: a failing assertion would print them.
    const text = bytes.length > 1000 ? `(${bytes.length} octets)` : Buffer.from(bytes).toString("latin1");
    const last = this.log.at(-1);
    if (text !== "") {
      if (last?.startsWith("data ") === true) this.log[this.log.length - 1] = last + text;
      else this.log.push(`data ${text}`);
    }
    if (end) this.log.push("END");
  }
  trailersReceived(fields: Fields): void {
    this.log.push(`trailers ${showFields(fields)}`);
  }
  resetReceived(failure: Failure): void {
    this.log.push(`reset ${failure.by} ${failure.code}`);
  }
  dataSent(bytes: number): void {
    this.sent += bytes;
  }
}

export type Answer = (stream: Stream, fields: Fields, end: boolean) => void;

/** An `Http1Server` with a transcript of all it does. */
export class ServerRig {
  readonly log: string[] = [];
  readonly transport = new NotingTransport(this.log);
  readonly streams: Stream[] = [];
  readonly transcript = new Transcript(this.log);
  readonly server: Http1Server;

  constructor(answer: Answer = () => undefined, limits: Partial<Http1Limits> = {}) {
    const events: HttpConnectionEvents = {
      streamOpened: (stream, fields, end) => {
        this.streams.push(stream);
        this.log.push(`opened ${showFields(fields)}${end ? " END" : ""}`);
        answer(stream, fields, end);
        return this.transcript;
      },
      capacityChanged() {},
      draining() {},
      ended: (failure) => {
        this.log.push(`ended${failure === undefined ? "" : ` ${failure.code}`}`);
      },
    };
    this.server = new Http1Server({
      transport: this.transport,
      events,
      scheme: "http",
      acceptKey,
      limits,
      peer: "visitor",
      party: "relay",
    });
  }

  get stream(): Stream {
    const stream = this.streams.at(-1);
    if (stream === undefined) throw new Error("No stream was opened");
    return stream;
  }

  /** Feeds latin-1 text, in pieces that end at `cuts`. */
  feed(text: string, ...cuts: number[]): this {
    feed((bytes) => this.server.receive(bytes), text, cuts);
    return this;
  }
}

/** An `Http1Client` with a transcript of all it does. */
export class ClientRig {
  readonly log: string[] = [];
  readonly transport = new NotingTransport(this.log);
  readonly transcript = new Transcript(this.log);
  readonly client: Http1Client;
  /** What the holder does when it hears of it. */
  capacityChanged: () => void = () => undefined;

  constructor(limits: Partial<Http1Limits> = {}) {
    this.client = new Http1Client({
      transport: this.transport,
      events: {
        streamOpened: () => this.transcript,
        capacityChanged: () => this.capacityChanged(),
        draining: () => {
          this.log.push("draining");
        },
        ended: (failure) => {
          this.log.push(`ended${failure === undefined ? "" : ` ${failure.code}`}`);
        },
      },
      acceptKey,
      randomKey: () => "dGhlIHNhbXBsZSBub25jZQ==",
      limits,
      peer: "service",
      party: "agent",
    });
  }

  open(fields: Fields, end: boolean): Stream {
    const stream = this.client.open(fields, end, this.transcript);
    if (stream === undefined) throw new Error("The client has no capacity");
    return stream;
  }

  feed(text: string, ...cuts: number[]): this {
    feed((bytes) => this.client.receive(bytes), text, cuts);
    return this;
  }
}

function feed(receive: (bytes: Uint8Array) => void, text: string, cuts: readonly number[]): void {
  const bytes = new Uint8Array(Buffer.from(text, "latin1"));
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    // A copy of its own, as from a socket.
    if (cut > from) receive(bytes.slice(from, cut));
    from = cut;
  }
}

export const GET: Fields = request("GET", "/");

export function request(method: string, path: string, ...more: [string, string][]): Fields {
  return [
    { name: ":method", value: method },
    { name: ":scheme", value: "http" },
    { name: ":authority", value: "a.test" },
    { name: ":path", value: path },
    ...more.map(([name, value]) => ({ name, value })),
  ];
}

export function answer(status: number, ...more: [string, string][]): Fields {
  return [{ name: ":status", value: String(status) }, ...more.map(([name, value]) => ({ name, value }))];
}
