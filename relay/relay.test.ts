import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { WebSocket } from "ws";
import { silentLogger } from "../wire/logger.ts";
import { FakeAgent, until } from "../test/support/fake-agent.ts";
import type { RelayOptions } from "./options.ts";
import { digest } from "./names.ts";
import { RelayOptionsError, startRelay } from "./relay.ts";

const run = promisify(execFile);
const hex = (token: string): string => digest(token).toString("hex");

const LOCAL: RelayOptions = {
  mode: "local",
  listen: { host: "127.0.0.1", port: 0 },
  tunnelListen: { host: "127.0.0.1", port: 0 },
  domain: "localhost",
  allowLan: false,
  log: silentLogger,
};

async function relayFor(t: TestContext, options: Partial<RelayOptions> = {}) {
  const relay = await startRelay({ ...LOCAL, ...options });
  t.after(() => relay.close(0));
  const mainPort = Number(new URL(relay.publicUrl).port);
  return { relay, mainPort };
}

/** A relay with one http share `demo` and an agent for it. */
async function shared(t: TestContext, options: Partial<RelayOptions> = {}) {
  const { relay, mainPort } = await relayFor(t, options);
  const { agent, grants } = await FakeAgent.online(relay.tunnelUrl, [
    { id: "s1", kind: "http", port: 3000, name: "demo" },
  ]);
  const grant = grants[0];
  assert.ok(grant !== undefined);
  return { relay, mainPort, agent, grant, port: grant.publicPort ?? 0 };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

function get(
  port: number,
  path = "/",
  headers: Record<string, string> = {},
  method = "GET",
  body = "",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

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

/** Asks until the relay has noticed. */
async function statusBecomes(port: number, status: number, headers: Record<string, string> = {}): Promise<Answer> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const answer = await get(port, "/", headers);
    if (answer.status === status) return answer;
  }
  throw new Error(`The status never became ${status}`);
}

test("without its agent a share is offline, and the same agent gets everything back", async (t) => {
  const { relay, mainPort, agent, grant, port } = await shared(t);
  agent.cut("fin");
  const offline = await statusBecomes(port, 503);
  assert.ok(Number(offline.headers["retry-after"]) > 0);
  assert.equal((await get(mainPort, "/", { host: "demo.localhost" })).status, 503);
  const thief = await FakeAgent.dial(relay.tunnelUrl);
  thief.hello([{ id: "x", kind: "http", port: 1, name: "demo" }]);
  assert.equal((await thief.message("refused")).code, "name-taken");
  thief.send({ type: "share", share: { id: "y", kind: "http", port: 1, name: "demo", secret: "a".repeat(43) } });
  assert.equal((await thief.message("refused")).code, "name-taken");
  const back = await FakeAgent.online(relay.tunnelUrl, [
    { id: "s9", kind: "http", port: 3000, name: "demo", secret: grant.secret, publicPort: port },
  ]);
  assert.equal(back.grants[0]?.url, grant.url);
  assert.equal((await get(port)).status, 200);
  assert.deepEqual((await back.agent.exchange()).values("portlight-share"), ["s9"]);
  thief.cut("fin");
});

test("a restarted relay gives the same name and port to who asks for them", async (t) => {
  const { relay, agent, grant, port } = await shared(t);
  await relay.close(0);
  await until(() => agent.over, "the end of the tunnel");
  const { relay: next } = await relayFor(t);
  const back = await FakeAgent.online(next.tunnelUrl, [
    { id: "s1", kind: "http", port: 3000, name: grant.name, secret: grant.secret, publicPort: port },
  ]);
  const [again] = back.grants;
  assert.deepEqual([again?.url, again?.secret], [grant.url, grant.secret]);
});

test("the newest session with the secret has the name, and the old one cannot take it down", async (t) => {
  const { relay, agent, grant, port } = await shared(t);
  agent.handler = (exchange) => exchange.stream.sendHead([{ name: ":status", value: "200" }], false);
  const open = get(port);
  const running = await agent.exchange();
  const { agent: newer } = await FakeAgent.online(relay.tunnelUrl, [
    { id: "n", kind: "http", port: 3000, name: "demo", secret: grant.secret },
  ]);
  assert.equal((await agent.message("unshared")).id, "s1");
  running.stream.sendData(Buffer.from("finished"), true);
  assert.equal((await open).body, "finished", "what was open in the old tunnel ends well");
  agent.send({ type: "unshare", id: "s1" });
  agent.cut("rst");
  assert.equal((await get(port)).body, "ok");
  assert.equal(newer.exchanges.length, 1);
});

test("unshare is at once a 404, and the port is closed", async (t) => {
  const { mainPort, agent, port } = await shared(t);
  agent.send({ type: "unshare", id: "s1" });
  await agent.message("unshared");
  assert.equal((await get(mainPort, "/", { host: "demo.localhost" })).status, 404);
  await assert.rejects(get(port), { code: "ECONNREFUSED" });
});

test("fifty at once want one name: one has it", async (t) => {
  const { relay } = await relayFor(t);
  const agents = await Promise.all(Array.from({ length: 10 }, () => FakeAgent.dial(relay.tunnelUrl)));
  for (const agent of agents) {
    agent.hello(
      Array.from({ length: 5 }, (_, index) => ({ id: `s${index}`, kind: "http" as const, port: 1, name: "wanted" })),
    );
  }
  const welcomes = await Promise.all(agents.map((agent) => agent.message("welcome")));
  assert.equal(welcomes.flatMap((welcome) => welcome.shares).length, 1);
  await until(() => agents.flatMap((agent) => agent.messages).length === 49, "49 refusals");
  for (const agent of agents) agent.cut("fin");
});

test("who may share", async (t) => {
  const { relay } = await relayFor(t, { tokenDigests: [hex("right"), hex("also right")] });
  for (const token of [undefined, "wrong", ""]) {
    const agent = await FakeAgent.dial(relay.tunnelUrl);
    agent.hello([], token);
    const refused = await agent.message("refused");
    assert.equal(refused.code, "unauthorized");
    assert.equal(refused.id, undefined);
    await until(() => agent.over, "the end of the session");
  }
  await FakeAgent.online(relay.tunnelUrl, [], { token: "also right" });
  const old = await FakeAgent.dial(relay.tunnelUrl);
  old.hello([], "right", 2);
  assert.equal((await old.message("refused")).code, "version");
  const rude = await FakeAgent.dial(relay.tunnelUrl);
  rude.send({ type: "draining" });
  assert.equal((await rude.message("refused")).code, "protocol");
});

test("shares one by one, and what is refused of them", async (t) => {
  const { relay } = await relayFor(t);
  const { agent } = await FakeAgent.online(relay.tunnelUrl, []);
  const share = (more: object): void =>
    agent.send({ type: "share", share: { id: "a", kind: "http", port: 1, ...more } });
  share({});
  const { share: grant } = await agent.message("shared");
  assert.match(grant.name, /^[a-z2-7]{13}$/);
  const cases: [object, string][] = [
    [{}, "protocol"],
    [{ id: "b", name: "www" }, "name-invalid"],
    [{ id: "b", name: "-a" }, "name-invalid"],
    [{ id: "b", name: "a.b" }, "name-invalid"],
    [{ id: "b", name: "\u0430bc" }, "name-invalid"],
    [{ id: "b", name: "c", secret: "short" }, "name-invalid"],
    [{ id: "b", reach: "lan" }, "unsupported"],
    [{ id: "b", name: grant.name, secret: grant.secret, kind: "tcp" }, "name-taken"],
  ];
  for (const [more, code] of cases) {
    share(more);
    assert.equal((await agent.message("refused")).code, code, JSON.stringify(more));
  }
});

test("TCP shares: octets, half-close and resets pass both ways", async (t) => {
  const { relay } = await relayFor(t);
  const { agent, grants } = await FakeAgent.online(relay.tunnelUrl, [{ id: "t", kind: "tcp", port: 5432 }]);
  const grant = grants[0];
  assert.ok(grant?.publicPort !== undefined);
  assert.equal(grant.url, `tcp://127.0.0.1:${grant.publicPort}`);
  agent.handler = (exchange) => exchange.stream.sendHead([{ name: ":status", value: "200" }], false);

  const socket = connect({ port: grant.publicPort, host: "127.0.0.1", allowHalfOpen: true });
  socket.end("question");
  const exchange = await agent.exchange();
  assert.equal(exchange.value(":method"), "CONNECT");
  assert.equal(exchange.value(":protocol"), undefined);
  assert.equal(exchange.value("portlight-share"), "t");
  await exchange.ended;
  assert.equal(exchange.body, "question");
  exchange.stream.sendData(Buffer.from("answer after your end"), true);
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(socket, "end");
  assert.equal(text, "answer after your end");

  const visitorResets = connect({ port: grant.publicPort, host: "127.0.0.1" });
  visitorResets.write("x");
  const second = await agent.exchange(2);
  await until(() => second.body === "x", "the octet");
  visitorResets.resetAndDestroy();
  await second.cut;

  const serviceResets = connect({ port: grant.publicPort, host: "127.0.0.1" });
  serviceResets.on("error", () => undefined);
  const third = await agent.exchange(3);
  third.stream.reset({ by: "service", code: "closed", message: "reset" });
  const [error] = (await once(serviceResets, "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNRESET");

  agent.handler = (refusing) => refusing.respond(502, "nothing listens there");
  const refused = connect({ port: grant.publicPort, host: "127.0.0.1" });
  let received = "";
  refused.on("data", (chunk: Buffer) => (received += chunk.toString()));
  await once(refused, "error");
  assert.equal(received, "");
});

test("a TCP share without its agent refuses by a reset, and takes the same port up again", async (t) => {
  const { relay } = await relayFor(t);
  const share = { id: "t", kind: "tcp", port: 5432 } as const;
  const { agent, grants } = await FakeAgent.online(relay.tunnelUrl, [share]);
  const [grant] = grants;
  assert.ok(grant?.publicPort !== undefined);
  const port = grant.publicPort;
  agent.cut("fin");
  await until(() => agent.over, "the end of the tunnel");
  const early = connect({ port, host: "127.0.0.1" });
  const [error] = (await once(early, "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNRESET");
  const back = await FakeAgent.online(relay.tunnelUrl, [{ ...share, name: grant.name, secret: grant.secret }]);
  assert.equal(back.grants[0]?.url, grant.url);
  connect({ port, host: "127.0.0.1" }).end("x");
  await (
    await back.agent.exchange()
  ).ended;
  assert.equal(back.agent.exchanges[0]?.body, "x");
  back.agent.cut("fin");
});

test("a session has at most 256 shares", async (t) => {
  const { relay } = await relayFor(t, { mode: "remote", domain: "relay.test" });
  const many = Array.from({ length: 256 }, (_, index) => ({ id: `s${index}`, kind: "http" as const, port: 1 }));
  const { agent, grants } = await FakeAgent.online(relay.tunnelUrl, many);
  assert.equal(new Set(grants.map((grant) => grant.url)).size, 256);
  agent.send({ type: "share", share: { id: "more", kind: "http", port: 1 } });
  assert.equal((await agent.message("refused")).code, "limit");
  agent.send({ type: "unshare", id: "s7" });
  await agent.message("unshared");
  agent.send({ type: "share", share: { id: "more", kind: "http", port: 1 } });
  assert.equal((await agent.message("shared")).share.id, "more");
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

test("close lets what is open finish, and then nothing is left", async (t) => {
  const { relay, agent, port } = await shared(t);
  agent.handler = (exchange) => exchange.stream.sendHead([{ name: ":status", value: "200" }], false);
  const open = get(port);
  const exchange = await agent.exchange();
  const closed = relay.close(5000);
  await agent.message("draining");
  await assert.rejects(get(port), { code: "ECONNREFUSED" });
  exchange.stream.sendData(Buffer.from("the end"), true);
  assert.equal((await open).body, "the end");
  await closed;
  await until(() => agent.over, "the end of the tunnel");
});

test("close does not wait longer than it was told, and what is cut is an error", async (t) => {
  const { relay, agent, port } = await shared(t);
  agent.handler = (exchange) => {
    exchange.stream.sendHead([{ name: ":status", value: "200" }], false);
    exchange.stream.sendData(Buffer.from("half"), false);
  };
  const open = get(port);
  const outcome = assert.rejects(open);
  await agent.exchange();
  const before = performance.now();
  await relay.close(100);
  assert.ok(performance.now() - before < 2000);
  await outcome;
});

test("options that would be unsafe are refused", async () => {
  const cases: Partial<RelayOptions>[] = [
    { mode: "remote", domain: "a.test", tunnelListen: { host: "0.0.0.0", port: 0 }, tokenDigests: [hex("x")] },
    { mode: "remote", domain: "a.test", tls: { cert: "", key: "" }, tunnelListen: { host: "0.0.0.0", port: 0 } },
    { tunnelListen: { host: "192.168.1.1", port: 0 } },
    { tokenDigests: ["secret"] },
    { domain: "A.test" },
  ];
  for (const options of cases) await assert.rejects(startRelay({ ...LOCAL, ...options }), RelayOptionsError);
});
