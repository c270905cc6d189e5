/**
 * T-21: h2c upgrade and RFC 9931 bytes-after-CONNECT: `Upgrade: h2c` never switches, and what follows a request for another
 * protocol before its answer is neither forwarded as that protocol's, nor read as a next request, when it is refused.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CLIENT_PREFACE, DATA, END_STREAM, RawPeer, frame, settings } from "../support/frames.ts";
import { RawVisitor, splitAddress } from "../support/http.ts";
import { acceptKey } from "../support/http1.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { headFrames, outcome2 } from "../support/raw-request.ts";
import { startRecordingService, text1 } from "../support/recording-service.ts";
import type { RecordingService } from "../support/recording-service.ts";

let path: Path;
let service: RecordingService;
let shared: Shared;
let plain: RecordingService["answer"];

before(async () => {
  path = await startPath({ capture: false });
  service = await startRecordingService(1);
  shared = await path.share(service.port);
  plain = service.answer;
});
after(async () => {
  await path.close();
  await service.close();
});

/** Targets that the service saw while `during` ran. */
async function seenWhile(during: () => Promise<void>): Promise<string[]> {
  const begun = service.requests.items.length;
  await during();
  assert.deepEqual(service.doubts, []);
  return service.requests.items.slice(begun).map(({ target, fields }) => {
    for (const [name] of fields)
      assert.ok(!/^(?:upgrade|http2-settings)$/.test(name) || target === "/socket", `${name} at ${target}`);
    return target;
  });
}

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const PREFACE = Buffer.from(CLIENT_PREFACE).toString("latin1");
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const socketRequest = (...lines: string[]): string =>
  [
    "GET /socket HTTP/1.1",
    "Host: a",
    "Connection: Upgrade",
    "Upgrade: websocket",
    `Sec-WebSocket-Key: ${KEY}`,
    "Sec-WebSocket-Version: 13",
    ...lines,
    "",
    "",
  ].join("\r\n");

describe("h2c", () => {
  const upgrades: readonly (readonly [what: string, lines: readonly string[]])[] = [
    ["as RFC 7540 had it", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]],
    ["in another case", ["connection: upgrade", "upgrade: H2C", "http2-settings: AAMAAABkAAQAAP__"]],
    ["without its settings", ["Connection: Upgrade", "Upgrade: h2c"]],
    ["not named by Connection", ["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]],
    [
      "beside others",
      ["Connection: Upgrade, HTTP2-Settings", "Upgrade: x, h2c, h2", "HTTP2-Settings: AAMAAABkAAQAAP__"],
    ],
    ["twice", ["Connection: Upgrade", "Upgrade: h2c", "Upgrade: h2c"]],
    ["h2", ["Connection: Upgrade", "Upgrade: h2"]],
    ["TLS", ["Connection: Upgrade", "Upgrade: TLS/1.3"]],
  ];
  for (const [what, lines] of upgrades)
    for (const body of [false, true])
      test(`${what}, ${body ? "with a body" : "without a body"}: answered as if it were not there`, async () => {
        const targets = await seenWhile(async () => {
          const visitor = await RawVisitor.connect(shared.address);
          const head = [
            `${body ? "POST" : "GET"} /one HTTP/1.1`,
            "Host: a",
            ...lines,
            ...(body ? ["Content-Length: 5"] : []),
            "",
            "",
          ];
          visitor.send(head.join("\r\n") + (body ? "hello" : ""));
          await visitor.receive(/^HTTP\/1\.1 200 [^]*seen:\/one/);
          // The connection goes on as HTTP/1.1.
          visitor.send("GET /two HTTP/1.1\r\nHost: a\r\n\r\n");
          const text = await visitor.receive(/seen:\/two/);
          assert.doesNotMatch(text, /101|h2c|^upgrade/im);
          visitor.close();
        });
        assert.deepEqual(targets, ["/one", "/two"]);
      });

  test("with the preface of HTTP/2 behind it: refused as the request that it is, once", async () => {
    const targets = await seenWhile(async () => {
      const visitor = await RawVisitor.connect(shared.address);
      visitor.send(
        "GET /one HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
      );
      visitor.send(PREFACE);
      visitor.send(settings());
      const text = await visitor.rest();
      assert.deepEqual(text.match(/HTTP\/1\.1 \d{3}/g), ["HTTP/1.1 200", "HTTP/1.1 505"]);
      visitor.close();
    });
    assert.deepEqual(targets, ["/one"]);
  });

  test("by a service that switches all the same: 502", async () => {
    service.answer = () => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    const targets = await seenWhile(async () => {
      const visitor = await RawVisitor.connect(shared.address);
      visitor.send(
        "POST /one HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx",
      );
      assert.match(await visitor.rest(), /^HTTP\/1\.1 502 /);
      visitor.close();
    });
    service.answer = plain;
    assert.deepEqual(targets, ["/one"]);
  });
});

describe("octets before the answer (RFC 9931)", () => {
  for (const [what, text] of [
    ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"],
    ["CONNECT with a length", `CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n`],
    ["CONNECT to a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"],
  ] as const)
    test(`behind a ${what}: refused, the connection closes, and nothing behind it is a request`, async () => {
      const targets = await seenWhile(async () => {
        const visitor = await RawVisitor.connect(shared.address);
        visitor.send(text + SMUGGLED + SMUGGLED);
        const answer = await visitor.rest();
        assert.match(answer, /^HTTP\/1\.1 (?:400|501) /);
        assert.equal(answer.match(/HTTP\/1\.1 \d/g)?.length, 1);
        assert.match(answer, /^connection: close/im);
        visitor.close();
      });
      assert.deepEqual(targets, []);
    });

  test("behind a WebSocket that the service refuses: they reach nobody, and the connection to the service is not used again", async () => {
    for (const answer of [
      text1(403, "no"),
      text1(200, "no"),
      text1(426, "", "Upgrade: x"),
      "HTTP/1.1 304 Not Modified\r\n\r\n",
    ]) {
      service.answer = (seen, stream) => (seen.target === "/socket" ? answer : plain(seen, stream));
      const targets = await seenWhile(async () => {
        const visitor = await RawVisitor.connect(shared.address);
        visitor.send(socketRequest() + SMUGGLED);
        const text = await visitor.rest();
        assert.equal(text.match(/HTTP\/1\.1 \d/g)?.length, 1, text);
        assert.doesNotMatch(text, /^HTTP\/1\.1 101/);
        visitor.close();
        const peer = await RawPeer.connect(splitAddress(shared.address)[1]);
        const fields = [
          [":method", "CONNECT"],
          [":protocol", "websocket"],
          [":scheme", "http"],
          [":path", "/socket"],
          [":authority", "a"],
        ] as const;
        peer.send(headFrames(1, fields, 0), frame(DATA, END_STREAM, 1, SMUGGLED));
        const { status } = await outcome2(peer, 1);
        assert.ok(status === "reset" || status >= 300, String(status));
        peer.destroy();
        const next = await RawVisitor.connect(shared.address);
        next.send("GET /own HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert.match(await next.rest(), /seen:\/own$/);
        next.close();
      });
      assert.deepEqual(targets, ["/socket", "/socket", "/own"]);
    }
    service.answer = plain;
    const sockets = service.requests.items
      .filter(({ target }) => target === "/socket")
      .map(({ connection }) => connection);
    const others = service.requests.items
      .filter(({ target }) => target !== "/socket")
      .map(({ connection }) => connection);
    // A connection may have served others before.
    assert.equal(new Set(sockets).size, sockets.length);
    assert.ok(others.length > 0);
  });

  test("behind a WebSocket that the service accepts: they are its first octets, in order, after the 101", async () => {
    const frames = "\x81\x85abcd\x09\x07\x0f\x08\x0e";
    let held = "";
    service.answer = (seen, stream) => {
      if (seen.target !== "/socket") return plain(seen, stream);
      const key = seen.fields.find(([name]) => name === "sec-websocket-key")?.[1] ?? "";
      const socket = service.connections[seen.connection];
      assert.ok(socket !== undefined);
      socket.removeAllListeners("data");
      socket.on("data", (text: string) => {
        held += text;
        socket.write(text, "latin1");
      });
      return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptKey(key)}\r\n\r\n`;
    };
    const visitor = await RawVisitor.connect(shared.address);
    // As whole frames, and as what looks like a request: from now on it is not looked at.
    visitor.send(socketRequest() + frames + SMUGGLED);
    const text = await visitor.receive(/smuggled HTTP\/1\.1\r\nHost: a\r\n\r\n$/);
    assert.match(text, /^HTTP\/1\.1 101 /);
    assert.equal(text.split("\r\n\r\n").slice(1).join("\r\n\r\n"), frames + SMUGGLED);
    assert.equal(held, frames + SMUGGLED);
    visitor.close();
    service.answer = plain;
  });

  test("of a handshake with a body, or another version: refused before it is forwarded", async () => {
    const targets = await seenWhile(async () => {
      for (const [text, status] of [
        [`${socketRequest(`Content-Length: ${SMUGGLED.length}`)}${SMUGGLED}`, 400],
        [`${socketRequest("Transfer-Encoding: chunked")}0\r\n\r\n${SMUGGLED}`, 400],
        [`${socketRequest().replace("Version: 13", "Version: 7")}${SMUGGLED}`, 426],
        [`${socketRequest().replace(KEY, "x")}${SMUGGLED}`, 400],
      ] as const) {
        const visitor = await RawVisitor.connect(shared.address);
        visitor.send(text);
        const answer = await visitor.rest();
        assert.equal(answer.match(/HTTP\/1\.1 \d{3}/g)?.join(), `HTTP/1.1 ${status}`);
        visitor.close();
      }
    });
    assert.deepEqual(targets, []);
  });
});
