/**
 * T-22: SNICallback throwing, malformed HEADERS over TLS, `__proto__`/`constructor` header names → process alive.
 */
import assert from "node:assert/strict";
import { X509Certificate, randomBytes } from "node:crypto";
import net from "node:net";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { digest } from "../../relay/names.ts";
import { CLIENT_PREFACE, FrameParser, GOAWAY, HEADERS, RST_STREAM, block, frame, settings } from "../support/frames.ts";
import type { ParsedFrame } from "../support/frames.ts";
import { startPath } from "../support/path.ts";
import type { Path } from "../support/path.ts";
import { headFrames, rawRequest1, rawRequest2 } from "../support/raw-request.ts";
import type { Pair } from "../support/raw-request.ts";
import { startRecordingService } from "../support/recording-service.ts";
import type { RecordingService } from "../support/recording-service.ts";
import { selfSigned } from "../support/self-signed.ts";
import { within } from "../support/time.ts";

let path: Path;
let services: readonly RecordingService[];
let certificate: string;
let port: number;
let tunnelPort: number;
const defects: unknown[] = [];
const noted = (error: unknown): void => void defects.push(error);

before(async () => {
  process.on("uncaughtException", noted);
  process.on("unhandledRejection", noted);
  const keys = selfSigned(["portlight.test", "*.portlight.test", "127.0.0.1"]);
  certificate = keys.cert;
  path = await startPath({
    relay: {
      mode: "remote",
      domain: "portlight.test",
      tls: keys,
      tokenDigests: [digest("token").toString("hex")],
      returnMs: 0,
    },
  });
  port = Number(new URL(path.relay.publicUrl).port);
  tunnelPort = Number(path.relay.tunnelUrl.replace(/.*:/, ""));
  const relay = {
    url: path.relay.tunnelUrl.replace("portlight.test", "127.0.0.1"),
    token: "token",
    pinnedFingerprint: new X509Certificate(certificate).fingerprint256,
  };
  services = [await startRecordingService(1), await startRecordingService(2)];
  for (const [index, service] of services.entries()) await path.share(service.port, { relay, name: `s${index + 1}` });
});
after(async () => {
  await path.close();
  for (const service of services) await service.close();
  process.off("uncaughtException", noted);
  process.off("unhandledRejection", noted);
  assert.deepEqual(defects, []);
});

/** Another visitor is served over TLS. */
async function alive(): Promise<void> {
  const socket = tls.connect({
    host: "127.0.0.1",
    port,
    ca: certificate,
    servername: "s1.portlight.test",
    ALPNProtocols: ["http/1.1"],
  });
  let text = "";
  socket.setEncoding("latin1").on("data", (piece: string) => (text += piece));
  socket.write("GET /alive HTTP/1.1\r\nHost: s1.portlight.test\r\nConnection: close\r\n\r\n");
  await within(
    5000,
    "an answer over TLS",
    new Promise((resolve, reject) => socket.on("end", resolve).on("error", reject)),
  );
  assert.match(text, /seen:\/alive$/);
  assert.deepEqual(defects, []);
}

/** A ClientHello with this extension of server_name, as octets: Node's own client would refuse most of them. */
function clientHello(serverName: Buffer): Buffer {
  const vector = (bytes: Buffer, size: 1 | 2): Buffer => {
    const length = Buffer.alloc(size);
    length.writeUIntBE(bytes.length, 0, size);
    return Buffer.concat([length, bytes]);
  };
  const extension = (type: number, body: Buffer): Buffer =>
    Buffer.concat([Buffer.from([type >> 8, type & 255]), vector(body, 2)]);
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    randomBytes(32),
    vector(randomBytes(32), 1),
    vector(Buffer.from([0x13, 0x01, 0xc0, 0x2b]), 2),
    vector(Buffer.from([0]), 1),
    vector(
      Buffer.concat([
        extension(0, serverName),
        extension(10, vector(Buffer.from([0, 0x17, 0, 0x1d]), 2)),
        extension(13, vector(Buffer.from([4, 3, 8, 4]), 2)),
        extension(43, vector(Buffer.from([3, 3]), 1)),
      ]),
      2,
    ),
  ]);
  const handshake = Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body]);
  return Buffer.concat([Buffer.from([0x16, 3, 1]), vector(handshake, 2)]);
}

test("names in the ClientHello that no callback expects: an alert or a handshake, at both ports", async () => {
  const name = (text: string | Buffer): Buffer => {
    const bytes = Buffer.from(text as string, "latin1");
    const entry = Buffer.concat([Buffer.from([0, bytes.length >> 8, bytes.length & 255]), bytes]);
    return Buffer.concat([Buffer.from([entry.length >> 8, entry.length & 255]), entry]);
  };
  const hellos = [
    ...[
      "",
      "\0",
      "a\0.portlight.test",
      "__proto__",
      "constructor",
      "toString",
      "\xff\xfe",
      ".",
      "*",
      "..",
      "a".repeat(255),
      "a".repeat(5000),
    ],
    ...["[::1]", "127.0.0.1", "xn--\xff", "s1.portlight.test\r\nx: y", "%00", "../../etc/passwd"],
  ].map((text) => clientHello(name(text)));
  // Not even a list of names.
  hellos.push(
    ...[Buffer.alloc(0), Buffer.from([0]), Buffer.from([0xff, 0xff]), Buffer.from([0, 5, 9, 0, 2, 97, 97])].map(
      clientHello,
    ),
  );
  // Two names; a record that is cut; rubbish behind the type.
  hellos.push(
    clientHello(Buffer.from([0, 8, 0, 0, 1, 97, 0, 0, 1, 98])),
    clientHello(name("a")).subarray(0, 40),
    Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5]),
  );
  for (const to of [port, tunnelPort])
    for (const hello of hellos) {
      const socket = net.connect({ host: "127.0.0.1", port: to });
      socket.on("error", () => undefined);
      const written = new Promise<void>((resolve) => socket.write(hello, () => resolve()));
      // What is cut is not answered: its sender goes away.
      if (hello.length < 60) await written;
      else
        await within(
          5000,
          "an answer or the end",
          new Promise((resolve) => socket.on("data", resolve).on("close", resolve)),
        );
      socket.destroy();
    }
  await alive();
});

/** HEADERS that are wrong in one way each (CVE-2025-59465), as frames on stream 1. */
const GET: readonly Pair[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/x"],
  [":authority", "s1.portlight.test"],
];
const MALFORMED: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["an index beyond the table", frame(HEADERS, 5, 1, [0xff, 0xff, 0xff, 0x0f])],
  ["index 0", frame(HEADERS, 5, 1, [0x80])],
  ["an integer without end", frame(HEADERS, 5, 1, Buffer.alloc(200, 0xff))],
  ["a string longer than its block", frame(HEADERS, 5, 1, [0x40, 0x7f, 0x80, 0x80, 0x01, 0x61])],
  ["Huffman that ends in the middle", frame(HEADERS, 5, 1, [0x40, 0x81, 0x00, 0x81, 0xff])],
  ["Huffman of EOS", frame(HEADERS, 5, 1, [0x40, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00])],
  ["a table size that was not allowed", frame(HEADERS, 5, 1, [0x3f, 0xff, 0xff, 0x7f])],
  ["padding longer than the frame", frame(HEADERS, 0xd, 1, [0xff, 0x82])],
  ["priority that is cut", frame(HEADERS, 0x25, 1, [0, 0])],
  ["an empty block", frame(HEADERS, 5, 1)],
  ["stream 0", frame(HEADERS, 5, 0, block(GET))],
  ["a block of rubbish, 16 KiB", frame(HEADERS, 5, 1, randomBytes(16_384))],
  [
    "64 KiB of fields",
    headFrames(1, [...GET, ...Array.from({ length: 90 }, (_, index): Pair => [`x-${index}`, "v".repeat(800)])], 1),
  ],
  ["500 KiB of one field", headFrames(1, [...GET, ["x", "v".repeat(500_000)]], 1)],
  ["a cut frame, then the end", frame(HEADERS, 5, 1, block(GET)).subarray(0, 20)],
];

test("malformed HEADERS over TLS: refused, and the process lives; also when the visitor is gone before the answer", async () => {
  for (const [what, bytes] of MALFORMED)
    for (const leaves of [false, true]) {
      const socket = tls.connect({
        host: "127.0.0.1",
        port,
        ca: certificate,
        servername: "s1.portlight.test",
        ALPNProtocols: ["h2"],
      });
      socket.on("error", () => undefined);
      await within(5000, "the handshake", new Promise((resolve) => socket.once("secureConnect", resolve)));
      const parser = new FrameParser();
      const frames: ParsedFrame[] = [];
      const over = new Promise<void>((resolve) => {
        socket.on("close", () => resolve());
        socket.on("data", (piece: Buffer) => {
          frames.push(...parser.push(piece));
          if (
            frames.some(
              ({ type, stream }) => type === GOAWAY || type === RST_STREAM || (type === HEADERS && stream === 1),
            )
          )
            resolve();
        });
      });
      socket.write(Buffer.concat([CLIENT_PREFACE, settings(), bytes]));
      if (leaves) socket.destroy();
      else {
        if (what.startsWith("a cut")) socket.end();
        await within(5000, what, over);
      }
      socket.destroy();
      const seen = services[0]?.requests.items.filter(({ target }) => target === "/x") ?? [];
      assert.deepEqual(seen, [], what);
    }
  await alive();
});

test("octets that break TLS itself, before and behind the handshake", async () => {
  for (const to of [port, tunnelPort])
    for (let round = 0; round < 20; round++) {
      const socket = net.connect({ host: "127.0.0.1", port: to });
      socket.on("error", () => undefined);
      const closed = new Promise((resolve) => socket.on("close", resolve));
      // Records whose lengths are right and whose content is not.
      for (const type of [0x16, 0x14, 0x15, 0x17])
        socket.write(Buffer.concat([Buffer.from([type, 3, 3, 0, 200]), randomBytes(200)]));
      socket.resume();
      await within(5000, "the end", closed);
    }
  const between: net.Socket[] = [];
  const proxy = net.createServer((left) => {
    const right = net.connect({ host: "127.0.0.1", port });
    between.push(right);
    for (const socket of [left, right]) socket.on("error", () => undefined);
    left.pipe(right);
    right.pipe(left);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const secure = tls.connect({
    ...{ host: "127.0.0.1", port: (proxy.address() as net.AddressInfo).port, ca: certificate },
    ...{ servername: "s1.portlight.test", ALPNProtocols: ["h2"] },
  });
  secure.on("error", () => undefined).resume();
  await new Promise((resolve) => secure.once("secureConnect", resolve));
  const closed = new Promise((resolve) => secure.on("close", resolve));
  for (const right of between) right.write(randomBytes(500));
  await within(5000, "the end", closed);
  proxy.close();
  await alive();
});

/** Every name on the way to or of Object.prototype, in requests, answers and trailers, and through the capture. */
const NAMES = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "valueOf",
  "hasOwnProperty",
  "__definegetter__",
  "then",
  "length",
].map((name) => name.toLowerCase());

test("names of Object.prototype are fields like others, both ways, in heads and trailers, with the capture on", async () => {
  for (const [index, service] of services.entries()) {
    const plain = service.answer;
    const pairs = NAMES.map((name): Pair => [name, `value of ${name}`]);
    service.answer = (_seen, stream) =>
      index === 0
        ? `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n${lines(pairs)}\r\n2\r\nok\r\n0\r\n${lines(pairs)}\r\n`
        : {
            bytes: Buffer.concat([
              headFrames(stream, [[":status", "200"], ...pairs], 0),
              frame(0, 0, stream, "ok"),
              headFrames(stream, pairs, 1),
            ]),
            close: false,
          };
    const authority = `s${index + 1}.portlight.test`;
    const begun = service.requests.items.length;
    const captured = path.records.items.length;
    const address = `127.0.0.1:${port}`;
    const head = `POST /proto?__proto__=1 HTTP/1.1\r\nHost: ${authority}\r\nTransfer-Encoding: chunked\r\n`;
    const pseudo: Pair[] = [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/proto"],
      [":authority", authority],
    ];
    const answers = [
      await rawRequest1(address, `${head}${lines(pairs)}\r\n2\r\nok\r\n0\r\n${lines(pairs)}\r\n`),
      await rawRequest2(address, [...pseudo, ...pairs]),
    ];
    for (const { status, fields, text } of answers) {
      assert.equal(status, 200, text);
      const passed = fields.filter(([name]) => NAMES.includes(name));
      // The second time as trailers, of HTTP/2; those of HTTP/1 stand in the body.
      assert.deepEqual(passed.slice(0, NAMES.length), pairs);
    }
    for (const [which, seen] of service.requests.items.slice(begun).entries()) {
      assert.deepEqual(
        seen.fields.filter(([name]) => NAMES.includes(name)),
        pairs,
      );
      if (which === 0) assert.deepEqual(seen.trailers, pairs);
    }
    for (let which = 0; which < 2; which++) await path.records.count(captured + which + 1, 10_000, "records");
    assert.equal(({} as Record<string, unknown>)["value of __proto__"], undefined);
    service.answer = plain;
  }
  await alive();
});

function lines(pairs: readonly Pair[]): string {
  return pairs.map(([name, value]) => `${name}: ${value}\r\n`).join("");
}
