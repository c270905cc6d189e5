import { strict as assert } from "node:assert";
import { fork, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, describe, it } from "node:test";
import {
  CancellationTokenSource,
  createMessageConnection,
  IPCMessageReader,
  IPCMessageWriter,
} from "vscode-jsonrpc/node";
import type { MessageConnection } from "vscode-jsonrpc/node";
import { until } from "../test/support/time.ts";
import type { AgentConfiguration, AgentRequests } from "./protocol.ts";
import { RelayDouble } from "./support/relay-double.ts";

const MAIN = path.join(import.meta.dirname, "main.ts");

const CONFIGURATION: AgentConfiguration = {
  captureBytes: 1024 * 1024,
  captureExchanges: 100,
  capture: true,
  workspaceFolders: [],
  protoRoots: [],
  forbiddenPorts: [],
};

interface Forked {
  readonly child: ChildProcess;
  readonly connection: MessageConnection;
  readonly exited: Promise<number | null>;
  readonly request: <M extends keyof AgentRequests>(
    method: M,
    params: AgentRequests[M]["params"],
  ) => Promise<AgentRequests[M]["result"]>;
}

describe("the agent's process", { timeout: 60_000 }, () => {
  let relay: RelayDouble;
  let port: number;
  const service = http.createServer((_request, response) => response.end("hello"));
  const forked: ChildProcess[] = [];

  before(async () => {
    relay = await RelayDouble.start();
    await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
    port = (service.address() as AddressInfo).port;
  });
  afterEach(() => {
    for (const child of forked.splice(0)) child.kill("SIGKILL");
  });
  after(async () => {
    service.closeAllConnections();
    service.close();
    await relay.stop();
  });

  function start(): Forked {
    const child = fork(MAIN, [], {
      execArgv: ["--disable-warning=ExperimentalWarning"],
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    forked.push(child);
    const connection = createMessageConnection(new IPCMessageReader(child), new IPCMessageWriter(child));
    connection.listen();
    const exited = new Promise<number | null>((resolve) => child.on("exit", resolve));
    return { child, connection, exited, request: (method, params) => connection.sendRequest(method, params) };
  }

  it("shares, tells what changes, serves the inspector on the same connection, and shuts down", async () => {
    const { connection, request, exited } = start();
    await assert.rejects(request("agent/share", { port, kind: "http", relay: { url: relay.url } }), /not configured/);
    await request("agent/configure", CONFIGURATION);
    const states: string[] = [];
    connection.onNotification("agent/sharesChanged", (shares: AgentRequests["agent/shares"]["result"]) => {
      states.push(shares.map(({ state }) => state).join());
    });
    const { share, secret } = await request("agent/share", { port, kind: "http", relay: { url: relay.url } });
    assert.equal(share.state, "online");
    assert.match(secret, /^secret-of-/);
    assert.ok(states.includes("connecting") && states.includes("online"), states.join());
    const visitor = await relay.exchange(share.id, {}).over();
    assert.equal(visitor.text, "hello");
    await until(5_000, "the exchange is captured", async () => {
      const state = await connection.sendRequest<{ exchanges: number }>("capture/state", null);
      return state.exchanges === 1;
    });
    // Captured no longer, forbidden from now on.
    await request("agent/configure", { ...CONFIGURATION, capture: false, forbiddenPorts: [port] });
    assert.equal((await relay.exchange(share.id, {}).over()).text, "hello");
    assert.equal((await connection.sendRequest<{ exchanges: number }>("capture/state", null)).exchanges, 1);
    await assert.rejects(
      request("agent/share", { port, kind: "http", relay: { url: relay.url } }),
      (error: Error & { data?: unknown }) => {
        assert.deepEqual(error.data, { code: "invalid" });
        return error.message.includes("Portlight's own");
      },
    );
    const ports = await request("agent/listeningPorts", null);
    assert.ok(ports.some((entry) => entry.port === relay.port && entry.pid === process.pid));
    assert.ok(ports.every((entry) => entry.port !== port));
    await request("agent/unshare", { id: share.id });
    assert.deepEqual(await request("agent/shares", null), []);
    await request("agent/shutdown", { drainMs: 0 });
    assert.equal(await exited, 0);
  });

  it("gives up a share that is cancelled", async () => {
    const { connection, request } = start();
    await request("agent/configure", CONFIGURATION);
    const gone = await RelayDouble.start();
    await gone.stop();
    const source = new CancellationTokenSource();
    const shared = connection.sendRequest(
      "agent/share",
      { port, kind: "http", relay: { url: gone.url } },
      source.token,
    );
    await until(5_000, "the share waits", async () => (await request("agent/shares", null)).length === 1);
    source.cancel();
    await assert.rejects(shared, /cancelled/);
    assert.deepEqual(await request("agent/shares", null), []);
  });

  it("exits when the channel closes, and takes the tunnel with it", async () => {
    const { child, request, exited } = start();
    await request("agent/configure", CONFIGURATION);
    await request("agent/share", { port, kind: "http", relay: { url: relay.url } });
    const closed = new Promise((resolve) => relay.session.socket.on("close", resolve));
    child.disconnect();
    assert.equal(await exited, 0);
    await closed;
  });

  it("drains and exits on SIGTERM", async () => {
    const { child, request, exited } = start();
    await request("agent/configure", CONFIGURATION);
    child.kill("SIGTERM");
    assert.equal(await exited, 0);
  });

  it("does not outlive a parent that is killed", async () => {
    const script = `
      const { fork } = require("node:child_process");
      const child = fork(${JSON.stringify(MAIN)}, [], { execArgv: ["--disable-warning=ExperimentalWarning"], stdio: ["ignore", "ignore", "ignore", "ipc"] });
      child.send({ jsonrpc: "2.0", id: 1, method: "agent/configure", params: ${JSON.stringify(CONFIGURATION)} });
      child.on("message", (message) => { if (message.id === 1) console.log(child.pid); });
    `;
    const parent = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    forked.push(parent);
    const pid = await new Promise<number>((resolve) =>
      createInterface({ input: parent.stdout }).once("line", (line) => resolve(Number(line))),
    );
    const alive = (): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    assert.ok(alive());
    parent.kill("SIGKILL");
    await until(5_000, "the agent exits", () => !alive());
  });
});
