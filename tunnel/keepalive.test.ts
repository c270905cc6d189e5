import assert from "node:assert/strict";
import { test } from "node:test";
import { KeepAlive } from "./keepalive.ts";

function setUp() {
  const log: string[] = [];
  const keepAlive = new KeepAlive({
    ping: () => {
      log.push("ping");
      return true;
    },
    dead: () => log.push("dead"),
  });
  let now = 1000;
  const seconds = (count: number): void => {
    for (let index = 0; index < count; index++) keepAlive.tick((now += 1000));
  };
  return { keepAlive, log, seconds, clock: () => now };
}

test("silence is asked about within ten seconds and ends within fifteen", () => {
  const { log, seconds } = setUp();
  seconds(9);
  assert.deepEqual(log, []);
  seconds(1);
  assert.deepEqual(log, ["ping"]);
  seconds(4);
  assert.deepEqual(log, ["ping"]);
  seconds(1);
  assert.deepEqual(log, ["ping", "dead"]);
  seconds(100);
  assert.deepEqual(log, ["ping", "dead"], "once");
});

test("any octet is a sign of life", () => {
  const { keepAlive, log, seconds } = setUp();
  seconds(12);
  keepAlive.received();
  seconds(9);
  assert.deepEqual(log, ["ping"]);
  seconds(1);
  assert.deepEqual(log, ["ping", "ping"]);
  for (let index = 0; index < 30; index++) {
    keepAlive.received();
    seconds(5);
  }
  assert.deepEqual(log, ["ping", "ping"]);
});

test("the round trip is measured", () => {
  const { keepAlive, clock } = setUp();
  assert.equal(keepAlive.rttMs, undefined);
  keepAlive.probe(clock());
  keepAlive.answered(clock() + 12);
  assert.equal(keepAlive.rttMs, 12);
});
