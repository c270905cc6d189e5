import assert from "node:assert/strict";
import { test } from "node:test";
import type { PingableConnection } from "./session.ts";
import { TunnelProtocol } from "./session.ts";

test("every chunk counts as life, and silence ends the tunnel", () => {
  const log: string[] = [];
  const connection: PingableConnection = {
    openStreams: 0,
    capacity: 0,
    extendedConnect: true,
    open: () => undefined,
    drain: () => log.push("drain"),
    abort: () => log.push("abort"),
    receive: (bytes) => log.push(`receive ${bytes.length}`),
    receiveEnd: () => log.push("end"),
    transportClosed: () => log.push("closed"),
    drained: () => log.push("drained"),
    tick: () => undefined,
    ping: () => {
      log.push("ping");
      return true;
    },
  };
  let now = 0;
  const protocol = new TunnelProtocol(
    connection,
    () => now,
    () => log.push("dead"),
  );
  const pass = (seconds: number): void => {
    for (let second = 0; second < seconds; second++) protocol.tick((now += 1000));
  };
  pass(8);
  protocol.receive(new Uint8Array(3));
  pass(9);
  assert.deepEqual(log, ["receive 3", "ping"]);
  now += 40;
  protocol.receive(new Uint8Array(17));
  protocol.pingAnswered();
  assert.equal(protocol.rttMs, 40);
  pass(14);
  assert.deepEqual(log.slice(2), ["receive 17", "ping", "dead"]);
  protocol.receiveEnd();
  protocol.drained();
  protocol.transportClosed();
  assert.deepEqual(log.slice(5), ["end", "drained", "closed"]);
});
