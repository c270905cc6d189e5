import { strict as assert } from "node:assert";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "node:test";
import { silentLogger } from "../wire/logger.ts";
import { until } from "../test/support/time.ts";
import { createAgent } from "./agent.ts";
import type { Agent, ShareInfo, ShareOptions } from "./options.ts";
import { RelayDouble } from "./support/relay-double.ts";
import type { RelayDoubleOptions } from "./support/relay-double.ts";

const welcomed: NonNullable<RelayDoubleOptions["onHello"]> = (_hello, shares) => ({
  type: "welcome",
  version: 1,
  relay: "double/1",
  links: 4,
  shares,
});

describe("two links to a relay", () => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function start(options: RelayDoubleOptions = {}): Promise<RelayDouble> {
    const relay = await RelayDouble.start({ onHello: welcomed, ...options });
    closing.push(() => relay.stop());
    return relay;
  }

  /** With every state its first share has been in, and what was said of it first. */
  function make(): { agent: Agent; states: string[]; seen: ShareInfo[] } {
    const agent = createAgent({ log: silentLogger });
    closing.push(() => agent.close());
    const states: string[] = [];
    const seen: ShareInfo[] = [];
    agent.onChange(() => {
      const [share] = agent.shares;
      const state = share?.state ?? "gone";
      if (states.at(-1) === state) return;
      states.push(state);
      if (share !== undefined) seen.push(share);
    });
    return { agent, states, seen };
  }

  const at = (relay: RelayDouble, more: Partial<ShareOptions> = {}): ShareOptions => ({
    port: 9,
    kind: "http",
    relay: { url: relay.url, links: 2 },
    ...more,
  });

  const becomes = (agent: Agent, matches: (share: ShareInfo) => boolean): Promise<unknown> =>
    until(8_000, "the state", () => agent.shares.some(matches));

  it("the first asks, the second joins with name and secret, as the same instance", async () => {
    const relay = await start();
    const { agent, states } = make();
    const { info, secret } = await agent.share(at(relay));
    await relay.opened(2);
    const [first, second] = relay.sessions.map(({ hello }) => hello);
    assert.match(first?.instance ?? "", /^[A-Za-z0-9_-]{22}$/);
    assert.equal(second?.instance, first?.instance);
    assert.deepEqual(first?.shares, [{ id: info.id, kind: "http", port: 9 }]);
    const joining = { id: info.id, kind: "http", port: 9, name: info.name, secret, publicPort: 41_000 };
    assert.deepEqual(second?.shares, [joining]);
    // A further share: asked for once, then joined.
    const more = await agent.share(at(relay, { port: 10 }));
    const asked = (): readonly unknown[] =>
      relay.sessions.flatMap(({ messages }) =>
        messages.flatMap((message) => (message.type === "share" ? [message] : [])),
      );
    await until(8_000, "both questions", () => asked().length === 2);
    assert.deepEqual(asked(), [
      { type: "share", share: { id: more.info.id, kind: "http", port: 10 } },
      {
        type: "share",
        share: { ...joining, id: more.info.id, port: 10, name: more.info.name, secret: more.secret },
      },
    ]);
    assert.deepEqual(states, ["connecting", "online"]);
    // Another agent is another instance.
    await make().agent.share(at(relay));
    assert.notEqual(relay.session.hello.instance, first.instance);
  });

  it("a relay that says nothing of links gets one, and one link is the default on this machine", async () => {
    const old = await start({
      onHello: (_hello, shares) => ({ type: "welcome", version: 1, relay: "old/1", shares }),
    });
    const { agent } = make();
    await agent.share(at(old));
    await agent.share(at(old, { port: 10 }));
    const near = await start();
    await agent.share(at(near, { relay: { url: near.url } }));
    // A further dial would have come before the answer to this.
    await agent.share(at(near, { relay: { url: near.url }, port: 10 }));
    assert.deepEqual([old.sessions.length, near.sessions.length], [1, 1]);
  });

  it("one is lost: the share stays online, new exchanges come on the other, and it is dialled again at once", async () => {
    const relay = await start();
    const { agent, states } = make();
    await agent.share(at(relay));
    await relay.opened(2);
    for (const lost of [0, 1, 3]) {
      const count = relay.sessions.length;
      const from = performance.now();
      relay.sessions[lost]?.socket.resetAndDestroy();
      await relay.opened(count + 1);
      if (lost === 0) assert.ok(performance.now() - from < 1_000, "the first wait is 250 ms at most");
      await becomes(agent, ({ state, rttMs }) => state === "online" && rttMs !== undefined);
    }
    assert.deepEqual(states, ["connecting", "online"]);
  });

  it("both are lost: one dials, and the other follows its welcome", async () => {
    const relay = await start();
    const { agent, states, seen } = make();
    const { info } = await agent.share(at(relay));
    await relay.opened(2);
    for (const { socket } of relay.sessions.slice()) socket.resetAndDestroy();
    await relay.opened(4);
    await becomes(agent, ({ state }) => state === "online");
    assert.deepEqual(states, ["connecting", "online", "reconnecting", "online"]);
    // It lasts for as little as a millisecond: the first wait is random.
    const lost = seen.find(({ state }) => state === "reconnecting");
    assert.equal(lost?.problem?.code, "closed");
    assert.ok(lost.retryAt !== undefined && lost.retryAt <= Date.now() + 600);
    for (const { hello } of relay.sessions.slice(2)) assert.equal(hello.shares[0]?.name, info.name);
  });

  it("the relay drains: nothing changes for the user, and the old links serve until they close", async () => {
    const service = http.createServer((_request, response) => response.end("served"));
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    closing.push(async () => {
      service.closeAllConnections();
      await new Promise((resolve) => service.close(resolve));
    });
    const relay = await start();
    const { agent, states } = make();
    const { info } = await agent.share(at(relay, { port: (service.address() as AddressInfo).port }));
    await relay.opened(2);
    const former = relay.sessions.slice();
    for (const session of former) session.send({ type: "draining" });
    const visitor = relay.exchange(info.id, {});
    assert.equal((await visitor.over()).text, "served", "on a link that retires");
    await relay.opened(4);
    for (const { socket } of former) socket.destroy();
    await until(8_000, "the end of the former links", () => former.every(({ socket }) => socket.destroyed));
    const again = relay.exchange(info.id, {});
    assert.equal((await again.over()).text, "served");
    assert.deepEqual(states, ["connecting", "online"]);
  });

  it("the relay drains and is gone: then the share is not reachable", async () => {
    const relay = await start();
    const { agent, states } = make();
    await agent.share(at(relay));
    await relay.opened(2);
    for (const session of relay.sessions) session.send({ type: "draining" });
    await relay.stop();
    await becomes(agent, ({ state, problem }) => state === "reconnecting" && problem?.code === "unreachable");
    assert.deepEqual(states, ["connecting", "online", "reconnecting"]);
  });

  it("the second is refused: the log knows, the share is online", async () => {
    let hellos = 0;
    const relay = await start({
      onHello: (hello, shares) =>
        ++hellos === 2
          ? { type: "refused", id: hello.shares[0]?.id ?? "", code: "limit", message: "One is enough." }
          : { type: "welcome", version: 1, relay: "double/1", links: 2, shares },
    });
    const { agent, states } = make();
    const { info } = await agent.share(at(relay));
    await relay.opened(2);
    await agent.share(at(relay, { port: 10 }));
    assert.equal(agent.shares[0]?.state, "online");
    assert.deepEqual(states, ["connecting", "online"]);
    // What holds it is lost: then it matters.
    relay.sessions[0]?.socket.resetAndDestroy();
    await relay.opened(3);
    await becomes(agent, ({ id, state }) => id === info.id && state === "online");
  });

  it("unshare is said on both, and waits for one of them; a name taken over is refused once", async () => {
    const relay = await start();
    const { agent } = make();
    const { info } = await agent.share(at(relay));
    const other = await agent.share(at(relay, { port: 10 }));
    await relay.opened(2);
    const joined = (): boolean => relay.sessions[1]?.messages.length !== 1 || relay.session.hello.shares.length === 2;
    await until(8_000, "the second link", joined);
    await agent.unshare(info.id);
    const said = (): number =>
      relay.sessions.filter(({ messages }) => messages.some(({ type }) => type === "unshare")).length;
    await until(8_000, "the word on both", () => said() === 2);
    for (const session of relay.sessions) session.send({ type: "unshared", id: other.info.id });
    await becomes(agent, ({ id, state }) => id === other.info.id && state === "refused");
  });
});
