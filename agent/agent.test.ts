import { strict as assert } from "node:assert";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "node:test";
import type { ExchangeTap, Tap } from "../capture/tap.ts";
import { silentLogger } from "../wire/logger.ts";
import { createAgent, ShareError } from "./agent.ts";
import type { Agent, AgentOptions, ShareInfo, ShareOptions } from "./options.ts";
import { OPEN, RelayDouble } from "./support/relay-double.ts";
import type { RelayDoubleOptions } from "./support/relay-double.ts";
import { WakeWatch } from "./wake.ts";

describe("the agent and its relay", () => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function start(options: RelayDoubleOptions = {}): Promise<RelayDouble> {
    const relay = await RelayDouble.start(options);
    closing.push(() => relay.stop());
    return relay;
  }

  function make(options: Partial<AgentOptions> = {}): Agent {
    const agent = createAgent({ log: silentLogger, ...options });
    closing.push(() => agent.close());
    return agent;
  }

  async function service(listener: http.RequestListener): Promise<number> {
    const server = http.createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closing.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return (server.address() as AddressInfo).port;
  }

  /** Resolves when the first share is in a state that matches. */
  function shareBecomes(agent: Agent, matches: (share: ShareInfo) => boolean): Promise<ShareInfo> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Still ${JSON.stringify(agent.shares)}`)), 8_000);
      const look = (): void => {
        const share = agent.shares[0];
        if (share === undefined || !matches(share)) return;
        clearTimeout(timer);
        stop();
        resolve(share);
      };
      const stop = agent.onChange(look);
      look();
    });
  }

  const at = (relay: RelayDouble, more: Partial<ShareOptions> = {}): ShareOptions => ({
    port: 9,
    kind: "http",
    relay: { url: relay.url },
    ...more,
  });

  it("refuses options that are wrong, saying what to change", async () => {
    const agent = make({ forbiddenPorts: [41_000] });
    const relay = { url: "tcp://127.0.0.1:4443" };
    const table: [Partial<ShareOptions>, RegExp][] = [
      [{ port: 0 }, /from 1 to 65535/],
      [{ port: 65_536 }, /from 1 to 65535/],
      [{ port: 1.5 }, /from 1 to 65535/],
      [{ port: Number.NaN }, /from 1 to 65535/],
      [{ port: "80" as unknown as number }, /from 1 to 65535/],
      [{ port: 41_000 }, /Portlight's own/],
      [{ port: 4443 }, /relay listens/],
      [{ host: "example.com" }, /only localhost/],
      [{ host: "169.254.169.254" }, /only localhost/],
      [{ host: "0.0.0.0" }, /only localhost/],
      [{ host: "127.0.0.1.evil.test" }, /only localhost/],
      [{ host: "127.0.0.256" }, /only localhost/],
      [{ host: "localhost." }, /only localhost/],
      [{ name: "-x" }, /1 to 63/],
      [{ name: "Ab" }, /1 to 63/],
      [{ publicPort: 70_000 }, /1 to 65535/],
      [{ kind: "udp" as "tcp" }, /kind/],
      [{ relay: { url: "tcp://relay.example.com:4443" } }, /not encrypted/],
      [{ relay: { url: "https://relay.example.com" } }, /must look like/],
      [{ relay: { ...relay, links: 5 } }, /1 to 4/],
    ];
    for (const [options, message] of table)
      await assert.rejects(
        agent.share({ port: 8080, kind: "http", relay, ...options }),
        (error) => error instanceof ShareError && error.code === "invalid" && message.test(error.message),
        JSON.stringify(options),
      );
    assert.deepEqual(agent.shares, []);
  });

  it("says hello once with what the relay needs, and opens one session for all shares of a relay", async () => {
    const relay = await start();
    const agent = make();
    const first = await agent.share(at(relay, { name: "my-app", secret: "s3cret", reach: "lan" }));
    const second = await agent.share(at(relay, { port: 10, kind: "tcp" }));
    assert.equal(relay.sessions.length, 1);
    const { hello } = relay.session;
    assert.equal(hello.version, 1);
    assert.equal(hello.token, undefined);
    assert.deepEqual(hello.shares, [
      { id: first.info.id, kind: "http", port: 9, name: "my-app", secret: "s3cret", reach: "lan" },
    ]);
    assert.equal(first.secret, "secret-of-my-app");
    assert.equal(first.info.url, "https://my-app.example.com");
    assert.equal(first.info.state, "online");
    assert.equal(second.info.kind, "tcp");
    const other = await agent.share(at(relay, { port: 11, relay: { url: relay.url, token: "t" } }));
    assert.equal(relay.sessions.length, 2);
    assert.equal(relay.session.hello.token, "t");
    assert.equal(agent.shares.length, 3);
    await agent.unshare(other.info.id);
    await agent.unshare(second.info.id);
    assert.deepEqual(
      agent.shares.map(({ id }) => id),
      [first.info.id],
    );
  });

  it("comes back with the same share when the tunnel is cut", async () => {
    const relay = await start();
    const agent = make();
    const { info } = await agent.share(at(relay));
    relay.session.socket.resetAndDestroy();
    const lost = await shareBecomes(agent, ({ state }) => state === "reconnecting");
    assert.equal(lost.url, info.url);
    assert.ok(lost.retryAt !== undefined && lost.retryAt <= Date.now() + 300);
    assert.equal(lost.problem?.code, "closed");
    await relay.opened(2);
    assert.deepEqual(relay.session.hello.shares, [
      { id: info.id, kind: "http", port: 9, name: info.name, secret: `secret-of-${info.name}`, publicPort: 41_000 },
    ]);
    const back = await shareBecomes(agent, ({ state }) => state === "online");
    assert.equal(back.problem, undefined);
    assert.equal(back.retryAt, undefined);
  });

  it("is back within 3 s of the relay's return", async () => {
    const relay = await start();
    const agent = make();
    await agent.share(at(relay));
    const { port } = relay;
    await relay.stop();
    // Several dials meet nobody.
    let dials = 0;
    const stop = agent.onChange(() => (dials += 1));
    while (dials < 5) await shareBecomes(agent, ({ problem }) => problem?.code === "unreachable" && dials >= 5);
    stop();
    const again = await start({ port });
    const from = performance.now();
    await again.opened(1, 3_000);
    assert.ok(performance.now() - from < 3_000);
    await shareBecomes(agent, ({ state }) => state === "online");
  });

  it("keeps dialling a relay that is not there, until the signal ends the wait", async () => {
    const relay = await start();
    const options = at(relay);
    await relay.stop();
    const agent = make();
    const aborting = new AbortController();
    const shared = agent.share(options, aborting.signal);
    const waiting = await shareBecomes(agent, ({ problem }) => problem !== undefined);
    assert.equal(waiting.state, "connecting");
    assert.equal(waiting.problem?.code, "unreachable");
    aborting.abort(new Error("enough"));
    await assert.rejects(shared, /enough/);
    assert.deepEqual(agent.shares, []);
  });

  it("gives up for good when the relay refuses, and says why", async () => {
    for (const code of ["unauthorized", "version", "protocol"] as const) {
      const relay = await start({ onHello: () => ({ type: "refused", code, message: "Not you." }) });
      const agent = make();
      await assert.rejects(
        agent.share(at(relay)),
        (error) => error instanceof ShareError && error.code === code && error.message.includes("Not you"),
      );
      assert.deepEqual(agent.shares, []);
      assert.equal(relay.sessions.length, 1);
    }
  });

  it("refuses one share and keeps the others", async () => {
    const relay = await start({
      onHello: ({ shares }, grants) =>
        shares[0]?.name === "taken"
          ? { type: "refused", id: shares[0].id, code: "name-taken", message: "Somebody has it." }
          : { type: "welcome", version: 1, relay: "double", shares: grants },
    });
    const agent = make();
    await assert.rejects(agent.share(at(relay, { name: "taken" })), { code: "name-taken" });
    await agent.share(at(relay, { name: "free" }));
    assert.deepEqual(
      agent.shares.map(({ name }) => name),
      ["free"],
    );
  });

  it("tries again where the refusal passes", async () => {
    let hellos = 0;
    const relay = await start({
      onHello: (_hello, shares) =>
        ++hellos === 1
          ? { type: "refused", code: "limit", message: "Full." }
          : { type: "welcome", version: 1, relay: "double", shares },
    });
    const { info } = await make().share(at(relay));
    assert.equal(info.state, "online");
    assert.equal(hellos, 2);
  });

  it("leaves a share that the relay ends, refused", async () => {
    const relay = await start();
    const agent = make();
    const { info } = await agent.share(at(relay));
    relay.session.send({ type: "unshared", id: info.id });
    const ended = await shareBecomes(agent, ({ state }) => state === "refused");
    assert.match(ended.problem?.message ?? "", /ended the share/);
  });

  it("ends a session whose first stream is not the control stream", async () => {
    const relay = await start({
      firstRequest: [
        { name: ":method", value: "GET" },
        { name: ":scheme", value: "http" },
        { name: ":authority", value: "x" },
        { name: ":path", value: "/" },
      ],
    });
    const agent = make();
    const shared = agent.share(at(relay));
    shared.catch(() => undefined);
    const { problem } = await shareBecomes(agent, (share) => share.problem !== undefined);
    assert.equal(problem?.code, "malformed");
    assert.equal(relay.sessions.length, 0);
  });

  it("finishes what is open when the relay drains, and dials at once", async () => {
    const answers: http.ServerResponse[] = [];
    const port = await service((_request, response) => {
      response.write("first ");
      answers.push(response);
    });
    const relay = await start();
    const agent = make();
    const { info } = await agent.share(at(relay, { port }));
    const visitor = relay.exchange(info.id, {});
    await visitor.until(({ text }) => text === "first ");
    relay.session.send({ type: "draining" });
    await relay.opened(2);
    answers[0]?.end("second");
    await visitor.over();
    assert.equal(visitor.text, "first second");
    assert.equal(visitor.failure, undefined);
  });

  it("drains on unshare and close, and cuts what takes longer", async () => {
    const answers: http.ServerResponse[] = [];
    const port = await service((_request, response) => {
      response.write("first ");
      answers.push(response);
    });
    const relay = await start();
    const agent = make();
    const { info } = await agent.share(at(relay, { port }));
    await agent.share(at(relay, { port: 10 }));
    const graceful = relay.exchange(info.id, {});
    await graceful.until(({ text }) => text !== "");
    const unshared = agent.unshare(info.id, 5_000);
    await relay.message("unshare");
    assert.equal((await relay.exchange(info.id, {}).over()).status, "404");
    answers[0]?.end("second");
    await unshared;
    assert.equal((await graceful.over()).text, "first second");

    const again = await agent.share(at(relay, { port }));
    const cut = relay.exchange(again.info.id, {});
    await cut.until(({ text }) => text !== "");
    const closed = agent.close(50);
    await relay.message("draining");
    await closed;
    await cut.over();
    assert.equal(cut.ended, false);
    assert.notEqual(cut.failure, undefined);
    assert.deepEqual(agent.shares, []);
    await assert.rejects(agent.share(at(relay)), { code: "ended" });
  });

  it("counts, and tells the tap what passed without the reserved fields", async () => {
    const seen: string[] = [];
    const tapped: ExchangeTap = {
      headReceived: (fields) => seen.push(`head ${fields[0]?.value ?? ""}`),
      dataReceived: (side, bytes, end) => seen.push(`${side} ${bytes.length}${end ? " end" : ""}`),
      trailersReceived: () => seen.push("trailers"),
      ended: () => seen.push("ended"),
      failed: () => seen.push("failed"),
    };
    const tap: Tap = {
      opened(share, fields) {
        assert.ok(fields.every(({ name }) => !name.startsWith("portlight-")));
        // As the visitor sent it: not yet rewritten.
        assert.ok(fields.some(({ name, value }) => name === ":authority" && value === "bold-otter.example.com"));
        seen.push(`opened ${share.port} ${share.name}`);
        return tapped;
      },
    };
    const port = await service((request, response) => {
      request.resume();
      request.on("end", () => response.end("answer"));
    });
    const relay = await start();
    const agent = make({ tap });
    const { info } = await agent.share(at(relay, { port, name: "counted" }));
    const visitor = relay.exchange(info.id, { ":method": "POST" }, OPEN);
    visitor.send("123");
    visitor.send("4567", true);
    await visitor.over();
    const counted = await shareBecomes(agent, ({ exchanges, openExchanges }) => exchanges === 1 && openExchanges === 0);
    assert.equal(counted.visitorBytes, 7);
    assert.equal(counted.serviceBytes, 6);
    assert.ok(counted.rttMs !== undefined && counted.rttMs < 5_000);
    assert.equal(seen[0], `opened ${port} counted`);
    assert.ok(seen.includes("head 200"));
    assert.equal(seen.at(-1), "ended");
  });

  it("notices that the machine slept", () => {
    let woke = 0;
    const watch = new WakeWatch(0, () => (woke += 1));
    for (const now of [2_000, 4_000, 7_000, 9_000]) watch.look(now);
    assert.equal(woke, 0);
    watch.look(3_600_000);
    assert.equal(woke, 1);
    watch.look(3_602_000);
    assert.equal(woke, 1);
  });
});
