import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { silentLogger } from "../wire/logger.ts";
import type { Field } from "../wire/stream.ts";
import { ByteLog } from "./byte-log.ts";
import type { Exchange } from "./exchange.ts";
import { messageState, readPayload } from "./payload.ts";
import { EXCHANGE_CAP } from "./recorder.ts";
import { Ring } from "./ring.ts";
import { Store } from "./store.ts";
import type { ExchangeTap } from "./tap.ts";
import { MESSAGE_CAP } from "./limits.ts";

const SHARE = { id: "s1", port: 3000, name: "web" };
const MIB = 1024 * 1024;

function fields(values: Readonly<Record<string, string>>): Field[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

function storeOf(maxBytes: number, maxExchanges = 1000): Store {
  return new Store({ maxBytes, maxExchanges, log: silentLogger });
}

function open(store: Store, more: Readonly<Record<string, string>> = {}): ExchangeTap {
  const head = { ":method": "POST", ":scheme": "http", ":authority": "a", ":path": "/x", ...more };
  return store.opened(SHARE, fields(head), false);
}

function newest(store: Store): Exchange {
  const exchange = [...store.all()].at(-1);
  assert.ok(exchange !== undefined);
  return exchange;
}

function only(store: Store, id: number): Exchange {
  const exchange = store.get(id);
  assert.ok(exchange !== undefined);
  return exchange;
}

function envelope(payload: Uint8Array): Buffer {
  const framed = Buffer.alloc(5 + payload.length);
  framed.writeUInt32BE(payload.length, 1);
  framed.set(payload, 5);
  return framed;
}

describe("a byte log", () => {
  it("gives back what was appended, at any place", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 12 }),
        fc.nat(20_000),
        fc.nat(20_000),
        (pieces, from, length) => {
          const log = new ByteLog(new Ring(Infinity), false);
          for (const piece of pieces) log.append(piece);
          const whole = Buffer.concat(pieces);
          const start = Math.min(from, whole.length);
          const end = Math.min(start + length, whole.length);
          const read = log.read(start, end);
          assert.equal(read.complete, true);
          assert.equal(Buffer.compare(read.bytes, whole.subarray(start, end)), 0);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("references large pieces, and copies small ones of large chunks", () => {
    const ring = new Ring(Infinity);
    const log = new ByteLog(ring, false);
    const chunk = new Uint8Array(64 * 1024);
    log.append(chunk.subarray(0, 32 * 1024));
    log.append(chunk.subarray(32 * 1024));
    assert.equal(log.read(0, 100).bytes.buffer, chunk.buffer);
    assert.equal(ring.bytes, 64 * 1024, "both pieces together keep one chunk alive");
    const small = new ByteLog(ring, false);
    small.append(chunk.subarray(100, 200));
    assert.notEqual(small.read(0, 100).bytes.buffer, chunk.buffer);
    assert.equal(ring.bytes, 64 * 1024 + 100, "a copy costs its slab");
  });

  it("keeps honest books while it drops and clears", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(40_000), fc.boolean()), { maxLength: 30 }), (steps) => {
        const ring = new Ring(200_000);
        const logs = [new ByteLog(ring, false), new ByteLog(ring, true)] as const;
        for (const [size, first] of steps) {
          logs[first ? 0 : 1].append(new Uint8Array(size));
          assert.ok(ring.bytes <= 200_000);
          assert.equal(ring.bytes, logs[0].charge + logs[1].charge);
        }
        for (const log of logs) log.clear();
        assert.equal(ring.bytes, 0);
      }),
      { numRuns: 200 },
    );
  });
});

describe("the store's bounds", () => {
  it("drops the oldest bodies first, and marks them", () => {
    const store = storeOf(4 * MIB);
    for (let count = 0; count < 6; count++) {
      const tap = open(store);
      tap.dataReceived("visitor", new Uint8Array(MIB).fill(count), true);
      tap.headReceived(fields({ ":status": "200" }), true);
      tap.ended();
    }
    assert.ok(store.state.bytes <= 4 * MIB);
    assert.equal(store.state.exchanges, 6, "rows stay");
    assert.ok(store.state.droppedBytes >= 2 * MIB);
    const states = [...store.all()].map((exchange) => {
      const record = exchange.messages.get(0);
      return record === undefined ? "gone" : messageState(exchange, record);
    });
    assert.deepEqual(states, ["dropped", "dropped", "dropped", "complete", "complete", "complete"]);
    assert.deepEqual(
      [...store.all()].map((exchange) => exchange.row().incomplete),
      [true, true, true, false, false, false],
    );
  });

  it("keeps nothing more of a body whose beginning was dropped", () => {
    const store = storeOf(2 * MIB);
    const body = open(store);
    body.dataReceived("visitor", new Uint8Array(MIB), false);
    const other = open(store);
    for (let count = 0; count < 2; count++) other.dataReceived("visitor", new Uint8Array(MIB - 100_000), false);
    const held = store.state.bytes;
    body.dataReceived("visitor", new Uint8Array(MIB), false);
    assert.equal(store.state.bytes, held);
    const exchange = only(store, 1);
    assert.equal(messageState(exchange, exchange.messages.get(0) ?? assert.fail()), "dropped");
    assert.equal(exchange.visitorBytes, 2 * MIB);
  });

  it("removes the oldest ended exchanges, and open ones only when all are", () => {
    const store = storeOf(MIB, 3);
    const first = open(store);
    for (let count = 0; count < 3; count++) open(store).ended();
    assert.deepEqual(
      [...store.all()].map(({ id }) => id),
      [1, 3, 4],
    );
    first.dataReceived("visitor", Buffer.from("still recorded"), false);
    assert.equal(only(store, 1).visitorBytes, 14);
    const open3 = storeOf(MIB, 2);
    for (let count = 0; count < 5; count++) open(open3);
    assert.deepEqual(
      [...open3.all()].map(({ id }) => id),
      [4, 5],
    );
    assert.equal(open3.state.droppedExchanges, 3);
  });

  it("takes what arrives for a removed exchange without keeping it", () => {
    const store = storeOf(MIB, 1);
    const tap = open(store, { "content-type": "application/grpc" });
    open(store);
    const before = store.state.bytes;
    tap.headReceived(fields({ ":status": "200", "content-type": "application/grpc" }), false);
    for (let count = 0; count < 100; count++) tap.dataReceived("service", envelope(new Uint8Array(1000)), false);
    tap.trailersReceived("service", fields({ "grpc-status": "0" }));
    tap.ended();
    assert.equal(store.state.bytes, before);
  });

  it("counts heads, and drops exchanges for them", () => {
    const store = storeOf(MIB);
    for (let count = 0; count < 200; count++) open(store, { "x-large": "x".repeat(16_000) }).ended();
    assert.ok(store.state.bytes <= MIB);
    assert.ok(store.state.exchanges < 70 && store.state.exchanges > 50, String(store.state.exchanges));
  });

  it("captures a message of 4 MiB whole and caps a larger one, keeping what follows", () => {
    const store = storeOf(64 * MIB);
    const tap = open(store, { "content-type": "application/grpc" });
    const pass = (payload: Uint8Array): void => {
      const framed = envelope(payload);
      for (let at = 0; at < framed.length; at += 65_536)
        tap.dataReceived("visitor", new Uint8Array(framed.subarray(at, at + 65_536)), false);
    };
    pass(new Uint8Array(4 * MIB).fill(1));
    pass(new Uint8Array(MESSAGE_CAP + 4 * MIB).fill(2));
    pass(Buffer.from("last"));
    const exchange = newest(store);
    const [first, second, third] = [0, 1, 2].map((index) => exchange.messages.get(index));
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    assert.equal(readPayload(exchange, first).bytes.length, 4 * MIB);
    assert.deepEqual(
      [first, second, third].map((record) => messageState(exchange, record)),
      ["complete", "capped", "complete"],
    );
    const capped = readPayload(exchange, second).bytes;
    assert.ok(capped.length >= MESSAGE_CAP - 65_536 && capped.length < MESSAGE_CAP + 131_072);
    assert.ok(capped.every((octet) => octet === 2));
    assert.equal(Buffer.from(readPayload(exchange, third).bytes).toString(), "last");
  });

  it("keeps the beginning of a huge body, and the latest messages of a huge stream", () => {
    const store = storeOf(64 * MIB);
    const body = open(store);
    for (let count = 0; count < 40; count++) body.dataReceived("visitor", new Uint8Array(MIB), false);
    const upload = newest(store);
    assert.equal(upload.visitorBytes, 40 * MIB);
    assert.equal(upload.row().incomplete, true);
    assert.ok(upload.visitor.charge <= MESSAGE_CAP + MIB);
    assert.equal(messageState(upload, upload.messages.get(0) ?? assert.fail()), "capped");
    const stream = open(store, { "content-type": "application/grpc" });
    for (let count = 0; count < 40; count++) stream.dataReceived("visitor", envelope(new Uint8Array(MIB)), false);
    const exchange = newest(store);
    assert.ok(exchange.visitor.charge <= EXCHANGE_CAP);
    const states = Array.from({ length: 40 }, (_, index) =>
      messageState(exchange, exchange.messages.get(index) ?? assert.fail()),
    );
    assert.equal(states[0], "dropped");
    assert.deepEqual(states.slice(-10), Array<string>(10).fill("complete"));
  });

  it("takes 100 000 messages of one stream cheaply", () => {
    const store = storeOf(64 * MIB);
    const tap = open(store, { "content-type": "application/grpc" });
    const one = envelope(Buffer.from("0a0568656c6c6f", "hex"));
    const started = performance.now();
    for (let count = 0; count < 100_000; count++) tap.dataReceived("visitor", one, false);
    const elapsed = performance.now() - started;
    const exchange = newest(store);
    assert.equal(exchange.row().visitorMessages, 100_000);
    assert.equal(exchange.messages.total, 100_000);
    assert.equal(exchange.messages.first, 0);
    assert.ok(store.state.bytes < 8 * MIB, `${store.state.bytes} octets`);
    const last = exchange.messages.get(99_999) ?? assert.fail();
    assert.equal(Buffer.from(readPayload(exchange, last).bytes).toString("hex"), "0a0568656c6c6f");
    // A generous bound, for a machine that is busy: it is 5 µs a message.
    assert.ok(elapsed < 5000, `${elapsed} ms`);
  });

  it("keeps the latest of a stream without end", () => {
    const store = storeOf(MIB);
    const tap = open(store, { "content-type": "application/grpc" });
    const many = Buffer.concat(Array.from({ length: 1000 }, () => envelope(Uint8Array.of(8, 1))));
    for (let count = 0; count < 300; count++) tap.dataReceived("visitor", many, false);
    const exchange = newest(store);
    assert.ok(store.state.bytes <= MIB, `${store.state.bytes} octets`);
    assert.equal(exchange.messages.total, 300_000);
    assert.ok(exchange.messages.first > 0);
    assert.equal(messageState(exchange, exchange.messages.get(299_999) ?? assert.fail()), "complete");
  });

  it("allocates nothing from a prefix of 4 GiB", () => {
    const store = storeOf(MIB);
    const tap = open(store, { "content-type": "application/grpc" });
    tap.dataReceived("visitor", Buffer.from("00ffffffff0a", "hex"), false);
    tap.failed({ by: "visitor", code: "cancelled", message: "gone" });
    const exchange = newest(store);
    const record = exchange.messages.get(0) ?? assert.fail();
    assert.equal(record.size, 0xffffffff);
    assert.equal(messageState(exchange, record), "partial");
    assert.ok(store.state.bytes < 8192);
  });

  it("clears, pauses and takes new limits", () => {
    const store = storeOf(64 * MIB);
    for (let count = 0; count < 5; count++) {
      const tap = open(store);
      tap.dataReceived("visitor", new Uint8Array(MIB), true);
      tap.ended();
    }
    store.setLimits(2 * MIB, 3);
    assert.equal(store.state.exchanges, 3);
    assert.ok(store.state.bytes <= 2 * MIB);
    store.clear();
    assert.deepEqual(
      [store.state.exchanges, store.state.bytes, store.state.droppedBytes, store.state.droppedExchanges],
      [0, 0, 0, 0],
    );
    store.pause(true);
    open(store).dataReceived("visitor", new Uint8Array(10), true);
    assert.equal(store.state.exchanges, 0);
    store.pause(false);
    open(store);
    assert.equal(newest(store).id, 6, "ids count up");
  });
});
