import { strict as assert } from "node:assert";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import type { AddressInfo, Server } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";
import { WebSocketServer } from "ws";
import { settings } from "../../test/support/frames.ts";
import { goaway, startRawService } from "../../test/support/raw-service.ts";
import type { RawServiceOptions } from "../../test/support/raw-service.ts";
import { silentLogger } from "../../wire/logger.ts";
import { createAgent } from "../agent.ts";
import type { Agent } from "../options.ts";
import { OPEN, RelayDouble, field } from "../support/relay-double.ts";
import { chooseVersion } from "./choice.ts";
import { ServiceError, openSocket } from "./dial.ts";
import { judgeAnswer } from "./http2-opening.ts";
import type { PrefaceAnswer } from "./http2-opening.ts";
import type { Offers } from "./probe.ts";

describe("what answers the preface of HTTP/2", () => {
  const settings = Buffer.from("00000c04000000000000030000006400040000ffff", "hex");
  const table: [string, Buffer, PrefaceAnswer][] = [
    ["SETTINGS", settings, "http2"],
    ["empty SETTINGS", Buffer.from("000000040000000000", "hex"), "http2"],
    ["SETTINGS ACK first", Buffer.from("000000040100000000", "hex"), "other"],
    ["GOAWAY first", Buffer.from("0000080700000000000000000000000001", "hex"), "other"],
    ["SETTINGS on a stream", Buffer.from("000000040000000001", "hex"), "other"],
    ["Node's 400", Buffer.from("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), "http1"],
    ["505", Buffer.from("HTTP/1.0 505 Version\r\nContent-Length: 2\r\n\r\nno"), "http1"],
    [
      "nginx on a TLS port",
      Buffer.from("HTTP/1.1 400 Bad Request\r\nContent-Length: 30\r\n\r\n<html>plain HTTP to HTTPS port"),
      "http1-perhaps-tls",
    ],
    ["a TLS alert", Buffer.from("15030100020250", "hex"), "closed"],
    ["nothing", Buffer.alloc(0), "closed"],
    ["SSH", Buffer.from("SSH-2.0-OpenSSH_9.6\r\n"), "other"],
    ["HTTP/0.9 of Python", Buffer.from("<!DOCTYPE HTML>\n<html>"), "other"],
    ["a cut status line", Buffer.from("HTTP/1.1"), "other"],
  ];
  for (const [name, bytes, expected] of table)
    it(`${name}: ${expected}, at every split`, () => {
      for (let length = 0; length <= bytes.length; length++) {
        const early = judgeAnswer(bytes.subarray(0, length), false);
        // Never anything wrong from a part, but for a body that has not come yet.
        if (early !== undefined && length < bytes.length) assert.equal(early, expected, `${length}`);
      }
      assert.equal(judgeAnswer(bytes, true), expected);
    });
});

it("chooses the version that suits the exchange among what the service offers", () => {
  const offers = (http2Offered: boolean, http1: boolean | undefined): Offers => ({
    tls: false,
    http2: http2Offered,
    http1,
    certain: true,
  });
  const table: [Offers, Record<"grpc" | "websocket" | "http1" | "http2", 1 | 2 | "ask">][] = [
    [offers(false, true), { grpc: 1, websocket: 1, http1: 1, http2: 1 }],
    [offers(true, false), { grpc: 2, websocket: 2, http1: 2, http2: 2 }],
    [offers(true, true), { grpc: 2, websocket: 1, http1: 1, http2: 2 }],
    [offers(true, undefined), { grpc: 2, websocket: "ask", http1: "ask", http2: 2 }],
  ];
  for (const [offered, expected] of table)
    assert.deepEqual(
      {
        grpc: chooseVersion({ kind: "grpc", visitorVersion: 1 }, offered),
        websocket: chooseVersion({ kind: "websocket", visitorVersion: 2 }, offered),
        http1: chooseVersion({ kind: "http", visitorVersion: 1 }, offered),
        http2: chooseVersion({ kind: "http", visitorVersion: 2 }, offered),
      },
      expected,
    );
});

describe("connections to services", { timeout: 60_000 }, () => {
  let relay: RelayDouble;
  let agent: Agent;
  const closing: (() => void)[] = [];

  before(async () => {
    relay = await RelayDouble.start();
    agent = createAgent({ log: silentLogger });
  });
  afterEach(async () => {
    for (const { id } of agent.shares) await agent.unshare(id);
    for (const close of closing.splice(0)) close();
  });
  after(async () => {
    await agent.close();
    await relay.stop();
  });

  async function listen(server: Server, host = "127.0.0.1"): Promise<number> {
    const sockets = new Set<net.Socket>();
    server.on("connection", (socket: net.Socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    closing.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return (server.address() as AddressInfo).port;
  }

  async function share(port: number): Promise<string> {
    return (await agent.share({ port, kind: "http", relay: { url: relay.url } })).info.id;
  }

  it("dials ::1 when only that listens, remembers it, and says so when nothing does", async () => {
    const port = await listen(net.createServer(), "::1");
    const target = { host: "localhost", addresses: ["127.0.0.1", "::1"], port };
    const { socket, address } = await openSocket(target);
    assert.equal(address, "::1");
    socket.destroy();
    const again = await openSocket(target, address);
    assert.equal(again.address, "::1");
    again.socket.destroy();
    await assert.rejects(
      openSocket({ ...target, addresses: ["127.0.0.1"] }),
      (error) =>
        error instanceof ServiceError &&
        error.failure.code === "unreachable" &&
        error.message.includes(`localhost:${port}`),
    );
  });

  it("carries a unary gRPC call to grpc-js, with metadata and trailers", async () => {
    const server = new GrpcServer();
    const identity = { serialize: (value: Buffer) => value, deserialize: (bytes: Buffer) => bytes };
    server.addService(
      {
        Echo: {
          path: "/test.Echo/Echo",
          requestStream: false,
          responseStream: false,
          requestSerialize: identity.serialize,
          requestDeserialize: identity.deserialize,
          responseSerialize: identity.serialize,
          responseDeserialize: identity.deserialize,
        },
      },
      {
        Echo: (call: { request: Buffer }, reply: (error: null, answer: Buffer) => void) => reply(null, call.request),
      },
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    closing.push(() => server.forceShutdown());
    const id = await share(port);
    const message = Buffer.from("\0\0\0\0\x05hello");
    const grpc = { ":method": "POST", ":path": "/test.Echo/Echo", "content-type": "application/grpc", te: "trailers" };
    // The visitor's version does not matter.
    for (const version of ["2", "1.1"]) {
      const visitor = await relay.exchange(id, { ...grpc, "portlight-http": version }, message).over();
      assert.deepEqual(visitor.body, message);
      assert.equal(field(visitor.trailers ?? [], "grpc-status"), "0");
    }
    const missing = await relay.exchange(id, { ...grpc, ":path": "/test.Echo/None" }, message).over();
    assert.equal(field(missing.head ?? [], "grpc-status"), "12");
  });

  const WEBSOCKET = {
    ":method": "CONNECT",
    ":protocol": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "chat",
  };

  it("opens a WebSocket by Upgrade, and passes its octets on unread", async () => {
    const server = http.createServer();
    const sockets = new WebSocketServer({ server });
    const origins: unknown[] = [];
    sockets.on("connection", (socket, request) => {
      origins.push(request.headers.origin);
      socket.on("message", (data: Buffer) => socket.send(`echo ${data.toString()}`));
    });
    closing.push(() => sockets.close());
    const port = await listen(server);
    const id = await share(port);
    const visitor = relay.exchange(id, { ...WEBSOCKET, origin: "https://bold-otter.example.com" }, OPEN);
    await visitor.until(({ head }) => head !== undefined);
    assert.equal(visitor.status, "200");
    assert.equal(field(visitor.head ?? [], "sec-websocket-protocol"), "chat");
    assert.deepEqual(origins, [`http://localhost:${port}`]);
    // A masked text message "hi" with the key 0.
    visitor.send(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    await visitor.until(({ body }) => body.length >= 9);
    assert.equal(visitor.body.subarray(2).toString(), "echo hi");
    visitor.send(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]));
    await visitor.over();
    assert.equal(visitor.failure, undefined);
  });

  it("opens a WebSocket by extended CONNECT where the service speaks only HTTP/2, or says that it cannot", async () => {
    for (const enableConnectProtocol of [true, false]) {
      const server = http2.createServer({ settings: { enableConnectProtocol } });
      server.on("stream", (stream, headers) => {
        stream.on("error", () => undefined);
        stream.respond({ ":status": 200, "x-protocol": headers[":protocol"] ?? "" });
        stream.pipe(stream);
      });
      const id = await share(await listen(server));
      const visitor = relay.exchange(id, WEBSOCKET, OPEN);
      await visitor.until(({ head }) => head !== undefined);
      assert.equal(visitor.status, enableConnectProtocol ? "200" : "501");
      if (!enableConnectProtocol) continue;
      assert.equal(field(visitor.head ?? [], "x-protocol"), "websocket");
      visitor.send("octets", true);
      assert.equal((await visitor.over()).text, "octets");
    }
  });

  it("takes a service that is silent while it is busy for one of HTTP/1", async () => {
    // One request at a time, like the simplest servers: nobody reads from the next connection before the first is closed.
    const queue: net.Socket[] = [];
    let busy: net.Socket | undefined;
    const next = (): void => {
      busy = queue.shift();
      busy?.once("data", (data) => {
        const isRequest = data.toString("latin1").startsWith("GET ");
        busy?.end(`HTTP/1.0 ${isRequest ? 200 : 400} x\r\n\r\n${isRequest ? "served" : ""}`);
      });
      busy?.once("close", next);
    };
    const port = await listen(
      net.createServer((socket) => {
        queue.push(socket);
        if (busy === undefined) next();
      }),
    );
    const other = net.connect(port, "127.0.0.1");
    await new Promise((resolve) => other.once("connect", resolve));
    const id = await share(port);
    const visitor = relay.exchange(id, {});
    // The probe gives up after a second; only then the other request ends.
    setTimeout(() => other.destroy(), 1_500);
    assert.equal((await visitor.over()).text, "served");
  });

  it("uses a connection of HTTP/1 again, and many side by side", async () => {
    const ports = new Set<number | undefined>();
    const waiting: http.ServerResponse[] = [];
    const server = http.createServer((request, response) => {
      ports.add(request.socket.remotePort);
      if (request.url === "/wait") waiting.push(response);
      else response.end();
      if (waiting.length === 40) for (const one of waiting.splice(0)) one.end("all");
    });
    const id = await share(await listen(server));
    for (let count = 0; count < 5; count++) assert.equal((await relay.exchange(id, {}).over()).status, "200");
    assert.equal(ports.size, 1);
    const visitors = Array.from({ length: 40 }, () => relay.exchange(id, { ":path": "/wait" }));
    for (const visitor of visitors) assert.equal((await visitor.over()).text, "all");
    assert.equal(ports.size, 40);
  });

  it("lets go of a waiting exchange whose visitor goes away", async () => {
    const seen: (string | undefined)[] = [];
    const held: net.Socket[] = [];
    const server = http.createServer((request, response) => {
      seen.push(request.url);
      response.end();
    });
    // Accepted but not served: the probe is not answered for now.
    const gate = net.createServer((socket) => held.push(socket));
    const id = await share(await listen(gate));
    const gone = relay.exchange(id, { ":path": "/gone" });
    const stays = relay.exchange(id, { ":path": "/stays" });
    while (held.length === 0) await new Promise((resolve) => gate.once("connection", resolve));
    gone.reset();
    gate.removeAllListeners("connection");
    gate.on("connection", (socket: net.Socket) => {
      socket.on("error", () => undefined);
      server.emit("connection", socket);
    });
    for (const socket of held) socket.destroy();
    assert.equal((await stays.over()).status, "200");
    assert.deepEqual(
      seen.filter((url) => url === "/gone"),
      [],
    );
  });

  it("does not dial on and on where a further connection of HTTP/2 brings nothing", async () => {
    const MAX_CONCURRENT_STREAMS = 3;
    const one = [[MAX_CONCURRENT_STREAMS, 1]] as const;
    const table: readonly (readonly [RawServiceOptions, string])[] = [
      [{ settings: one, further: "closed" }, "200"],
      [{ settings: one, further: "silent" }, "200"],
      [{ greeting: [goaway(0)] }, "503"],
      [{ settings: [[MAX_CONCURRENT_STREAMS, 0]] }, "200"],
    ];
    for (const [options, status] of table) {
      const service = await startRawService({
        ...options,
        serve: (request) => setImmediate(() => request.answer("ok")),
      });
      closing.push(() => service.close());
      const id = await share(service.port);
      const visitors = Array.from({ length: 6 }, () => relay.exchange(id, {}));
      if (options.settings?.[0]?.[1] === 0) {
        const connection = await service.connections.next(5_000, "a connection");
        connection.send(settings([MAX_CONCURRENT_STREAMS, 1]));
      }
      for (const visitor of visitors) {
        await visitor.over();
        assert.equal(visitor.status, status);
      }
      assert.ok(service.connections.items.length <= 6, `${service.connections.items.length} connections`);
    }
  });

  it("never pings a service", async () => {
    const types: number[] = [];
    const server = net.createServer((socket) => {
      let received = Buffer.alloc(0);
      let at = 24;
      socket.on("data", (chunk) => {
        received = Buffer.concat([received, chunk]);
        for (; at + 9 <= received.length; at += 9 + received.readUIntBE(at, 3)) {
          const type = received[at + 3] ?? 0;
          types.push(type);
          // SETTINGS before anything, then a HEADERS of ":status 200" with END_STREAM for each request.
          if (type === 1) {
            const stream = received.readUInt32BE(at + 5);
            const answer = Buffer.from("00000101050000000088", "hex");
            answer.writeUInt32BE(stream, 5);
            socket.write(answer);
          }
        }
      });
      socket.write(Buffer.from("000000040000000000", "hex"));
    });
    const id = await share(await listen(server));
    for (let count = 0; count < 3; count++) assert.equal((await relay.exchange(id, {}).over()).status, "200");
    // Three turns of the wheel, in which a keep-alive would begin.
    await new Promise((resolve) => setTimeout(resolve, 3_200));
    assert.equal((await relay.exchange(id, {}).over()).status, "200");
    const PING = 6;
    assert.ok(!types.includes(PING), types.join());
  });
});
