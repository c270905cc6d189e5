import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger } from "../wire/logger.ts";
import type { Failure, Field } from "../wire/stream.ts";
import type { Exchange } from "./exchange.ts";
import type { Row } from "./protocol.ts";
import { Store } from "./store.ts";
import type { ExchangeTap } from "./tap.ts";

const SHARE = { id: "s1", port: 3000, name: "web" };

function fields(text: string): Field[] {
  return text.split(" | ").map((line) => {
    const colon = line.indexOf(": ", 1);
    return { name: line.slice(0, colon), value: line.slice(colon + 2) };
  });
}

function envelope(text: string | Uint8Array, flags = 0): Buffer {
  const payload = Buffer.from(text);
  const framed = Buffer.alloc(5 + payload.length);
  framed[0] = flags;
  framed.writeUInt32BE(payload.length, 1);
  framed.set(payload, 5);
  return framed;
}

const failure = (by: Failure["by"], code: Failure["code"]): Failure => ({ by, code, message: "test" });

const GRPC = ":method: POST | :scheme: http | :authority: h:1 | :path: /p.S/M | content-type: application/grpc";
const GET = ":method: GET | :scheme: http | :authority: h:1 | :path: /x?token=abc&q=1";
const WEBSOCKET = ":method: CONNECT | :protocol: websocket | :scheme: http | :authority: h:1 | :path: /ws";
const TCP = ":method: CONNECT | :authority: h:1";
const CONNECT =
  ":method: POST | :scheme: http | :authority: h:1 | :path: /p.S/M | content-type: application/json | connect-protocol-version: 1";

/** Each: what passes, and what the row must say of it. */
const CASES: readonly { name: string; request: string; pass: (tap: ExchangeTap) => void; row: Partial<Row> }[] = [
  {
    name: "a gRPC call",
    request: GRPC,
    pass: (tap) => {
      tap.dataReceived("visitor", envelope("q"), true);
      tap.headReceived(fields(":status: 200 | content-type: application/grpc"), false);
      tap.dataReceived("service", envelope("a"), false);
      tap.trailersReceived("service", fields("grpc-status: 0"));
      tap.ended();
    },
    row: {
      protocol: "grpc",
      state: "ended",
      statusText: "OK",
      grpcStatus: 0,
      status: 200,
      visitorMessages: 1,
      serviceMessages: 1,
      rpc: { service: "p.S", method: "M" },
    },
  },
  {
    name: "a trailers-only error",
    request: GRPC,
    pass: (tap) => {
      tap.headReceived(
        fields(":status: 200 | content-type: application/grpc | grpc-status: 5 | grpc-message: no%20such"),
        true,
      );
      tap.ended();
    },
    row: { state: "ended", statusText: "NOT_FOUND", grpcStatus: 5, serviceMessages: 0 },
  },
  {
    name: "a 404 page in a gRPC call",
    request: GRPC,
    pass: (tap) => {
      tap.headReceived(fields(":status: 404 | content-type: text/plain"), false);
      tap.dataReceived("service", Buffer.from("404 page not found\n"), true);
      tap.ended();
    },
    row: { state: "ended", statusText: "404 Not Found", serviceMessages: 1 },
  },
  {
    name: "a 404 page that claims to be gRPC",
    request: GRPC,
    pass: (tap) => {
      tap.headReceived(fields(":status: 404 | content-type: application/grpc"), false);
      tap.dataReceived("service", Buffer.from("404 page not found\n"), true);
      tap.ended();
    },
    row: { state: "ended", statusText: "404 Not Found", serviceMessages: 1 },
  },
  {
    name: "a page with status 200 that claims to be gRPC",
    request: GRPC,
    pass: (tap) => {
      tap.headReceived(fields(":status: 200 | content-type: application/grpc"), false);
      tap.dataReceived("service", Buffer.from("404 page not found\n"), true);
      tap.ended();
    },
    row: { state: "ended", statusText: "no status", serviceMessages: 1 },
  },
  {
    name: "a gRPC call the visitor gave up",
    request: GRPC,
    pass: (tap) => tap.failed(failure("visitor", "cancelled")),
    row: { state: "cancelled", statusText: "CANCELLED" },
  },
  {
    name: "a service that is not there",
    request: GRPC,
    pass: (tap) => tap.failed(failure("agent", "unreachable")),
    row: { state: "failed", statusText: "unreachable" },
  },
  {
    name: "gRPC-Web with trailers in the body",
    request: GRPC.replace("application/grpc", "application/grpc-web+proto"),
    pass: (tap) => {
      tap.dataReceived("visitor", envelope("q"), true);
      tap.headReceived(fields(":status: 200 | content-type: application/grpc-web+proto"), false);
      const body = Buffer.concat([envelope("a"), envelope("grpc-status: 9\r\ngrpc-message: bad%21\r\n", 0x80)]);
      for (const octet of body) tap.dataReceived("service", Uint8Array.of(octet), false);
      tap.dataReceived("service", new Uint8Array(0), true);
      tap.ended();
    },
    row: { protocol: "grpc-web", statusText: "FAILED_PRECONDITION", grpcStatus: 9, serviceMessages: 2 },
  },
  {
    name: "gRPC-Web as text",
    request: GRPC.replace("application/grpc", "application/grpc-web-text"),
    pass: (tap) => {
      tap.dataReceived("visitor", Buffer.from(envelope("question").toString("base64")), true);
      tap.headReceived(fields(":status: 200 | content-type: application/grpc-web-text"), false);
      tap.dataReceived(
        "service",
        Buffer.from(envelope("a").toString("base64") + envelope("grpc-status: 0\r\n", 0x80).toString("base64")),
        true,
      );
      tap.ended();
    },
    row: { protocol: "grpc-web", statusText: "OK", visitorMessages: 1, serviceMessages: 2 },
  },
  {
    name: "a unary Connect call",
    request: CONNECT,
    pass: (tap) => {
      tap.dataReceived("visitor", Buffer.from("{}"), true);
      tap.headReceived(fields(":status: 200 | content-type: application/json"), false);
      tap.dataReceived("service", Buffer.from("{}"), true);
      tap.ended();
    },
    row: { protocol: "connect", statusText: "OK", grpcStatus: 0, visitorMessages: 1, serviceMessages: 1 },
  },
  {
    name: "a unary Connect error",
    request: CONNECT,
    pass: (tap) => {
      tap.headReceived(fields(":status: 404 | content-type: application/json"), false);
      tap.dataReceived("service", Buffer.from('{"code":"not_found","message":"no such order"}'), true);
      tap.ended();
    },
    row: { protocol: "connect", statusText: "NOT_FOUND", grpcStatus: 5, status: 404 },
  },
  {
    name: "a Connect stream with an error at its end",
    request: CONNECT.replace("application/json", "application/connect+json"),
    pass: (tap) => {
      tap.dataReceived("visitor", envelope("{}"), true);
      tap.headReceived(fields(":status: 200 | content-type: application/connect+json"), false);
      tap.dataReceived("service", Buffer.concat([envelope("{}"), envelope('{"error":{"code":"canceled"}}', 2)]), true);
      tap.ended();
    },
    row: { protocol: "connect", statusText: "CANCELLED", grpcStatus: 1, serviceMessages: 2, state: "ended" },
  },
  {
    name: "plain HTTP, with the query's secret masked",
    request: GET,
    pass: (tap) => {
      tap.headReceived(fields(":status: 103 | link: x"), false);
      tap.headReceived(fields(":status: 204"), true);
      tap.ended();
    },
    row: {
      protocol: "http",
      method: "GET",
      statusText: "204 No Content",
      path: "/x?token=••••••&q=1",
      serviceMessages: 0,
    },
  },
  {
    name: "an answer that is cut",
    request: GET,
    pass: (tap) => {
      tap.headReceived(fields(":status: 200 | content-length: 10"), false);
      tap.dataReceived("service", Buffer.from("half"), false);
      tap.failed(failure("service", "closed"));
    },
    row: { state: "failed", statusText: "200 OK, closed by service", serviceBytes: 4 },
  },
  {
    name: "an early answer to an upload",
    request: GET.replace("GET", "POST"),
    pass: (tap) => {
      tap.dataReceived("visitor", Buffer.from("half"), false);
      tap.headReceived(fields(":status: 413"), true);
      tap.failed(failure("service", "unneeded"));
    },
    row: { state: "ended", statusText: "413 Content Too Large" },
  },
  {
    name: "an event stream that the visitor closes",
    request: GET,
    pass: (tap) => {
      tap.headReceived(fields(":status: 200 | content-type: text/event-stream; charset=utf-8"), false);
      for (const octet of Buffer.from("data: 1\n\nevent: x\r\ndata: 2\r\n\r\n: ping\r\r\n\ndata: half\n"))
        tap.dataReceived("service", Uint8Array.of(octet), false);
      tap.failed(failure("visitor", "closed"));
    },
    row: { protocol: "sse", state: "cancelled", statusText: "200 OK", serviceMessages: 4 },
  },
  {
    name: "a WebSocket, closed in order",
    request: WEBSOCKET,
    pass: (tap) => {
      tap.headReceived(fields(":status: 200"), false);
      tap.dataReceived("visitor", Buffer.from("818537fa213d7f9f4d5158", "hex"), false);
      tap.dataReceived("service", Buffer.from("8900810141880203e9", "hex"), true);
      tap.dataReceived("visitor", Buffer.from("88820000000003e9", "hex"), true);
      tap.ended();
    },
    row: {
      protocol: "websocket",
      method: "GET",
      status: 101,
      statusText: "1001",
      visitorMessages: 2,
      serviceMessages: 3,
      state: "ended",
    },
  },
  {
    name: "a WebSocket that is cut",
    request: WEBSOCKET,
    pass: (tap) => {
      tap.headReceived(fields(":status: 101"), false);
      tap.dataReceived("service", Buffer.from("8105616263", "hex"), false);
      tap.failed(failure("service", "closed"));
    },
    row: { state: "failed", statusText: "1006", serviceMessages: 1 },
  },
  {
    name: "a WebSocket that is refused",
    request: WEBSOCKET,
    pass: (tap) => {
      tap.headReceived(fields(":status: 403 | content-type: text/plain"), false);
      tap.dataReceived("service", Buffer.from("no"), true);
      tap.ended();
    },
    row: { statusText: "403 Forbidden", status: 403, serviceMessages: 1 },
  },
  {
    name: "a TCP connection, by turns",
    request: TCP,
    pass: (tap) => {
      tap.dataReceived("visitor", Buffer.from("EH"), false);
      tap.dataReceived("visitor", Buffer.from("LO"), false);
      tap.dataReceived("service", Buffer.from("250"), false);
      tap.dataReceived("visitor", Buffer.from("QUIT"), false);
      tap.dataReceived("service", new Uint8Array(0), true);
      tap.dataReceived("visitor", new Uint8Array(0), true);
      tap.ended();
    },
    row: { protocol: "tcp", statusText: "closed by service", visitorMessages: 2, serviceMessages: 1, visitorBytes: 8 },
  },
];

function pass({ request, pass: run }: (typeof CASES)[number]): Exchange {
  const store = new Store({
    maxBytes: Infinity,
    maxExchanges: 10,
    log: { ...silentLogger, error: (text) => assert.fail(text) },
  });
  run(store.opened(SHARE, fields(request), false));
  return [...store.all()][0] ?? assert.fail();
}

describe("the recorder", () => {
  for (const example of CASES) {
    it(`records ${example.name}`, () => {
      const row = pass(example).row();
      for (const [key, value] of Object.entries(example.row)) assert.deepEqual(row[key as keyof Row], value, key);
    });
  }

  it("lets no defect of its own reach the data path", () => {
    const told: string[] = [];
    const store = new Store({
      maxBytes: Infinity,
      maxExchanges: 10,
      log: { ...silentLogger, error: (text) => void told.push(text) },
    });
    const tap = store.opened(SHARE, fields(GRPC), false);
    const broken = {
      get length(): number {
        throw new TypeError("boom");
      },
    };
    tap.dataReceived("visitor", broken as unknown as Uint8Array, false);
    tap.dataReceived("visitor", broken as unknown as Uint8Array, false);
    store.opened(SHARE, undefined as unknown as Field[], false).ended();
    assert.equal(told.length, 1);
  });
});
