import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import grpc from "@grpc/grpc-js";
import { WebSocketServer } from "ws";
import { serviceDefinition } from "../../sample/grpc/schema.ts";
import type { EchoRequest } from "../../sample/grpc/schema.ts";
import { until } from "../support/time.ts";
import { Checker, expected, MESSAGES } from "./checker.ts";

/** How an exchange ended, as one end can know it. */
export type Ending = "complete" | "cut";

/** A service that waits in the middle of each answer, and knows how each exchange ended. */
export interface ChaosService {
  readonly port: number;
  /** How each exchange ended here, in order. */
  readonly endings: readonly Ending[];
  /** The first thing that was not as it was sent. */
  readonly wrong: string | undefined;
  /** Octets of requests so far. */
  readonly received: number;
  /** Sends the second half of what waits, and from now on of each answer at once when its first has left. */
  proceed(): void;
  /** From now on answers wait in the middle again. */
  wait(): void;
  close(): Promise<void>;
}

/**
 * HTTP/1.1 and WebSocket: `/length` and `/chunked` (a body of `octets`), `/events` (the same as lines), `/upload` (checks
 * a body of `octets`), `/echo`.
 */
export async function startHttpService(octets: number): Promise<ChaosService> {
  const endings: Ending[] = [];
  const gates: (() => void)[] = [];
  let open = false;
  let received = 0;
  let wrong: string | undefined;
  const gate = (act: () => void): void => {
    if (open) act();
    else gates.push(act);
  };
  const server = http.createServer({ requestTimeout: 0, noDelay: true }, (request, response) => {
    response.on("error", () => undefined);
    request.on("error", () => undefined);
    if (request.url === "/upload") {
      const checker = new Checker(expected(octets));
      request.on("data", (chunk: Buffer) => {
        received += chunk.length;
        checker.read(chunk);
      });
      request.on("end", () => response.end(String(checker.octets)));
      request.on("close", () => {
        if (request.complete && !checker.complete) checker.wrong ??= `a whole upload of ${checker.octets} octets`;
        wrong ??= checker.wrong;
        endings.push(request.complete ? "complete" : "cut");
      });
      return;
    }
    const body = expected(octets);
    const fields = request.url === "/length" ? { "content-length": octets } : {};
    response.writeHead(200, {
      "content-type": request.url === "/events" ? "text/event-stream" : "text/plain",
      ...fields,
    });
    response.on("close", () => endings.push(response.writableFinished ? "complete" : "cut"));
    response.write(body.subarray(0, octets / 2));
    gate(() => {
      // In pieces: an end that overtook one of them would show.
      const piece = octets / 16;
      for (let from = octets / 2; from < octets; from += piece) response.write(body.subarray(from, from + piece));
      response.end();
    });
  });
  const echo = new WebSocketServer({ server });
  echo.on("connection", (socket) => {
    socket.on("error", () => undefined);
    socket.on("message", (data, binary) => socket.send(data, { binary }));
    socket.on("close", (code) => endings.push(code === 1006 ? "cut" : "complete"));
  });
  const connections = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    endings,
    get wrong() {
      return wrong;
    },
    get received() {
      return received;
    },
    proceed() {
      open = true;
      for (const act of gates.splice(0)) act();
    },
    wait() {
      open = false;
    },
    close: () =>
      new Promise((resolve) => {
        echo.close();
        for (const socket of connections) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/**
 * A server on `node:http2` is told of RST_STREAM as of an end, and only then that it was none (`aborted`): an end before
 * the last message counts when nothing has taken it back for so long.
 */
const TAKEN_BACK_MS = 250;

/** gRPC: `Converse` of the sample's `Diagnostics`, which answers each message with itself. */
export async function startGrpcService(): Promise<ChaosService> {
  const endings: Ending[] = [];
  let received = 0;
  const server = new grpc.Server();
  server.addService(serviceDefinition("diagnostics.v1.Diagnostics"), {
    converse(call: grpc.ServerDuplexStream<EchoRequest, unknown>) {
      let over = false;
      let messages = 0;
      const end = (ending: Ending): void => {
        if (!over) endings.push(ending);
        over = true;
      };
      call.on("cancelled", () => end("cut"));
      call.on("error", () => end("cut"));
      call.on("data", ({ payload }: EchoRequest) => {
        received++;
        messages++;
        call.write({ payload, requestSize: payload?.length });
      });
      call.on("end", () => {
        call.end();
        // It also says "cancelled" of a call that has ended well.
        if (messages === MESSAGES) end("complete");
        else setTimeout(() => end("complete"), TAKEN_BACK_MS);
      });
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    port,
    endings,
    wrong: undefined,
    get received() {
      return received;
    },
    proceed: () => undefined,
    wait: () => undefined,
    close: () =>
      new Promise((resolve) => {
        server.forceShutdown();
        server.tryShutdown(() => resolve());
      }),
  };
}

/** The ending of exchange number `index`. */
export function ending(service: ChaosService, index: number, ms: number): Promise<Ending> {
  return until(ms, "the service knows how the exchange ended", () => service.endings[index]);
}
