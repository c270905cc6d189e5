import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { test } from "node:test";
import { promisify } from "node:util";
import { WebSocket } from "ws";
import { get, shared } from "../test/support/local-relay.ts";

const run = promisify(execFile);

test("an HTTP/1.1 visitor reaches the share on its own port and by name, with what the relay vouches for", async (t) => {
  const { agent, grant, port, mainPort } = await shared(t);
  assert.equal(grant.url, `http://127.0.0.1:${port}`);
  assert.deepEqual(grant.alternativeUrls, [`http://demo.localhost:${mainPort}`]);
  const answer = await get(port, "/a?b=c", {
    "x-forwarded-for": "6.6.6.6",
    "x-forwarded-proto": "https",
    "x-forwarded-port": "1",
    forwarded: "for=6.6.6.6",
    "x-real-ip": "6.6.6.6",
    "portlight-share": "other",
    "portlight-evil": "1",
    connection: "x-forwarded-for, x-hop",
    "x-hop": "1",
    "x-kept": "1",
  });
  assert.equal(answer.status, 200);
  assert.equal(answer.body, "ok");
  const exchange = await agent.exchange();
  assert.equal(exchange.value(":path"), "/a?b=c");
  assert.equal(exchange.value(":authority"), `127.0.0.1:${port}`);
  assert.deepEqual(exchange.values("x-forwarded-for"), ["127.0.0.1"]);
  assert.deepEqual(exchange.values("x-forwarded-proto"), ["http"]);
  assert.deepEqual(exchange.values("x-forwarded-host"), [`127.0.0.1:${port}`]);
  assert.deepEqual(exchange.values("portlight-share"), ["s1"]);
  assert.deepEqual(exchange.values("portlight-http"), ["1.1"]);
  assert.deepEqual(exchange.values("portlight-hops"), ["1"]);
  for (const gone of ["x-forwarded-port", "forwarded", "x-real-ip", "portlight-evil", "x-hop", "connection", "host"]) {
    assert.deepEqual(exchange.values(gone), [], gone);
  }
  assert.deepEqual(exchange.values("x-kept"), ["1"]);
  for (const host of [`demo.localhost:${mainPort}`, "DEMO.LocalHost.", "demo.localhost:80"]) {
    assert.equal((await get(mainPort, "/", { host })).status, 200, host);
  }
});

test("HTTP/1.0 without Host is forwarded under the share's own name", async (t) => {
  const { agent, port, mainPort } = await shared(t);
  for (const [to, status] of [
    [port, 200],
    [mainPort, 404],
  ] as const) {
    const socket = connect({ port: to, host: "127.0.0.1" });
    socket.write("GET /old HTTP/1.0\r\n\r\n");
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    await once(socket, "close");
    assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
  }
  const exchange = await agent.exchange();
  assert.deepEqual(exchange.values(":authority"), ["demo.localhost"]);
  assert.deepEqual(exchange.values("portlight-http"), ["1.0"]);
  assert.deepEqual(exchange.values("x-forwarded-host"), []);
});

test("names nobody has, and the relay's own", async (t) => {
  const { mainPort } = await shared(t);
  for (const host of [
    "nobody.localhost",
    "a.demo.localhost",
    "demo.example.com",
    "demo.localhost.evil",
    "xdemo.localhost",
  ]) {
    assert.equal((await get(mainPort, "/", { host })).status, 404, host);
  }
  const front = await get(mainPort, "/", { host: `localhost:${mainPort}` });
  assert.equal(front.status, 200);
  assert.match(front.body, /Portlight relay/);
  assert.equal((await get(mainPort, "/other", { host: "localhost" })).status, 404);
  assert.equal((await get(mainPort, "/", { host: "localhost" }, "POST", "x")).status, 404);
  const grpc = await get(mainPort, "/a.B/C", { host: "nobody.localhost", "content-type": "application/grpc" }, "POST");
  assert.equal(grpc.headers["grpc-status"], "14");
  assert.match(decodeURIComponent(String(grpc.headers["grpc-message"])), /No port is shared under this name/);
});

test("hops are counted, and a loop is answered with 508", async (t) => {
  const { agent, port } = await shared(t);
  await get(port, "/", { "portlight-hops": "7" });
  assert.deepEqual((await agent.exchange()).values("portlight-hops"), ["8"]);
  for (const hops of ["8", "-1", "1e3", "x"])
    assert.equal((await get(port, "/", { "portlight-hops": hops })).status, 508, hops);
  assert.equal(agent.exchanges.length, 1);
});

test("what a service says in our name space does not leave", async (t) => {
  const { agent, port } = await shared(t);
  agent.handler = (exchange) =>
    exchange.respond(200, "ok", [
      { name: "portlight-share", value: "x" },
      { name: "x-own", value: "y" },
    ]);
  const { headers } = await get(port);
  assert.equal(headers["portlight-share"], undefined);
  assert.equal(headers["x-own"], "y");
});

function http2Get(
  url: string,
  headers: Record<string, string>,
): Promise<{ headers: IncomingHttpHeaders; body: string; trailers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(url, { rejectUnauthorized: false });
    session.on("error", reject);
    const stream = session.request(headers);
    let body = "";
    let head: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on("response", (received: IncomingHttpHeaders) => (head = received));
    stream.on("trailers", (received: IncomingHttpHeaders) => (trailers = received));
    stream.on("data", (chunk: Buffer) => (body += chunk.toString()));
    stream.on("error", reject);
    stream.on("end", () => {
      session.close();
      resolve({ headers: head, body, trailers });
    });
  });
}

test("HTTP/2 with prior knowledge: routed per stream, trailers kept", async (t) => {
  const { agent, mainPort } = await shared(t);
  agent.handler = (exchange) => {
    exchange.stream.sendHead([{ name: ":status", value: "200" }], false);
    exchange.stream.sendData(Buffer.from("body"), false);
    exchange.stream.sendTrailers([{ name: "grpc-status", value: "0" }]);
  };
  const url = `http://127.0.0.1:${mainPort}`;
  const answer = await http2Get(url, { ":path": "/x", ":authority": "demo.localhost" });
  assert.equal(answer.body, "body");
  assert.equal(answer.trailers["grpc-status"], "0");
  assert.deepEqual((await agent.exchange()).values("portlight-http"), ["2"]);
  // One connection, several authorities.
  const session = connectHttp2(url);
  t.after(() => session.destroy());
  const statuses = await Promise.all(
    ["demo.localhost", "nobody.localhost", "localhost", "u@demo.localhost"].map((authority) => {
      const stream = session.request({ ":authority": authority, ":path": "/" });
      stream.on("error", () => undefined);
      stream.resume();
      return new Promise<unknown>((resolve) => {
        stream.on("response", (head: IncomingHttpHeaders) => resolve(head[":status"]));
        stream.on("close", () => resolve("reset"));
      });
    }),
  );
  assert.deepEqual(statuses.slice(0, 3), [200, 404, 200]);
  assert.ok(statuses[3] === 400 || statuses[3] === "reset", String(statuses[3]));
});

test("nobody but the relay opens a control stream, and no CONNECT passes", async (t) => {
  const { agent, port } = await shared(t);
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  session.on("error", () => undefined);
  await once(session, "remoteSettings");
  for (const head of [
    {
      ":method": "CONNECT",
      ":protocol": "portlight-control",
      ":scheme": "http",
      ":authority": "demo.localhost",
      ":path": "/",
    },
    { ":method": "CONNECT", ":authority": "127.0.0.1:22" },
  ]) {
    const stream = session.request(head);
    stream.on("error", () => undefined);
    const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
    assert.equal(headers[":status"], 501);
    stream.destroy();
  }
  assert.equal(agent.exchanges.length, 0);
});

test("curl speaks to it in every version", async (t) => {
  const { agent, port } = await shared(t);
  // Not before its end: curl 7.88 hangs when an HTTP/2 answer is complete before its upload, whatever the server.
  agent.handler = (exchange) => void exchange.ended.then(() => exchange.respond(200, "ok"));
  for (const flag of ["--http1.0", "--http1.1", "--http2-prior-knowledge", "--http2"]) {
    const { stdout } = await run("curl", [
      "-sS",
      flag,
      "-d",
      "hello",
      "-w",
      " %{http_code}",
      `http://127.0.0.1:${port}/`,
    ]);
    assert.equal(stdout, "ok 200", flag);
  }
});

test("WebSocket by Upgrade becomes extended CONNECT; octets pass unchanged both ways", async (t) => {
  const { agent, port } = await shared(t);
  agent.handler = (exchange) => {
    assert.equal(exchange.value(":method"), "CONNECT");
    assert.equal(exchange.value(":protocol"), "websocket");
    exchange.stream.sendHead([{ name: ":status", value: "200" }], false);
    exchange.onData = (bytes) => {
      // A text frame of the service: "hi", unmasked.
      if (bytes.length > 0) exchange.stream.sendData(Buffer.from([0x81, 2, 0x68, 0x69]), false);
    };
  };
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
  t.after(() => socket.terminate());
  await once(socket, "open");
  socket.send("hello");
  const [message] = (await once(socket, "message")) as [Buffer];
  assert.equal(message.toString(), "hi");
  const exchange = await agent.exchange();
  // A masked frame of 5 octets: 2 + 4 + 5.
  assert.equal(exchange.body.length, 11);
  socket.terminate();
  // A FIN, and TCP knows no more: the half-close is what passes.
  await exchange.ended;
});

test("WebSocket over HTTP/2 (RFC 8441) passes, and a refusal is an ordinary answer", async (t) => {
  const { agent, port } = await shared(t);
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  await once(session, "remoteSettings");
  const head = { ":method": "CONNECT", ":protocol": "websocket", ":path": "/ws", "sec-websocket-version": "13" };
  agent.handler = (exchange) => {
    exchange.stream.sendHead([{ name: ":status", value: "200" }], false);
    exchange.onData = (bytes, end) => exchange.stream.sendData(bytes, end);
  };
  const stream = session.request(head);
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
  assert.equal(headers[":status"], 200);
  stream.end("any octets at all");
  const [echo] = (await once(stream, "data")) as [Buffer];
  assert.equal(echo.toString(), "any octets at all");
  await once(stream, "end");
  assert.equal((await agent.exchange()).value(":protocol"), "websocket");
  agent.handler = (exchange) => exchange.respond(403, "not you");
  const refused = session.request(head);
  const [answer] = (await once(refused, "response")) as [IncomingHttpHeaders];
  assert.equal(answer[":status"], 403);
  const [body] = (await once(refused, "data")) as [Buffer];
  assert.equal(body.toString(), "not you");
  refused.end();
});

test("a tunnel that is cut in mid-body is an error for every visitor, never an end", async (t) => {
  for (const how of ["fin", "rst"] as const) {
    for (const framing of ["content-length", "chunked", "http2"] as const) {
      const { agent, port } = await shared(t);
      agent.handler = (exchange) => {
        const length = framing === "content-length" ? [{ name: "content-length", value: "100" }] : [];
        exchange.stream.sendHead([{ name: ":status", value: "200" }, ...length], false);
        exchange.stream.sendData(Buffer.from("half of it"), false);
      };
      const label = `${framing} ${how}`;
      if (framing === "http2") {
        const session = connectHttp2(`http://127.0.0.1:${port}`);
        session.on("error", () => undefined);
        const stream = session.request({ ":path": "/" });
        let ended = false;
        stream.on("end", () => (ended = !stream.destroyed && stream.rstCode === 0));
        await once(stream, "data");
        const failed = once(stream, "error");
        agent.cut(how);
        await failed;
        assert.equal(ended, false, label);
        assert.notEqual(stream.rstCode, 0, label);
        session.destroy();
      } else {
        const socket = connect(port, "127.0.0.1");
        socket.on("error", () => undefined);
        socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let text = "";
        socket.on("data", (chunk: Buffer) => {
          text += chunk.toString();
          if (text.includes("half of it")) agent.cut(how);
        });
        await new Promise((resolve) => socket.once("close", resolve));
        assert.match(text, /half of it/, label);
        assert.ok(!text.endsWith("0\r\n\r\n"), label);
      }
    }
  }
});

test("a visitor who leaves costs his exchange and nothing else", async (t) => {
  const { agent, port } = await shared(t);
  agent.handler = (exchange) => {
    exchange.stream.sendHead([{ name: ":status", value: "200" }], false);
    exchange.stream.sendData(Buffer.from("x"), false);
  };
  const request = httpRequest({ port, host: "127.0.0.1", agent: false });
  request.on("error", () => undefined);
  request.end();
  await once(request, "response");
  request.socket?.resetAndDestroy();
  const failure = await (await agent.exchange()).cut;
  assert.equal(failure.code, "cancelled");
  agent.handler = (exchange) => exchange.respond(200, "still here");
  assert.equal((await get(port)).body, "still here");
});

test("an early answer reaches the visitor while his upload goes on", async (t) => {
  const { agent, port } = await shared(t);
  agent.handler = (exchange) => {
    exchange.respond(413, "too large");
    exchange.stream.reset({ by: "service", code: "unneeded", message: "enough" });
  };
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(socket, "end");
  assert.match(text, /^HTTP\/1\.1 413 /);
  assert.match(text, /too large\r\n0\r\n\r\n$/);
  socket.destroy();
});
