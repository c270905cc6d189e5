import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ServerRig, answer } from "../../test/support/http1.ts";
import type { Answer } from "../../test/support/http1.ts";
import type { Stream } from "../stream.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const ok: Answer = (stream) => {
  stream.sendHead(answer(200, ["content-length", "2"]), false);
  stream.sendData(bytes("ok"), true);
};
const HEAD = ":scheme=http|:authority=a.test";

describe("requests, at every split", () => {
  const table: { name: string; input: string; log: string[] }[] = [
    {
      name: "GET",
      input: "GET /x?y HTTP/1.1\r\nHost: a.test\r\nX-One:  a b \t\r\nCookie: a=1\r\n\r\n",
      log: [`opened :method=GET|${HEAD}|:path=/x?y|x-one=a b|cookie=a=1 END`],
    },
    {
      name: "an empty line before the request, an empty value, octets above 0x7f",
      input: "\r\nGET /\xfc HTTP/1.1\r\nhost: a.test\r\nx:\r\ny: \xe4\xff\r\n\r\n",
      log: [`opened :method=GET|${HEAD}|:path=/\xfc|x=|y=\xe4\xff END`],
    },
    {
      name: "content-length",
      input: "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
      log: [`opened :method=POST|${HEAD}|:path=/|content-length=5`, "data hello", "END"],
    },
    {
      name: "content-length with zeros before it, and none",
      input: "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 000\r\n\r\n",
      log: [`opened :method=POST|${HEAD}|:path=/|content-length=0 END`],
    },
    {
      name: "chunked with extensions",
      input:
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n00a\r\n, world!!!\r\n0\r\n\r\n",
      log: [`opened :method=POST|${HEAD}|:path=/`, "data hello, world!!!", "END"],
    },
    {
      name: "chunked with trailers",
      input:
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\nB: 2\r\n\r\n",
      log: [`opened :method=POST|${HEAD}|:path=/`, "data x", "trailers x-sum=1|b=2"],
    },
    {
      name: "absolute form",
      input: "GET http://A.test/p HTTP/1.1\r\nHost: a.test\r\n\r\n",
      log: [`opened :method=GET|${HEAD}|:path=/p END`],
    },
    {
      name: "absolute form without path",
      input: "GET http://a.test?q HTTP/1.1\r\nHost: a.test\r\n\r\n",
      log: [`opened :method=GET|${HEAD}|:path=/?q END`],
    },
    {
      name: "asterisk form",
      input: "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
      log: [`opened :method=OPTIONS|${HEAD}|:path=* END`],
    },
    {
      name: "HTTP/1.0 without Host",
      input: "GET / HTTP/1.0\r\n\r\n",
      log: ["opened :method=GET|:scheme=http|:authority=|:path=/ END"],
    },
    {
      name: "an address in brackets with a port",
      input: "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
      log: ["opened :method=GET|:scheme=http|:authority=[::1]:80|:path=/ END"],
    },
    {
      name: "connection-specific fields are taken out, protected ones kept",
      input:
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, X-Drop, cookie, TE\r\nX-Drop: 1\r\nCookie: c\r\n" +
        "Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers, gzip\r\nUpgrade: h2c\r\nHTTP2-Settings: a\r\n\r\n",
      log: [`opened :method=GET|${HEAD}|:path=/|cookie=c|te=trailers END`],
    },
    {
      name: "a WebSocket",
      input:
        "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: p\r\n\r\n",
      log: [
        "opened :method=CONNECT|:protocol=websocket|:scheme=http|:authority=a.test|:path=/ws|sec-websocket-version=13|sec-websocket-protocol=p",
      ],
    },
  ];
  for (const { name, input, log } of table) {
    test(name, () => {
      for (let cut = 0; cut < input.length; cut++) {
        const rig = new ServerRig().feed(input, cut);
        assert.deepEqual(rig.log, log, `cut at ${cut}`);
        assert.equal(rig.transport.written, "");
      }
      const every = Array.from({ length: input.length }, (_, index) => index);
      assert.deepEqual(new ServerRig().feed(input, ...every).log, log, "octet by octet");
    });
  }
});

describe("refused, at every split, and nothing passed on", () => {
  const get = (head: string) => `GET / HTTP/1.1\r\nHost: a.test\r\n${head}\r\n`;
  const post = (head: string, body = "") => `POST / HTTP/1.1\r\nHost: a.test\r\n${head}\r\n\r\n${body}`;
  const table: [string, number, string][] = [
    ["content-length and transfer-encoding", 400, post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n")],
    ["transfer-encoding and content-length", 400, post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n")],
    ["two content-lengths", 400, post("Content-Length: 5\r\nContent-Length: 5", "hello")],
    ["two different content-lengths", 400, post("Content-Length: 5\r\nContent-Length: 6", "hello")],
    ...["+5", "-5", "5,5", "5 5", "", "0x5", "5e0", "5.0", "٥", "12345678901234567", "9007199254740993", "5;"].map(
      (value): [string, number, string] => [
        `content-length "${value}"`,
        400,
        post(`Content-Length: ${Buffer.from(value).toString("latin1")}`, "hello"),
      ],
    ),
    ...[
      "identity",
      "chunked, identity",
      "xchunked",
      "chunked, chunked",
      "\xa0chunked",
      "chunked\x0b",
      "\x0bchunked",
      "",
      '"chunked"',
      "chunked;q=1",
      ",chunked",
      "chunked,",
      "chunk",
    ].map((value): [string, number, string] => [
      `transfer-encoding ${JSON.stringify(value)}`,
      400,
      post(`Transfer-Encoding: ${value}`, "0\r\n\r\n"),
    ]),
    ["transfer-encoding gzip, chunked", 501, post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n")],
    ["two transfer-encodings", 400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n")],
    ["transfer-encoding in 1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["bare LF after the request line", 400, "GET / HTTP/1.1\nHost: a.test\r\n\r\n"],
    ["bare LF after a field", 400, "GET / HTTP/1.1\r\nHost: a.test\n\r\n"],
    ["bare LF as the empty line", 400, "GET / HTTP/1.1\r\nHost: a.test\r\n\n"],
    ["bare CR in a value", 400, get("X: a\rb\r\n")],
    ["CR CR LF", 400, get("X: a\r\r\n")],
    ["\\r\\n\\rX as the end (CVE-2025-23167)", 400, "GET / HTTP/1.1\r\nHost: a.test\r\n\rX\r\n\r\n"],
    ["folded line", 400, get("X: a\r\n b\r\n")],
    ["folded first line", 400, "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n"],
    ["space before the colon", 400, get("X : a\r\n")],
    ["tab before the colon", 400, get("Content-Length\t: 5\r\n")],
    ["empty name", 400, get(": a\r\n")],
    ["no colon", 400, get("Xa\r\n")],
    ["NUL in a value", 400, get("X: a\0b\r\n")],
    ["control octet in a value", 400, get("X: a\x01b\r\n")],
    ["DEL in a value", 400, get("X: a\x7fb\r\n")],
    ["NUL in a name", 400, get("X\0: a\r\n")],
    ["octet above 0x7f in a name", 400, get("X\xe4: a\r\n")],
    ["pseudo-field as a field", 400, get(":path: /x\r\n")],
    ["two spaces in the request line", 400, "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["two spaces before the version", 400, "GET /  HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["space before the method", 400, " GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["space behind the version", 400, "GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n"],
    ["tab in the request line", 400, "GET\t/ HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["space in the target", 400, "GET /a b HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["fragment in the target", 400, "GET /a#b HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["NUL in the target", 400, "GET /a\0b HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["no version", 400, "GET /\r\nHost: a.test\r\n\r\n"],
    ["lower-case version", 400, "GET / http/1.1\r\nHost: a.test\r\n\r\n"],
    ["version 1.10", 400, "GET / HTTP/1.10\r\nHost: a.test\r\n\r\n"],
    ["version 2.0", 505, "GET / HTTP/2.0\r\nHost: a.test\r\n\r\n"],
    ["version 1.2", 505, "GET / HTTP/1.2\r\nHost: a.test\r\n\r\n"],
    ["two empty lines", 400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["no Host", 400, "GET / HTTP/1.1\r\nX: a\r\n\r\n"],
    ["two Hosts", 400, get("Host: a.test\r\n")],
    ["two Hosts in 1.0", 400, "GET / HTTP/1.0\r\nHost: a.test\r\nHost: b.test\r\n\r\n"],
    ...[
      "",
      "a.test, b.test",
      "u@a.test",
      "a.test/x",
      "a b",
      "a.test:x",
      "a.test:123456",
      "[::1",
      "a\xe4.test",
      "a.test#",
    ].map((host): [string, number, string] => [
      `Host ${JSON.stringify(host)}`,
      400,
      `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    ]),
    ["absolute form of another host", 400, "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["absolute form with userinfo", 400, "GET http://u@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["absolute form of another scheme", 400, "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["asterisk form of GET", 400, "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["target without slash", 400, "GET x HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["CONNECT", 501, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["the method that is HTTP/2's preface", 501, "PRI /a HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["a long target", 414, `GET /${"x".repeat(8192)} HTTP/1.1\r\nHost: a.test\r\n\r\n`],
    ["a long value", 431, get(`X: ${"x".repeat(16385)}\r\n`)],
    ["a value behind more space than a line may have", 431, get(`X: ${" ".repeat(17_500)}x\r\n`)],
    ["a long line that is no request line", 414, `GET ${"/x ".repeat(3000)}\r\n\r\n`],
    ["a large head", 431, get(`X: ${"x".repeat(16000)}\r\n`.repeat(5))],
    ["too many fields", 431, get("X: a\r\n".repeat(100))],
    [
      "WebSocket with content-length",
      400,
      get(
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 3\r\n",
      ),
    ],
    [
      "WebSocket with a short key",
      400,
      get("Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhl\r\n"),
    ],
    [
      "WebSocket of version 8",
      426,
      get(
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
      ),
    ],
  ];
  for (const [name, status, input] of table) {
    test(`${status}: ${name}`, () => {
      const step = Math.max(1, Math.floor(input.length / 200));
      for (let cut = 0; cut < input.length; cut += step) {
        const rig = new ServerRig().feed(input, cut);
        assert.match(
          rig.transport.written,
          new RegExp(`^HTTP/1\\.1 ${status} [^\r]+\r\n(?:.+\r\n)*connection: (?:Upgrade, )?close\r\n`),
        );
        assert.deepEqual(rig.log, ["FIN"], `cut at ${cut}`);
        rig.feed("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert.deepEqual(rig.log, ["FIN"], "what follows is never read as a request");
      }
    });
  }

  // RFC 9113 section 3.4, h2spec http2/3.5/2: what names no version of HTTP is no request, and gets no answer.
  for (const foreign of ["INVALID CONNECTION PREFACE\r\n\r\n", "HELO mail.test ESMTP\r\n", "GET / FTP/1.1\r\n\r\n"]) {
    test(`no HTTP: ${JSON.stringify(foreign)}`, () => {
      for (let cut = 0; cut < foreign.length; cut++) {
        const rig = new ServerRig().feed(foreign, cut);
        assert.deepEqual([rig.transport.written, rig.log], ["", ["FIN"]]);
      }
      const later = new ServerRig((stream) => stream.sendHead(answer(204), true));
      later.feed(`GET / HTTP/1.1\r\nHost: a.test\r\n\r\n${foreign}`);
      assert.match(later.transport.written, /^HTTP\/1\.1 204 [^]*HTTP\/1\.1 400 /);
    });
  }

  const chunks: [string, string][] = [
    ["0x", "0x5\r\nhello\r\n0\r\n\r\n"],
    ["plus", "+5\r\nhello\r\n0\r\n\r\n"],
    ["minus", "-5\r\nhello\r\n0\r\n\r\n"],
    ["underscore", "0_2e\r\nhello\r\n0\r\n\r\n"],
    ["space before", " 5\r\nhello\r\n0\r\n\r\n"],
    ["space behind", "5 \r\nhello\r\n0\r\n\r\n"],
    ["empty", "\r\nhello\r\n0\r\n\r\n"],
    ["overflow", "ffffffffffffffff5\r\nhello\r\n0\r\n\r\n"],
    ["zeros", `${"0".repeat(14)}5\r\nhello\r\n0\r\n\r\n`],
    ["bare LF behind the size", "5\nhello\r\n0\r\n\r\n"],
    ["bare CR behind the size", "5\rhello\r\n0\r\n\r\n"],
    ["bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"],
    ["bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"],
    ["NUL in an extension", "5;\0\r\nhello\r\n0\r\n\r\n"],
    ["an extension without a name", "5;\r\nhello\r\n0\r\n\r\n"],
    ["an extension with a space", "5; a=b\r\nhello\r\n0\r\n\r\n"],
    ["an extension whose text does not end", '5;a="b\r\nhello\r\n0\r\n\r\n'],
    ["something behind an extension's text", '5;a="b"c\r\nhello\r\n0\r\n\r\n'],
    ["long extensions", `5;${"x".repeat(5000)}\r\nhello\r\n0\r\n\r\n`],
    ["data too long", "5\r\nhello!\r\n0\r\n\r\n"],
    ["data without CR LF", "5\r\nhello0\r\n\r\n"],
    ["data with LF only", "5\r\nhello\n0\r\n\r\n"],
    ["content-length in trailers", "0\r\nContent-Length: 5\r\n\r\n"],
    ["folded trailer", "0\r\na: b\r\n c\r\n\r\n"],
    ["too many trailers", `0\r\n${"a: b\r\n".repeat(101)}\r\n`],
  ];
  for (const [name, body] of chunks) {
    test(`chunks: ${name}`, () => {
      const input = post("Transfer-Encoding: chunked", body);
      const step = Math.max(1, Math.floor(input.length / 200));
      for (let cut = 0; cut < input.length; cut += step) {
        const rig = new ServerRig().feed(input, cut);
        assert.match(rig.transport.written, /^HTTP\/1\.1 400 /);
        assert.equal(rig.log.at(-1), "reset visitor malformed");
        assert.ok(!rig.log.includes("END"), rig.log.join("\n"));
      }
    });
  }
});

describe("answers", () => {
  const get = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
  const table: { name: string; input?: string; act: Answer; out: string; log?: string[] }[] = [
    { name: "content-length", act: ok, out: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" },
    {
      name: "chunked with trailers",
      act: (stream) => {
        stream.sendHead(answer(200, ["x", "y"]), false);
        stream.sendData(bytes("0123456789abcdefg"), false);
        stream.sendData(bytes(""), false);
        stream.sendTrailers([{ name: "sum", value: "1" }]);
      },
      out: "HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n11\r\n0123456789abcdefg\r\n0\r\nsum: 1\r\n\r\n",
    },
    {
      name: "chunked, ended by data",
      act: (stream) => {
        stream.sendHead(answer(299), false);
        stream.sendData(bytes("a"), false);
        stream.sendData(bytes("bc"), true);
      },
      out: "HTTP/1.1 299 \r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
    },
    {
      name: "empty",
      act: (stream) => stream.sendHead(answer(404), true),
      out: "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    },
    {
      name: "204 without content-length",
      act: (stream) => stream.sendHead(answer(204, ["content-length", "0"]), true),
      out: "HTTP/1.1 204 No Content\r\n\r\n",
    },
    {
      name: "304 with the length of what would have come",
      act: (stream) => {
        stream.sendHead(answer(304, ["content-length", "7"]), false);
        stream.sendData(bytes(""), true);
      },
      out: "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
    },
    {
      name: "HEAD",
      input: "HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n",
      act: ok,
      out: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
    },
    {
      name: "interim heads",
      act: (stream, fields, end) => {
        stream.sendHead(answer(103, ["link", "x"]), false);
        ok(stream, fields, end);
      },
      out: "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    },
    {
      name: "1.0: no interim heads, close-delimited",
      input: "GET / HTTP/1.0\r\n\r\n",
      act: (stream) => {
        stream.sendHead(answer(103), false);
        stream.sendHead(answer(200), false);
        stream.sendData(bytes("ok"), true);
      },
      out: "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok",
      log: ["FIN"],
    },
    {
      name: "1.0 with keep-alive",
      input: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      act: ok,
      out: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok",
    },
    {
      name: "Connection: close",
      input: "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
      act: ok,
      out: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
      log: ["FIN"],
    },
    {
      name: "connection-specific fields of the answer are not passed on",
      act: (stream) =>
        stream.sendHead(answer(200, ["connection", "x"], ["transfer-encoding", "gzip"], ["keep-alive", "a"]), true),
      out: "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    },
    ...(
      [
        ["CR LF in a value", answer(200, ["x", "a\r\nb: c"])],
        ["NUL in a value", answer(200, ["x", "a\0"])],
        ["LF in a name", answer(200, ["x\n", "a"])],
        ["colon in a name", answer(200, ["x:y", "a"])],
        ["a character above 255", answer(200, ["x", "\u0141"])],
        ["no status", []],
        ["status 101", answer(101)],
        ["status 2000", answer(2000)],
        ["two content-lengths", answer(200, ["content-length", "1"], ["content-length", "1"])],
        ["content-length that is none", answer(200, ["content-length", "+1"])],
        ["end before the content-length", answer(200, ["content-length", "1"])],
      ] as const
    ).map(([name, fields]) => ({
      name: `never written: ${name}`,
      act: (stream: Stream) => stream.sendHead(fields, true),
      out: "",
      log: ["destroy", "reset relay malformed"],
    })),
  ];
  for (const { name, input = get, act, out, log = [] } of table) {
    test(name, () => {
      const rig = new ServerRig().feed(input);
      act(rig.stream, [], true);
      assert.equal(rig.transport.written, out);
      assert.deepEqual(rig.log.slice(1), log);
    });
  }

  test("an octet more than announced is never written", () => {
    const rig = new ServerRig().feed(get);
    rig.stream.sendHead(answer(200, ["content-length", "2"]), false);
    rig.stream.sendData(bytes("abc"), false);
    assert.ok(!rig.transport.written.includes("abc"));
    assert.deepEqual(rig.log.slice(1), ["destroy", "reset relay malformed"]);
  });

  for (const kind of ["content-length", "chunked", "close"] as const) {
    test(`reset within an answer of kind ${kind} destroys, without an end`, () => {
      const rig = new ServerRig().feed(kind === "close" ? "GET / HTTP/1.0\r\n\r\n" : get);
      rig.stream.sendHead(
        answer(200, ...(kind === "content-length" ? [["content-length", "9"] as [string, string]] : [])),
        false,
      );
      rig.stream.sendData(bytes("abc"), false);
      rig.stream.reset({ by: "service", code: "closed", message: "x" });
      assert.deepEqual(rig.log.slice(1), ["destroy"]);
      assert.ok(!rig.transport.written.endsWith("0\r\n\r\n"));
      rig.server.transportClosed();
      assert.deepEqual(rig.log.slice(1), ["destroy", "ended"]);
    });
  }
});
