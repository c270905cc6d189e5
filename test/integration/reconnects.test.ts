/** 1 000 times the tunnel is reset with exchanges in it, and comes back: nothing remains of the former ones. */
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { startHttp } from "../../sample/http/server.ts";
import { startChaosProxy } from "../chaos/proxy.ts";
import { splitAddress } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import { until, within } from "../support/time.ts";

const RECONNECTS = 1_000;
/** Until the code is compiled and every cache has what it will have. */
const WARM_UP = 100;
/** MB: the promise. A tunnel that remained would cost some 30 KB, so that a thousand show. */
const GROWTH = 10;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

interface Footprint {
  /** Sockets, servers, timers that keep the process alive, by kind. */
  readonly resources: Readonly<Record<string, number>>;
  /** Listeners of `process`, where a forgotten one would collect. */
  readonly listeners: number;
  /** MB, heap and buffers. */
  readonly memory: number;
}

interface Begun {
  readonly cut: Promise<boolean>;
}

async function footprint(): Promise<Footprint> {
  // Finalisers run between two turns, and what they let go is collected the next time.
  for (let round = 0; round < 4; round++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo())
    if (/^(TCP|Pipe|TLS|Timeout)/.test(kind)) resources[kind] = (resources[kind] ?? 0) + 1;
  const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
  const { heapUsed, external } = process.memoryUsage();
  return { resources, listeners, memory: (heapUsed + external) / 1e6 };
}

test("1 000 reconnects leave nothing behind", { timeout: 170_000 }, async (t) => {
  // A wait is random between nothing and its bound: so the agent dials at once, a thousand times.
  // Not by `t.mock`, which keeps each call with its stack, and by that what was on it.
  const { random } = Math;
  Math.random = () => 0;
  const service = await startHttp();
  const path = await startPath({ capture: false });
  const tunnel = await startChaosProxy(Number(new URL(path.relay.tunnelUrl).port));
  t.after(async () => {
    Math.random = random;
    await path.close();
    await tunnel.close();
    await service.close();
  });
  const { address } = await path.share(service.port, { relay: { url: `tcp://127.0.0.1:${tunnel.port}` } });
  const [host, port] = splitAddress(address);

  /** Resolves once the first octet is here; later `cut` does, with whether it was. */
  const open1 = async (): Promise<Begun> => {
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ host, port, path: "/events", agent: false }, resolve).on("error", reject);
    });
    response.on("data", () => undefined).on("error", () => undefined);
    return { cut: new Promise((resolve) => response.on("close", () => resolve(!response.complete))) };
  };
  const session = http2.connect(`http://${address}`);
  t.after(() => session.destroy());
  const open2 = async (): Promise<Begun> => {
    const stream = session.request({ ":path": "/events" });
    stream.on("error", () => undefined).on("data", () => undefined);
    await new Promise((resolve) => stream.once("data", resolve).once("close", resolve));
    const cut = new Promise<boolean>((resolve) => {
      if (stream.closed) resolve(stream.rstCode !== 0);
      else stream.on("close", () => resolve(stream.rstCode !== 0));
    });
    return { cut };
  };

  const isOnline = (): boolean => path.agent.shares.every(({ state }) => state === "online");
  const online = async (): Promise<void> => {
    await within(
      20_000,
      "the agent is back",
      new Promise<void>((resolve) => {
        let lost = false;
        const stop = path.agent.onChange(() => {
          // Its counters change as well.
          if (!isOnline()) lost = true;
          else if (lost) {
            stop();
            resolve();
          }
        });
      }),
    );
  };
  const reconnect = async (): Promise<void> => {
    const begun = await Promise.all([open1(), open2()]);
    const back = online();
    tunnel.reset();
    assert.deepEqual(
      await Promise.all(begun.map(({ cut }) => cut)),
      [true, true],
      "both exchanges were cut, and say so",
    );
    await back;
  };
  /** Only the tunnel and the visitor's one connection are left. */
  const settle = async (): Promise<Footprint> => {
    await until(15_000, "no exchange is open", () =>
      path.agent.shares.every(({ openExchanges }) => openExchanges === 0),
    );
    await until(15_000, "no more sockets than at first", async () => {
      const { resources } = await footprint();
      return (resources["TCPSocketWrap"] ?? 0) <= quiet;
    });
    return footprint();
  };

  let quiet = Infinity;
  for (let round = 0; round < WARM_UP; round++) await reconnect();
  // Connections to the service go with their exchanges; idle ones after 3 s.
  await until(10_000, "only what stays is left", async () => {
    const { resources } = await footprint();
    quiet = resources["TCPSocketWrap"] ?? 0;
    return quiet <= 8;
  });
  const before = await settle();
  const accepted = tunnel.accepted;
  const started = performance.now();
  for (let round = 0; round < RECONNECTS; round++) await reconnect();
  const took = performance.now() - started;
  const after = await settle();
  const growth = after.memory - before.memory;
  t.diagnostic(
    `${tunnel.accepted - accepted} reconnects in ${Math.round(took / 1000)} s, ${before.memory.toFixed(1)} MB before, ` +
      `${growth >= 0 ? "+" : ""}${growth.toFixed(1)} MB after; open: ${JSON.stringify(after.resources)}`,
  );
  assert.ok(tunnel.accepted - accepted >= RECONNECTS);
  for (const [kind, count] of Object.entries(after.resources))
    assert.ok(count <= (before.resources[kind] ?? 0), `${kind}: ${count}, before ${before.resources[kind] ?? 0}`);
  assert.equal(after.listeners, before.listeners);
  assert.ok(growth < GROWTH, `grew by ${growth.toFixed(1)} MB`);
});
