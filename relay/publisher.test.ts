import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { silentLogger } from "../wire/logger.ts";
import type { ShareKind } from "../tunnel/protocol.ts";
import { Lease } from "./lease.ts";
import type { LeaseOwner } from "./lease.ts";
import { Publisher } from "./publisher.ts";
import type { PublisherOptions } from "./publisher.ts";
import { Registry } from "./registry.ts";

const owner: LeaseOwner = { capacity: 1, openExchanges: 0, forward() {}, dismissed() {} };

function setUp(t: TestContext, options: Partial<PublisherOptions> = {}) {
  const registry = new Registry<Lease>(() => 0);
  const publisher = new Publisher({
    ...{ mode: "local", host: "127.0.0.1", domain: "localhost", allowLan: true, scheme: "http", mainPort: 8000 },
    log: silentLogger,
    lanAddress: () => "127.0.0.2",
    acceptHttp: (socket) => socket.end("http"),
    acceptTcp: (socket) => socket.end("tcp"),
    ...options,
  });
  t.after(() => publisher.close());
  const claim = (kind: ShareKind = "http", name = "demo") => {
    const holder = new Lease(owner, "a", kind);
    const claimed = registry.claim({ kind, name, holder });
    assert.ok("record" in claimed);
    return { ...claimed, holder };
  };
  return { registry, publisher, claim };
}

const REQUEST = { id: "a", kind: "http", port: 3000 } as const;

async function ask(port: number, host = "127.0.0.1"): Promise<string> {
  const socket = connect({ port, host });
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  try {
    await once(socket, "close");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "";
  }
  return text;
}

test("the LAN address is bound only when asked for, on the same port", async (t) => {
  const { publisher, claim } = setUp(t);
  const { record } = claim();
  const { publicPort = 0 } = await publisher.publish(record, REQUEST);
  assert.deepEqual([await ask(publicPort), await ask(publicPort, "127.0.0.2")], ["http", "ECONNREFUSED"]);
  const wider = await publisher.publish(record, { ...REQUEST, reach: "lan" });
  assert.equal(wider.publicPort, publicPort);
  assert.equal(wider.url, `http://127.0.0.1:${publicPort}`);
  assert.deepEqual(wider.alternativeUrls, ["http://demo.localhost:8000", `http://127.0.0.2:${publicPort}`]);
  assert.equal(await ask(publicPort, "127.0.0.2"), "http");
  const narrower = await publisher.publish(record, REQUEST);
  assert.equal(narrower.publicPort, publicPort);
  assert.equal(await ask(publicPort, "127.0.0.2"), "ECONNREFUSED");
  for (const options of [{ allowLan: false }, { lanAddress: () => undefined }, { mode: "remote" as const }]) {
    const other = setUp(t, options);
    const asked = other.publisher.publish(other.claim().record, { ...REQUEST, reach: "lan" });
    await assert.rejects(asked, { code: "unsupported" });
  }
});

test("a wanted port that is taken is replaced by a free one", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const { publisher, claim } = setUp(t);
  const { publicPort = 0 } = await publisher.publish(claim("tcp").record, {
    ...REQUEST,
    kind: "tcp",
    publicPort: port,
  });
  assert.notEqual(publicPort, port);
  assert.equal(await ask(publicPort), "tcp");
});

test("the port is kept for ten minutes without an agent, then given up; stopped, it is closed at once", async (t) => {
  const { registry, publisher, claim } = setUp(t);
  const { record, holder } = claim();
  const { publicPort = 0 } = await publisher.publish(record, REQUEST);
  publisher.tick(0);
  registry.release(record, holder);
  publisher.tick(1000);
  publisher.tick(600_999);
  assert.equal(await ask(publicPort), "http");
  publisher.tick(601_000);
  assert.equal(await ask(publicPort), "ECONNREFUSED");
  const second = claim("http", "other");
  const { publicPort: next = 0 } = await publisher.publish(second.record, REQUEST);
  publisher.withdraw(second.record);
  assert.equal(await ask(next), "ECONNREFUSED");
});

test("published twice at once, a share has one port", async (t) => {
  const { publisher, claim } = setUp(t);
  const { record } = claim();
  const both = await Promise.all([publisher.publish(record, REQUEST), publisher.publish(record, REQUEST)]);
  assert.equal(both[0].publicPort, both[1].publicPort);
});

test("stopped while its port is being opened, it is not published", async (t) => {
  const { registry, publisher, claim } = setUp(t);
  const { record, holder } = claim();
  const publishing = publisher.publish(record, REQUEST);
  registry.stop(record, holder);
  await assert.rejects(publishing, { code: "draining" });
});

test("with shared ports no share gets one of the relay's, or of another share; a relay that takes over gets the same", async (t) => {
  const first = setUp(t, { reusePort: true });
  const { publicPort: one = 0 } = await first.publisher.publish(first.claim("tcp").record, { ...REQUEST, kind: "tcp" });
  const second = setUp(t, { reusePort: true });
  const again = await second.publisher.publish(second.claim("tcp").record, {
    ...REQUEST,
    kind: "tcp",
    publicPort: one,
  });
  assert.equal(again.publicPort, one, "two relays");
  const thieves = await Promise.all(
    ["x", "y"].map((name) => first.publisher.publish(first.claim("tcp", name).record, { ...REQUEST, publicPort: one })),
  );
  const own = setUp(t, { reusePort: true });
  own.publisher.reserve(one);
  thieves.push(await own.publisher.publish(own.claim("tcp").record, { ...REQUEST, publicPort: one }));
  // Wished for at once by two, free or not: one has it.
  await first.publisher.drain();
  const free = setUp(t, { reusePort: true });
  const both = await Promise.all(
    ["x", "y"].map((name) => free.publisher.publish(free.claim("tcp", name).record, { ...REQUEST, publicPort: one })),
  );
  assert.equal(both.filter(({ publicPort }) => publicPort === one).length, 1);
  assert.ok(thieves.every(({ publicPort }) => publicPort !== one));
  assert.equal(await ask(one), "tcp");
});
