/** What passes the path unchanged, of connections: half-close and RST of TCP shares, a thousand exchanges at once, ten thousand in a row. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { DATA, END_STREAM, RawPeer, frame } from "../support/frames.ts";
import { splitAddress } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { headFrames } from "../support/raw-request.ts";
import type { Pair } from "../support/raw-request.ts";
import { startRecordingService } from "../support/recording-service.ts";
import { until, within } from "../support/time.ts";

let path: Path;

before(async () => {
  path = await startPath();
});
after(() => path.close());

describe("a TCP share", () => {
  let server: net.Server;
  let shared: Shared;
  let sockets: net.Socket[];

  before(async () => {
    server = net.createServer({ allowHalfOpen: true }, (socket) => sockets.push(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    shared = await path.share((server.address() as net.AddressInfo).port, { kind: "tcp" });
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  /** Both ends of one connection through the path. */
  async function connection(): Promise<{ visitor: net.Socket; service: net.Socket }> {
    sockets = [];
    const visitor = net.connect({
      port: Number(new URL(shared.url.replace("tcp:", "http:")).port),
      host: "127.0.0.1",
      allowHalfOpen: true,
    });
    await once(visitor, "connect");
    const service = await until(5000, "the connection to the service", () => sockets[0]);
    return { visitor, service };
  }

  async function text(socket: net.Socket): Promise<string> {
    let all = "";
    socket.setEncoding("latin1").on("data", (piece: string) => (all += piece));
    await within(5000, "FIN", once(socket, "end"));
    return all;
  }

  for (const first of ["visitor", "service"] as const)
    test(`half-close by the ${first}: the other still speaks, and is heard`, async () => {
      const ends = await connection();
      const closing = ends[first];
      const other = ends[first === "visitor" ? "service" : "visitor"];
      closing.end("first");
      assert.equal(await text(other), "first");
      const heard = text(closing);
      for (const piece of ["second ", "third ", "fourth"]) other.write(piece);
      other.end();
      assert.equal(await heard, "second third fourth");
    });

  for (const first of ["visitor", "service"] as const)
    test(`RST by the ${first} is a RST at the other, never an end`, async () => {
      const ends = await connection();
      const other = ends[first === "visitor" ? "service" : "visitor"];
      let ended = false;
      other.on("end", () => (ended = true)).resume();
      const failed = once(other, "error") as Promise<[NodeJS.ErrnoException]>;
      ends[first].on("error", () => undefined).write("some");
      ends[first].resetAndDestroy();
      // `once` of "error" resolves with it.
      const [error] = await within(
        5000,
        "the reset",
        failed.catch((reason: unknown) => [reason as NodeJS.ErrnoException] as const),
      );
      assert.equal(error.code, "ECONNRESET");
      assert.equal(ended, false);
    });
});

describe("many", () => {
  for (const version of [1, 2] as const)
    test(`1 000 requests at once, all open until the last is there, to a service of HTTP/${version}`, async () => {
      const service = await startRecordingService(version);
      const shared = await path.share(service.port);
      const peers = await Promise.all(
        Array.from({ length: 10 }, () => RawPeer.connect(splitAddress(shared.address)[1])),
      );
      try {
        // The head is said at once, the body when all are there.
        const held: (() => void)[] = [];
        service.answer = ({ target, connection }, stream) => {
          const length: Pair = ["content-length", String(target.length)];
          const socket = service.connections[connection];
          held.push(() => socket?.write(version === 1 ? target : frame(DATA, END_STREAM, stream, target)));
          return version === 1
            ? `HTTP/1.1 200 OK\r\n${length[0]}: ${length[1]}\r\n\r\n`
            : { bytes: headFrames(stream, [[":status", "200"], length], 0), close: false };
        };
        for (const [index, peer] of peers.entries())
          for (let stream = 1; stream < 200; stream += 2)
            peer.send(
              headFrames(
                stream,
                [
                  [":method", "GET"],
                  [":scheme", "http"],
                  [":path", `/${index}/${stream}`],
                  [":authority", "a"],
                ],
                END_STREAM,
              ),
            );
        await until(20_000, "1 000 requests at the service", () => held.length === 1000);
        for (const give of held) give();
        for (const [index, peer] of peers.entries())
          for (let stream = 1; stream < 200; stream += 2) {
            await peer.until(
              (frames) =>
                frames.some((one) => one.type === DATA && one.stream === stream && (one.flags & END_STREAM) !== 0),
              20_000,
            );
            const body = peer.frames
              .filter((one) => one.type === DATA && one.stream === stream)
              .map(({ payload }) => payload);
            assert.equal(Buffer.concat(body).toString(), `/${index}/${stream}`);
          }
      } finally {
        for (const peer of peers) peer.destroy();
        await service.close();
      }
    });

  test("10 000 requests one after the other: each its own answer, on a handful of connections", async () => {
    const service = await startRecordingService(1);
    const shared = await path.share(service.port);
    const [host, port] = splitAddress(shared.address);
    const socket = net.connect({ host, port, noDelay: true });
    try {
      await new Promise<void>((resolve, reject) => {
        let sent = 0;
        let text = "";
        const next = (): void => void socket.write(`GET /${sent} HTTP/1.1\r\nHost: a\r\n\r\n`);
        socket.on("error", reject).on("close", () => reject(new Error(`closed after ${sent}`)));
        socket.setEncoding("latin1").on("data", (piece: string) => {
          text += piece;
          const end = text.indexOf("\r\n\r\n");
          const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
          if (end < 0 || text.length < end + 4 + length) return;
          if (text.slice(end + 4) !== `seen:/${sent}`) reject(new Error(`${sent}: ${text}`));
          text = "";
          if (++sent === 10_000) resolve();
          else next();
        });
        next();
      });
      assert.equal(service.requests.items.length, 10_000);
      assert.ok(service.connections.length <= 8, `${service.connections.length} connections`);
      assert.deepEqual(service.doubts, []);
    } finally {
      socket.removeAllListeners("close");
      socket.destroy();
      await service.close();
    }
  });
});
