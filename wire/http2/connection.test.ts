import assert from "node:assert/strict";
import { test } from "node:test";
import { Pipe } from "../../test/support/pipe.ts";
import type { Failure, Field, Fields, Stream, StreamEvents } from "../stream.ts";
import { Http2Connection } from "./connection.ts";
import type { Http2Options } from "./options.ts";

const GET: Fields = [
  { name: ":method", value: "GET" },
  { name: ":scheme", value: "http" },
  { name: ":authority", value: "example.test" },
  { name: ":path", value: "/" },
];
const OK: Fields = [{ name: ":status", value: "200" }];

class Recorder implements StreamEvents {
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

function text(fields: Fields): string {
  return fields.map((field: Field) => `${field.name}=${field.value}`).join(" ");
}

interface Pair {
  readonly pipe: Pipe;
  readonly client: Http2Connection;
  readonly server: Http2Connection;
  readonly log: string[];
  /** Requests as they arrived at the server. */
  readonly requests: { stream: Stream; fields: Fields; end: boolean; events: Recorder }[];
  readonly open: (fields: Fields, end: boolean) => Recorder;
}

function pair(
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

for (const slice of [1, 2, 3, 5, 7, 16, 1000, 100_000]) {
  test(`an exchange with content and trailers both ways, ${slice} octets at a time`, () => {
    const { pipe, open, requests, client, server } = pair({ slice });
    const events = open([{ name: ":method", value: "POST" }, ...GET.slice(1), { name: "x-a", value: "b" }], false);
    events.stream?.sendData(new Uint8Array(1000).fill(7), false);
    pipe.run();
    const [request] = requests;
    assert.ok(request !== undefined);
    assert.equal(text(request.fields), ":method=POST :scheme=http :authority=example.test :path=/ x-a=b");
    assert.equal(request.end, false);
    assert.equal(request.events.bytes, 1000);
    events.stream?.sendTrailers([{ name: "x-end", value: "1" }]);
    request.stream.sendHead(
      [
        { name: ":status", value: "103" },
        { name: "link", value: "</a>" },
      ],
      false,
    );
    request.stream.sendHead(OK, false);
    request.stream.sendData(new Uint8Array(50_000).fill(9), false);
    request.stream.sendTrailers([{ name: "grpc-status", value: "0" }]);
    pipe.run();
    assert.equal(request.events.log.at(-1), "trailers x-end=1");
    assert.deepEqual(
      [events.log[0], events.log[1], events.log.at(-1)],
      ["head :status=103 link=</a>", "head :status=200", "trailers grpc-status=0"],
    );
    assert.equal(events.bytes, 50_000);
    assert.ok(events.data.every((part) => part.every((octet) => octet === 9)));
    assert.equal(request.events.sent, 50_000);
    assert.equal(events.sent, 1000);
    assert.deepEqual([client.openStreams, server.openStreams], [0, 0]);
  });
}
