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
  const seconds = (count: number, tickMs = 1000): void => {
    for (let index = 0; index < count; index++) keepAlive.tick((now += tickMs));
  };
  return { keepAlive, log, seconds, clock: () => now };
}

test("silence is asked about within ten seconds and ends within fifteen, however exactly the ticks come", () => {
  // The first tick finds the last octet, up to a second late: so much is added to what follows.
  for (const tickMs of [999.5, 1000, 1003]) {
    const { log, seconds } = setUp();
    seconds(8, tickMs);
    assert.deepEqual(log, []);
    seconds(1, tickMs);
    assert.deepEqual(log, ["ping"]);
    seconds(4, tickMs);
    assert.deepEqual(log, ["ping"], "five seconds are its to answer");
    seconds(1, tickMs);
    assert.deepEqual(log, ["ping", "dead"]);
    seconds(100, tickMs);
    assert.deepEqual(log, ["ping", "dead"], "once");
  }
});

test("any octet is a sign of life", () => {
  const { keepAlive, log, seconds } = setUp();
  seconds(11);
  keepAlive.received();
  seconds(8);
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
