/**
 * T-2, one client's behaviour kills the shared tunnel: 5 000 public request+cancel by client A, and content-length-mismatch
 * bodies from A and from origin A: client B's long-lived SSE/WS/gRPC on the same tunnel sees 0 errors; session uptime
 * unchanged.
 */
import assert from "node:assert/strict";
import http2 from "node:http2";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { POST, RawPeer, frame, headers, latin1, uint32 } from "../support/frames.ts";
import { RawVisitor, splitAddress } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path } from "../support/path.ts";
import { startWitness } from "../support/witness.ts";
import type { Witness } from "../support/witness.ts";

let path: Path;
let witness: Witness;

before(async () => {
  path = await startPath();
  witness = await startWitness(path);
});

after(async () => {
  await witness.close();
  await path.close();
});

afterEach(() => witness.check());

const id = (index: number): number => 1 + 2 * index;
const cancel = (stream: number): Uint8Array => frame(3, 0, stream, uint32(8));

describe("requests and cancellations", () => {
  test("5 000 over HTTP/2, 100 at once on each of 50 connections", { timeout: 60_000 }, async () => {
    const [, port] = splitAddress(witness.http);
    // Answered after ten seconds: each is cancelled while it waits.
    const waiting = [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/delay/10000"],
      [":authority", "a"],
    ] as const;
    const before = path.records.items.length;
    for (let connection = 0; connection < 50; connection++) {
      const visitor = await RawPeer.connect(port);
      const streams = Array.from({ length: 100 }, (_, index) => id(index));
      visitor.send(...streams.map((stream) => headers(stream, waiting)));
      // They have come: what follows is another turn of the relay, as with a person.
      visitor.send(frame(6, 0, 0, new Uint8Array(8)));
      await visitor.until((frames) => frames.some(({ type, flags }) => type === 6 && flags === 1));
      visitor.send(...streams.map(cancel), frame(6, 0, 0, latin1("finished")));
      const frames = await visitor.until(
        (seen) => seen.filter(({ type, flags }) => type === 6 && flags === 1).length === 2,
      );
      assert.ok(!frames.some(({ type }) => type === 7), "no GOAWAY");
      visitor.destroy();
    }
    await path.records.count(before + 5000, 30_000, "cancelled exchange");
    assert.ok(path.records.items.slice(before).every(({ failure }) => failure?.by === "visitor"));
  });

  test("1 000 over HTTP/1.1, each by closing its connection", { timeout: 60_000 }, async () => {
    for (let batch = 0; batch < 10; batch++) {
      const visitors = await Promise.all(Array.from({ length: 100 }, () => RawVisitor.connect(witness.http)));
      for (const visitor of visitors) visitor.send("GET /delay/10000 HTTP/1.1\r\nHost: a\r\n\r\n");
      for (const visitor of visitors) visitor.socket.resetAndDestroy();
    }
  });
});

describe("bodies that differ from their content-length", () => {
  for (const [what, body, end] of [
    ["longer", "xx", 0],
    ["shorter", "", 1],
  ] as const)
    test(`2 000 of visitor A over HTTP/2, ${what}`, { timeout: 60_000 }, async () => {
      const [, port] = splitAddress(witness.http);
      const post = [
        ...POST.filter(([name]) => name !== ":path"),
        [":path", "/upload"],
        ["content-length", "1"],
      ] as const;
      for (let connection = 0; connection < 20; connection++) {
        const visitor = await RawPeer.connect(port);
        for (let index = 0; index < 100; index++)
          visitor.send(headers(id(index), post, 0), frame(0, end, id(index), body));
        const resets = await visitor.until((frames) => frames.filter(({ type }) => type === 3).length >= 100, 10_000);
        assert.ok(
          resets.filter(({ type }) => type === 3).every(({ payload }) => payload[3] === 1),
          "PROTOCOL_ERROR",
        );
        visitor.destroy();
      }
    });

  test("500 of visitor A over HTTP/1.1, cut short by FIN", { timeout: 60_000 }, async () => {
    for (let batch = 0; batch < 10; batch++) {
      const visitors = await Promise.all(Array.from({ length: 50 }, () => RawVisitor.connect(witness.http)));
      for (const visitor of visitors) {
        visitor.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nshort");
        visitor.socket.end();
      }
      for (const visitor of visitors) assert.doesNotMatch(await visitor.rest(10_000), /"bytes"/);
    }
  });

  /** A service that says one length and sends another. */
  const services: Readonly<Record<string, () => Promise<{ port: number; close(): void }>>> = {
    "HTTP/1.1, shorter": () => startText("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
    "HTTP/1.1, longer": () => startText("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nlonger than that"),
    "HTTP/2, shorter": () => startLying(100),
    "HTTP/2, longer": () => startLying(2),
  };
  for (const [what, start] of Object.entries(services))
    test(`500 of service A over ${what}`, { timeout: 60_000 }, async () => {
      const service = await start();
      const { address } = await path.share(service.port, { relay: witness.endpoint });
      let clean = 0;
      for (let batch = 0; batch < 10; batch++) {
        const visitors = await Promise.all(Array.from({ length: 50 }, () => RawVisitor.connect(address)));
        for (const visitor of visitors) visitor.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        for (const visitor of visitors) {
          const answer = await visitor.rest(10_000);
          const length = Number(/content-length: (\d+)/i.exec(answer)?.[1] ?? -1);
          const whole = length >= 0 && answer.length - answer.indexOf("\r\n\r\n") - 4 === length;
          if (answer.startsWith("HTTP/1.1 200 ") && (whole || answer.endsWith("\r\n0\r\n\r\n"))) clean++;
        }
      }
      // What HTTP/1.1 sends behind the announced length is no part of the answer; everything else is cut.
      assert.equal(clean, what === "HTTP/1.1, longer" ? 500 : 0);
      service.close();
    });
});

async function startText(answer: string): Promise<{ port: number; close(): void }> {
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

async function startLying(length: number): Promise<{ port: number; close(): void }> {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session.on("error", () => undefined)));
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200, "content-length": length });
    stream.end("five!");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

test("the witness notices: a tunnel that ends is seen", async () => {
  const other = await startPath();
  const seen = await startWitness(other);
  await seen.check();
  await other.relay.close(0);
  await assert.rejects(seen.check());
  await seen.close();
  await other.close();
});
