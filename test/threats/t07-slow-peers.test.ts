/**
 * T-7, slow read / slow headers / silent sockets: 500 silent TCP, 500 one-byte-per-10 s headers, 200 zero-window readers of
 * 10 MB: reaped at preface 5 s / header 10 s / stall 30 s; RSS bounded; idle SSE and WS with no pending data survive 10 min
 * (here 40 s; ten minutes in `long/`).
 *
 * Everybody comes at once and is looked at together: the limits are real time.
 */
import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { CLIENT_PREFACE, GOAWAY, RST_STREAM, RawPeer, frame, headers, settings, uint32 } from "../support/frames.ts";
import { GrpcClient } from "../support/grpc.ts";
import type { GrpcCall } from "../support/grpc.ts";
import { RawVisitor, request, splitAddress } from "../support/http.ts";
import { memory, peakMemory, startSampleProcess } from "../support/process.ts";
import type { Program } from "../support/process.ts";
import { startProcesses } from "../support/processes.ts";
import type { Processes } from "../support/processes.ts";

/** The wheel judges once a second: on an idle machine each limit is two seconds late at most, on a busy one more. */
const LATE_MS = 10_000;
/** Before a reader stalls, what it asked for must have come: 200 MB and more in all pass through busy processes. */
const BULK_MS = 30_000;
/** MiB more than an idle relay: 200 readers hold what their windows let pass, at most 1 MiB in the tunnel and 1/4 MiB below. */
const RELAY_GROWTH = 300;

let services: Program;
let processes: Processes;
let http: string;
let webSocket: string;
let grpc: string;
let idleMemory: number;
let patient: Patient;

before(async () => {
  const sample = await startSampleProcess();
  services = sample.program;
  processes = await startProcesses([sample.ports.http, sample.ports.websocket, sample.ports.grpc]);
  [http = "", webSocket = "", grpc = ""] = processes.addresses;
  for (let index = 0; index < 50; index++) await request(http, "/status/200");
  idleMemory = memory(processes.relay.pid);
  patient = await beginPatient();
});

after(async () => {
  await processes.close();
  await services.stop();
});

/** How long each of `count` sockets lived, milliseconds. `begin` is told of the connected socket. */
async function lives(count: number, begin: (socket: net.Socket, index: number) => void): Promise<number[]> {
  const [host, port] = splitAddress(http);
  return Promise.all(
    Array.from(
      { length: count },
      (_, index) =>
        new Promise<number>((resolve) => {
          const socket = net.connect({ host, port, noDelay: true });
          let started = 0;
          socket.on("connect", () => {
            started = performance.now();
            begin(socket, index);
          });
          socket.on("error", () => undefined);
          socket.on("close", () => resolve(performance.now() - started));
        }),
    ),
  );
}

/** One octet now and one every ten seconds, to the end of `bytes`. */
function drip(socket: net.Socket, bytes: Uint8Array): void {
  let at = 0;
  const next = (): void => {
    if (!socket.destroyed && at < bytes.length) socket.write(bytes.subarray(at, ++at));
  };
  next();
  const timer = setInterval(next, 10_000);
  socket.on("close", () => clearInterval(timer));
}

function assertAll(times: readonly number[], limitMs: number, lateMs = LATE_MS): void {
  const shortest = Math.round(Math.min(...times));
  const longest = Math.round(Math.max(...times));
  assert.ok(shortest >= limitMs - 1000, `the first was closed after ${shortest} ms`);
  assert.ok(longest <= limitMs + lateMs, `the last was closed after ${longest} ms`);
}

const GET_DOWNLOAD = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/download?bytes=10000000"],
  [":authority", "a"],
] as const;
const POST_UPLOAD = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/upload"],
  [":authority", "a"],
] as const;

interface Patient {
  /** Forty seconds later: all of them are still there. */
  check(): Promise<void>;
}

/** Opened before the others come. */
async function beginPatient(): Promise<Patient> {
  const events = await RawVisitor.connect(http);
  events.send("GET /events?interval=36000 HTTP/1.1\r\nHost: a\r\n\r\n");
  await events.receive(/"sequence":0/, 20_000);
  const [, port] = splitAddress(http);
  const events2 = await RawPeer.connect(port);
  events2.send(headers(1, [...GET_DOWNLOAD.filter(([name]) => name !== ":path"), [":path", "/events?interval=36000"]]));
  await events2.until((frames) => frames.some(({ type }) => type === 0), 20_000);
  const known = events2.frames.length;
  const socket = new WebSocket(`ws://${webSocket}/echo`);
  await new Promise((resolve) => socket.once("open", resolve));
  const client = new GrpcClient(grpc, "diagnostics.v1.Diagnostics");
  const call: GrpcCall = client.start("Converse");
  call.write({ payload: Buffer.from("first") });
  await call.message(0);
  const upload = await RawVisitor.connect(http);
  upload.send("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n");
  return {
    async check() {
      await events.receive(/"sequence":1/, 60_000);
      await events2.until((frames) => frames.length > known, 20_000);
      assert.ok(!events2.closed);
      const echo = new Promise((resolve) => socket.once("message", (data) => resolve((data as Buffer).toString())));
      socket.send("still there");
      assert.equal(await echo, "still there");
      call.write({ payload: Buffer.from("second") });
      await call.message(1);
      upload.send("0\r\n\r\n");
      assert.match(await upload.receive(/"bytes"/, 20_000), /^HTTP\/1\.1 200 /);
      for (const one of [events, upload]) one.close();
      events2.destroy();
      socket.terminate();
      call.cancel();
      client.close();
    },
  };
}

describe("slow peers, all at once", { concurrency: true, timeout: 120_000 }, () => {
  test("who is idle and has nothing to take or to give stays: events, WebSocket, gRPC, an upload in chunks", async () => {
    await patient.check();
  });

  test("500 silent connections: 5 s", async () => {
    assertAll(await lives(500, (socket) => socket.resume()), 5000);
  });

  test("500 heads of one octet in ten seconds: 10 s", async () => {
    const head = Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const frames = headers(1);
    const times = await lives(500, (socket, index) => {
      socket.resume();
      if (index % 2 === 0) {
        drip(socket, head);
        return;
      }
      socket.write(Buffer.concat([CLIENT_PREFACE, settings()]));
      drip(socket, frames);
    });
    assertAll(times, 10_000);
  });

  // Few, since the kernels' own buffers swallow megabytes of each before the reader can be seen to stall.
  test("20 readers of 10 MB over HTTP/1.1 who read nothing: 30 s", async () => {
    const times = await lives(20, (socket) => {
      socket.pause();
      socket.write("GET /download?bytes=10000000 HTTP/1.1\r\nHost: a\r\n\r\n");
      // A reset is not seen by who does not read: each asks, by writing, whether the connection is there.
      const timer = setInterval(() => socket.write("x"), 500);
      socket.on("close", () => clearInterval(timer));
    });
    assertAll(times, 30_000, BULK_MS);
  });

  test("180 readers of 10 MB with a window of 0: 30 s, and RST_STREAM", async () => {
    const [, port] = splitAddress(http);
    const ends = await Promise.all(
      Array.from({ length: 180 }, async () => {
        const visitor = await RawPeer.connect(port, { handshake: false });
        const started = performance.now();
        visitor.send(CLIENT_PREFACE, settings([4, 0]), headers(1, GET_DOWNLOAD));
        const reset = await visitor.until((frames) => frames.some(({ type }) => type === RST_STREAM), 70_000);
        const time = performance.now() - started;
        assert.ok(!reset.some(({ type }) => type === GOAWAY), "the connection lives");
        visitor.destroy();
        return time;
      }),
    );
    assertAll(ends, 30_000, BULK_MS);
  });

  test("100 uploads of known length that stop: 30 s, and 408 or RST_STREAM", async () => {
    const [, port] = splitAddress(http);
    const started = performance.now();
    const byHttp1 = Array.from({ length: 50 }, async () => {
      const visitor = await RawVisitor.connect(http);
      visitor.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbegun");
      assert.match(await visitor.receive(/^HTTP\/1\.1 /, 50_000), /^HTTP\/1\.1 408 /);
      visitor.close();
      return performance.now() - started;
    });
    const byHttp2 = Array.from({ length: 50 }, async () => {
      const visitor = await RawPeer.connect(port);
      visitor.send(headers(1, [...POST_UPLOAD, ["content-length", "1000"]], 0), frame(0, 0, 1, "begun"));
      await visitor.until((frames) => frames.some(({ type }) => type === RST_STREAM), 50_000);
      visitor.destroy();
      return performance.now() - started;
    });
    assertAll(await Promise.all([...byHttp1, ...byHttp2]), 30_000);
  });

  test("who reads slowly, but reads, stays: 2 KiB in ten seconds by window, 64 KiB a second by socket", async () => {
    const [host, port] = splitAddress(http);
    const byWindow = await RawPeer.connect(port, { handshake: false });
    byWindow.send(CLIENT_PREFACE, settings([4, 0]), headers(1, GET_DOWNLOAD));
    const bySocket = net.connect({ host, port });
    bySocket.write("GET /download?bytes=10000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    bySocket.pause();
    const errors: string[] = [];
    bySocket.on("error", ({ message }) => errors.push(message));
    let read = 0;
    for (let second = 0; second < 40; second++) {
      if (second % 10 === 0) byWindow.send(frame(8, 0, 1, uint32(2048)));
      read += (bySocket.read(65_536) as Buffer | null)?.length ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    assert.equal(
      byWindow.frames.filter(({ type }) => type === 0).reduce((sum, { payload }) => sum + payload.length, 0),
      4 * 2048,
    );
    assert.ok(!byWindow.frames.some(({ type }) => type === RST_STREAM));
    assert.deepEqual(errors, []);
    assert.ok(read > 256 * 1024, `${read} octets`);
    byWindow.destroy();
    bySocket.destroy();
  });
});

test("the memory of the relay was bounded", (t) => {
  const growth = peakMemory(processes.relay.pid) - idleMemory;
  t.diagnostic(
    `relay: ${idleMemory.toFixed(0)} MiB idle, ${growth.toFixed(0)} MiB more at the peak; ` +
      `agent: ${peakMemory(processes.agent.pid).toFixed(0)} MiB at the peak`,
  );
  assert.ok(growth < RELAY_GROWTH, `${growth.toFixed(0)} MiB`);
});
