import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { startGrpc } from "../../sample/grpc/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { GrpcClient } from "./grpc.ts";
import { RawVisitor, splitAddress } from "./http.ts";
import { Arrivals } from "./time.ts";

/** What the service sends before it waits. */
export const HALF = 50_000;

export interface HalfService extends RunningService {
  /** How each upload ended at the service: `complete`, or `cut`. */
  readonly uploads: Arrivals<"complete" | "cut">;
  /** Octets of uploads that reached the service. */
  uploaded(): number;
  /** Resets every connection, as when the process dies. */
  die(): void;
}

/** An HTTP/1.1 service that stops in the middle of every body: what happens next is up to the test. */
export async function startHalfService(): Promise<HalfService> {
  const uploads = new Arrivals<"complete" | "cut">();
  let octets = 0;
  const server = http.createServer({ requestTimeout: 0 }, (request, response) => {
    response.on("error", () => undefined);
    if (request.method === "POST") {
      let complete = false;
      request.on("data", (chunk: Buffer) => (octets += chunk.length));
      request.on("error", () => undefined);
      request.on("end", () => (complete = request.complete));
      request.on("close", () => uploads.add(complete ? "complete" : "cut"));
      return;
    }
    if (request.url === "/whole") {
      response.end("whole");
      return;
    }
    response.writeHead(
      200,
      request.url === "/length"
        ? { "content-length": 2 * HALF }
        : { "content-type": request.url === "/events" ? "text/event-stream" : "application/octet-stream" },
    );
    response.write(request.url === "/events" ? "data: first\n\n" : Buffer.alloc(HALF, "h"));
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("error", () => undefined);
    socket.send("first");
  });
  const connections = new Set<import("node:net").Socket>();
  server.on("connection", (socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    uploads,
    uploaded: () => octets,
    die() {
      for (const socket of connections) socket.resetAndDestroy();
    },
    close: () =>
      new Promise((resolve) => {
        sockets.close();
        for (const socket of connections) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** The same over HTTP/2 with prior knowledge: bodies and uploads that stop in the middle. */
export async function startHalfHttp2(): Promise<HalfService> {
  const uploads = new Arrivals<"complete" | "cut">();
  let octets = 0;
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, head) => {
    let ended = false;
    stream.on("error", () => undefined);
    if (head[":method"] === "POST") {
      stream.on("data", (chunk: Buffer) => (octets += chunk.length));
      stream.on("end", () => (ended = true));
      // Node says "end" to what was cut, too; the code of the stream tells (reliability.md, 4.4).
      stream.on("close", () => uploads.add(ended && !stream.aborted && stream.rstCode === 0 ? "complete" : "cut"));
      return;
    }
    if (head[":path"] === "/whole") {
      stream.respond({ ":status": 200 });
      stream.end("whole");
      return;
    }
    const length = head[":path"] === "/length" ? { "content-length": 2 * HALF } : {};
    stream.respond({ ":status": 200, ...length });
    stream.write(Buffer.alloc(HALF, "h"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    uploads,
    uploaded: () => octets,
    die() {
      for (const session of sessions) session.destroy();
    },
    close: () =>
      new Promise((resolve) => {
        for (const session of sessions) session.destroy();
        server.close(() => resolve());
      }),
  };
}

/** The gRPC service of the sample, whose `Spread` waits between two messages. */
export const startHalfGrpc = (): Promise<RunningService> => startGrpc();

/** A visitor in the middle of an exchange. */
export interface HalfVisitor {
  /** Resolves with how it ended, as the visitor can know it: `clean` when nothing looks wrong. */
  readonly outcome: Promise<"clean" | "error">;
  close(): void;
}

export interface HalfAddresses {
  readonly http: string;
  readonly grpc: string;
}

type Begin<Addresses = HalfAddresses> = (addresses: Addresses) => Promise<HalfVisitor>;

async function byHand(
  address: string,
  path: string,
  begun: RegExp,
  looksComplete: (text: string) => boolean,
): Promise<HalfVisitor> {
  const visitor = await RawVisitor.connect(address);
  visitor.send(`GET ${path} HTTP/1.1\r\nHost: half.test\r\n\r\n`);
  await visitor.receive(begun);
  const outcome = visitor.closed.then((how) =>
    how === "error" || !looksComplete(visitor.received) ? "error" : "clean",
  );
  return { outcome, close: () => visitor.close() };
}

const ended = (text: string): boolean => /\r\n0\r\n(?:[^\r]+\r\n)*\r\n$/.test(text);

async function byHttp2(address: string, path: string): Promise<HalfVisitor> {
  const session = http2.connect(`http://${address}`);
  session.on("error", () => undefined);
  const stream = session.request({ ":path": path });
  let failed = false;
  stream.on("error", () => (failed = true));
  stream.on("aborted", () => (failed = true));
  // RST_STREAM, or the end of the connection, sets the code before "close"; END_STREAM leaves it 0.
  const outcome = new Promise<"clean" | "error">((resolve) => {
    stream.on("close", () => resolve(failed || stream.rstCode !== 0 ? "error" : "clean"));
  });
  await new Promise<void>((resolve, reject) => {
    stream.once("data", () => resolve());
    stream.once("close", () => reject(new Error(`${path} ended before its first octet.`)));
  });
  return { outcome, close: () => session.destroy() };
}

/** Every framing of a body, each begun and waiting for its second half. */
export const begin: Readonly<Record<string, Begin>> = {
  "HTTP/1.1 with a length": ({ http: address }) =>
    byHand(address, "/length", /h{1000}/, (text) => text.length - text.indexOf("\r\n\r\n") - 4 >= 2 * HALF),
  "HTTP/1.1 chunked": ({ http: address }) => byHand(address, "/chunked", /h{1000}/, ended),
  "server-sent events": ({ http: address }) => byHand(address, "/events", /data: first/, ended),
  "HTTP/2": ({ http: address }) => byHttp2(address, "/chunked"),
  "HTTP/2 with a length": ({ http: address }) => byHttp2(address, "/length"),
  gRPC: async ({ grpc: address }) => {
    const client = new GrpcClient(address, "diagnostics.v1.Diagnostics");
    const call = client.start("Spread");
    call.write({ sizes: [100, 100], delay: { seconds: 600 } });
    call.end();
    await call.message(0);
    const outcome = call.result.then(({ code }) => (code === "OK" ? ("clean" as const) : ("error" as const)));
    return { outcome, close: () => client.close() };
  },
  WebSocket: async ({ http: address }) => {
    const socket = new WebSocket(`ws://${address}/socket`);
    socket.on("error", () => undefined);
    const outcome = new Promise<"clean" | "error">((resolve) => {
      // 1006: the connection ended without a close frame.
      socket.on("close", (code) => resolve(code === 1006 ? "error" : "clean"));
    });
    await new Promise((resolve) => socket.once("message", resolve));
    return { outcome, close: () => socket.terminate() };
  },
};

/** The same over HTTP/2. */
export async function beginUpload2(address: string, service: HalfService, length: boolean): Promise<HalfVisitor> {
  const before = service.uploaded();
  const session = http2.connect(`http://${address}`);
  session.on("error", () => undefined);
  const stream = session.request({
    ":method": "POST",
    ":path": "/upload",
    ...(length ? { "content-length": 2 * HALF } : {}),
  });
  let failed = false;
  stream.on("error", () => (failed = true));
  stream.on("response", (head) => (failed ||= Number(head[":status"]) >= 500));
  stream.resume();
  const outcome = new Promise<"clean" | "error">((resolve) => {
    stream.on("close", () => resolve(failed || stream.rstCode !== 0 ? "error" : "clean"));
  });
  stream.write(Buffer.alloc(HALF, "u"));
  while (service.uploaded() - before < HALF) await new Promise((resolve) => setTimeout(resolve, 5));
  return { outcome, close: () => session.destroy() };
}

/** What is left of the combinations of versions: events over HTTP/2, and a service of HTTP/2 behind `http2`. */
export const beginHttp2: Readonly<Record<string, Begin<HalfAddresses & { readonly http2: string }>>> = {
  "server-sent events over HTTP/2": ({ http: address }) => byHttp2(address, "/events"),
  "HTTP/2 from end to end": ({ http2: address }) => byHttp2(address, "/stream"),
  "HTTP/2 from end to end with a length": ({ http2: address }) => byHttp2(address, "/length"),
  "HTTP/1.1 from a service of HTTP/2": ({ http2: address }) => byHand(address, "/stream", /h{1000}/, ended),
  "HTTP/1.1 with a length from a service of HTTP/2": ({ http2: address }) =>
    byHand(address, "/length", /h{1000}/, (text) => text.length - text.indexOf("\r\n\r\n") - 4 >= 2 * HALF),
};

/** Begins an upload of which the second half never comes. `outcome` is what the visitor learns. */
export async function beginUpload(address: string, service: HalfService, chunked: boolean): Promise<HalfVisitor> {
  const [host, port] = splitAddress(address);
  const before = service.uploaded();
  const request = http.request({
    host,
    port,
    method: "POST",
    path: "/upload",
    agent: false,
    headers: chunked ? { "transfer-encoding": "chunked" } : { "content-length": 2 * HALF },
  });
  const outcome = new Promise<"clean" | "error">((resolve) => {
    request.on("error", () => resolve("error"));
    request.on("response", (response) => {
      response.resume();
      resolve((response.statusCode ?? 0) >= 500 ? "error" : "clean");
    });
  });
  request.write(Buffer.alloc(HALF, "u"));
  while (service.uploaded() - before < HALF) await new Promise((resolve) => setTimeout(resolve, 5));
  return { outcome, close: () => request.destroy() };
}
