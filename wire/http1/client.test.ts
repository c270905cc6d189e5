import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ClientRig, GET, answer, request } from "../../test/support/http1.ts";
import type { Fields } from "../stream.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const failure = { by: "visitor", code: "cancelled", message: "x" } as const;
const NEXT = "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n";
const CONNECT: Fields = [
  { name: ":method", value: "CONNECT" },
  { name: ":protocol", value: "websocket" },
  { name: ":scheme", value: "http" },
  { name: ":authority", value: "a.test" },
  { name: ":path", value: "/ws" },
  { name: "sec-websocket-version", value: "13" },
  { name: "sec-websocket-protocol", value: "p" },
];

describe("requests", () => {
  const table: { name: string; fields: Fields; end?: boolean; act?: (rig: ClientRig) => void; out: string }[] = [
    { name: "GET", fields: GET, out: NEXT },
    {
      name: "fields in their order, cookie crumbs joined, te, connection-specific ones dropped",
      fields: request(
        "GET",
        "/x?y",
        ["b", "1"],
        ["cookie", "a=1"],
        ["a", "2"],
        ["cookie", "b=2"],
        ["te", "trailers"],
        ["host", "other.test"],
        ["connection", "x"],
        ["upgrade", "h2c"],
        ["transfer-encoding", "chunked"],
      ),
      out: "GET /x?y HTTP/1.1\r\nhost: a.test\r\nte: trailers\r\nconnection: TE\r\nb: 1\r\ncookie: a=1; b=2\r\na: 2\r\n\r\n",
    },
    { name: "OPTIONS *", fields: request("OPTIONS", "*"), out: "OPTIONS * HTTP/1.1\r\nhost: a.test\r\n\r\n" },
    {
      name: "an empty POST says so",
      fields: request("POST", "/"),
      out: "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 0\r\n\r\n",
    },
  ];
  for (const { name, fields, out } of table) {
    test(name, () => {
      const rig = new ClientRig();
      rig.open(fields, true);
      assert.equal(rig.transport.written, out);
    });
  }

  test("content-length", () => {
    const rig = new ClientRig();
    const stream = rig.open(request("PUT", "/", ["content-length", "5"]), false);
    stream.sendData(bytes("he"), false);
    stream.sendData(bytes("llo"), true);
    assert.equal(rig.transport.written, "PUT / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\nhello");
    assert.equal(rig.transcript.sent, 5);
  });

  test("chunked with trailers", () => {
    const rig = new ClientRig();
    const stream = rig.open(request("POST", "/"), false);
    stream.sendData(bytes("hello"), false);
    stream.sendTrailers([{ name: "sum", value: "1" }]);
    assert.equal(
      rig.transport.written,
      "POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nsum: 1\r\n\r\n",
    );
  });

  for (const [name, data, end] of [
    ["more", "abc", false],
    ["less", "a", true],
  ] as const) {
    test(`${name} than its content-length is never written as complete`, () => {
      const rig = new ClientRig();
      rig.open(request("PUT", "/", ["content-length", "2"]), false).sendData(bytes(data), end);
      assert.deepEqual(rig.log, ["draining", "destroy", "reset agent malformed"]);
      assert.ok(rig.transport.written.endsWith("\r\n\r\n"));
    });
  }

  const octets = ["\r", "\n", "\r\n", "\0", " ", "\t", ":", "\x7f", "\u0141", "\r\nX: y\r\n\r\nGET / HTTP/1.1"];
  const places: [string, (octet: string) => Fields | undefined][] = [
    [":method", (octet) => request(`GE${octet}T`, "/")],
    [":path", (octet) => (octet === ":" ? undefined : request("GET", `/a${octet}b`))],
    ["name", (octet) => request("GET", "/", [`a${octet}b`, "c"])],
    ["value", (octet) => (/^[ \t:]$/.test(octet) ? undefined : request("GET", "/", ["a", `b${octet}c`]))],
    [
      ":authority",
      (octet) =>
        /^[ \t:]$/.test(octet)
          ? undefined
          : request("GET", "/").map((field) =>
              field.name === ":authority" ? { name: ":authority", value: `a${octet}.test` } : field,
            ),
    ],
    ["content-length", (octet) => request("GET", "/", ["content-length", `1${octet}`])],
    ["content-length twice", () => request("GET", "/", ["content-length", "1"], ["content-length", "1"])],
    ["path without slash", () => request("GET", "x")],
    ["empty method", () => request("", "/")],
    ["unknown pseudo-field", () => request("GET", "/", [":x", "y"])],
  ];
  test("no octet of an unwritable head is ever written", async () => {
    for (const [place, make] of places) {
      for (const octet of octets) {
        const fields = make(octet);
        if (fields === undefined) continue;
        for (const end of [true, false]) {
          const rig = new ClientRig();
          const stream = rig.open(fields, end);
          assert.deepEqual(rig.log, [], "not from within open");
          await Promise.resolve();
          assert.deepEqual(rig.log, ["reset agent malformed"], `${place} ${JSON.stringify(octet)}`);
          stream.sendData(bytes("x"), true);
          assert.equal(rig.transport.written, "");
          assert.equal(rig.client.capacity, 1);
        }
      }
    }
  });

  test("CONNECT is not for HTTP/1", async () => {
    const rig = new ClientRig();
    rig.open(
      [
        { name: ":method", value: "CONNECT" },
        { name: ":authority", value: "a.test:1" },
      ],
      false,
    );
    await Promise.resolve();
    assert.deepEqual(rig.log, ["reset agent unsupported"]);
  });
});

describe("answers, at every split", () => {
  const table: { name: string; method?: string; input: string; fin?: boolean; log: string[]; reusable: boolean }[] = [
    {
      name: "content-length",
      input: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
      log: ["head :status=200|content-length=5|x=y", "data hello", "END"],
      reusable: true,
    },
    {
      name: "content-length 0, no reason phrase",
      input: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
      log: ["head :status=200|content-length=0 END"],
      reusable: true,
    },
    {
      name: "chunked with trailers",
      input: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 1\r\n\r\n",
      log: ["head :status=200", "data abc", "trailers sum=1"],
      reusable: true,
    },
    {
      name: "interim heads",
      input: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
      log: ["head :status=100", "head :status=103|link=x", "head :status=204 END"],
      reusable: true,
    },
    {
      name: "304 with a length",
      input: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
      log: ["head :status=304|content-length=5 END"],
      reusable: true,
    },
    {
      name: "HEAD",
      method: "HEAD",
      input: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
      log: ["head :status=200|content-length=5 END"],
      reusable: true,
    },
    {
      name: "HEAD of what would be chunked",
      method: "HEAD",
      input: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      log: ["head :status=200 END"],
      reusable: true,
    },
    {
      name: "close-delimited",
      input: "HTTP/1.1 200 OK\r\n\r\nhello",
      fin: true,
      log: ["head :status=200", "draining", "data hello", "END", "close"],
      reusable: false,
    },
    {
      name: "Connection: close",
      input: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
      log: ["head :status=200|content-length=2", "data ok", "END", "close"],
      reusable: false,
    },
    {
      name: "HTTP/1.0",
      input: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
      log: ["head :status=200|content-length=2", "data ok", "END", "close"],
      reusable: false,
    },
    {
      name: "HTTP/1.0 with keep-alive",
      input: "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
      log: ["head :status=200|content-length=2", "data ok", "END"],
      reusable: true,
    },
  ];
  for (const { name, method = "GET", input, fin = false, log, reusable } of table) {
    test(name, () => {
      for (let cut = 0; cut < input.length; cut++) {
        const rig = new ClientRig();
        rig.open(request(method, "/"), true);
        rig.feed(input, cut);
        if (fin) rig.client.receiveEnd();
        // When the client says that it drains depends on nothing that matters here.
        const without = (lines: readonly string[]) => lines.filter((line) => line !== "draining");
        assert.deepEqual(without(rig.log), without(log), `cut at ${cut}`);
        assert.equal(rig.client.capacity, reusable ? 1 : 0);
        if (!reusable) continue;
        rig.open(GET, true);
        rig.feed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        assert.deepEqual(rig.log.slice(-3), ["head :status=200|content-length=1", "data x", "END"]);
      }
    });
  }
});

describe("malformed answers fail the exchange and are never reused", () => {
  const table: [string, string, string?][] = [
    [
      "content-length and transfer-encoding",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ["two content-lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"],
    ["content-length +5", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"],
    ["transfer-encoding gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"],
    ["transfer-encoding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"],
    ["folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"],
    ["space before colon", "HTTP/1.1 200 OK\r\nX : a\r\n\r\n"],
    ["NUL in a value", "HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n"],
    ["bare CR in a value", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n"],
    ["an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n"],
    ["status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["status below 100", "HTTP/1.1 099 OK\r\n\r\n"],
    ["no status", "HTTP/1.1 \r\n\r\n"],
    ["version", "HTTP/2.0 200 OK\r\n\r\n"],
    ["no HTTP", "SSH-2.0-OpenSSH_9\r\n"],
    ["204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"],
    ["204 chunked", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["100 chunked", "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n"],
    [
      "101 that nobody asked for",
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
    ["many fields", `HTTP/1.1 200 OK\r\n${"X: a\r\n".repeat(1001)}\r\n`, "head-too-large"],
    ["a large head", `HTTP/1.1 200 OK\r\n${`X: ${"a".repeat(60_000)}\r\n`.repeat(5)}\r\n`, "head-too-large"],
    ["a long value", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(131_073)}\r\n\r\n`, "head-too-large"],
    ["interim heads without end", "HTTP/1.1 102 Processing\r\n\r\n".repeat(65), "malformed"],
  ];
  for (const [name, input, code = "malformed"] of table) {
    test(name, () => {
      const step = Math.max(1, Math.floor(input.length / 200));
      for (let cut = 0; cut < input.length; cut += step) {
        const rig = new ClientRig();
        rig.open(GET, true);
        rig.feed(input, cut);
        assert.equal(rig.log.at(-1), `reset service ${code}`, `cut at ${cut}`);
        assert.ok(rig.log.includes("destroy"));
        assert.ok(!rig.log.includes("END"));
        assert.equal(rig.client.capacity, 0);
      }
    });
  }

  test("a chunk size that is none", () => {
    const rig = new ClientRig();
    rig.open(GET, true);
    rig.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n");
    assert.deepEqual(rig.log, ["head :status=200", "draining", "destroy", "reset service malformed"]);
  });

  test("an answer nobody asked for (CVE-2026-48931): the connection is gone, and no later exchange sees it", () => {
    const rig = new ClientRig();
    rig.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
    assert.deepEqual(rig.log, ["draining", "destroy"]);
    assert.equal(rig.client.open(GET, true, rig.transcript), undefined);
  });

  test("octets behind a complete answer: it stays complete, the connection is not used again", () => {
    for (const cut of [43, 42, 41]) {
      const rig = new ClientRig();
      rig.open(GET, true);
      rig.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", cut);
      assert.ok(rig.log.includes("END"));
      assert.equal(rig.client.capacity, 0);
    }
  });
});

describe("a cut is never an end", () => {
  const heads = {
    "no head": "",
    "within the head": "HTTP/1.1 200 OK\r\nX:",
    "after an interim head": "HTTP/1.1 100 Continue\r\n\r\n",
    "content-length": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
    "content-length, nothing yet": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "chunked, within a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    "chunked, between chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
    "chunked, before the last line": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n",
    "chunked, within the trailers": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\na: b\r\n",
    "close-delimited": "HTTP/1.1 200 OK\r\n\r\nhe",
  };
  for (const [name, input] of Object.entries(heads)) {
    if (name !== "close-delimited") {
      test(`FIN: ${name}`, () => {
        const rig = new ClientRig();
        rig.open(GET, true);
        rig.feed(input).client.receiveEnd();
        assert.equal(rig.log.at(-1), "reset service closed");
        assert.ok(!rig.log.includes("END"));
        rig.client.transportClosed();
        assert.equal(rig.log.at(-1), "ended");
      });
    }
    test(`RST: ${name}`, () => {
      const rig = new ClientRig();
      rig.open(GET, true);
      rig.feed(input).client.transportClosed();
      assert.deepEqual(rig.log.slice(-2), ["reset service closed", "ended"]);
      assert.ok(!rig.log.includes("END"));
    });
  }

  test("reset destroys and reports nothing more", () => {
    const rig = new ClientRig();
    const stream = rig.open(request("POST", "/"), false);
    stream.sendData(bytes("he"), false);
    stream.reset(failure);
    assert.ok(!rig.transport.written.endsWith("0\r\n\r\n"));
    rig.feed("HTTP/1.1 200 OK\r\n\r\n").client.transportClosed();
    assert.deepEqual(rig.log, ["draining", "destroy", "ended"]);
  });
});

describe("an answer before the end of the request", () => {
  test("kept alive: the request goes on, then the next one", () => {
    const rig = new ClientRig();
    const stream = rig.open(request("POST", "/", ["content-length", "4"]), false);
    rig.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert.equal(rig.client.capacity, 0);
    stream.sendData(bytes("body"), true);
    assert.equal(rig.client.capacity, 1);
    assert.ok(rig.transport.written.endsWith("body"));
  });

  test("with close: the answer stays complete, the rest is not needed", () => {
    const rig = new ClientRig();
    const stream = rig.open(request("POST", "/"), false);
    rig.feed("HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    assert.deepEqual(rig.log, [
      "draining",
      "head :status=413|content-length=2",
      "data ok",
      "END",
      "destroy",
      "reset service unneeded",
    ]);
    stream.sendData(bytes("body"), true);
    assert.ok(!rig.transport.written.includes("body"));
  });

  const ANSWER = "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nok";
  const ANSWERED = ["head :status=413|content-length=2", "data ok", "END"];

  for (const [when, act] of [
    ["before the answer", (rig: ClientRig) => (rig.client.writingFailed(), rig.feed(ANSWER))],
    ["within the answer", (rig: ClientRig) => (rig.feed(ANSWER.slice(0, -1)).client.writingFailed(), rig.feed("k"))],
    ["after the answer", (rig: ClientRig) => rig.feed(ANSWER).client.writingFailed()],
  ] as const)
    test(`nothing can be sent any more, ${when}: the answer is complete, the connection is not used again`, () => {
      const rig = new ClientRig();
      rig.open(request("POST", "/"), false);
      act(rig);
      const told = rig.log.filter((line) => line !== "draining");
      const body = told.filter((line) => line.startsWith("data")).map((line) => line.slice("data ".length));
      assert.equal(body.join(""), "ok");
      assert.deepEqual(
        told.filter((line) => !line.startsWith("data")),
        [ANSWERED[0], "END", "destroy", "reset service unneeded"],
      );
      assert.equal(rig.client.capacity, 0);
      rig.client.transportClosed();
      assert.deepEqual(rig.log.slice(-1), ["ended"]);
    });

  test("reset by the service after the whole answer: it stays complete", () => {
    const rig = new ClientRig();
    rig.open(request("POST", "/"), false);
    rig.feed(ANSWER).client.transportClosed();
    assert.deepEqual(rig.log, [...ANSWERED, "reset service unneeded", "ended"]);
  });

  for (const [what, text, told] of [
    ["no answer", "", []],
    ["half a head", "HTTP/1.1 413", []],
    ["half a body", ANSWER.slice(0, -1), ["head :status=413|content-length=2", "data o"]],
    ["a body without a length", "HTTP/1.1 413 No\r\n\r\nok", ["head :status=413", "data ok"]],
  ] as const)
    test(`nothing can be sent any more and there was ${what}: a cut`, () => {
      const rig = new ClientRig();
      rig.open(request("POST", "/"), false);
      rig.client.writingFailed();
      rig.feed(text).client.transportClosed();
      assert.deepEqual(rig.log, ["draining", ...told, "reset service closed", "ended"]);
    });

  test("nothing can be sent any more on an idle connection: it is gone", () => {
    const rig = new ClientRig();
    rig.client.writingFailed();
    assert.deepEqual(rig.log, ["draining", "destroy"]);
    assert.equal(rig.client.capacity, 0);
  });
});

describe("WebSocket", () => {
  const ASK =
    "GET /ws HTTP/1.1\r\nhost: a.test\r\nconnection: Upgrade\r\nupgrade: websocket\r\n" +
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: p\r\n\r\n";
  const switched = (accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", upgrade = "websocket", connection = "Upgrade") =>
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${upgrade}\r\nConnection: ${connection}\r\n` +
    `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: p\r\n\r\n`;

  test("accepted, at every split; what is sent early waits for the 101", () => {
    const input = `${switched()}frames`;
    for (let cut = 0; cut < input.length; cut++) {
      const rig = new ClientRig();
      const stream = rig.open(CONNECT, false);
      stream.sendData(bytes("early"), false);
      assert.equal(rig.transport.written, ASK);
      rig.feed(input, cut);
      stream.sendData(bytes("later"), true);
      assert.equal(rig.transport.written, `${ASK}earlylater`);
      rig.client.receiveEnd();
      assert.deepEqual(rig.log, ["draining", "head :status=200|sec-websocket-protocol=p", "data frames", "FIN", "END"]);
      assert.equal(rig.transcript.sent, 10);
      assert.equal(rig.client.openStreams, 0);
    }
  });

  for (const [name, input] of [
    ["accept of another key", switched("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")],
    ["another protocol", switched(undefined, "h2c")],
    ["no Connection: Upgrade", switched(undefined, undefined, "keep-alive")],
  ] as const) {
    test(`malformed: ${name}`, () => {
      const rig = new ClientRig();
      rig.open(CONNECT, false);
      rig.feed(input);
      assert.deepEqual(rig.log, ["draining", "destroy", "reset service malformed"]);
    });
  }

  test("refused: an ordinary answer, nothing of the WebSocket is sent, the connection is not used again", () => {
    const rig = new ClientRig();
    rig.open(CONNECT, false).sendData(bytes("early"), false);
    rig.feed("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    assert.equal(rig.transport.written, ASK);
    assert.deepEqual(rig.log, [
      "draining",
      "head :status=403|content-length=2",
      "data no",
      "END",
      "destroy",
      "reset service unneeded",
    ]);
  });

  test("answered 200: never taken for an open WebSocket", () => {
    const rig = new ClientRig();
    rig.open(CONNECT, false);
    rig.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
    assert.deepEqual(rig.log, ["draining", "destroy", "reset service unsupported"]);
  });

  test("cut after 101: a reset", () => {
    const rig = new ClientRig();
    rig.open(CONNECT, false);
    rig.feed(switched()).client.transportClosed();
    assert.deepEqual(rig.log.slice(-2), ["reset service closed", "ended"]);
  });
});

test("octets behind an answer are never the answer of an exchange opened as soon as there is capacity", () => {
  for (const first of ["HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]) {
    const rig = new ClientRig();
    rig.open(GET, true);
    rig.capacityChanged = () => {
      if (rig.client.capacity > 0) rig.open(GET, true);
    };
    rig.feed(`${first}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`);
    assert.ok(!rig.log.some((line) => line.includes("poison")), rig.log.join("\n"));
    assert.equal(rig.client.openStreams, 0);
    assert.equal(rig.client.capacity, 0);
  }
});

test("credit: reading pauses above 64 KiB, resumes below half", () => {
  const rig = new ClientRig();
  const stream = rig.open(GET, true);
  rig.feed(`HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n${"x".repeat(65_537)}`);
  assert.ok(rig.log.includes("pause"));
  assert.ok(!rig.log.includes("resume"));
  stream.consume(40_000);
  assert.ok(rig.log.includes("resume"));
});

test("FIN while idle, drain while idle: no capacity, and an orderly end", () => {
  for (const end of [(rig: ClientRig) => rig.client.receiveEnd(), (rig: ClientRig) => rig.client.drain()]) {
    const rig = new ClientRig();
    end(rig);
    assert.equal(rig.client.capacity, 0);
    rig.client.transportClosed();
    assert.deepEqual(rig.log, ["draining", "close", "ended"]);
  }
});

test("the head of an answer is the same object when it repeats", () => {
  const rig = new ClientRig();
  const seen: Fields[] = [];
  rig.transcript.headReceived = (fields) => void seen.push(fields);
  for (let index = 0; index < 3; index++) {
    rig.open(GET, true);
    rig.feed("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 0\r\n\r\n");
  }
  assert.equal(seen[1]?.[1], seen[2]?.[1]);
  assert.deepEqual(seen[2], answer(200, ["server", "x"], ["content-length", "0"]));
});
