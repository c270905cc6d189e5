import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CancellationTokenSource, CancellationToken, ResponseError, type MessageConnection } from "vscode-jsonrpc";
import type { ShareInfo, ShareOptions } from "../agent/options.ts";
import { silentLogger } from "../wire/logger.ts";
import { AgentProcess } from "./agent-process.ts";
import { LocalRelay } from "./local-relay.ts";
import { Memory, type SecretStore } from "./memory.ts";
import { newShareInfo, type ShareRequest } from "./share-request.ts";
import { ShareEndedError, Shares } from "./shares.ts";
import { deferred } from "./testing/deferred.ts";
import { FakeChild } from "./testing/fake-child.ts";

class MapSecrets implements SecretStore {
  readonly values = new Map<string, string>();
  get(key: string): Promise<string | undefined> {
    return Promise.resolve(this.values.get(key));
  }
  store(key: string, value: string): Promise<void> {
    this.values.set(key, value);
    return Promise.resolve();
  }
  delete(key: string): Promise<void> {
    this.values.delete(key);
    return Promise.resolve();
  }
}

type Answer = (
  options: ShareOptions,
) => Promise<{ name: string; publicPort: number }> | { name: string; publicPort: number };

/** The extension's side with agents and relays that are played here. */
class Stage {
  readonly secrets = new MapSecrets();
  readonly asked: ShareOptions[] = [];
  readonly unshared: string[] = [];
  readonly agents: FakeChild[] = [];
  readonly relays: FakeChild[] = [];
  readonly relayStarts: { token: string; port: number; tunnelPort: number }[] = [];
  tunnelPort = 5001;
  answer: Answer = ({ name }) => ({ name: name ?? "quiet-otter", publicPort: 41_000 });
  readonly shares: Shares;
  readonly agent: AgentProcess;
  readonly relay: LocalRelay;

  constructor() {
    this.agent = new AgentProcess({
      fork: () => push(this.agents, new FakeChild(1000 + this.agents.length, (inside) => this.#playAgent(inside))),
      configuration: () => ({
        capture: true,
        captureBytes: 1,
        captureExchanges: 1,
        workspaceFolders: [],
        protoRoots: [],
        forbiddenPorts: [],
      }),
      log: silentLogger,
    });
    this.relay = new LocalRelay(
      () => push(this.relays, new FakeChild(2000 + this.relays.length, (inside) => this.#playRelay(inside))),
      silentLogger,
    );
    const memory = new Memory(this.secrets, "file:///workspace");
    this.shares = new Shares({ agent: this.agent.supervisor, relay: this.relay, memory, log: silentLogger });
    this.agent.onSharesChanged((infos) => {
      this.shares.update(infos);
    });
  }

  async close(): Promise<void> {
    await this.agent.supervisor.stop(0);
    await this.relay.supervisor.stop(0);
  }

  #playAgent(inside: MessageConnection): void {
    inside.onRequest("agent/configure", () => null);
    inside.onRequest("agent/unshare", ({ id }: { id: string }) => {
      this.unshared.push(id);
      return null;
    });
    inside.onRequest("agent/share", async (options: ShareOptions) => {
      this.asked.push(options);
      const { name, publicPort } = await this.answer(options);
      const share: ShareInfo = {
        ...newShareInfo(request(options.port)),
        id: `agent${this.agents.length}-share${this.asked.length}`,
        state: "online",
        name,
        publicPort,
        url: `http://127.0.0.1:${publicPort}`,
      };
      return { share, secret: `secret-of-${name}` };
    });
  }

  #playRelay(inside: MessageConnection): void {
    inside.onRequest("relay/start", (params: { token: string; port: number; tunnelPort: number }) => {
      this.relayStarts.push(params);
      return { publicUrl: "http://127.0.0.1:5000", tunnelUrl: `tcp://127.0.0.1:${this.tunnelPort}` };
    });
  }
}

function push<T>(list: T[], item: T): T {
  list.push(item);
  return item;
}

function request(port: number, more: Partial<ShareRequest> = {}): ShareRequest {
  return { port, kind: "http", reach: "loopback", keepHost: false, relay: { kind: "local" }, ...more };
}

function online(stage: Stage, count: number): Promise<void> {
  return new Promise((resolve) => {
    const subscription = stage.shares.onChanged((shares) => {
      if (stage.asked.length < count || !shares.every(({ info }) => info.state === "online")) return;
      subscription.dispose();
      resolve();
    });
  });
}

const { None } = CancellationToken;

describe("shares", () => {
  test("start the relay with a token of 256 bits, and hand it to the agent with the request only", async () => {
    const stage = new Stage();
    const share = await stage.shares.share(request(3000), None);
    assert.equal(share.info.url, "http://127.0.0.1:41000");
    const token = stage.relayStarts[0]?.token ?? "";
    assert.equal(Buffer.from(token, "base64url").length, 32);
    assert.deepEqual(stage.asked, [
      { port: 3000, kind: "http", keepHost: false, reach: "loopback", relay: { url: "tcp://127.0.0.1:5001", token } },
    ]);
    await stage.close();
  });

  test("are there at once as connecting, and go when the grant is refused", async () => {
    const stage = new Stage();
    stage.answer = () => {
      throw new ResponseError(1, "The token is wrong.", { code: "unauthorized" });
    };
    const states: (string | undefined)[] = [];
    stage.shares.onChanged((all) => {
      states.push(all[0]?.info.state);
    });
    await assert.rejects(stage.shares.share(request(3000), None), /The token is wrong/);
    assert.deepEqual(states, ["connecting", undefined]);
    assert.deepEqual(stage.shares.all, []);
    await stage.close();
  });

  test("ask for the same name, secret and public port the next time", async () => {
    const stage = new Stage();
    await stage.shares.share(request(3000), None);
    await stage.shares.stop(3000);
    assert.deepEqual(stage.unshared, ["agent1-share1"]);
    await stage.shares.share(request(3000), None);
    const { name, secret, publicPort } = stage.asked[1] ?? {};
    assert.deepEqual(
      { name, secret, publicPort },
      { name: "quiet-otter", secret: "secret-of-quiet-otter", publicPort: 41_000 },
    );
    await stage.close();
  });

  test("do not show the secret of one name for another", async () => {
    const stage = new Stage();
    await stage.shares.share(request(3000), None);
    await stage.shares.stop(3000);
    await stage.shares.share(request(3000, { name: "demo" }), None);
    const { name, secret } = stage.asked[1] ?? {};
    assert.deepEqual({ name, secret }, { name: "demo", secret: undefined });
    await stage.close();
  });

  test("forget a remembered name that somebody else has now", async () => {
    const stage = new Stage();
    await stage.shares.share(request(3000), None);
    await stage.shares.stop(3000);
    stage.answer = ({ name }) => {
      if (name === "quiet-otter") throw new ResponseError(1, "taken", { code: "name-taken" });
      return { name: "brave-heron", publicPort: 41_001 };
    };
    const share = await stage.shares.share(request(3000), None);
    assert.equal(share.info.name, "brave-heron");
    await stage.close();
  });

  test("are restored with name, secret and port when the agent dies", async () => {
    const stage = new Stage();
    await Promise.all([stage.shares.share(request(3000), None), stage.shares.share(request(4000), None)]);
    const restored = online(stage, 4);
    stage.agents[0]?.end({ code: null, signal: "SIGKILL" });
    await stage.agents[0]?.exited;
    assert.deepEqual(
      stage.shares.all.map(({ info }) => info.state),
      ["reconnecting", "reconnecting"],
    );
    await restored;
    assert.equal(stage.agents.length, 2);
    assert.deepEqual(
      stage.asked.slice(2).map(({ port, secret, publicPort }) => ({ port, secret, publicPort })),
      [
        { port: 3000, secret: "secret-of-quiet-otter", publicPort: 41_000 },
        { port: 4000, secret: "secret-of-quiet-otter", publicPort: 41_000 },
      ],
    );
    await stage.close();
  });

  test("that were awaited when the agent died are granted by its successor", async () => {
    const stage = new Stage();
    let deaf = true;
    stage.answer = () => {
      if (!deaf) return { name: "late", publicPort: 41_002 };
      deaf = false;
      setImmediate(() => stage.agents[0]?.end({ code: 1, signal: null }));
      return new Promise(() => {});
    };
    const share = await stage.shares.share(request(3000), None);
    assert.equal(share.info.name, "late");
    assert.equal(stage.agents.length, 2);
    await stage.close();
  });

  test("leave a restarted relay at the same address to the agent", async () => {
    const stage = new Stage();
    await stage.shares.share(request(3000), None);
    stage.relays[0]?.end({ code: null, signal: "SIGKILL" });
    await stage.relays[0]?.exited;
    await stage.relay.start();
    assert.equal(stage.relays.length, 2);
    assert.deepEqual(
      stage.relayStarts.map(({ port, tunnelPort }) => ({ port, tunnelPort })),
      [
        { port: 0, tunnelPort: 0 },
        { port: 5000, tunnelPort: 5001 },
      ],
    );
    assert.equal(stage.relayStarts[0]?.token, stage.relayStarts[1]?.token);
    assert.equal(stage.asked.length, 1);
    await stage.close();
  });

  test("move with a relay that came back elsewhere", async () => {
    const stage = new Stage();
    await stage.shares.share(request(3000), None);
    stage.tunnelPort = 6001;
    const moved = online(stage, 2);
    stage.relays[0]?.end({ code: null, signal: "SIGKILL" });
    await stage.relays[0]?.exited;
    await stage.relay.start();
    await moved;
    assert.deepEqual(stage.unshared, ["agent1-share1"]);
    assert.equal(stage.asked[1]?.relay.url, "tcp://127.0.0.1:6001");
    await stage.close();
  });

  test("end when the wait for the grant is cancelled, also if it comes afterwards", async () => {
    const stage = new Stage();
    const granted = deferred<{ name: string; publicPort: number }>();
    const asked = deferred<undefined>();
    stage.answer = () => {
      asked.resolve(undefined);
      return granted.promise;
    };
    const source = new CancellationTokenSource();
    const sharing = stage.shares.share(request(3000), source.token);
    const outcome = assert.rejects(sharing, ShareEndedError);
    await asked.promise;
    source.cancel();
    await outcome;
    assert.deepEqual(stage.shares.all, []);
    granted.resolve({ name: "too-late", publicPort: 1 });
    await stage.close();
  });

  test("that are the same are not shared twice; other options share anew", async () => {
    const stage = new Stage();
    const first = await stage.shares.share(request(3000), None);
    const second = await stage.shares.share(request(3000), None);
    assert.deepEqual(first, second);
    assert.equal(stage.asked.length, 1);
    await stage.shares.share(request(3000, { kind: "tcp" }), None);
    assert.deepEqual(stage.unshared, ["agent1-share1"]);
    assert.equal(stage.shares.all.length, 1);
    await stage.close();
  });

  test("keep secrets in the secret storage only, apart for each workspace, relay, kind and port", async () => {
    const stage = new Stage();
    await stage.shares.share(request(3000), None);
    const [entry] = stage.secrets.values;
    const [key, value] = entry ?? ["", ""];
    assert.match(key, /^portlight\.share:[0-9a-f]{16}:local:http:3000$/);
    assert.deepEqual(JSON.parse(value), { name: "quiet-otter", secret: "secret-of-quiet-otter", publicPort: 41_000 });
    assert.doesNotMatch(JSON.stringify(stage.shares.all), /secret-of/);
    await stage.close();
  });

  test("show a remote relay its own token and no other's", async () => {
    const stage = new Stage();
    const memory = new Memory(stage.secrets, "file:///workspace");
    await memory.rememberToken("tls://a.example:4443", "token-a");
    const share = (url: string, port: number): Promise<unknown> =>
      stage.shares.share(request(port, { relay: { kind: "remote", url } }), None);
    await share("tls://a.example:4443", 3000);
    await share("tls://b.example:4443", 3001);
    assert.deepEqual(
      stage.asked.map(({ relay }) => relay),
      [{ url: "tls://a.example:4443", token: "token-a" }, { url: "tls://b.example:4443" }],
    );
    assert.equal(stage.relays.length, 0);
    assert.deepEqual(
      stage.shares.all.map(({ info }) => info.reach),
      ["public", "public"],
    );
    await stage.close();
  });
});
