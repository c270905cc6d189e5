import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import * as http from "node:http";
import * as net from "node:net";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { WebSocket, WebSocketServer } from "ws";
import { Http1Proxy, portOf } from "../../test/support/http1-proxy.ts";

interface Reply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
}

function serve(request: http.IncomingMessage, response: http.ServerResponse): void {
  const path = request.url ?? "/";
  if (path.startsWith("/bytes/")) {
    const size = Number(path.slice(7));
    response.setHeader("content-length", size);
    response.end(Buffer.alloc(size, "x"));
  } else if (path === "/trailers") {
    response.setHeader("trailer", "x-sum");
    response.write("one");
    response.write("two");
    response.addTrailers({ "x-sum": "6" });
    response.end();
  } else if (path === "/204" || path === "/304") {
    response.writeHead(Number(path.slice(1))).end();
  } else if (path === "/early-hints") {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    response.end("ok");
  } else if (path === "/413") {
    response.writeHead(413, { connection: "close" }).end("too large");
  } else if (path === "/cut") {
    response.write("a part");
    setImmediate(() => setImmediate(() => request.socket.resetAndDestroy()));
  } else if (path === "/cut-fin") {
    response.write("a part");
    setImmediate(() => setImmediate(() => request.socket.destroy()));
  } else {
    const hash = createHash("sha256");
    let size = 0;
    request.on("data", (data: Buffer) => {
      size += data.length;
      hash.update(data);
    });
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      const { headers, trailers, method, httpVersion } = request;
      response.end(JSON.stringify({ path, method, httpVersion, headers, trailers, size, sha: hash.digest("hex") }));
    });
    request.on("error", () => undefined);
  }
}

describe("between real peers", () => {
  const service = http.createServer(serve);
  const sockets = new WebSocketServer({ server: service, path: "/ws", maxPayload: 32 * 1024 * 1024 });
  let proxy: Http1Proxy;
  let port = 0;

  before(async () => {
    sockets.on("connection", (socket) => {
      socket.on("message", (data, binary) => socket.send(data, { binary }));
    });
    service.listen(0, "127.0.0.1");
    await once(service, "listening");
    proxy = new Http1Proxy(portOf(service));
    port = await proxy.listen();
  });
  after(() => {
    proxy.close();
    sockets.close();
    service.closeAllConnections();
    service.close();
  });

  function ask(
    path: string,
    options: http.RequestOptions = {},
    send: (request: http.ClientRequest) => void = (request) => request.end(),
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const request = http.request({ port, host: "127.0.0.1", path, agent: false, ...options }, (response) => {
        const parts: Buffer[] = [];
        response.on("data", (data: Buffer) => parts.push(data));
        response.on("error", reject);
        response.on("end", () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            trailers: response.trailers,
            body: Buffer.concat(parts),
          });
        });
      });
      request.on("error", reject);
      send(request);
    });
  }

  test("keep-alive: many requests over one connection on both sides", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const dialled = proxy.dials;
    const visitors = new Set<unknown>();
    for (let index = 0; index < 20; index++) {
      const reply = await ask(`/n${index}`, { agent }, (request) => {
        request.on("socket", (socket) => visitors.add(socket));
        request.end();
      });
      assert.equal((JSON.parse(reply.body.toString()) as { path: string }).path, `/n${index}`);
    }
    agent.destroy();
    assert.equal(visitors.size, 1);
    assert.ok(proxy.dials - dialled <= 1);
  });

  test("all methods with a body, exact length and digest, chunked and counted", async () => {
    const body = randomBytes(3_000_000);
    const sha = createHash("sha256").update(body).digest("hex");
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "REPORT"]) {
      for (const headers of [{ "content-length": body.length }, { "transfer-encoding": "chunked" }]) {
        const reply = await ask("/echo", { method, headers }, (request) => {
          for (let at = 0; at < body.length; at += 100_000) request.write(body.subarray(at, at + 100_000));
          request.end();
        });
        const seen = JSON.parse(reply.body.toString()) as { size: number; sha: string; method: string };
        assert.deepEqual([seen.size, seen.sha, seen.method], [body.length, sha, method]);
      }
    }
  });

  test("trailers both ways", async () => {
    assert.deepEqual((await ask("/trailers")).trailers, { "x-sum": "6" });
    const reply = await ask("/echo", { method: "POST", headers: { "transfer-encoding": "chunked" } }, (request) => {
      request.write("body");
      request.addTrailers({ "x-digest": "1" });
      request.end();
    });
    assert.deepEqual((JSON.parse(reply.body.toString()) as { trailers: unknown }).trailers, { "x-digest": "1" });
  });

  test("HEAD, 204, 304", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const head = await ask("/bytes/1000", { method: "HEAD", agent });
    assert.deepEqual([head.status, head.headers["content-length"], head.body.length], [200, "1000", 0]);
    assert.equal((await ask("/204", { agent })).status, 204);
    assert.equal((await ask("/304", { agent })).status, 304);
    assert.equal((await ask("/bytes/3", { agent })).body.toString(), "xxx");
    agent.destroy();
  });

  test("a large answer to a slow reader", async () => {
    const reply = await ask("/bytes/20000000");
    assert.equal(reply.body.length, 20_000_000);
  });

  test("interim heads and 100 Continue", async () => {
    const interim: number[] = [];
    const reply = await ask("/early-hints", {}, (request) => {
      request.on("information", (information) => interim.push(information.statusCode));
      request.end();
    });
    assert.deepEqual([interim, reply.body.toString()], [[103], "ok"]);
    let continued = false;
    const posted = await ask("/echo", { method: "POST", headers: { expect: "100-continue" } }, (request) => {
      request.on("continue", () => {
        continued = true;
        request.end("body");
      });
      request.flushHeaders();
    });
    assert.ok(continued);
    assert.equal((JSON.parse(posted.body.toString()) as { size: number }).size, 4);
  });

  test("early 413: the visitor reads it although its upload is not over", async () => {
    const reply = await ask("/413", { method: "POST", headers: { "content-length": 100_000_000 } }, (request) => {
      request.write(Buffer.alloc(100_000));
    });
    assert.deepEqual([reply.status, reply.body.toString()], [413, "too large"]);
  });

  for (const path of ["/cut", "/cut-fin"]) {
    test(`an answer that is cut (${path}) is an error for the visitor`, async () => {
      const before = proxy.failures.length;
      await assert.rejects(ask(path));
      assert.equal(proxy.failures[before]?.code, "closed");
    });
  }

  test("pipelined requests are answered in order", async () => {
    const socket = net.connect(port, "127.0.0.1");
    const paths = Array.from({ length: 50 }, (_, index) => `/p${index}`);
    socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`).join(""));
    socket.write("GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    let text = "";
    for await (const data of socket) text += (data as Buffer).toString();
    assert.deepEqual(
      Array.from(text.matchAll(/"path":"([^"]+)"/g), (match) => match[1]),
      [...paths, "/last"],
    );
  });

  test("curl: 1.1, 1.0, upload, and an URL with octets above 0x7f", async () => {
    const run = async (...args: string[]) =>
      (await promisify(execFile)("curl", ["-sS", "--max-time", "10", ...args])).stdout;
    const url = `http://127.0.0.1:${port}`;
    assert.equal(await run(`${url}/bytes/5`), "xxxxx");
    assert.equal(await run("--http1.0", `${url}/trailers`), "onetwo");
    assert.match(await run("-T", process.execPath, `${url}/up`), /"method":"PUT".*"expect"|"size":[0-9]{7}/);
    assert.match(await run("-H", "X: \u00e4", `${url}/a`), /"x":"/);
    assert.match(await run("-I", `${url}/bytes/5`), /content-length: 5/);
  });

  test("WebSocket with the `ws` package on both sides: text, 16 MiB, close code", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { perMessageDeflate: false });
    await once(socket, "open");
    const next = async () => ((await once(socket, "message")) as [Buffer, boolean])[0];
    socket.send("hello");
    assert.equal((await next()).toString(), "hello");
    const large = randomBytes(16 * 1024 * 1024);
    socket.send(large);
    assert.ok((await next()).equals(large));
    for (const other of sockets.clients) other.close(4001, "bye");
    assert.deepEqual(((await once(socket, "close")) as [number, Buffer])[0], 4001);
  });

  test("WebSocket that the service refuses", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/other`);
    const [error] = (await once(socket, "error")) as [Error];
    assert.match(error.message, /Unexpected server response: 400/);
  });

  test("WebSocket whose service is cut: the visitor sees an abnormal close", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
    socket.on("error", () => undefined);
    await once(socket, "open");
    for (const other of sockets.clients) other.terminate();
    assert.equal(((await once(socket, "close")) as [number])[0], 1006);
  });
});
