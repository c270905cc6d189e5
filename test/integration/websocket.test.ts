/** WebSockets by `ws`, by hand over HTTP/1.1 and over HTTP/2 (RFC 8441), and by Chromium; the oracle is the direct one. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { WebSocket, WebSocketServer } from "ws";
import { startHttp } from "../../sample/http/server.ts";
import { encodeOrderEvent } from "../../sample/protobuf.ts";
import type { RunningService } from "../../sample/service.ts";
import { startWebSocket } from "../../sample/websocket.ts";
import { launchChromium } from "../support/chromium.ts";
import { startCuttable } from "../support/cuttable.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { selfSigned } from "../support/self-signed.ts";
import { Arrivals, within } from "../support/time.ts";
import { openByConnect, openByUpgrade, visitorFrame } from "../support/websocket.ts";
import type { OpenOptions, RawWebSocket } from "../support/websocket.ts";

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

let path: Path;
let service: RunningService;
let shared: Shared;
let direct: string;

before(async () => {
  service = await startWebSocket();
  path = await startPath();
  shared = await path.share(service.port);
  direct = `127.0.0.1:${service.port}`;
});

after(async () => {
  await path.close();
  await service.close();
});

/**
 * The same frames directly, through the path over HTTP/1.1, and over HTTP/2: what comes back must be the same octets.
 * `talk` ends when it has received what it waits for.
 */
function same(
  name: string,
  target: string,
  options: OpenOptions,
  talk: (socket: RawWebSocket) => Promise<unknown>,
  check: (socket: RawWebSocket) => void,
): void {
  test(name, async () => {
    const seen: { octets: string; subprotocol: string | undefined; extensions: string | undefined }[] = [];
    for (const [open, address] of [
      [openByUpgrade, direct],
      [openByUpgrade, shared.address],
      [openByConnect, shared.address],
    ] as const) {
      const socket = await open(address, target, options);
      try {
        assert.equal(socket.status, open === openByConnect ? 200 : 101);
        await talk(socket);
        if (seen.length === 0) check(socket);
        seen.push({
          octets: socket.octets.toString("hex"),
          subprotocol: socket.fields["sec-websocket-protocol"],
          extensions: socket.fields["sec-websocket-extensions"],
        });
      } finally {
        socket.close();
      }
    }
    assert.deepEqual(seen[1], seen[0], "HTTP/1.1");
    assert.deepEqual(seen[2], seen[0], "HTTP/2");
  });
}

/** permessage-deflate without the empty block at the end (RFC 7692 section 7.2.1). */
function deflate(text: string): Buffer {
  return deflateRawSync(text, { finishFlush: 2 }).subarray(0, -4);
}

describe("octet by octet", () => {
  same(
    "text, one answered before the next",
    "/echo?x=%20&y",
    {},
    async (socket) => {
      for (const [index, text] of ["", "a", "ünï 💡", "x".repeat(200), "y".repeat(70_000)].entries()) {
        socket.send(visitorFrame(TEXT, text));
        await socket.receive(index + 1);
      }
    },
    (socket) => assert.equal(socket.frames[2]?.payload.toString(), "ünï 💡"),
  );

  same(
    "binary",
    "/echo",
    {},
    (socket) => {
      socket.send(visitorFrame(BINARY, Buffer.from(Uint8Array.from({ length: 1000 }, (_, index) => index % 256))));
      return socket.receive(1);
    },
    (socket) => assert.deepEqual([socket.frames[0]?.opcode, socket.frames[0]?.payload.length], [BINARY, 1000]),
  );

  same(
    "fragments with a ping between them",
    "/echo",
    {},
    (socket) => {
      socket.send(visitorFrame(TEXT, "one ", { fin: false }), visitorFrame(PING, "now"));
      socket.send(visitorFrame(0, "two ", { fin: false }), visitorFrame(0, "three"));
      return socket.receive(2);
    },
    (socket) =>
      assert.deepEqual(
        socket.frames.map(({ opcode, payload }) => [opcode, payload.toString()]),
        [
          [PONG, "now"],
          [TEXT, "one two three"],
        ],
      ),
  );

  same(
    "fragments of the service",
    "/fragments",
    {},
    (socket) => socket.receive(4),
    (socket) =>
      assert.deepEqual(
        socket.frames.map(({ fin }) => fin),
        [false, false, false, true],
      ),
  );

  same(
    "ping and pong from both sides",
    "/ping",
    {},
    async (socket) => {
      socket.send(visitorFrame(TEXT, "p1"), visitorFrame(PING, "q1"));
      await socket.receive(2);
      socket.send(visitorFrame(PONG, "p1"));
      await socket.receive(3);
    },
    (socket) => assert.equal(socket.frames.at(-1)?.payload.toString(), "pong p1"),
  );

  same(
    "permessage-deflate is neither undone nor redone",
    "/echo",
    { extensions: "permessage-deflate; client_max_window_bits" },
    async (socket) => {
      socket.send(visitorFrame(TEXT, deflate("lamp ".repeat(500)), { compressed: true }));
      await socket.receive(1);
      socket.send(visitorFrame(TEXT, deflate("lamp ".repeat(400)), { compressed: true }));
      await socket.receive(2);
    },
    (socket) => {
      assert.match(socket.fields["sec-websocket-extensions"] ?? "", /^permessage-deflate/);
      assert.deepEqual(
        socket.frames.map(({ compressed }) => compressed),
        [true, true],
      );
      assert.ok(socket.octets.length < 200);
    },
  );

  same(
    "sub-protocol: the service's choice",
    "/orders?interval=5&count=3",
    { subprotocol: "unknown, shop.json.v1, shop.protobuf.v1" },
    (socket) => socket.receive(4),
    (socket) => {
      assert.equal(socket.fields["sec-websocket-protocol"], "shop.protobuf.v1");
      assert.deepEqual(socket.frames[1]?.payload, Buffer.from(encodeOrderEvent(1)));
    },
  );

  for (const code of [1000, 1001, 1011, 3000, 4999])
    same(
      `close ${code} by the service`,
      `/close?code=${code}&reason=gr%C3%BCn`,
      {},
      (socket) => socket.receive(1),
      (socket) => {
        const [frame] = socket.frames;
        assert.deepEqual(
          [frame?.opcode, frame?.payload.readUInt16BE(0), frame?.payload.subarray(2).toString()],
          [CLOSE, code, "grün"],
        );
      },
    );

  same(
    "close by the visitor is answered",
    "/echo",
    {},
    async (socket) => {
      socket.send(visitorFrame(CLOSE, Buffer.concat([Buffer.from([0x0b, 0xb9]), Buffer.from("bye")])));
      await socket.receive(1);
      assert.equal(await socket.end(), "end");
    },
    (socket) => assert.equal(socket.frames[0]?.payload.readUInt16BE(0), 3001),
  );

  same(
    "a frame the service objects to: its objection comes back",
    "/echo",
    {},
    (socket) => {
      // A continuation without a beginning.
      socket.send(visitorFrame(0, "?"));
      return socket.receive(1);
    },
    (socket) => assert.equal(socket.frames[0]?.payload.readUInt16BE(0), 1002),
  );
});

describe("the path takes no part in the conversation", () => {
  test("octets that are no frames pass unchanged, both ways", async () => {
    // Answers the Upgrade, then sends back every octet: frames or not.
    const sockets = new Set<net.Socket>();
    const echo = net.createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      let head = "";
      const read = (chunk: Buffer): void => {
        head += chunk.toString("latin1");
        if (!head.includes("\r\n\r\n")) return;
        socket.off("data", read);
        const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? "";
        const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
        socket.pipe(socket);
      };
      socket.on("data", read);
    });
    await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
    try {
      const target = await path.share((echo.address() as net.AddressInfo).port);
      const noise = randomBytes(300_000);
      for (const open of [openByUpgrade, openByConnect]) {
        const socket = await open(target.address, "/");
        socket.send(noise);
        assert.ok((await socket.receiveOctets(noise.length)).equals(noise));
        socket.close();
      }
    } finally {
      for (const socket of sockets) socket.destroy();
      echo.close();
    }
  });

  test("a service that drops the connection: no close frame is invented", async () => {
    for (const address of [direct, shared.address]) {
      const socket = new WebSocket(`ws://${address}/drop`);
      socket.on("error", () => undefined);
      const code = await within(5000, "the end", new Promise((resolve) => socket.on("close", resolve)));
      assert.equal(code, 1006);
    }
  });

  test("a service without WebSockets: its own answer", async () => {
    const plain = await startHttp();
    try {
      const target = await path.share(plain.port);
      for (const [address, open] of [
        [`127.0.0.1:${plain.port}`, openByUpgrade],
        [target.address, openByUpgrade],
        [target.address, openByConnect],
      ] as const) {
        const socket = await open(address, "/status/404");
        assert.equal(socket.status, 404);
        socket.close();
      }
    } finally {
      await plain.close();
    }
  });
});

describe("by the ws library", () => {
  test("in the capture: messages decoded, directions, close", async () => {
    const socket = new WebSocket(`ws://${shared.address}/echo?captured`);
    await within(5000, "open", new Promise((resolve) => socket.on("open", resolve)));
    const answers = new Arrivals<Buffer>();
    socket.on("message", (data) => answers.add(data as Buffer));
    socket.send(JSON.stringify({ lamp: "on" }));
    socket.send("just text");
    socket.send(Buffer.from([1, 2, 3]));
    await answers.count(3, 5000, "answer");
    socket.close(3001, "done");
    const record = await path.record((one) => one.path === "/echo?captured");
    assert.equal(record.protocol, "websocket");
    const messages = record.messages.map(({ from, kind, text, value, base64 }) => ({
      from,
      kind,
      content: value ?? text ?? base64,
    }));
    const visitor = messages.filter(({ from }) => from === "visitor").map(({ content }) => content);
    assert.deepEqual(visitor.slice(0, 3), [{ lamp: "on" }, "just text", "AQID"]);
    assert.equal(messages.filter(({ from, kind }) => from === "service" && kind !== "close").length, 3);
    assert.ok(messages.some(({ kind }) => kind === "close"));
  });

  test("16 MiB each way, with and without compression", async () => {
    const payload = Buffer.concat([randomBytes(1024 * 1024), Buffer.alloc(15 * 1024 * 1024, "lamp")]);
    for (const perMessageDeflate of [false, true]) {
      const socket = new WebSocket(`ws://${shared.address}/echo`, { perMessageDeflate, maxPayload: 32 * 1024 * 1024 });
      const answers = new Arrivals<Buffer>();
      socket.on("message", (data) => answers.add(data as Buffer));
      await within(5000, "open", new Promise((resolve) => socket.on("open", resolve)));
      socket.send(payload);
      const answer = await answers.next(20_000, "16 MiB back");
      assert.ok(answer.equals(payload));
      socket.close();
      await new Promise((resolve) => socket.on("close", resolve));
    }
  });

  test("10 000 small messages in order", async () => {
    const socket = new WebSocket(`ws://${shared.address}/echo`);
    const answers = new Arrivals<string>();
    socket.on("message", (data) => answers.add((data as Buffer).toString()));
    await within(5000, "open", new Promise((resolve) => socket.on("open", resolve)));
    for (let index = 0; index < 10_000; index++) socket.send(String(index));
    const all = await answers.count(10_000, 20_000, "answer");
    assert.ok(all.every((text, index) => text === String(index)));
    socket.close();
  });
});

test(
  "Chromium: text, binary, sub-protocol, close code; and a page with server-sent events",
  { timeout: 60_000 },
  async () => {
    const pages = await startHttp();
    const site = await path.share(pages.port);
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      await page.goto(`${site.url}/`);
      const seen = await page.evaluate(
        async (url) => {
          const results: unknown[] = [];
          const socket = new WebSocket(`${url}/orders?interval=5&count=2`, ["shop.json.v1"]);
          await new Promise<void>((resolve) => {
            socket.onmessage = (event) => results.push(JSON.parse(event.data as string));
            socket.onclose = (event) => {
              results.push(socket.protocol, event.code, event.reason, event.wasClean);
              resolve();
            };
          });
          const echo = new WebSocket(`${url}/echo`);
          echo.binaryType = "arraybuffer";
          await new Promise((resolve) => (echo.onopen = resolve));
          for (const message of ["grün 💡", new Uint8Array([0, 255, 128])]) {
            echo.send(message);
            const answer = await new Promise<unknown>((resolve) => (echo.onmessage = (event) => resolve(event.data)));
            results.push(typeof answer === "string" ? answer : [...new Uint8Array(answer as ArrayBuffer)]);
          }
          results.push(echo.extensions);
          echo.close(4001, "enough");
          results.push(await new Promise((resolve) => (echo.onclose = (event) => resolve(event.code))));
          return results;
        },
        shared.url.replace("http:", "ws:"),
      );
      assert.deepEqual(seen, [
        { sequence: 0, stateChanged: "ORDER_STATE_PAID" },
        { sequence: 1, stateChanged: "ORDER_STATE_PAID" },
        "shop.json.v1",
        1000,
        "that was all",
        true,
        "grün 💡",
        [0, 255, 128],
        "permessage-deflate",
        4001,
      ]);
      await page.waitForFunction(() => document.getElementById("events")?.textContent.includes("sequence"));
    } finally {
      await browser.close();
      await pages.close();
    }
  },
);

test("Chromium: wss on the page's own HTTP/2 connection (RFC 8441)", { timeout: 60_000 }, async () => {
  const server = http.createServer((_request, response) => {
    response.setHeader("content-type", "text/html").end("<!doctype html><link rel=icon href=data:,>");
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { cert, key } = selfSigned(["localhost", "*.localhost", "127.0.0.1"]);
  const secure = await startPath({ relay: { mode: "remote", tls: { cert, key } } });
  const tunnel = new URL(secure.relay.tunnelUrl.replace("tls:", "https:"));
  const site = await secure.share((server.address() as net.AddressInfo).port, {
    relay: { url: `tls://127.0.0.1:${tunnel.port}`, ca: cert },
  });
  // Between browser and edge, to count connections. The relay routes by name.
  const edge = await startCuttable(Number(new URL(site.url).port));
  const browser = await launchChromium(["--ignore-certificate-errors"]);
  try {
    const page = await browser.newPage();
    const devtools = await page.context().newCDPSession(page);
    const statuses: number[] = [];
    devtools.on("Network.webSocketHandshakeResponseReceived", ({ response }) => statuses.push(response.status));
    await devtools.send("Network.enable");
    const { hostname } = new URL(site.url);
    const response = await page.goto(`https://${hostname}:${edge.port}/`);
    assert.equal(response?.status(), 200);
    const before = edge.accepted;
    const seen = await page.evaluate(async () => {
      const results: unknown[] = [];
      for (let round = 0; round < 3; round++) {
        const socket = new WebSocket(`wss://${location.host}/`);
        await new Promise((resolve, reject) => {
          socket.onopen = resolve;
          socket.onerror = reject;
        });
        for (const message of ["grün 💡", "x".repeat(100_000)]) {
          socket.send(message);
          results.push(await new Promise((resolve) => (socket.onmessage = (event) => resolve(event.data === message))));
        }
        socket.close(4001, "enough");
        results.push(await new Promise((resolve) => (socket.onclose = (event) => resolve(event.code))));
      }
      const [navigation] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
      return [navigation?.nextHopProtocol, results];
    });
    assert.deepEqual(seen, ["h2", Array.from({ length: 3 }, () => [true, true, 4001]).flat()]);
    // An Upgrade is answered 101, an extended CONNECT 200; and an Upgrade needs a connection of its own.
    assert.deepEqual(statuses, [200, 200, 200]);
    assert.equal(edge.accepted, before, "no connection beside that of the page");
  } finally {
    await browser.close();
    await edge.close();
    await secure.close();
    sockets.close();
    server.closeAllConnections();
    server.close();
  }
});
