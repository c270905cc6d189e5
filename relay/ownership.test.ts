import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeAgent, until } from "../test/support/fake-agent.ts";
import { get, relayFor, shared } from "../test/support/local-relay.ts";
import type { Answer } from "../test/support/local-relay.ts";
import { digest } from "./names.ts";

const hex = (token: string): string => digest(token).toString("hex");

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
