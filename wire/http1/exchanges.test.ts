import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ServerRig, answer } from "../../test/support/http1.ts";
import type { Answer } from "../../test/support/http1.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const ok: Answer = (stream) => {
  stream.sendHead(answer(200, ["content-length", "2"]), false);
  stream.sendData(bytes("ok"), true);
};
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n";
const CHUNKED = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const WEBSOCKET =
  "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const failure = { by: "service", code: "closed", message: "x" } as const;

/** Without the request heads, which other tests look at. */
function events(rig: ServerRig): string[] {
  return rig.log.map((line) => (line.startsWith("opened") ? "opened" : line));
}

describe("pipelining", () => {
  test("answered within: 3 000 requests in one piece need no stack", () => {
    const rig = new ServerRig(ok).feed(GET.repeat(3000));
    assert.equal(rig.transport.written, OK.repeat(3000));
  });

  test("answered later: one at a time, in order, and reading pauses above the bound", () => {
    const rig = new ServerRig().feed(GET);
    for (let index = 0; index < 3000; index++) rig.feed(GET);
    assert.equal(rig.streams.length, 1);
    assert.deepEqual(events(rig), ["opened", "pause"]);
    for (let index = 0; index < 3001; index++) ok(rig.stream, [], true);
    assert.equal(rig.streams.length, 3001);
    assert.equal(rig.transport.written, OK.repeat(3001));
    assert.ok(rig.log.includes("resume"));
  });

  test("answered later and all at once: no stack either", () => {
    let held = true;
    const rig: ServerRig = new ServerRig((stream, fields, end) => {
      if (!held) ok(stream, fields, end);
    }).feed(GET.repeat(2000));
    held = false;
    ok(rig.stream, [], true);
    assert.equal(rig.transport.written, OK.repeat(2000));
  });

  test("a malformed request waits for its turn, and ends the connection", () => {
    const rig = new ServerRig().feed(`${GET}GET  / HTTP/1.1\r\n\r\n${GET}`);
    assert.equal(rig.transport.written, "");
    ok(rig.stream, [], true);
    assert.match(rig.transport.written, /^HTTP\/1\.1 200 [^]*okHTTP\/1\.1 400 /);
    assert.deepEqual(events(rig), ["opened", "FIN"]);
  });

  test("nothing behind a request with Connection: close is read", () => {
    const rig = new ServerRig(ok).feed(`GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n${GET}`);
    assert.deepEqual(events(rig), ["opened", "FIN"]);
  });

  test("a body is followed by the next request, at every split", () => {
    const input = `${POST}hello${CHUNKED}3\r\nabc\r\n0\r\nx: y\r\n\r\n${GET}`;
    for (let cut = 0; cut < input.length; cut++) {
      const rig = new ServerRig(ok).feed(input, cut);
      assert.deepEqual(
        events(rig),
        ["opened", "data hello", "END", "opened", "data abc", "trailers x=y", "opened"],
        `cut at ${cut}`,
      );
      assert.equal(rig.transport.written, OK.repeat(3));
    }
  });

  test("a stream that is over does not reach the next exchange", () => {
    const rig = new ServerRig().feed(GET + GET);
    const first = rig.stream;
    ok(first, [], true);
    first.sendHead(answer(500), true);
    first.sendData(bytes("late"), true);
    first.sendTrailers([]);
    first.consume(100);
    first.reset(failure);
    assert.equal(rig.transport.written, OK);
    ok(rig.stream, [], true);
    assert.equal(rig.transport.written, OK + OK);
  });
});

describe("an answer before the end of the request", () => {
  test("given from within streamOpened: what was sent and that the rest is unneeded is told afterwards", () => {
    const rig = new ServerRig((stream) => {
      stream.sendHead(answer(404, ["content-length", "2"]), false);
      stream.sendData(bytes("no"), true);
    }).feed(POST);
    assert.equal(rig.transcript.sent, 2);
    assert.deepEqual(events(rig), ["opened", "FIN", "reset relay unneeded"]);
    const ended = new ServerRig(ok).feed(GET + GET);
    assert.equal(ended.transcript.sent, 4);
  });

  test("an error is told with close, the rest is dropped, the holder knows that it is not needed", () => {
    const rig = new ServerRig().feed(`${POST}he`);
    rig.stream.sendHead(answer(413), true);
    assert.equal(
      rig.transport.written,
      "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    assert.deepEqual(events(rig), ["opened", "data he", "FIN", "reset relay unneeded"]);
    rig.feed(`llo${GET}`);
    assert.equal(rig.streams.length, 1);
    rig.server.receiveEnd();
    rig.server.transportClosed();
    assert.equal(rig.log.at(-1), "ended");
  });

  test("a good one lets the request go on, and the connection too", () => {
    const rig = new ServerRig().feed(`${POST}he`);
    ok(rig.stream, [], true);
    rig.feed(`llo${GET}`);
    assert.deepEqual(events(rig), ["opened", "data hello", "END", "opened"]);
  });

  test("without 100 Continue the connection ends: nobody knows whether a body comes", () => {
    const rig = new ServerRig().feed(POST.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"));
    ok(rig.stream, [], true);
    assert.match(rig.transport.written, /connection: close/);
    assert.deepEqual(events(rig), ["opened", "FIN", "reset relay unneeded"]);
  });

  test("with 100 Continue it goes on", () => {
    const rig = new ServerRig().feed(POST.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"));
    rig.stream.sendHead(answer(100), false);
    rig.feed("hello");
    ok(rig.stream, [], true);
    assert.equal(rig.transport.written, `HTTP/1.1 100 Continue\r\n\r\n${OK}`);
    assert.deepEqual(events(rig), ["opened", "data hello", "END"]);
  });

  test("reset after a complete answer keeps the answer", () => {
    const rig = new ServerRig().feed(`${POST}he`);
    ok(rig.stream, [], true);
    rig.stream.reset({ by: "relay", code: "unneeded", message: "x" });
    assert.deepEqual(events(rig), ["opened", "data he", "FIN"]);
  });

  test("what is dropped is bounded", () => {
    const rig = new ServerRig(undefined, { lingerBytes: 10 }).feed(POST);
    rig.stream.sendHead(answer(413), true);
    rig.feed("0123456789");
    assert.notEqual(rig.log.at(-1), "close");
    rig.feed("x");
    assert.equal(rig.log.at(-1), "close");
  });
});

describe("the visitor goes", () => {
  for (const [name, input, at] of [
    ["content-length", `${POST}he`, 2],
    ["chunked, within a chunk", `${CHUNKED}5\r\nhe`, 2],
    ["chunked, between chunks", `${CHUNKED}2\r\nhe\r\n`, 2],
    ["chunked, before the last line", `${CHUNKED}2\r\nhe\r\n0\r\n`, 2],
    ["chunked, within the trailers", `${CHUNKED}2\r\nhe\r\n0\r\na: b\r\n`, 2],
  ] as const) {
    test(`FIN in ${name}: a reset, never an end`, () => {
      const rig = new ServerRig().feed(input);
      rig.server.receiveEnd();
      assert.deepEqual(events(rig).slice(at), ["destroy", "reset visitor closed"]);
      rig.server.transportClosed();
      assert.equal(rig.log.at(-1), "ended");
    });
    test(`RST in ${name}: a reset, never an end`, () => {
      const rig = new ServerRig().feed(input);
      rig.server.transportClosed();
      assert.deepEqual(events(rig).slice(at), ["reset visitor closed", "ended"]);
    });
  }

  test("half-closed after its request: it gets its answer, then our FIN", () => {
    const rig = new ServerRig().feed(GET);
    rig.server.receiveEnd();
    ok(rig.stream, [], true);
    assert.equal(rig.transport.written, OK);
    assert.deepEqual(events(rig), ["opened", "FIN"]);
  });

  test("half-closed with requests waiting: all are answered", () => {
    const rig = new ServerRig().feed(GET + GET);
    rig.server.receiveEnd();
    ok(rig.stream, [], true);
    assert.deepEqual(events(rig), ["opened", "opened"]);
    ok(rig.stream, [], true);
    assert.deepEqual(events(rig), ["opened", "opened", "FIN"]);
  });

  test("half-closed and no answer in time: it has gone", () => {
    const rig = new ServerRig().feed(GET);
    rig.server.receiveEnd();
    rig.server.tick(1000);
    rig.server.tick(3999);
    assert.deepEqual(events(rig), ["opened"]);
    rig.server.tick(4000);
    assert.deepEqual(events(rig), ["opened", "destroy", "reset visitor cancelled"]);
  });

  test("RST while it waits", () => {
    const rig = new ServerRig().feed(GET);
    rig.server.transportClosed();
    assert.deepEqual(events(rig), ["opened", "reset visitor closed", "ended"]);
  });

  test("between requests, and within a head: nobody to tell", () => {
    for (const input of ["", "GET / HT"]) {
      const rig = new ServerRig().feed(input);
      rig.server.receiveEnd();
      rig.server.transportClosed();
      assert.deepEqual(rig.log, ["FIN", "ended"]);
    }
  });
});

describe("time limits", () => {
  const table: { name: string; feed: string; act?: Answer; limit: number; log: string[]; out: RegExp }[] = [
    { name: "silent from the start", feed: "", limit: 10_000, log: ["FIN"], out: /^$/ },
    {
      name: "a head not complete",
      feed: "GET /",
      limit: 10_000,
      log: ["FIN"],
      out: /^HTTP\/1\.1 408 [^]*connection: close/,
    },
    { name: "idle between requests", feed: GET, act: ok, limit: 60_000, log: ["opened", "FIN"], out: /ok$/ },
  ];
  for (const { name, feed, act, limit, log, out } of table) {
    test(name, () => {
      const rig = new ServerRig(act).feed(feed);
      rig.server.tick(5000);
      rig.server.tick(5000 + limit - 1);
      assert.ok(!rig.log.includes("FIN"));
      rig.server.tick(5000 + limit);
      assert.deepEqual(events(rig), log);
      assert.match(rig.transport.written, out);
      rig.server.tick(5000 + limit + 1);
      rig.server.tick(5000 + limit + 1 + 30_000);
      assert.deepEqual(events(rig), [...log, "close"]);
    });
  }

  test("a head that trickles in gains no time", () => {
    const rig = new ServerRig();
    rig.server.tick(0);
    for (let second = 1; second <= 10; second++) {
      rig.feed("G");
      rig.server.tick(second * 1000);
      assert.equal(rig.transport.written, "");
    }
    rig.feed("G");
    rig.server.tick(11_000);
    assert.match(rig.transport.written, /^HTTP\/1\.1 408 /);
  });

  test("an exchange without data is never ended by time", () => {
    const rig = new ServerRig().feed(GET);
    rig.stream.sendHead(answer(200), false);
    for (let second = 0; second < 1000; second++) rig.server.tick(second * 1000);
    assert.deepEqual(events(rig), ["opened"]);
  });

  test("a visitor that takes no data for 30 s is cut", () => {
    const rig = new ServerRig().feed(GET);
    rig.stream.sendHead(answer(200), false);
    rig.transport.outbox.blocked = true;
    rig.stream.sendData(bytes("abc"), false);
    rig.server.tick(1000);
    rig.server.tick(30_999);
    rig.transport.outbox.blocked = false;
    rig.server.drained();
    assert.equal(rig.transcript.sent, 3);
    rig.transport.outbox.blocked = true;
    rig.server.tick(31_500);
    rig.server.tick(61_499);
    assert.deepEqual(events(rig), ["opened"]);
    rig.server.tick(61_500);
    assert.deepEqual(events(rig), ["opened", "destroy", "reset visitor timeout"]);
  });

  test("a slow link is not cut, however long the quarter of a megabyte below takes", () => {
    const rig = new ServerRig().feed(GET);
    rig.stream.sendHead(answer(200), false);
    rig.transport.outbox.blocked = true;
    for (let second = 0; second < 300; second++) {
      if (second % 20 === 0) rig.transport.outbox.taken++;
      rig.server.tick(second * 1000);
    }
    assert.deepEqual(events(rig), ["opened"]);
    rig.server.tick(310_000);
    assert.deepEqual(events(rig), ["opened", "destroy", "reset visitor timeout"]);
  });

  test("a body of known length that stops coming for 30 s: 408, and both sides are told", () => {
    const rig = new ServerRig().feed(POST.replace("5", "10"));
    rig.server.tick(0);
    rig.server.tick(29_000);
    rig.feed("x");
    rig.server.tick(30_000);
    rig.server.tick(59_999);
    assert.deepEqual(events(rig), ["opened", "data x"]);
    assert.equal(rig.transport.written, "");
    rig.server.tick(60_000);
    assert.match(rig.transport.written, /^HTTP\/1\.1 408 /);
    assert.equal(events(rig).at(-1), "reset visitor timeout");
  });

  test("within an answer it is a cut", () => {
    const rig = new ServerRig().feed(POST);
    rig.stream.sendHead(answer(200), false);
    rig.server.tick(0);
    rig.server.tick(30_000);
    assert.ok(events(rig).includes("destroy"));
    assert.equal(events(rig).at(-1), "reset visitor timeout");
  });

  const patient: Record<string, (rig: ServerRig) => void> = {
    "in chunks": (rig) => rig.feed(POST.replace("Content-Length: 5", "Transfer-Encoding: chunked")),
    "that nobody consumes": (rig) => rig.feed(POST.replace("5", "200000")).feed("x".repeat(70_000)),
    "that waits for a 100": (rig) => rig.feed(POST.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")),
  };
  for (const [what, begin] of Object.entries(patient))
    test(`a body ${what} may wait`, () => {
      const rig = new ServerRig();
      begin(rig);
      for (let second = 0; second < 600; second++) rig.server.tick(second * 1000);
      assert.doesNotMatch(events(rig).join(), /reset|destroy/);
    });
});

describe("credit", () => {
  test("reading pauses above 64 KiB not consumed and resumes below half of it", () => {
    const rig = new ServerRig().feed(POST.replace("5", "200000"));
    rig.feed("x".repeat(65_536));
    assert.ok(!rig.log.includes("pause"));
    rig.feed("x");
    assert.ok(rig.log.includes("pause"));
    rig.stream.consume(32_769);
    assert.ok(!rig.log.includes("resume"));
    rig.stream.consume(1);
    assert.ok(rig.log.includes("resume"));
  });

  test("what an exchange left unconsumed does not burden the next", () => {
    const rig = new ServerRig().feed(POST.replace("5", "70000"));
    rig.feed("x".repeat(70_000));
    assert.ok(rig.log.includes("pause"));
    ok(rig.stream, [], true);
    assert.equal(rig.log.at(-1), "resume");
  });

  test("while the transport is blocked, data and the end wait; all is reported as sent", () => {
    const rig = new ServerRig().feed(GET);
    rig.stream.sendHead(answer(200), false);
    rig.transport.outbox.blocked = true;
    rig.stream.sendData(bytes("abc"), false);
    rig.stream.sendData(bytes("defg"), false);
    rig.stream.sendTrailers([{ name: "a", value: "b" }]);
    assert.match(rig.transport.written, /\r\n\r\n$/);
    assert.equal(rig.transcript.sent, 0);
    rig.transport.outbox.blocked = false;
    rig.server.drained();
    assert.match(rig.transport.written, /\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\na: b\r\n\r\n$/);
    assert.equal(rig.transcript.sent, 7);
    rig.feed(GET);
    assert.equal(rig.streams.length, 2);
  });

  test("trailers: what frames or routes is left out, what cannot be written is a cut", () => {
    for (const [name, value, out] of [
      ["content-length", "5", "0\r\n\r\n"],
      ["a", "b", "0\r\na: b\r\n\r\n"],
      ["a", "b\r\nc: d", ""],
      ["a\n", "b", ""],
    ] as const) {
      const rig = new ServerRig().feed(GET);
      rig.stream.sendHead(answer(200), false);
      rig.stream.sendTrailers([{ name, value }]);
      assert.equal(rig.transport.written.split("\r\n\r\n").slice(1).join("\r\n\r\n"), out);
      assert.deepEqual(events(rig), out === "" ? ["opened", "destroy", "reset relay malformed"] : ["opened"]);
    }
  });

  test("large chunks are not copied and framed exactly", () => {
    const rig = new ServerRig().feed(GET);
    rig.stream.sendHead(answer(200), false);
    rig.stream.sendData(bytes("x".repeat(70_000)), true);
    assert.equal(
      rig.transport.written,
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n11170\r\n${"x".repeat(70_000)}\r\n0\r\n\r\n`,
    );
  });
});

describe("WebSocket", () => {
  const SWITCH =
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: p\r\n\r\n";

  test("accepted: octets both ways, both ends independent; what came early is data", () => {
    for (let cut = 0; cut <= WEBSOCKET.length + 5; cut++) {
      const rig = new ServerRig().feed(`${WEBSOCKET}early`, cut);
      assert.deepEqual(events(rig), ["opened"]);
      rig.stream.sendHead(answer(200, ["sec-websocket-protocol", "p"], ["content-length", "0"]), false);
      rig.stream.sendData(bytes("hello"), false);
      rig.feed(GET);
      rig.server.receiveEnd();
      rig.stream.sendData(bytes("bye"), true);
      assert.equal(rig.transport.written, `${SWITCH}hellobye`);
      assert.deepEqual(events(rig), ["opened", `data early${GET}`, "END", "FIN"]);
    }
  });

  test("accepted and cut: a reset", () => {
    const rig = new ServerRig().feed(WEBSOCKET);
    rig.stream.sendHead(answer(200), false);
    rig.server.transportClosed();
    assert.deepEqual(events(rig), ["opened", "reset visitor closed", "ended"]);
  });

  test("refused: an ordinary answer, and nothing behind the request is read", () => {
    const rig = new ServerRig().feed(WEBSOCKET + GET);
    rig.stream.sendHead(answer(403, ["content-length", "2"]), false);
    rig.stream.sendData(bytes("no"), true);
    rig.feed(GET);
    assert.equal(rig.transport.written, "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
    assert.deepEqual(events(rig), ["opened", "FIN", "reset relay unneeded"]);
  });

  test("FIN before it is accepted: a reset", () => {
    const rig = new ServerRig().feed(WEBSOCKET);
    rig.server.receiveEnd();
    assert.deepEqual(events(rig), ["opened", "destroy", "reset visitor closed"]);
  });
});

describe("ending", () => {
  test("drain: at once when idle, else after the exchange, which says so", () => {
    const idle = new ServerRig();
    idle.server.drain();
    assert.deepEqual(idle.log, ["FIN"]);
    const busy = new ServerRig().feed(GET + GET);
    busy.server.drain();
    ok(busy.stream, [], true);
    assert.match(busy.transport.written, /connection: close/);
    assert.deepEqual(events(busy), ["opened", "FIN"]);
  });

  test("abort tells the exchange, destroys, and ends once", () => {
    const rig = new ServerRig().feed(GET);
    rig.server.abort({ by: "relay", code: "offline", message: "x" });
    rig.server.transportClosed();
    assert.deepEqual(events(rig), ["opened", "destroy", "reset relay offline", "ended offline"]);
  });
});
