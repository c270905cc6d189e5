/** The chaos proxy does what it says, and nothing else: what passes is right, and it holds no more than its bound. */
import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { QUEUE_BYTES } from "../chaos/conduit.ts";
import { startChaosProxy } from "../chaos/proxy.ts";
import type { ChaosProxy, Direction, Toxics } from "../chaos/proxy.ts";
import { until, within } from "../support/time.ts";

/** One end of a connection: what came, chunk by chunk, and how it ended. */
class End {
  readonly socket: net.Socket;
  readonly chunks: Buffer[] = [];
  ended: "FIN" | "RST" | undefined;

  constructor(socket: net.Socket) {
    this.socket = socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.chunks.push(chunk));
    socket.on("end", () => (this.ended ??= "FIN"));
    socket.on("error", () => (this.ended ??= "RST"));
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }

  has(text: string, ms = 5000): Promise<boolean> {
    return until(ms, `${text.slice(0, 20)} (${text.length} octets) has come`, () => this.text === text);
  }
}

interface Rig {
  readonly proxy: ChaosProxy;
  readonly ends: Readonly<Record<"dialler" | "target", End>>;
  readonly dial: () => Promise<End>;
  /** The connection at the target that is number `index`. */
  readonly arrival: (index: number) => Promise<End>;
}

async function rig(t: TestContext, random?: () => number): Promise<Rig> {
  const arrivals: End[] = [];
  const sockets: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    arrivals.push(new End(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy = await startChaosProxy((server.address() as net.AddressInfo).port, random);
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await proxy.close();
    server.close();
  });
  const dial = async (): Promise<End> => {
    const socket = net.connect({ host: "127.0.0.1", port: proxy.port, allowHalfOpen: true });
    sockets.push(socket);
    await new Promise((resolve) => socket.once("connect", resolve));
    return new End(socket);
  };
  const arrival = (index: number): Promise<End> => until(5000, "a connection at the target", () => arrivals[index]);
  const dialler = await dial();
  return { proxy, ends: { dialler, target: await arrival(0) }, dial, arrival };
}

const ways: Readonly<Record<Direction, readonly ["dialler" | "target", "dialler" | "target"]>> = {
  forth: ["dialler", "target"],
  back: ["target", "dialler"],
};

const BULK = Buffer.from(Uint8Array.from({ length: 2_000_000 }, (_, index) => index % 251));

interface Passing {
  readonly toxics: Toxics;
  readonly octets: number;
  /** How long it takes: at least, and at most with a machine that has other work. */
  readonly ms: readonly [number, number];
}

const passing: Readonly<Record<string, Passing>> = {
  "nothing wrong": { toxics: {}, octets: BULK.length, ms: [0, 3000] },
  latency: { toxics: { latencyMs: 300 }, octets: 10, ms: [295, 1500] },
  // Random is 0: the jitter is at its lowest.
  jitter: { toxics: { latencyMs: 300, jitterMs: 200 }, octets: 10, ms: [95, 280] },
  bandwidth: { toxics: { bytesPerSecond: 100_000 }, octets: 50_000, ms: [480, 2000] },
  slices: { toxics: { sliceBytes: 1 }, octets: 5_000, ms: [0, 3000] },
  all: { toxics: { latencyMs: 50, bytesPerSecond: 50_000, sliceBytes: 100 }, octets: 10_000, ms: [240, 2000] },
};

for (const [direction, [from, to]] of Object.entries(ways) as [Direction, (typeof ways)["forth"]][])
  for (const [name, { toxics, octets, ms }] of Object.entries(passing))
    test(`${direction}: ${name}`, async (t) => {
      const { proxy, ends } = await rig(t, () => 0);
      proxy.set(toxics, direction);
      const sent = BULK.subarray(0, octets);
      const started = performance.now();
      ends[from].socket.write(sent);
      await until(5000, "all octets", () => ends[to].text.length >= octets);
      const took = performance.now() - started;
      assert.ok(Buffer.concat(ends[to].chunks).equals(sent));
      assert.ok(took >= ms[0] && took <= ms[1], `took ${Math.round(took)} ms`);
      if (toxics.sliceBytes === 1) assert.ok(ends[to].chunks.length > octets / 20, `${ends[to].chunks.length} chunks`);
      ends[to].socket.write("the other direction");
      const free = performance.now();
      await ends[from].has("the other direction");
      assert.ok(performance.now() - free < 90, "only one direction is bad");
      // An end passes behind the octets, and only in its direction.
      ends[from].socket.end();
      await until(2000, "FIN", () => ends[to].ended === "FIN");
      assert.equal(ends[from].ended, undefined);
      ends[to].socket.end();
      await until(2000, "both ends are gone", () => proxy.open === 0);
    });

for (const [direction, [from, to]] of Object.entries(ways) as [Direction, (typeof ways)["forth"]][])
  test(`half-open: ${direction} is silent, the other way passes; healed, what was held passes`, async (t) => {
    const { proxy, ends } = await rig(t);
    proxy.set({ silent: true }, direction);
    ends[from].socket.write(BULK);
    ends[to].socket.write("hears nothing");
    await ends[from].has("hears nothing");
    assert.equal(ends[to].text, "");
    assert.ok(proxy.mostQueued <= QUEUE_BYTES + 65_536, `${proxy.mostQueued} octets held`);
    proxy.heal();
    await until(5000, "all octets", () => ends[to].text.length === BULK.length);
    assert.ok(Buffer.concat(ends[to].chunks).equals(BULK));
  });

test("black hole: not even an RST passes; a new connection is made when it is over", async (t) => {
  const { proxy, ends, dial, arrival } = await rig(t);
  proxy.set({ silent: true });
  ends.dialler.socket.resetAndDestroy();
  const late = await dial();
  late.socket.write("late");
  // The proxy has taken it, so that what would pass has had the occasion.
  await until(2000, "the second connection", () => proxy.accepted === 2);
  assert.deepEqual([ends.target.ended, ends.target.text], [undefined, ""]);
  proxy.heal();
  await until(2000, "RST", () => ends.target.ended === "RST");
  await (await arrival(1)).has("late");
});

test("a slow sink: no more than the bound is held", async (t) => {
  const { proxy, ends } = await rig(t);
  proxy.set({ latencyMs: 400 });
  for (let index = 0; index < 10; index++) ends.dialler.socket.write(BULK);
  await until(5000, "octets wait", () => proxy.mostQueued >= QUEUE_BYTES);
  assert.ok(proxy.mostQueued <= QUEUE_BYTES + 65_536, `${proxy.mostQueued} octets held`);
});

const cuts: Readonly<Record<string, readonly [act: (proxy: ChaosProxy) => void, seen: End["ended"]]>> = {
  "FIN to both": [(proxy) => proxy.finish(), "FIN"],
  "RST to both": [(proxy) => proxy.reset(), "RST"],
};
for (const [name, [act, seen]] of Object.entries(cuts))
  test(name, async (t) => {
    const { proxy, ends, dial, arrival } = await rig(t);
    ends.dialler.socket.write("before");
    await ends.target.has("before");
    act(proxy);
    await until(2000, seen ?? "", () => ends.dialler.ended === seen && ends.target.ended === seen);
    if (seen === "FIN") {
      // Nothing passes any more, and who still sends is told.
      ends.dialler.socket.on("close", () => (ends.dialler.ended = "RST"));
      await until(2000, "RST", () => {
        // Having seen the end it no longer reads: only a write tells it.
        ends.dialler.socket.write("after");
        return ends.dialler.ended === "RST";
      });
      assert.equal(ends.target.text, "before");
      ends.target.socket.end();
    }
    await until(2000, "both ends are gone", () => proxy.open === 0);
    (await dial()).socket.write("again");
    await (await arrival(1)).has("again");
  });

test("forgotten: what is open leads nowhere, what comes passes", async (t) => {
  const { proxy, ends, dial, arrival } = await rig(t);
  proxy.forget();
  ends.dialler.socket.write("lost");
  (await dial()).socket.write("new");
  await (await arrival(1)).has("new");
  assert.deepEqual([ends.target.text, ends.target.ended, ends.dialler.ended], ["", undefined, undefined]);
  ends.dialler.socket.end();
  ends.target.socket.end();
  await until(2000, "its ends are gone", () => proxy.open === 1);
});

test("nobody listens: the dialler is reset", async (t) => {
  const { proxy } = await rig(t);
  const nobody = await startChaosProxy(proxy.port);
  t.after(() => nobody.close());
  await proxy.close();
  const socket = net.connect(nobody.port, "127.0.0.1");
  const lost = new Promise((resolve) => socket.on("error", resolve));
  await within(2000, "RST", lost);
  await until(2000, "nothing is open", () => nobody.open === 0);
});
