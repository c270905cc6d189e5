import assert from "node:assert/strict";
import { Http2Connection } from "../../wire/http2/connection.ts";
import type { Http2Options } from "../../wire/http2/options.ts";
import type { Failure, Field, Fields, Stream, StreamEvents } from "../../wire/stream.ts";
import { CLIENT_PREFACE, FrameParser, SETTINGS_ACK, describe, join, settings } from "./frames.ts";
import { Pipe, PipeEnd } from "./pipe.ts";

export const GET: Fields = [
  { name: ":method", value: "GET" },
  { name: ":scheme", value: "http" },
  { name: ":authority", value: "example.test" },
  { name: ":path", value: "/" },
];
export const POST: Fields = [{ name: ":method", value: "POST" }, ...GET.slice(1)];
export const OK: Fields = [{ name: ":status", value: "200" }];

/** Notes what a stream reports. */
export class Recorder implements StreamEvents {
  readonly log: string[] = [];
  readonly data: Uint8Array[] = [];
  sent = 0;
  stream: Stream | undefined;
  failure: Failure | undefined;
  consume = true;
  ended = false;
  onData: (bytes: Uint8Array, end: boolean) => void = () => {};

  headReceived(fields: Fields, end: boolean): void {
    this.log.push(`head ${text(fields)}${end ? " end" : ""}`);
    this.ended ||= end;
  }
  dataReceived(bytes: Uint8Array, end: boolean): void {
    this.data.push(bytes);
    this.log.push(`data ${bytes.length}${end ? " end" : ""}`);
    this.ended ||= end;
    if (this.consume) this.stream?.consume(bytes.length);
    this.onData(bytes, end);
  }
  trailersReceived(fields: Fields): void {
    this.log.push(`trailers ${text(fields)}`);
    this.ended = true;
  }
  resetReceived(failure: Failure): void {
    this.failure = failure;
    this.log.push(`reset ${failure.by} ${failure.code}`);
  }
  dataSent(bytes: number): void {
    this.sent += bytes;
  }
  get bytes(): number {
    return this.data.reduce((sum, part) => sum + part.length, 0);
  }
}

export function text(fields: Fields): string {
  return fields.map((field: Field) => `${field.name}=${field.value}`).join(" ");
}

/** A client and a server of ours, joined by a pipe. */
export interface Pair {
  readonly pipe: Pipe;
  readonly client: Http2Connection;
  readonly server: Http2Connection;
  readonly log: string[];
  /** Requests as they arrived at the server. */
  readonly requests: { stream: Stream; fields: Fields; end: boolean; events: Recorder }[];
  readonly open: (fields: Fields, end: boolean) => Recorder;
}

export function pair(
  options: {
    slice?: number;
    client?: Partial<Http2Options>;
    server?: Partial<Http2Options>;
    opened?: (stream: Stream) => void;
  } = {},
): Pair {
  const pipe = new Pipe(options.slice === undefined ? {} : { slice: options.slice });
  const log: string[] = [];
  const requests: Pair["requests"] = [];
  const connections: Http2Connection[] = [];
  const make = (role: "client" | "server") => (transport: Http2Options["transport"]) => {
    const connection = new Http2Connection({
      role,
      transport,
      peer: role === "client" ? "service" : "visitor",
      party: role === "client" ? "agent" : "relay",
      ...options[role],
      events: {
        streamOpened(stream, fields, end) {
          const events = new Recorder();
          events.stream = stream;
          requests.push({ stream, fields, end, events });
          options.opened?.(stream);
          return events;
        },
        capacityChanged: () => log.push(`${role} capacity`),
        draining: () => log.push(`${role} draining`),
        ended: (failure) =>
          log.push(`${role} ended ${failure === undefined ? "in order" : `${failure.by} ${failure.code}`}`),
        pingAnswered: () => log.push(`${role} ping`),
      },
    });
    connections.push(connection);
    return connection;
  };
  pipe.attach(make("client"), make("server"));
  const [client, server] = connections;
  assert.ok(client !== undefined && server !== undefined);
  return {
    pipe,
    client,
    server,
    log,
    requests,
    open(fields, end) {
      const events = new Recorder();
      events.stream = client.open(fields, end, events);
      assert.ok(events.stream !== undefined);
      return events;
    },
  };
}

/** One connection of ours whose peer is the test, with raw frames. */
export class Lone {
  readonly transport = new PipeEnd(() => false);
  readonly connection: Http2Connection;
  readonly log: string[] = [];
  readonly streams: Recorder[] = [];
  readonly #parser = new FrameParser();

  /** The handshake is done, and what was sent for it forgotten, unless `handshake` is false. */
  constructor(role: "client" | "server", options: Partial<Http2Options> = {}, handshake = true) {
    this.connection = new Http2Connection({
      role,
      transport: this.transport,
      peer: role === "client" ? "service" : "visitor",
      party: "relay",
      ...options,
      events: {
        streamOpened: (stream, fields, end) => {
          const events = new Recorder();
          events.stream = stream;
          events.consume = false;
          this.streams.push(events);
          this.log.push(`opened ${text(fields.slice(0, 1))}${end ? " end" : ""}`);
          return events;
        },
        capacityChanged: () => this.log.push("capacity"),
        draining: () => this.log.push("draining"),
        ended: (failure) =>
          this.log.push(`ended ${failure === undefined ? "in order" : `${failure.by} ${failure.code}`}`),
        pingAnswered: () => this.log.push("ping"),
        ...options.events,
      },
    });
    if (handshake) {
      this.feed(...(role === "server" ? [CLIENT_PREFACE] : []), settings(), SETTINGS_ACK);
      this.log.length = 0;
    }
  }

  /** Gives the connection these octets; returns what it sent since. */
  feed(...parts: readonly Uint8Array[]): string[] {
    this.connection.receive(join(...parts));
    return this.sent();
  }

  /** What the connection sent since the last look. */
  sent(): string[] {
    this.transport.flush();
    const pieces = this.transport.sent.splice(0);
    // The client's preface is no frame.
    const first = pieces[0];
    if (first?.[0] === 0x50 && first[1] === 0x52) pieces[0] = first.subarray(CLIENT_PREFACE.length);
    return pieces.flatMap((piece) => this.#parser.push(piece)).map(describe);
  }

  open(fields: Fields = GET, end = true): Recorder {
    const events = new Recorder();
    events.consume = false;
    events.stream = this.connection.open(fields, end, events);
    assert.ok(events.stream !== undefined);
    return events;
  }

  /** The recorder of the stream that the peer opened as number `index`. */
  stream(index: number): Recorder & { stream: Stream } {
    const one = this.streams[index];
    assert.ok(one?.stream !== undefined);
    return one as Recorder & { stream: Stream };
  }
}
