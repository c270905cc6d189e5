import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { FakeAgent, until } from "../test/support/fake-agent.ts";
import { relayFor } from "../test/support/local-relay.ts";

test("TCP shares: octets, half-close and resets pass both ways", async (t) => {
  const { relay } = await relayFor(t);
  const { agent, grants } = await FakeAgent.online(relay.tunnelUrl, [{ id: "t", kind: "tcp", port: 5432 }]);
  const grant = grants[0];
  assert.ok(grant?.publicPort !== undefined);
  assert.equal(grant.url, `tcp://127.0.0.1:${grant.publicPort}`);
  agent.handler = (exchange) => exchange.stream.sendHead([{ name: ":status", value: "200" }], false);

  const socket = connect({ port: grant.publicPort, host: "127.0.0.1", allowHalfOpen: true });
  socket.end("question");
  const exchange = await agent.exchange();
  assert.equal(exchange.value(":method"), "CONNECT");
  assert.equal(exchange.value(":protocol"), undefined);
  assert.equal(exchange.value("portlight-share"), "t");
  await exchange.ended;
  assert.equal(exchange.body, "question");
  exchange.stream.sendData(Buffer.from("answer after your end"), true);
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(socket, "end");
  assert.equal(text, "answer after your end");

  const visitorResets = connect({ port: grant.publicPort, host: "127.0.0.1" });
  visitorResets.write("x");
  const second = await agent.exchange(2);
  await until(() => second.body === "x", "the octet");
  visitorResets.resetAndDestroy();
  await second.cut;

  const serviceResets = connect({ port: grant.publicPort, host: "127.0.0.1" });
  serviceResets.on("error", () => undefined);
  const third = await agent.exchange(3);
  third.stream.reset({ by: "service", code: "closed", message: "reset" });
  const [error] = (await once(serviceResets, "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNRESET");

  agent.handler = (refusing) => refusing.respond(502, "nothing listens there");
  const refused = connect({ port: grant.publicPort, host: "127.0.0.1" });
  let received = "";
  refused.on("data", (chunk: Buffer) => (received += chunk.toString()));
  await once(refused, "error");
  assert.equal(received, "");
});

test("a TCP share without its agent refuses by a reset, and takes the same port up again", async (t) => {
  const { relay } = await relayFor(t);
  const share = { id: "t", kind: "tcp", port: 5432 } as const;
  const { agent, grants } = await FakeAgent.online(relay.tunnelUrl, [share]);
  const [grant] = grants;
  assert.ok(grant?.publicPort !== undefined);
  const port = grant.publicPort;
  agent.cut("fin");
  await until(() => agent.over, "the end of the tunnel");
  const early = connect({ port, host: "127.0.0.1" });
  const [error] = (await once(early, "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNRESET");
  const back = await FakeAgent.online(relay.tunnelUrl, [{ ...share, name: grant.name, secret: grant.secret }]);
  assert.equal(back.grants[0]?.url, grant.url);
  connect({ port, host: "127.0.0.1" }).end("x");
  await (
    await back.agent.exchange()
  ).ended;
  assert.equal(back.agent.exchanges[0]?.body, "x");
  back.agent.cut("fin");
});
