import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { silentLogger } from "../wire/logger.ts";
import { FakeAgent, until } from "../test/support/fake-agent.ts";
import type { TestExchange } from "../test/support/fake-agent.ts";
import { startRelay } from "./relay.ts";

async function shared(t: TestContext): Promise<{ agent: FakeAgent; port: number }> {
  const relay = await startRelay({
    mode: "local",
    listen: { host: "127.0.0.1", port: 0 },
    tunnelListen: { host: "127.0.0.1", port: 0 },
    domain: "localhost",
    allowLan: false,
    log: silentLogger,
  });
  t.after(() => relay.close(0));
  const { agent, grants } = await FakeAgent.online(relay.tunnelUrl, [{ id: "s", kind: "http", port: 3000 }]);
  return { agent, port: grants[0]?.publicPort ?? 0 };
}

const MIB = 1024 * 1024;

/** Sends `chunks` one after the other, each when the one before has left: what a join does. */
function pour(exchange: TestExchange, chunk: Uint8Array, count: number, length = 0): void {
  let left = count;
  const more = (): void => {
    if (left === 0) return;
    left--;
    exchange.stream.sendData(chunk, left === 0);
  };
  const dataSent = exchange.dataSent.bind(exchange);
  let waiting = 0;
  exchange.dataSent = (bytes) => {
    dataSent(bytes);
    waiting += bytes;
    if (waiting >= chunk.length) {
      waiting -= chunk.length;
      more();
    }
  };
  const head = [{ name: ":status", value: "200" }];
  if (length > 0) head.push({ name: "content-length", value: String(length) });
  exchange.stream.sendHead(head, false);
  more();
}

test("a large body passes whole, both ways, in both versions", async (t) => {
  const { agent, port } = await shared(t);
  const chunk = Buffer.alloc(64 * 1024, "0123456789abcdef");
  const size = 16 * MIB;
  const expected = createHash("sha256");
  for (let sent = 0; sent < size; sent += chunk.length) expected.update(chunk);
  const sum = expected.digest("hex");

  agent.handler = (exchange) => pour(exchange, chunk, size / chunk.length, size);
  const request = httpRequest({ port, host: "127.0.0.1", agent: false }).end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const hash = createHash("sha256");
  for await (const piece of response) hash.update(piece as Buffer);
  assert.equal(hash.digest("hex"), sum);

  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  const stream = session.request({ ":path": "/" });
  const hash2 = createHash("sha256");
  for await (const piece of stream) hash2.update(piece as Buffer);
  assert.equal(hash2.digest("hex"), sum);

  for (const version of ["h1", "h2"] as const) {
    const upload = createHash("sha256");
    agent.handler = (exchange) => {
      // What came together with the head.
      upload.update(exchange.body, "latin1");
      exchange.onData = (bytes, end) => {
        upload.update(bytes);
        exchange.body = "";
        if (end) exchange.respond(200, "taken");
      };
    };
    const sink =
      version === "h1"
        ? httpRequest({ port, host: "127.0.0.1", agent: false, method: "PUT" })
        : session.request({ ":method": "PUT" });
    const answered = once(sink, "response");
    for (let sent = 0; sent < size; sent += chunk.length) if (!sink.write(chunk)) await once(sink, "drain");
    sink.end();
    await answered;
    sink.destroy();
    assert.equal(upload.digest("hex"), sum, version);
  }
});

test("a visitor who reads nothing holds up himself, within the windows, and nobody else", async (t) => {
  const { agent, port } = await shared(t);
  const chunk = Buffer.alloc(64 * 1024);
  agent.handler = (exchange) => pour(exchange, chunk, 10_000);
  const slow = connect({ port, host: "127.0.0.1" });
  slow.on("error", () => undefined);
  slow.pause();
  slow.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  const exchange = await agent.exchange();
  // It stops when every window and buffer on the way is full.
  let before = -1;
  await until(() => {
    if (exchange.sent === before && exchange.sent > 0) return true;
    before = exchange.sent;
    return undefined;
  }, "the first stop");
  const others = Array.from({ length: 20 }, async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/other`);
    return answer.text();
  });
  agent.handler = (other) => other.respond(200, "quick");
  assert.ok((await Promise.all(others)).every((text) => text === "quick"));
  assert.ok(exchange.sent < 16 * MIB, `${exchange.sent} octets went to somebody who reads nothing`);
  slow.resetAndDestroy();
  await exchange.cut;
});

test("an upload that is cut is never an end for the service", async (t) => {
  const { agent, port } = await shared(t);
  agent.handler = () => undefined;
  let count = 0;
  for (const head of ["Content-Length: 100", "Transfer-Encoding: chunked"]) {
    for (const how of ["fin", "rst"] as const) {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.on("error", () => undefined);
      socket.write(
        `POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n${head.includes("chunked") ? "4\r\nhalf\r\n" : "half"}`,
      );
      const exchange = await agent.exchange(++count);
      let ended = false;
      void exchange.ended.then(() => (ended = true));
      await until(() => exchange.body === "half", "the half");
      if (how === "fin") socket.end();
      else socket.resetAndDestroy();
      const failure = await exchange.cut;
      assert.ok(!ended, `${head} ${how}: ${failure.code}`);
      socket.destroy();
    }
  }
});

test("thousands of cancelled requests cost who sends them his connection, and others nothing", async (t) => {
  const { agent, port } = await shared(t);
  agent.handler = (exchange) => {
    if (exchange.value(":path") !== "/cancelled") exchange.stream.sendHead([{ name: ":status", value: "200" }], false);
  };
  const steady = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => steady.destroy());
  const stream = steady.request({ ":path": "/steady" });
  await once(stream, "response");
  const steadyExchange = await agent.exchange();
  for (let round = 0; round < 5; round++) {
    const rude = connectHttp2(`http://127.0.0.1:${port}`);
    rude.on("error", () => undefined);
    const closed = new Promise((resolve) => rude.once("close", resolve));
    for (let index = 0; index < 400 && !rude.destroyed && !rude.closed; index++) {
      const request = rude.request({ ":path": "/cancelled" });
      request.on("error", () => undefined);
      request.close(8);
      if (index % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    rude.destroy();
    await closed;
  }
  steadyExchange.stream.sendData(Buffer.from("still here"), true);
  const [data] = (await once(stream, "data")) as [Buffer];
  assert.equal(data.toString(), "still here");
  assert.equal(agent.over, false);
});

test("more requests than the tunnel carries wait, and are answered when there is room", async (t) => {
  const { agent, port } = await shared(t);
  agent.handler = () => undefined;
  // The agent takes 1001 streams, one of them is the control stream; a visitor's connection takes 100.
  const sessions = Array.from({ length: 11 }, () => connectHttp2(`http://127.0.0.1:${port}`));
  t.after(() => sessions.forEach((session) => session.destroy()));
  const statuses: Promise<unknown>[] = [];
  for (let index = 0; index < 1050; index++) {
    const request = sessions[index % sessions.length]?.request({ ":path": "/" });
    assert.ok(request !== undefined);
    statuses.push(once(request, "response").then((args) => (args[0] as IncomingHttpHeaders)[":status"]));
  }
  await agent.exchange(1000);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(agent.exchanges.length, 1000);
  agent.handler = (exchange) => exchange.respond(200, "ok");
  for (const exchange of agent.exchanges.slice()) exchange.respond(200, "ok");
  assert.ok((await Promise.all(statuses)).every((status) => status === 200));
  assert.equal(agent.exchanges.length, 1050);
});
