import assert from "node:assert/strict";
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from "vscode-jsonrpc/node";
import type { MessageConnection } from "vscode-jsonrpc/node";
import { FakeAgent } from "../test/support/fake-agent.ts";
import type { RelayRequests } from "./protocol.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));

function startProcess(t: TestContext): { child: ChildProcess; connection: MessageConnection; ended: Promise<unknown> } {
  const child = fork(MAIN, [], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const ended = once(child, "exit");
  t.after(() => child.kill("SIGKILL"));
  const connection = createMessageConnection(new IPCMessageReader(child), new IPCMessageWriter(child));
  connection.listen();
  return { child, connection, ended };
}

type Start = RelayRequests["relay/start"];

const start = (connection: MessageConnection, params: Start["params"]): Promise<Start["result"]> =>
  connection.sendRequest("relay/start", params);

test("the process starts a relay, asks for its token, and ends when told", async (t) => {
  const { connection, ended } = startProcess(t);
  const params = { token: "the token", allowLan: false, port: 0, tunnelPort: 0 };
  const { publicUrl, tunnelUrl } = await start(connection, params);
  await assert.rejects(start(connection, params), /runs already/);
  const agent = await FakeAgent.dial(tunnelUrl);
  agent.hello([], "another");
  assert.equal((await agent.message("refused")).code, "unauthorized");
  const { grants } = await FakeAgent.online(tunnelUrl, [{ id: "a", kind: "http", port: 1 }], { token: "the token" });
  const answer = await fetch(grants[0]?.url ?? "");
  assert.equal(await answer.text(), "ok");

  // Another process asks for the same ports: they are taken, it gets others.
  const other = startProcess(t);
  const second = await start(other.connection, {
    ...params,
    port: Number(new URL(publicUrl).port),
    tunnelPort: Number(tunnelUrl.split(":").pop()),
  });
  assert.notEqual(second.publicUrl, publicUrl);
  assert.notEqual(second.tunnelUrl, tunnelUrl);
  // Its editor dies: so does it.
  other.child.disconnect();
  assert.deepEqual(await other.ended, [0, null]);

  const stopped = connection.sendRequest("relay/shutdown", { drainMs: 0 });
  assert.equal(await stopped, null);
  assert.deepEqual(await ended, [0, null]);
  connection.dispose();
  other.connection.dispose();
});

test("SIGTERM drains and ends it", async (t) => {
  const { child, connection, ended } = startProcess(t);
  await start(connection, { token: "t", allowLan: false, port: 0, tunnelPort: 0 });
  child.kill("SIGTERM");
  assert.deepEqual(await ended, [0, null]);
  connection.dispose();
});
