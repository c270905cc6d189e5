import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { encodeOrderEvent } from "./protobuf.ts";
import type { RunningService, ServiceOptions } from "./service.ts";

/** 64 MiB: above the 16 MiB messages that a browser may reasonably send. */
const MAX_MESSAGE = 64 * 1024 * 1024;

/** What the service speaks on `/orders`, best first: protobuf messages of type `shop.v1.OrderEvent`, or JSON. */
const PROTOCOLS = ["shop.protobuf.v1", "shop.json.v1"];

function parameter(url: URL, name: string, preset: number): number {
  const value = Number(url.searchParams.get(name) ?? preset);
  return Number.isFinite(value) && value >= 0 ? value : preset;
}

/** Calls `send` with 0, 1, 2 … every `interval` ms, `count` times (0: until the visitor leaves), then closes with 1000. */
function stream(socket: WebSocket, url: URL, send: (sequence: number) => void): void {
  const count = parameter(url, "count", 0);
  let sequence = 0;
  const timer = setInterval(
    () => {
      send(sequence);
      sequence++;
      if (sequence === count) socket.close(1000, "that was all");
    },
    Math.max(5, parameter(url, "interval", 1000)),
  );
  socket.on("close", () => clearInterval(timer));
}

function serve(socket: WebSocket, url: URL): void {
  socket.on("error", () => socket.terminate());
  switch (url.pathname) {
    case "/echo":
      socket.on("message", (data, binary) => socket.send(data, { binary }));
      return;
    case "/ticker":
      stream(socket, url, (sequence) => {
        socket.send(JSON.stringify({ sequence, symbol: "LAMP", price: 49.9 + (sequence % 7) / 10, currency: "EUR" }));
      });
      return;
    case "/orders":
      stream(socket, url, (sequence) => {
        if (socket.protocol === "shop.json.v1")
          socket.send(JSON.stringify({ sequence, stateChanged: "ORDER_STATE_PAID" }));
        else socket.send(encodeOrderEvent(sequence), { binary: true });
      });
      return;
    case "/fragments":
      // One text message in four frames.
      for (const part of ["frag", "men", "ted ✂"]) socket.send(part, { fin: false });
      socket.send(".", { fin: true });
      return;
    case "/ping":
      // Answers each message with a ping of the same payload, and each pong with a text message.
      socket.on("message", (data) => socket.ping(data));
      socket.on("pong", (data) => socket.send(`pong ${data.toString()}`));
      return;
    case "/close":
      socket.close(parameter(url, "code", 1000), url.searchParams.get("reason") ?? "");
      return;
    case "/drop":
      // Without a close frame: what a crash looks like.
      socket.terminate();
      return;
    default:
      socket.close(4404, "no such endpoint");
  }
}

/** Serves WebSockets on loopback: /echo, /ticker, /orders, /fragments, /ping, /close, /drop. */
export async function startWebSocket(options: ServiceOptions = {}): Promise<RunningService> {
  const http = createServer((request, response) => {
    response.writeHead(426, { "content-type": "text/plain", upgrade: "websocket" });
    response.end(`This is a WebSocket service; ${request.method ?? ""} is not for it. Try /echo or /ticker.\n`);
  });
  const sockets = new WebSocketServer({
    server: http,
    maxPayload: MAX_MESSAGE,
    // Everything is compressed, so that small messages show compression too.
    perMessageDeflate: { threshold: 0 },
    handleProtocols: (offered) => PROTOCOLS.find((name) => offered.has(name)) ?? false,
  });
  sockets.on("connection", (socket, request) => serve(socket, new URL(request.url ?? "/", "http://service")));
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  return {
    port: (http.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets.clients) socket.terminate();
        sockets.close();
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
}
