import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordingStream, fields } from "../test/support/recording-stream.ts";
import { ControlChannel } from "./control.ts";
import { readAgentMessage, readRelayMessage } from "./messages.ts";
import type { AgentMessage, RelayMessage } from "./protocol.ts";
import { CONTROL_LINE_BYTES } from "./protocol.ts";

function relayEnd() {
  const log: string[] = [];
  const stream = new RecordingStream("agent", log);
  const messages: AgentMessage[] = [];
  const channel = new ControlChannel<RelayMessage, AgentMessage>(readAgentMessage, {
    opened: () => log.push("opened"),
    messageReceived: (message) => messages.push(message),
    violated: (message) => log.push(`violated ${message}`),
    closed: (failure) => log.push(`closed ${failure?.code ?? "in order"}`),
  });
  stream.events = channel.streamEvents;
  channel.attach(stream);
  return { channel, stream, log, messages };
}

const HELLO: AgentMessage = {
  type: "hello",
  version: 1,
  agent: "portlight/test \u00e9",
  instance: "0123456789abcdefghijkl",
  shares: [{ id: "a_1", kind: "http", port: 3000, name: "n", secret: "s", publicPort: 4000, reach: "lan" }],
};
const TEXT = `${JSON.stringify({ ...HELLO, later: { a: 1 } })}\n{"type":"unshare","id":"a_1"}\n{"type":"draining"}\n`;

test("messages come out whole at every split of the octets", () => {
  const whole = Buffer.from(TEXT);
  for (let split = 0; split <= whole.length; split++) {
    const { stream, messages, log } = relayEnd();
    stream.events.dataReceived(whole.subarray(0, split), false);
    stream.events.dataReceived(whole.subarray(split), false);
    assert.deepEqual(messages, [HELLO, { type: "unshare", id: "a_1" }, { type: "draining" }], `split at ${split}`);
    assert.ok(log.every((line) => line.startsWith("agent < consume")));
  }
  const { stream, messages } = relayEnd();
  for (const octet of whole) stream.events.dataReceived(Uint8Array.of(octet), false);
  assert.equal(messages.length, 3);
});

test("what is no message ends it, once, and our refusal can still be sent", () => {
  const bad: [string, RegExp][] = [
    ["{]\n", /not JSON/],
    ["[1]\n", /unknown type/],
    ['{"type":"later"}\n', /unknown type/],
    ['{"type":"unshare","id":"../a"}\n', /wrong field/],
    ['{"type":"share","share":{"id":"a","kind":"http","port":0}}\n', /wrong field/],
    ['{"type":"hello","version":1,"agent":"a","shares":[],"instance":"short"}\n', /wrong field/],
    ["x".repeat(CONTROL_LINE_BYTES + 1), /longer than 65536/],
  ];
  for (const [text, expected] of bad) {
    const { channel, stream, log, messages } = relayEnd();
    stream.events.dataReceived(Buffer.from(text + TEXT), false);
    stream.events.dataReceived(Buffer.from(TEXT), false);
    const said = log.filter((line) => line.startsWith("violated"));
    assert.equal(said.length, 1, text.slice(0, 20));
    assert.match(said[0] ?? "", expected);
    assert.deepEqual(messages, []);
    channel.send({ type: "refused", code: "protocol", message: "no" });
    channel.close();
    assert.equal(log.at(-1), "agent < data  END");
    assert.match(log.at(-2) ?? "", /refused/);
  }
});

test("a line of exactly the limit passes", () => {
  const { stream, messages } = relayEnd();
  const start = '{"type":"draining","pad":"';
  const line = `${start}${"x".repeat(CONTROL_LINE_BYTES - start.length - 2)}"}`;
  assert.equal(line.length, CONTROL_LINE_BYTES);
  stream.events.dataReceived(Buffer.from(`${line}\n`), false);
  assert.deepEqual(messages, [{ type: "draining" }]);
});

test("the end of the stream is the end of the session", () => {
  const ended = relayEnd();
  ended.stream.events.dataReceived(new Uint8Array(0), true);
  assert.deepEqual(ended.log, ["agent < data  END", "closed in order"]);
  const cut = relayEnd();
  cut.stream.events.resetReceived({ by: "agent", code: "closed", message: "x" });
  assert.deepEqual(cut.log, ["closed closed"]);
});

test("the relay's end opens with the agent's 200, and with nothing else", () => {
  const good = relayEnd();
  good.stream.events.headReceived(fields(":status: 200"), false);
  assert.deepEqual(good.log, ["opened"]);
  const bad = relayEnd();
  bad.stream.events.headReceived(fields(":status: 404"), false);
  assert.match(bad.log[0] ?? "", /status 404/);
});

test("the agent's end answers 200, then says what was queued", () => {
  const log: string[] = [];
  const stream = new RecordingStream("relay", log);
  const messages: RelayMessage[] = [];
  const channel = new ControlChannel<AgentMessage, RelayMessage>(readRelayMessage, {
    opened: () => log.push("opened"),
    messageReceived: (message) => messages.push(message),
    violated: () => log.push("violated"),
    closed: () => log.push("closed"),
  });
  channel.send({ type: "draining" });
  channel.accept(stream);
  stream.events = channel.streamEvents;
  assert.deepEqual(log, ["relay < head :status=200", 'relay < data {"type":"draining"}\n', "opened"]);
  const grant = {
    id: "a",
    kind: "http",
    name: "n",
    url: "http://n",
    alternativeUrls: ["http://m"],
    secret: "s",
    publicPort: 1,
  };
  const sent = [
    { type: "welcome", version: 1, relay: "r", shares: [grant] },
    { type: "welcome", version: 1, relay: "r", links: 4, shares: [] },
    { type: "refused", id: "a", code: "name-taken", message: "m" },
    { type: "shared", share: grant },
    { type: "unshared", id: "a" },
    { type: "draining" },
  ];
  stream.events.dataReceived(Buffer.from(sent.map((message) => `${JSON.stringify(message)}\n`).join("")), false);
  assert.deepEqual(messages, sent);
});

test("a peer who reads nothing cannot make us queue without bound", () => {
  const { channel, log } = relayEnd();
  const message = "x".repeat(2000);
  for (let index = 0; index < 1000; index++) channel.send({ type: "refused", code: "internal", message });
  assert.ok(log.includes("agent < reset agent limit"));
  assert.equal(log.at(-1), "closed limit");
});
