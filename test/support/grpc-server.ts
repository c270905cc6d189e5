import { createServer } from "node:http2";
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { gzipSync } from "node:zlib";
import grpc from "@grpc/grpc-js";
import type { RunningService } from "../../sample/service.ts";
import { serviceDefinition } from "../../sample/grpc/schema.ts";
import type { EchoRequest } from "../../sample/grpc/schema.ts";
import {
  block,
  CLIENT_PREFACE,
  DATA,
  END_HEADERS,
  frame,
  FRAME_HEAD,
  HEADERS,
  RST_STREAM,
  SETTINGS,
  settings,
  SETTINGS_ACK,
  uint32,
} from "./frames.ts";
import { Arrivals } from "./time.ts";

export interface WatchedServer extends RunningService {
  /** Each message as it reaches the service. */
  readonly received: Arrivals<EchoRequest>;
  /** How each call ended: `cancelled` or `ended`. */
  readonly ends: Arrivals<"cancelled" | "ended">;
}

/** `diagnostics.v1.Diagnostics` where the test sees what reaches the service, and when. Collect and Converse only. */
export async function startWatchedServer(): Promise<WatchedServer> {
  const received = new Arrivals<EchoRequest>();
  const ends = new Arrivals<"cancelled" | "ended">();
  const watch = (
    call: grpc.ServerReadableStream<EchoRequest, unknown> | grpc.ServerDuplexStream<EchoRequest, unknown>,
  ) => {
    call.on("data", (request: EchoRequest) => received.add(request));
    call.on("cancelled", () => ends.add("cancelled"));
  };
  const server = new grpc.Server({ "grpc.max_receive_message_length": 64 * 1024 * 1024 });
  server.addService(serviceDefinition("diagnostics.v1.Diagnostics"), {
    collect(call: grpc.ServerReadableStream<EchoRequest, unknown>, answer: grpc.sendUnaryData<unknown>) {
      watch(call);
      call.on("end", () => {
        ends.add("ended");
        answer(null, { messages: received.items.length, octets: 0 });
      });
    },
    converse(call: grpc.ServerDuplexStream<EchoRequest, unknown>) {
      watch(call);
      call.on("data", (request: EchoRequest) =>
        call.write({ payload: request.payload, requestSize: request.payload?.length }),
      );
      call.on("end", () => {
        ends.add("ended");
        call.end();
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
    received,
    ends,
    close: () =>
      new Promise((resolve) => {
        server.forceShutdown();
        server.tryShutdown(() => resolve());
      }),
  };
}

export interface RawGrpcServer extends RunningService {
  /** Request heads as they reached the service. */
  readonly heads: IncomingHttpHeaders[];
}

/** A gRPC message in its envelope (flag, length, octets). */
export function envelope(message: Uint8Array, compressed: boolean): Buffer {
  const bytes = compressed ? gzipSync(message) : message;
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed ? 1 : 0, 0);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** Answers each call with `messages`, gzipped: @grpc/grpc-js cannot compress responses. */
export function startGzipServer(messages: readonly Uint8Array[]): Promise<RawGrpcServer> {
  return startRawServer((stream) => {
    stream.on("end", () => {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-encoding": "gzip" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "all%20%C3%B6k" }));
      for (const message of messages) stream.write(envelope(message, true));
      stream.end();
    });
  });
}

/**
 * Answers the first message of each call with RST_STREAM of this code: at once, or behind a head and these messages.
 * Frame by frame, since `node:http2` ends a stream before it resets it.
 */
export async function startResettingServer(code: number, messages?: readonly Uint8Array[]): Promise<RunningService> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.write(settings());
    let received = Buffer.alloc(0);
    let preface = true;
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (preface && received.length >= CLIENT_PREFACE.length) {
        preface = false;
        received = received.subarray(CLIENT_PREFACE.length);
      }
      while (!preface && received.length >= FRAME_HEAD) {
        const end = FRAME_HEAD + received.readUIntBE(0, 3);
        if (received.length < end) return;
        const [type, flags] = received.subarray(3, 5);
        const stream = received.readUInt32BE(5);
        received = received.subarray(end);
        if (type === SETTINGS && flags === 0) socket.write(SETTINGS_ACK);
        if (type !== DATA || end === FRAME_HEAD) continue;
        if (messages !== undefined) {
          const head = block([
            [":status", "200"],
            ["content-type", "application/grpc"],
          ]);
          socket.write(frame(HEADERS, END_HEADERS, stream, head));
          for (const message of messages) socket.write(frame(DATA, 0, stream, envelope(message, false)));
        }
        socket.write(frame(RST_STREAM, 0, stream, uint32(code)));
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** A gRPC service by hand, on `node:http2`: what @grpc/grpc-js cannot do, and what it does not show (heads). */
async function startRawServer(answer: (stream: ServerHttp2Stream) => void): Promise<RawGrpcServer> {
  const heads: IncomingHttpHeaders[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, fields) => {
    heads.push(fields);
    stream.on("error", () => undefined);
    answer(stream);
    stream.resume();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    heads,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}
