import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../test/support/fake-agent.ts";
import { LOCAL, get, shared } from "../test/support/local-relay.ts";
import type { RelayOptions } from "./options.ts";
import { digest } from "./names.ts";
import { RelayOptionsError, startRelay } from "./relay.ts";

const hex = (token: string): string => digest(token).toString("hex");

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
