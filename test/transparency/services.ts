import { createHash } from "node:crypto";
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { Arrivals, within } from "../support/time.ts";
import type { End } from "./end.ts";
import { Http2Wire } from "./http2-wire.ts";
import { TcpEnd, headFields, readHead } from "./tcp-end.ts";

/** RFC 6455 section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export interface Accepted {
  readonly path: string;
  /** Fields of the request as they came, without those that are made anew for each connection. */
  readonly fields: readonly string[];
  readonly end: End;
}

export interface RecordingService {
  readonly port: number;
  /** The service's end of the WebSocket that was opened at `path`, which nobody else may use. */
  accepted(path: string): Promise<Accepted>;
  close(): void;
}

/**
 * A service that accepts every WebSocket and then only records. Below `/refused/` it answers with the status that is the
 * rest of the path.
 */
export async function startRecordingService(): Promise<RecordingService> {
  const sockets = new Set<net.Socket>();
  const arrivals = new Arrivals<Accepted>();
  const serve = async (socket: net.Socket): Promise<void> => {
    const { head, rest } = await readHead(socket);
    const path = /^GET (\S+) HTTP\/1\.1\r\n/.exec(head)?.[1];
    const fields = headFields(head);
    const value = (name: string): string | undefined =>
      fields.find((field) => field.startsWith(`${name}: `))?.slice(name.length + 2);
    const key = value("sec-websocket-key");
    if (path === undefined || key === undefined) {
      // The agent asks what we speak.
      socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
      return;
    }
    if (path.startsWith("/refused/")) {
      const body = "no WebSocket here\n";
      const answer = `HTTP/1.1 ${path.slice(9)} No\r\nX-Reason: test\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      // What the visitor sent with the handshake is read to its end, so that nothing resets the answer.
      socket.resume();
      socket.on("end", () => socket.end());
      socket.write(answer);
      return;
    }
    const accept = createHash("sha1")
      .update(key + GUID)
      .digest("base64");
    const chosen = ["sec-websocket-extensions", "sec-websocket-protocol"].flatMap((name) => {
      const wanted = value(name);
      return wanted === undefined ? [] : [`${name}: ${wanted}`];
    });
    socket.write(
      [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        `Sec-WebSocket-Accept: ${accept}`,
        ...chosen,
        "\r\n",
      ].join("\r\n"),
    );
    const own = new Set(["host", "sec-websocket-key"]);
    const theirs = fields.filter((field) => !own.has(field.slice(0, field.indexOf(":"))));
    arrivals.add({ path, fields: theirs, end: new TcpEnd(socket, rest) });
  };
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    serve(socket).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    accepted: (path) => arrivals.next(5000, `the WebSocket of ${path}`, (one) => one.path === path),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** The same over HTTP/2 and extended CONNECT (RFC 8441), and over nothing else. */
export async function startRecordingHttp2Service(): Promise<RecordingService> {
  const sockets = new Set<net.Socket>();
  const arrivals = new Arrivals<Accepted>();
  const serve = (socket: net.Socket): void => {
    const wire = new Http2Wire(socket, "server");
    wire.onRequest = (end, fields) => {
      const value = (wanted: string): string => fields.find(([name]) => name === wanted)?.[1] ?? "";
      const path = value(":path");
      if (value(":protocol") !== "websocket") {
        end.sendHead([[":status", "400"]]);
        end.finish();
        return;
      }
      const chosen = fields.filter(([name]) => /^sec-websocket-(?:extensions|protocol)$/.test(name));
      end.sendHead([[":status", "200"], ...chosen]);
      const theirs = fields.filter(([name]) => !name.startsWith(":")).map(([name, text]) => `${name}: ${text}`);
      arrivals.add({ path, fields: theirs, end });
    };
  };
  const server = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", (first: Buffer) => {
      socket.pause();
      // The agent asks whether we take HTTP/1, too.
      if (!first.toString("latin1").startsWith("PRI ")) {
        socket.destroy();
        return;
      }
      socket.unshift(first);
      serve(socket);
      socket.resume();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    accepted: (path) => arrivals.next(5000, `the WebSocket of ${path}`, (one) => one.path === path),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

export interface EchoService {
  readonly port: number;
  /** What the WebSocket at `path` told its application, once it is over. */
  account(path: string): Promise<readonly string[]>;
  close(): void;
}

const shown = (payload: Buffer): string =>
  payload.length <= 64
    ? payload.toString("hex")
    : `${payload.length} octets, sha256 ${createHash("sha256").update(payload).digest("hex")}`;

/** The `ws` library: sends each message back, answers pings, objects to what is wrong. */
export async function startEchoService(): Promise<EchoService> {
  const accounts = new Map<string, Promise<readonly string[]>>();
  const server = http.createServer();
  // Everything is compressed where it may be, however short.
  const sockets = new WebSocketServer({ server, perMessageDeflate: { threshold: 0 }, maxPayload: 8 * 1024 * 1024 });
  sockets.on("connection", (socket, request) => {
    const account: string[] = [];
    socket.on("message", (data: Buffer, isBinary) => {
      account.push(`${isBinary ? "binary" : "text"} ${shown(data)}`);
      socket.send(data, { binary: isBinary });
    });
    socket.on("ping", (data) => account.push(`ping ${shown(data)}`));
    socket.on("pong", (data) => account.push(`pong ${shown(data)}`));
    socket.on("error", (error: NodeJS.ErrnoException) => account.push(`error ${error.code ?? error.message}`));
    const over = new Promise<readonly string[]>((resolve) => {
      socket.on("close", (code, reason) => {
        account.push(`close ${code} ${shown(reason)}`);
        resolve(account);
      });
    });
    accounts.set(request.url ?? "", over);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async account(path) {
      const account = accounts.get(path);
      if (account === undefined) throw new Error(`No WebSocket was opened at ${path}.`);
      return within(5000, `the end of ${path} at the service`, account);
    },
    close() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.close();
    },
  };
}
