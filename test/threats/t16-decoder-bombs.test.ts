/**
 * T-16, decoder bombs: 4 GiB gRPC prefix; 1 000:1 gzip/deflate/br; 1 MiB empty submessages; "404 page not found" as gRPC;
 * WS 16 MiB/1-byte fragments; bytes to client identical with inspector on/off; inspector heap < 64 MB (beside its ring).
 *
 * One agent captures and decodes everything that passes (`--json` prints it), another looks at nothing: the same visitor
 * asks both, and the service itself.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { Server } from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import zlib from "node:zlib";
import type { RunningService } from "../../sample/service.ts";
import { startWebSocket } from "../../sample/websocket.ts";
import { request, request2 } from "../support/http.ts";
import { peakMemory } from "../support/process.ts";
import { startProcesses } from "../support/processes.ts";
import type { Processes } from "../support/processes.ts";
import { until } from "../support/time.ts";
import { openByUpgrade, visitorFrame } from "../support/websocket.ts";

const MIB = 1024 * 1024;
/** MiB that V8 may use in the agent that looks: with more it would end. The ring is octets beside that heap. */
const HEAP = 64;
/** MiB: what the capture keeps (`--json` knows no other). */
const RING = 64;
/**
 * MiB of the whole process beside heap and ring: 16 MiB of decompressed octets of one record, the same as base64 and as a
 * line of JSON on its way out, the decoder's worker, and what the collector has not given back yet.
 */
const PASSING = 160;

const ZEROS = Buffer.alloc(64 * MIB);

/** A gRPC message: flag, length (RFC-less; gRPC over HTTP/2, "Length-Prefixed-Message"), content. */
function envelope(flag: number, content: Uint8Array, length = content.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, content]);
}

interface Bomb {
  readonly path: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly status?: number;
  readonly body: Buffer;
}

const grpcFields = { "content-type": "application/grpc" };
/** Known to the workspace: `ListOrdersResponse { repeated Order orders = 1; }`. */
const KNOWN = "/shop.v1.Orders/ListOrders";

const grpcBombs: Readonly<Record<string, Bomb>> = {
  "a prefix of 4 GiB": { path: KNOWN, fields: grpcFields, body: envelope(0, Buffer.alloc(MIB, 7), 0xffffffff) },
  "1 MiB of empty submessages, of a known type": {
    path: KNOWN,
    fields: grpcFields,
    body: envelope(0, Buffer.alloc(MIB, Buffer.from([0x0a, 0]))),
  },
  "1 MiB of empty submessages, of no known type": {
    path: "/unknown.Service/Method",
    fields: grpcFields,
    body: envelope(0, Buffer.alloc(MIB, Buffer.from([0x0a, 0]))),
  },
  "1 MiB of nested submessages": {
    path: "/unknown.Service/Method",
    fields: grpcFields,
    body: envelope(0, nested(MIB)),
  },
  "64 MiB in a gzip of 64 KB": {
    path: KNOWN,
    fields: { ...grpcFields, "grpc-encoding": "gzip" },
    body: envelope(1, zlib.gzipSync(ZEROS)),
  },
  "a hundred of them": {
    path: KNOWN,
    fields: { ...grpcFields, "grpc-encoding": "gzip" },
    body: Buffer.alloc(100 * (5 + zlib.gzipSync(ZEROS).length), envelope(1, zlib.gzipSync(ZEROS))),
  },
  "a gzip that is none": {
    path: KNOWN,
    fields: { ...grpcFields, "grpc-encoding": "gzip" },
    body: envelope(1, Buffer.alloc(MIB, 1)),
  },
  "100 000 empty messages": { path: KNOWN, fields: grpcFields, body: Buffer.alloc(500_000) },
  "404 page not found, with status 200": { path: KNOWN, fields: grpcFields, body: Buffer.from("404 page not found\n") },
  "404 page not found, with status 404": {
    path: KNOWN,
    fields: { "content-type": "text/plain" },
    status: 404,
    body: Buffer.from("404 page not found\n"),
  },
};

/** `0x0a` and the length of what is inside, again and again. */
function nested(size: number): Buffer {
  const parts: Buffer[] = [];
  for (let left = size; left > 8;) {
    const length = left - 4;
    parts.push(Buffer.from([0x0a, (length & 0x7f) | 0x80, ((length >>> 7) & 0x7f) | 0x80, length >>> 14]));
    left = length;
  }
  return Buffer.concat(parts).subarray(0, size);
}

const json = { "content-type": "application/json" };
const httpBombs: Readonly<Record<string, Bomb>> = {
  "64 MiB as gzip": { path: "/gzip", fields: { ...json, "content-encoding": "gzip" }, body: zlib.gzipSync(ZEROS) },
  "64 MiB as deflate": {
    path: "/deflate",
    fields: { ...json, "content-encoding": "deflate" },
    body: zlib.deflateSync(ZEROS),
  },
  "64 MiB as br": { path: "/br", fields: { ...json, "content-encoding": "br" }, body: zlib.brotliCompressSync(ZEROS) },
  "64 MiB as gzip, gzipped again": {
    path: "/twice",
    fields: { ...json, "content-encoding": "gzip, gzip" },
    body: zlib.gzipSync(zlib.gzipSync(ZEROS)),
  },
  "a brotli that is none": {
    path: "/broken",
    fields: { ...json, "content-encoding": "br" },
    body: Buffer.alloc(MIB, 0x5b),
  },
  "JSON of 100 000 opening brackets": { path: "/deep", fields: json, body: Buffer.alloc(100_000, "[") },
  "20 MiB of JSON": { path: "/long", fields: json, body: Buffer.from(`[${"1,".repeat(10 * MIB)}1]`) },
};

let grpc: http2.Http2Server;
let http: Server;
let webSocket: RunningService;
let ports: readonly number[];
let looking: Processes;
let blind: Processes;
let exchanges = 0;
const sessions = new Set<http2.ServerHttp2Session>();

before(async () => {
  grpc = http2.createServer();
  grpc.on("session", (session) => sessions.add(session.on("error", () => undefined)));
  grpc.on("stream", (stream, head) => {
    stream.on("error", () => undefined);
    const bomb = Object.values(grpcBombs)[Number(head["x-bomb"])];
    if (bomb === undefined) {
      stream.respond({ ":status": 500 }, { endStream: true });
      return;
    }
    stream.respond({ ":status": bomb.status ?? 200, ...bomb.fields }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(bomb.body);
  });
  http = createServer((incoming, response) => {
    const bomb = Object.values(httpBombs).find(({ path }) => path === incoming.url);
    response.writeHead(bomb === undefined ? 500 : 200, bomb?.fields);
    response.end(bomb?.body);
  });
  webSocket = await startWebSocket();
  await new Promise<void>((resolve) => grpc.listen(0, "127.0.0.1", resolve));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  ports = [(grpc.address() as AddressInfo).port, (http.address() as AddressInfo).port, webSocket.port];
  looking = await startProcesses(ports, {
    share: ["--proto", "sample/proto"],
    agentNodeOptions: `--max-old-space-size=${HEAP}`,
  });
  blind = await startProcesses(ports);
});

after(async () => {
  await looking.close();
  await blind.close();
  for (const session of sessions) session.destroy();
  grpc.close();
  http.closeAllConnections();
  http.close();
  await webSocket.close();
});

/** Asks the service itself, without and with a capture between: all three must be the same. */
async function same(which: number, ask: (address: string) => Promise<unknown>): Promise<void> {
  const direct = await ask(`127.0.0.1:${ports[which] ?? 0}`);
  assert.deepEqual(await ask(blind.addresses[which] ?? ""), direct);
  assert.deepEqual(await ask(looking.addresses[which] ?? ""), direct);
  exchanges++;
}

describe("gRPC", () => {
  for (const [index, [what, bomb]] of Object.entries(grpcBombs).entries())
    test(`${what}: the visitor gets the same octets`, async () => {
      await same(0, async (address) =>
        request2(address, bomb.path, {
          method: "POST",
          headers: { "content-type": "application/grpc", te: "trailers", "x-bomb": String(index) },
          // The visitor sends the same bomb.
          body: bomb.body,
        }),
      );
    });
});

describe("HTTP", () => {
  for (const [what, bomb] of Object.entries(httpBombs))
    test(`${what}: the visitor gets the same octets`, async () => {
      await same(1, async (address) => request(address, bomb.path));
    });
});

describe("WebSocket", () => {
  /** What the visitor sends, and the octets that come back: an unmasked head and the content of each message. */
  const conversations: Readonly<Record<string, readonly [frames: readonly Buffer[], answer: number]>> = {
    "a message of 16 MiB": [[visitorFrame(2, Buffer.alloc(16 * MIB, "w"))], 10 + 16 * MIB],
    "a message in 10 000 fragments of one octet": [
      Array.from({ length: 10_000 }, (_, index) => visitorFrame(index === 0 ? 2 : 0, "f", { fin: index === 9_999 })),
      4 + 10_000,
    ],
    "10 000 messages of one octet": [Array.from({ length: 10_000 }, () => visitorFrame(2, "m")), 3 * 10_000],
  };
  for (const [what, [frames, answer]] of Object.entries(conversations))
    test(`${what}: the same octets come back`, async () => {
      await same(2, async (address) => {
        const socket = await openByUpgrade(address, "/echo");
        socket.send(...frames);
        const octets = await socket.receiveOctets(answer, 30_000);
        socket.close();
        return [octets.length, createHash("sha256").update(octets).digest("hex")];
      });
    });
});

test("the capture has seen all of it, and took little more than its ring", { timeout: 120_000 }, async (t) => {
  // A record each; or, when looking is slower than what passes, a line that says how many were left out.
  const { lines } = looking.agent;
  const told = (): number =>
    lines.items.reduce((sum, line) => {
      if (line.startsWith('{"type":"exchange"')) return sum + 1;
      return sum + Number(/^\{"type":"dropped","records":(\d+)\}$/.exec(line)?.[1] ?? 0);
    }, 0);
  await until(100_000, `${exchanges} exchanges told of`, () => told() >= exchanges);
  assert.equal(told(), exchanges);
  const [with_, without] = [peakMemory(looking.agent.pid), peakMemory(blind.agent.pid)];
  t.diagnostic(`${with_.toFixed(0)} MiB at the peak with a capture, ${without.toFixed(0)} MiB without`);
  assert.equal(looking.agent.child.exitCode, null, `its heap never came to ${HEAP} MiB`);
  assert.ok(with_ - without < RING + HEAP + PASSING, `${(with_ - without).toFixed(0)} MiB more than without`);
});
