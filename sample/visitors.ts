import http from "node:http";
import grpc from "@grpc/grpc-js";
import { WebSocket } from "ws";
import { serviceDefinition } from "./grpc/schema.ts";

/** Where the visitors go: the public URLs of the three services. */
export interface Destinations {
  /** `http://127.0.0.1:41234` */
  readonly grpc: string;
  readonly websocket: string;
  readonly http: string;
}

/** Told in one line each what was done and how it ended. */
export type Tell = (line: string) => void;

/** One round of real clients, all three services at once. Rejects when a service cannot be reached. */
export async function visitOnce(to: Destinations, tell: Tell): Promise<void> {
  await Promise.all([visitGrpc(to.grpc, tell), visitHttp(to.http, tell), visitWebSocket(to.websocket, tell)]);
}

/** All four modes, metadata, gzip and two kinds of errors. */
export async function visitGrpc(url: string, tell: Tell): Promise<void> {
  const orders = serviceDefinition("shop.v1.Orders");
  const client = new grpc.Client(new URL(url).host, grpc.credentials.createInsecure(), {
    "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip,
    "grpc.use_local_subchannel_pool": 1,
  });
  const metadata = new grpc.Metadata();
  metadata.set("x-request-id", crypto.randomUUID());
  metadata.set("x-trace-bin", Buffer.from("a trace"));
  metadata.set("authorization", "Bearer a-secret-that-the-inspector-masks");

  /** Sends `requests`, each after the answer to the one before when `alternating`; resolves with the status. */
  const call = async (method: string, requests: readonly object[], alternating = false): Promise<void> => {
    const found = orders[method];
    if (found === undefined) throw new Error(`No method ${method}.`);
    const stream = client.makeBidiStreamRequest(
      found.path,
      found.requestSerialize as (value: object) => Buffer,
      found.responseDeserialize,
      metadata,
      { deadline: Date.now() + 20_000 },
    );
    let answers = 0;
    const next = (): void => {
      const request = requests[alternating ? answers : 0];
      if (request === undefined) stream.end();
      else stream.write(request);
    };
    stream.on("data", () => {
      answers++;
      if (alternating) next();
    });
    stream.on("error", () => undefined);
    const ended = new Promise<grpc.StatusObject>((resolve) => stream.on("status", resolve));
    if (alternating) next();
    else {
      for (const request of requests) stream.write(request);
      stream.end();
    }
    const status = await ended;
    tell(
      `gRPC       ${method}  ${grpc.status[status.code]}${status.details === "" || status.code === grpc.status.OK ? "" : `: ${status.details}`}`,
    );
    if (status.code === grpc.status.UNAVAILABLE) throw new Error(`${url} cannot be reached: ${status.details}`);
  };

  try {
    await call("GetOrder", [{ id: "order-1", fields: { paths: ["id", "lines", "total"] } }]);
    await call("GetOrder", [{ id: "order-404" }]);
    await call("GetOrder", [{ id: "nonsense" }]);
    const price = { currencyCode: "EUR", units: "49", nanos: 900_000_000 };
    await call(
      "PlaceOrders",
      [1, 2, 3].map((quantity) => ({ sku: `lamp-${quantity}`, quantity, price })),
    );
    await call(
      "Negotiate",
      [10, 25, 45].map((units) => ({ from: "visitor", price: { currencyCode: "EUR", units } })),
      true,
    );
    await call("ListOrders", [{ page: { size: 5 }, states: ["ORDER_STATE_PAID"] }]);
    await call("WatchOrder", [{ id: "order-1", events: 8, intervalMs: 250 }]);
  } finally {
    client.close();
  }
}

/** A page, JSON, an upload, an event stream, trailers, an error. */
export async function visitHttp(url: string, tell: Tell): Promise<void> {
  const ask = async (method: string, path: string, body?: Buffer): Promise<void> => {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = http.request(new URL(path, url), { method, agent: false }, resolve);
      request.on("error", reject);
      request.end(body);
    });
    let octets = 0;
    for await (const chunk of response) octets += (chunk as Buffer).length;
    tell(`HTTP       ${method} ${path}  ${response.statusCode ?? 0}, ${octets} octets`);
  };
  await ask("GET", "/");
  await ask("GET", "/api/products?access_token=masked-too");
  await ask("POST", "/upload", Buffer.alloc(200_000, "lamp "));
  await ask("GET", "/chunked");
  await ask("GET", "/api/products/none");
  await ask("GET", "/events?count=8&interval=250");
}

/** Text, JSON and binary echoes, a ticker, and protobuf messages. */
export async function visitWebSocket(url: string, tell: Tell): Promise<void> {
  const talk = async (
    path: string,
    protocols: readonly string[],
    messages: readonly (string | Buffer)[],
  ): Promise<void> => {
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}${path}`, [...protocols]);
    let received = 0;
    const closed = new Promise<number>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", resolve);
    });
    socket.on("open", () => {
      for (const message of messages) socket.send(message);
    });
    socket.on("message", () => {
      received++;
      if (received === messages.length) socket.close(1000, "done");
    });
    tell(`WebSocket  ${path}  closed with ${await closed} after ${received} messages`);
  };
  await talk(
    "/echo",
    [],
    ["hello", JSON.stringify({ lamp: "on", colour: [255, 214, 170] }), Buffer.from([1, 2, 3, 250])],
  );
  await talk("/ticker?interval=250&count=6", [], []);
  await talk("/orders?interval=250&count=6", ["shop.protobuf.v1"], []);
}
