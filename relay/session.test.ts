import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { silentLogger } from "../wire/logger.ts";
import { FakeAgent, until } from "../test/support/fake-agent.ts";
import { Guesses } from "./guesses.ts";
import type { Lease } from "./lease.ts";
import { Publisher } from "./publisher.ts";
import { Registry } from "./registry.ts";
import { Session } from "./session.ts";
import { WaitingRoom } from "./waiting.ts";

/** A session for whoever dials, driven by the test's own time besides the wheel's. */
async function setUp(t: TestContext, admits = true, delays = true) {
  const registry = new Registry<Lease>(() => 0);
  const publisher = new Publisher({
    ...{ mode: "local", host: "127.0.0.1", domain: "localhost", allowLan: false, scheme: "http", mainPort: 1 },
    log: silentLogger,
    acceptHttp: (socket) => socket.destroy(),
    acceptTcp: (socket) => socket.destroy(),
  });
  const room = new WaitingRoom({ now: () => 0, returnMs: 1 });
  const sessions: Session[] = [];
  const ended: Session[] = [];
  const tokens = new Guesses(() => 0, { limit: 1 });
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    const host = {
      ...{ registry, publisher, room, log: silentLogger, relay: "test" },
      tokens,
      claims: new Guesses(() => 0, { limit: 2 }),
      authorised: (token: string | undefined) => token !== "wrong",
      admits: () => admits,
      delays: () => delays,
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
  return { registry, room, port, session, sessions, ended };
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

test("after too many wrong tokens the answer comes late, and no token is looked at but one that was right before", async (t) => {
  for (const delays of [true, false]) {
    const { port, sessions, ended } = await setUp(t, true, delays);
    const url = `tcp://127.0.0.1:${port}`;
    const says = async (token: string): Promise<FakeAgent> => {
      const agent = await FakeAgent.dial(url);
      agent.hello([], token);
      return agent;
    };
    await (await says("right")).message("welcome");
    assert.equal((await (await says("wrong")).message("refused")).code, "unauthorized");
    await (await says("right")).message("welcome");
    const other = await says("also right, had anybody looked");
    if (delays) {
      const session = await until(() => sessions.find(({ delayed }) => delayed), "the delay");
      session.tick(1_000_000);
      session.tick(1_004_999);
      assert.deepEqual(other.messages, []);
      session.tick(1_005_000);
    }
    assert.equal((await other.message("refused")).code, "limit");
    await until(() => ended.length === 2, "the end of both that were refused");
  }
});

test("after too many names of others no further one is looked at; what the agent has it keeps", async (t) => {
  const { port } = await setUp(t);
  const url = `tcp://127.0.0.1:${port}`;
  const share = (name: string, secret?: string) =>
    ({ id: name, kind: "http", port: 1, name, ...(secret === undefined ? {} : { secret }) }) as const;
  const { agent: owner, grants } = await FakeAgent.online(
    url,
    ["a", "b", "c"].map((name) => share(name)),
  );
  const { agent: thief } = await FakeAgent.online(url, []);
  const answers: string[] = [];
  for (const name of ["a", "b", "c", "free"]) {
    thief.send({ type: "share", share: share(name) });
    answers.push((await thief.message("refused")).code);
  }
  assert.deepEqual(answers, ["name-taken", "name-taken", "limit", "limit"]);
  owner.cut("fin");
  const back = await FakeAgent.online(url, [share("a", grants[0]?.secret)]);
  assert.equal(back.grants[0]?.name, "a", "the owner comes back from the same network");
  thief.send({ type: "share", share: { id: "any", kind: "http", port: 1 } });
  await thief.message("shared");
});

test("a full relay says so; an agent that drains gives its names up but ends what is open", async (t) => {
  const full = await setUp(t, false);
  const refused = await FakeAgent.dial(`tcp://127.0.0.1:${full.port}`);
  refused.hello([]);
  assert.equal((await refused.message("refused")).code, "limit");

  const { registry, room, port, session, ended } = await setUp(t);
  const { agent } = await FakeAgent.online(`tcp://127.0.0.1:${port}`, [
    { id: "a", kind: "http", port: 1, name: "demo" },
  ]);
  assert.equal(registry.find("demo")?.holders.length, 1);
  agent.send({ type: "draining" });
  await until(() => registry.find("demo")?.holders.length === 0, "the release");
  assert.equal(room.untilReturn("demo"), undefined, "it left: nobody waits for it");
  assert.equal(ended.length, 0);
  (await session()).close();
  await until(() => agent.over, "the end");
  assert.equal(ended.length, 1);
});

test("a share whose last link is lost is expected back; one that is ended, or whose agent ends in order, is not", async (t) => {
  const cases: readonly [string, (agent: FakeAgent) => void, boolean][] = [
    ["cut", (agent) => agent.cut("fin"), true],
    ["reset", (agent) => agent.cut("rst"), true],
    ["unshare", (agent) => agent.send({ type: "unshare", id: "a" }), false],
    ["draining", (agent) => agent.send({ type: "draining" }), false],
    ["GOAWAY", (agent) => agent.drain(), false],
    ["the end of the control stream", (agent) => agent.end(), false],
  ];
  for (const [how, act, expected] of cases) {
    const { registry, room, port } = await setUp(t);
    const url = `tcp://127.0.0.1:${port}`;
    const { agent, grants } = await FakeAgent.online(url, [{ id: "a", kind: "http", port: 1, name: "demo" }]);
    const record = registry.find("demo");
    assert.ok(record !== undefined);
    assert.equal(record.holders.length, 1);
    act(agent);
    await until(() => record.holders.length === 0, how);
    assert.equal(room.untilReturn("demo") !== undefined, expected, how);
    const back = { id: "a", kind: "http", port: 1, name: "demo", secret: grants[0]?.secret ?? "" } as const;
    await FakeAgent.online(url, [back]);
    assert.equal(room.untilReturn("demo"), undefined, how);
  }
});
