/** Node's own HTTP clients and sockets by hand → relay → agent → an HTTP/1.1 service; the oracle is the direct request. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import http from "node:http";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { startHttp } from "../../sample/http/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { plainFields, RawVisitor, request, request2, splitAddress } from "../support/http.ts";
import type { Answer, RequestOptions } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { within } from "../support/time.ts";

let path: Path;
let service: RunningService;
let shared: Shared;
let direct: string;

before(async () => {
  service = await startHttp();
  path = await startPath();
  shared = await path.share(service.port);
  direct = `127.0.0.1:${service.port}`;
});

after(async () => {
  await path.close();
  await service.close();
});

/** Directly by HTTP/1.1, then through the path by HTTP/1.1 and by HTTP/2: three times the same answer. */
function same(name: string, target: string, options: RequestOptions, check: (answer: Answer) => void): void {
  test(name, async () => {
    const expected = await request(direct, target, options);
    check(expected);
    assert.deepEqual(await request(shared.address, target, options), expected, "HTTP/1.1");
    const byHttp2 = await request2(shared.address, target, options);
    assert.deepEqual(byHttp2, expected, "HTTP/2");
  });
}

describe("answers", () => {
  same("a page with two cookies", "/", {}, (answer) => {
    assert.match(answer.body, /Lamp shop/);
    assert.equal(answer.fields.filter((field) => field.startsWith("set-cookie")).length, 2);
  });
  same("JSON", "/api/products/lens-2", {}, (answer) => assert.match(answer.body, /Fresnel/));
  same("404", "/nothing/here?q=%20%2F", {}, (answer) => assert.equal(answer.status, 404));
  same("204 without a body", "/api/products/lamp-7", { method: "DELETE" }, (answer) =>
    assert.deepEqual([answer.status, answer.body], [204, ""]),
  );
  same("HEAD: the length and no body", "/download?bytes=100000", { method: "HEAD" }, (answer) => {
    assert.ok(answer.fields.includes("content-length: 100000"));
    assert.equal(answer.body, "");
  });
  same("HEAD of an answer without a length", "/download?bytes=1000&chunked", { method: "HEAD" }, (answer) =>
    assert.equal(answer.status, 200),
  );
  same("304", "/download?bytes=1000", { headers: { "if-none-match": '"pattern-1000"' } }, (answer) =>
    assert.deepEqual([answer.status, answer.body], [304, ""]),
  );
  same("a range", "/download?bytes=100000", { headers: { range: "bytes=5000-70000" } }, (answer) => {
    assert.equal(answer.status, 206);
    assert.match(answer.body, /^65001 octets/);
  });
  same("the end of a file", "/download?bytes=1000", { headers: { range: "bytes=-10" } }, (answer) =>
    assert.equal(answer.body.length, 10),
  );
  same("a range beyond the end", "/download?bytes=1000", { headers: { range: "bytes=2000-" } }, (answer) =>
    assert.equal(answer.status, 416),
  );
  same("a redirect is passed on, not followed", "/redirect", {}, (answer) => {
    assert.equal(answer.status, 302);
    assert.ok(answer.fields.includes("location: /api/products"));
  });
  same("chunked with trailers", "/chunked", {}, (answer) => {
    assert.equal(answer.body, "first second third");
    assert.deepEqual(answer.trailers, ["x-checksum: sha256-abc", "x-parts: 3"]);
  });
  same("103 Early Hints", "/hints", {}, (answer) => {
    assert.equal(answer.interim[0]?.status, 103);
    assert.equal(answer.status, 200);
  });
  same("3 MiB with a length", "/download?bytes=3145728", {}, (answer) => assert.match(answer.body, /^3145728 octets/));
  same("3 MiB without a length", "/download?bytes=3145728&chunked", {}, (answer) =>
    assert.match(answer.body, /^3145728 octets/),
  );
  same("nothing, with a length", "/download?bytes=0", {}, (answer) => assert.equal(answer.body, ""));
  for (const status of [200, 205, 400, 418, 451, 500, 503, 599])
    same(`status ${status}`, `/status/${status}`, {}, (answer) => assert.equal(answer.status, status));
});

describe("requests", () => {
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT"])
    test(`${method}: the service sees the same request`, async () => {
      const headers = {
        accept: "*/*",
        "x-latin": "caf\u00e9",
        "x-empty": "",
        "x-several": ["a", "b"],
        cookie: "a=1; b=2",
        "user-agent": "test",
      };
      const hasBody = method !== "GET" && method !== "OPTIONS";
      const options = hasBody
        ? { method, headers: { ...headers, "content-length": "4" }, body: "lamp" }
        : { method, headers };
      const target = "/inspect/a%2Fb/../c?x=1&y=%F0%9F%92%A1&&z";
      const expected = seenByService(await request(direct, target, options));
      assert.deepEqual([expected.method, expected.path], [method, target]);
      assert.deepEqual(seenByService(await request(shared.address, target, options)), expected, "HTTP/1.1");
    });

  test("the service sees its own host, and from where the visitor came", async () => {
    const seen = JSON.parse((await request(shared.address, "/inspect", { headers: { origin: shared.url } })).body) as {
      headers: string[];
    };
    const fields = plainFields(seen.headers);
    assert.ok(
      fields.includes(`host: localhost:${service.port}`) || fields.includes(`host: 127.0.0.1:${service.port}`),
      fields.join("\n"),
    );
    assert.ok(fields.includes("x-forwarded-for: 127.0.0.1"));
    assert.ok(fields.includes("x-forwarded-proto: http"));
    assert.ok(fields.includes(`x-forwarded-host: ${shared.address}`));
    assert.ok(!fields.some((field) => field.startsWith("portlight-share")));
  });

  test("what a visitor claims about itself is not believed", async () => {
    const forged = {
      "x-forwarded-for": "10.9.9.9",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "evil.test",
      forwarded: "for=10.9.9.9",
      "portlight-share": "other",
      "portlight-http": "9",
      "x-hop": "gone",
      connection: "close, x-hop",
    };
    const seen = JSON.parse((await request(shared.address, "/inspect", { headers: forged })).body) as {
      headers: string[];
    };
    const text = seen.headers.join("\n");
    assert.doesNotMatch(text, /10\.9\.9\.9|evil\.test|portlight-share|gone/);
  });

  same(
    "an upload with a length",
    "/upload",
    { method: "POST", body: Buffer.alloc(1_000_000, "u"), headers: { "content-length": "1000000" } },
    (answer) => assert.match(answer.body, /"bytes":1000000/),
  );

  test("a chunked upload with trailers, by both versions", async () => {
    const options = (): RequestOptions => ({
      method: "POST",
      body: Buffer.alloc(100_000, "c"),
      trailers: { "x-sum": "42" },
    });
    const chunked = { headers: { "transfer-encoding": "chunked", trailer: "x-sum" } };
    const expected = await request(direct, "/upload", { ...options(), ...chunked });
    assert.match(expected.body, /"bytes":100000.*"x-sum":"42"/);
    assert.deepEqual(await request(shared.address, "/upload", { ...options(), ...chunked }), expected);
    assert.deepEqual(await request2(shared.address, "/upload", options()), expected);
  });

  test("each part of an upload reaches the service before the next is sent, and the answer may come first", async () => {
    const echo = http.createServer((incoming, outgoing) => {
      outgoing.flushHeaders();
      incoming.pipe(outgoing);
    });
    await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
    try {
      const target = await path.share((echo.address() as { port: number }).port);
      const [host, port] = splitAddress(target.address);
      const outgoing = http.request({
        host,
        port,
        method: "POST",
        agent: false,
        headers: { "transfer-encoding": "chunked" },
      });
      outgoing.flushHeaders();
      const response = await within(
        3000,
        "the head of the answer",
        new Promise<http.IncomingMessage>((resolve) => outgoing.on("response", resolve)),
      );
      const parts = response[Symbol.asyncIterator]();
      for (const part of ["one", "two", "three"]) {
        outgoing.write(part);
        const echoed: IteratorResult<unknown> = await within(3000, `the echo of ${part}`, parts.next());
        assert.equal(String(echoed.value), part);
      }
      outgoing.end();
      assert.equal((await within(3000, "the end", parts.next())).done, true);
    } finally {
      echo.closeAllConnections();
      echo.close();
    }
  });
});

describe("a service that refuses an upload and closes without reading it", () => {
  const body = Buffer.alloc(5_000_000);
  for (const [what, head] of [
    ["with Connection: close", "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\n"],
    ["without a word about closing", "HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\n"],
    ["in chunks", "HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n"],
  ] as const)
    test(`${what}: its answer arrives each time`, async () => {
      const tail = what === "in chunks" ? "\r\n0\r\n\r\n" : "";
      const target = await refusing(`${head}too large${tail}`);
      try {
        for (const send of [request, request2])
          for (let round = 0; round < 10; round++) {
            const answer = await send(target.address, "/", { method: "POST", body });
            assert.deepEqual([answer.status, answer.body], [413, "too large"], send.name);
          }
      } finally {
        target.close();
      }
    });

  test("its answer cut short is an error, not an end", async () => {
    const target = await refusing("HTTP/1.1 413 Too Large\r\nContent-Length: 10\r\n\r\ntoo large");
    try {
      for (const send of [request, request2])
        await assert.rejects(send(target.address, "/", { method: "POST", body }), send.name);
    } finally {
      target.close();
    }
  });

  /** Says `answer` when the first octets come, reads no more, and closes as soon as the answer has left. */
  async function refusing(answer: string): Promise<{ address: string; close(): void }> {
    const server = net.createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => {
        socket.pause();
        socket.write(answer, () => socket.destroy());
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { address } = await path.share((server.address() as net.AddressInfo).port);
    return { address, close: () => server.close() };
  }
});

describe("by hand", () => {
  const upload = (length: number, query = "") =>
    `POST /upload${query} HTTP/1.1\r\nHost: shop.test\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`;

  test("100 Continue comes from the service, and only then the body", async () => {
    for (const address of [direct, shared.address]) {
      const visitor = await RawVisitor.connect(address);
      visitor.send(upload(5));
      await visitor.receive(/^HTTP\/1\.1 100 Continue\r\n(?:[^\r]+\r\n)*\r\n$/);
      visitor.send("lamps");
      await visitor.receive(/HTTP\/1\.1 200 OK[^]*"bytes":5/);
      visitor.close();
    }
  });

  test("a refusal instead of 100 Continue", async () => {
    for (const address of [direct, shared.address]) {
      const visitor = await RawVisitor.connect(address);
      visitor.send(upload(5000, "?limit=10"));
      const text = await visitor.receive(/larger than the limit/);
      assert.match(text, /^HTTP\/1\.1 413 /);
      visitor.close();
    }
  });

  test("413 arrives while the upload is still going on", async () => {
    for (const address of [direct, shared.address]) {
      const visitor = await RawVisitor.connect(address);
      visitor.send("POST /upload?limit=1000 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
      visitor.send("x".repeat(2000));
      assert.match(await visitor.receive(/larger than the limit/), /^HTTP\/1\.1 413 /);
      visitor.close();
    }
  });

  test("413 in the middle of a chunked upload", async () => {
    const visitor = await RawVisitor.connect(shared.address);
    visitor.send("POST /upload?limit=1000 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    visitor.send(`800\r\n${"x".repeat(2048)}\r\n`);
    assert.match(await visitor.receive(/larger than the limit/), /^HTTP\/1\.1 413 /);
    visitor.close();
  });

  test("pipelined requests are answered in order", async () => {
    const visitor = await RawVisitor.connect(shared.address);
    visitor.send(
      ["/delay?ms=150", "/api/products/lens-2", "/status/404", "/chunked"]
        .map((target) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
        .join(""),
    );
    const text = await visitor.receive(/x-parts: 3\r\n\r\n$/i);
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+|waited|Fresnel|third/g), [
      "HTTP/1.1 200",
      "waited",
      "HTTP/1.1 200",
      "Fresnel",
      "HTTP/1.1 404",
      "HTTP/1.1 200",
      "third",
    ]);
    visitor.close();
  });

  test("HTTP/1.0: no chunks, the end of the connection is the end of the body", async () => {
    for (const address of [direct, shared.address]) {
      const visitor = await RawVisitor.connect(address);
      visitor.send("GET /download?bytes=500&chunked HTTP/1.0\r\n\r\n");
      const [head = "", body = ""] = (await visitor.rest()).split("\r\n\r\n");
      assert.match(head, /^HTTP\/1\.[01] 200/);
      assert.doesNotMatch(head, /transfer-encoding/i);
      assert.equal(body.length, 500);
    }
  });

  test("HTTP/1.0 with keep-alive and a length", async () => {
    const visitor = await RawVisitor.connect(shared.address);
    for (let round = 1; round <= 2; round++) {
      visitor.send("GET /download?bytes=7 HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\n");
      await visitor.receive(new RegExp(`^(?:HTTP/1\\.[01] 200[^]*?\\r\\n\\r\\n[^]{7}){${round}}$`));
    }
    visitor.close();
  });

  test("the first event of a stream is not held back, and later ones come as they happen", async () => {
    for (const send of [request1Events, request2Events]) {
      const started = performance.now();
      const first = await within(3000, "the first event", send(shared.address));
      assert.match(first, /retry: 1000/);
      assert.ok(performance.now() - started < 1500, `took ${performance.now() - started} ms`);
    }
  });
});

async function request1Events(address: string): Promise<string> {
  const visitor = await RawVisitor.connect(address);
  visitor.send("GET /events?interval=60000 HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
  const text = await visitor.receive(/"sequence":0/);
  visitor.close();
  return text;
}

async function request2Events(address: string): Promise<string> {
  const { connect } = await import("node:http2");
  const session = connect(`http://${address}`);
  try {
    const stream = session.request({ ":path": "/events?interval=60000", accept: "text/event-stream" });
    let text = "";
    stream.setEncoding("utf8");
    for await (const chunk of stream) {
      text += String(chunk);
      if (text.includes('"sequence":0')) break;
    }
    return text;
  } finally {
    session.destroy();
  }
}

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly httpVersion: string;
  readonly fields: readonly string[];
}

/** What `/inspect` answered, without what the path adds or may change. */
function seenByService(answer: Answer): Seen {
  const seen = JSON.parse(Buffer.from(answer.body, "latin1").toString("utf8")) as Omit<Seen, "fields"> & {
    headers: string[];
  };
  return {
    method: seen.method,
    path: seen.path,
    httpVersion: seen.httpVersion,
    fields: plainFields(seen.headers)
      .filter((field) => !/^(host|x-forwarded-|portlight-hops)/.test(field))
      .sort(),
  };
}

test("1 MiB uploads by 20 visitors at once keep apart", async () => {
  const results = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const body = Buffer.alloc(1024 * 1024, index);
      const answer = await (index % 2 === 0 ? request : request2)(shared.address, "/upload", { method: "POST", body });
      return (JSON.parse(answer.body) as { sha256: string }).sha256 === createHash("sha256").update(body).digest("hex");
    }),
  );
  assert.deepEqual(
    results,
    Array.from({ length: 20 }, () => true),
  );
});
