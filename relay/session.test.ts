import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { silentLogger } from "../wire/logger.ts";
import { FakeAgent, until } from "../test/support/fake-agent.ts";
import type { Lease } from "./lease.ts";
import { Publisher } from "./publisher.ts";
import { Registry } from "./registry.ts";
import { Session } from "./session.ts";

/** A session for whoever dials, driven by the test's own time besides the wheel's. */
async function setUp(t: TestContext, admits = true) {
  const registry = new Registry<Lease>(() => 0);
  const publisher = new Publisher({
    ...{ mode: "local", host: "127.0.0.1", domain: "localhost", allowLan: false, scheme: "http", mainPort: 1 },
    log: silentLogger,
    acceptHttp: (socket) => socket.destroy(),
    acceptTcp: (socket) => socket.destroy(),
  });
  const sessions: Session[] = [];
  const ended: Session[] = [];
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    const host = {
      ...{ registry, publisher, log: silentLogger, relay: "test" },
      authorised: () => true,
      admits: () => admits,
      sessionEnded: (session: Session) => ended.push(session),
    };
    sessions.push(new Session(socket, host));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  t.after(() => {
    publisher.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const session = (): Promise<Session> => until(() => sessions[0], "the session");
  return { registry, port, session, ended };
}

test("who says nothing for ten seconds is disconnected", async (t) => {
  const { port, session, ended } = await setUp(t);
  const silent = connect({ port, host: "127.0.0.1" });
  silent.on("error", () => undefined).resume();
  const closed = new Promise((resolve) => silent.once("close", resolve));
  const it = await session();
  it.tick(1_000_000);
  it.tick(1_009_999);
  assert.equal(ended.length, 0);
  it.tick(1_010_000);
  assert.deepEqual(ended, [it]);
  await closed;
});

test("an agent that connects and says no hello is disconnected, one that said it is not", async (t) => {
  for (const hello of [false, true]) {
    const { port, session, ended } = await setUp(t);
    const agent = await FakeAgent.dial(`tcp://127.0.0.1:${port}`);
    const it = await session();
    if (hello) {
      agent.hello([]);
      await agent.message("welcome");
    }
    it.tick(1_000_000);
    it.tick(1_010_000);
    assert.equal(ended.length, hello ? 0 : 1);
    agent.cut("fin");
  }
});

test("what speaks another protocol costs its socket", async (t) => {
  for (const text of ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x16\x03\x01\x00\x05hello", "SSH-2.0-x\r\n".repeat(20)]) {
    const { port, ended } = await setUp(t);
    const socket = connect({ port, host: "127.0.0.1" });
    socket.on("error", () => undefined).resume();
    socket.write(text);
    await new Promise((resolve) => socket.once("close", resolve));
    await until(() => ended.length === 1, "the end of the session");
  }
});

test("a full relay says so; an agent that drains gives its names up but ends what is open", async (t) => {
  const full = await setUp(t, false);
  const refused = await FakeAgent.dial(`tcp://127.0.0.1:${full.port}`);
  refused.hello([]);
  assert.equal((await refused.message("refused")).code, "limit");

  const { registry, port, session, ended } = await setUp(t);
  const { agent } = await FakeAgent.online(`tcp://127.0.0.1:${port}`, [
    { id: "a", kind: "http", port: 1, name: "demo" },
  ]);
  assert.ok(registry.find("demo")?.holder);
  agent.send({ type: "draining" });
  await until(() => registry.find("demo")?.holder === undefined, "the release");
  assert.equal(ended.length, 0);
  (await session()).close();
  await until(() => agent.over, "the end");
  assert.equal(ended.length, 1);
});
