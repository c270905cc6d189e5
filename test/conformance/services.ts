import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { RunningService } from "../../sample/service.ts";
import { TUNNEL_ALPN } from "../../tunnel/protocol.ts";
import { freePort, listens } from "../support/ports.ts";
import { until } from "../support/time.ts";

/** Answers every request with 200 and its path, over HTTP/2 in cleartext, once it has been read. */
export async function startHttp2Service(): Promise<RunningService> {
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, fields) => {
    // A visitor may reset at any time.
    stream.on("error", () => undefined);
    stream.resume();
    stream.on("end", () => {
      if (stream.destroyed || stream.closed) return;
      stream.respond({ ":status": 200, "content-type": "text/plain" });
      stream.end(`${fields[":path"] ?? ""} over HTTP/2\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

/** Starts a server of others that takes no port 0 and prints no port: `argumentsFor` a port that is free just now. */
export async function startForeignServer(
  program: string,
  argumentsFor: (port: number) => readonly string[],
): Promise<RunningService> {
  const port = await freePort();
  const child = spawn(program, argumentsFor(port), { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  try {
    await until(10_000, `${program} listening`, () => {
      if (child.exitCode !== null) throw new Error(`${program} ended with exit code ${child.exitCode}.`);
      return listens(port);
    });
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  return {
    port,
    async close() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Passes what comes in cleartext on to `port` inside TLS, as an agent would dial: for programs that cannot say its ALPN. */
export async function startTlsBridge(port: number): Promise<RunningService> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connectTls({ port, host: "127.0.0.1", ALPNProtocols: [TUNNEL_ALPN], rejectUnauthorized: false });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.end();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
