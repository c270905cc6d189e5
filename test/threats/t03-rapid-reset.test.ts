/**
 * T-3, rapid reset (CVE-2023-44487): 10 000 HEADERS+RST in one connection: connection closed with GOAWAY(11); ≤ 100 requests
 * reach the agent; other connections' p99 < 2×.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startRelay } from "../../relay/relay.ts";
import type { Relay } from "../../relay/options.ts";
import { FakeAgent } from "../support/fake-agent.ts";
import { GOAWAY, RawPeer, describe as frameText, frame, headers, join, uint32 } from "../support/frames.ts";
import type { ParsedFrame } from "../support/frames.ts";
import { LOCAL } from "../support/local-relay.ts";

let relay: Relay;
let agent: FakeAgent;
let port: number;

before(async () => {
  relay = await startRelay(LOCAL);
  const online = await FakeAgent.online(relay.tunnelUrl, [{ id: "s1", kind: "http", port: 3000, name: "demo" }]);
  agent = online.agent;
  port = online.grants[0]?.publicPort ?? 0;
});

after(async () => {
  agent.cut("fin");
  await relay.close(0);
});

beforeEach(() => {
  agent.exchanges.length = 0;
  // The service is busy with each: a reset comes before its answer.
  agent.handler = () => undefined;
});

const id = (index: number): number => 1 + 2 * index;
const pair = (index: number): Uint8Array => join(headers(id(index)), frame(3, 0, id(index), uint32(8)));
const ping = frame(6, 0, 0, new Uint8Array(8));
const pongs = (frames: readonly ParsedFrame[]): number =>
  frames.filter(({ type, flags }) => type === 6 && flags === 1).length;

/** What the visitor was told at the end. */
async function verdict(visitor: RawPeer): Promise<string> {
  const frames = await visitor.untilClosed(10_000);
  visitor.destroy();
  const last = frames.find(({ type }) => type === GOAWAY);
  return last === undefined ? "closed" : frameText(last).replace(/last \d+ /, "");
}

/** How many requests reached the agent, asked by one more, which comes after all of them. */
async function reached(): Promise<number> {
  agent.handler = (exchange) => exchange.respond(200, "ok");
  const visitor = await RawPeer.connect(port);
  visitor.send(headers(1));
  await visitor.frame(1, 1);
  visitor.destroy();
  return agent.exchanges.length - 1;
}

describe("10 000 requests, each reset at once", () => {
  test("in one write", async () => {
    const visitor = await RawPeer.connect(port);
    visitor.send(...Array.from({ length: 10_000 }, (_, index) => pair(index)));
    assert.match(await verdict(visitor), /^(GOAWAY code 11|closed)$/);
    const requests = await reached();
    assert.ok(requests <= 100, `${requests} requests reached the agent`);
  });

  test("a pair a write, and every answer read: GOAWAY with ENHANCE_YOUR_CALM", async () => {
    const visitor = await RawPeer.connect(port);
    for (let index = 0; index < 10_000 && !visitor.closed; index++) {
      visitor.send(pair(index));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    assert.equal(await verdict(visitor), "GOAWAY code 11");
    const requests = await reached();
    assert.ok(requests <= 100, `${requests} requests reached the agent`);
  });

  // So many a second are what a browser does (below); they pass at that rate, and no faster.
  test("each frame in a turn of its own: 200 a second, then the same end", async () => {
    const started = performance.now();
    const visitor = await RawPeer.connect(port);
    for (let index = 0; index < 10_000 && !visitor.closed; index++) {
      visitor.send(headers(id(index)), ping);
      await visitor.until((frames) => pongs(frames) > index || visitor.closed);
      visitor.send(frame(3, 0, id(index), uint32(8)));
    }
    const seconds = (performance.now() - started) / 1000;
    assert.equal(await verdict(visitor), "GOAWAY code 11");
    const requests = await reached();
    assert.ok(requests <= 201 + 200 * Math.ceil(seconds), `${requests} requests in ${seconds} s reached the agent`);
  });
});

test("a page that asks for 100 images and gives them all up, once a second, keeps its connection", async () => {
  const visitor = await RawPeer.connect(port);
  let answered = 0;
  for (let second = 0; second < 6; second++) {
    const images = Array.from({ length: 100 }, (_, index) => id(100 * second + index));
    visitor.send(...images.map((image) => headers(image)), ping);
    await visitor.until((frames) => pongs(frames) > answered);
    answered++;
    visitor.send(...images.map((image) => frame(3, 0, image, uint32(8))));
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  assert.deepEqual(
    visitor.frames.filter(({ type }) => type === GOAWAY),
    [],
  );
  agent.handler = (exchange) => exchange.respond(200, "ok");
  visitor.send(headers(id(600)));
  await visitor.frame(1, id(600));
  assert.equal(agent.exchanges.length, 601);
  visitor.destroy();
});
