import assert from "node:assert/strict";
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import zlib from "node:zlib";
import protobuf from "protobufjs";
import { silentLogger } from "../wire/logger.ts";
import type { Field } from "../wire/stream.ts";
import { createCapture } from "./capture.ts";
import type { Exchange } from "./exchange.ts";
import { skipMessages, inflateMessage } from "./inflate.ts";
import type { Capture, ExchangeRecord } from "./options.ts";
import { chainOf } from "./payload.ts";
import { MessageReader } from "./reader.ts";
import { recordOf } from "./record.ts";
import { JOB_MESSAGES, MAX_RECORD_BYTES, MAX_RECORD_MESSAGES } from "./recorded-messages.ts";
import { Schemas } from "./schemas.ts";
import type { TypedBytes } from "./schemas.ts";
import { Store } from "./store.ts";
import type { ExchangeTap } from "./tap.ts";
import { TypeRules } from "./type-rules.ts";

/** Streams of many messages: how much work they make, not how long it takes. */
const WORKER = path.join(import.meta.dirname, "decoder", "worker.ts");
const SHARE = { id: "s1", port: 8080, name: "feed" };
const PROTO = `syntax = "proto3"; package feed; service Feed { rpc Watch(Tick) returns (stream Tick); }
message Tick { uint32 number = 1; string text = 2; }`;
const Tick = protobuf.parse(PROTO).root.lookupType("feed.Tick");
const EMPTY = new Uint8Array(0);

function fields(values: Readonly<Record<string, string>>): Field[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

function envelope(message: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function frame(payload: Uint8Array, compressed: boolean): Buffer {
  const header = Buffer.alloc(payload.length < 126 ? 2 : 4);
  header[0] = 0x81 | (compressed ? 0x40 : 0);
  header[1] = payload.length < 126 ? payload.length : 126;
  if (payload.length >= 126) header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}

function openCall(store: Pick<Store, "opened">, encoding = "identity"): ExchangeTap {
  const tap = store.opened(
    SHARE,
    fields({ ":method": "POST", ":path": "/feed.Feed/Watch", "content-type": "application/grpc" }),
    true,
  );
  tap.headReceived(fields({ ":status": "200", "content-type": "application/grpc", "grpc-encoding": encoding }), false);
  return tap;
}

function openSocket(store: Pick<Store, "opened">, extensions: string | undefined): ExchangeTap {
  const tap = store.opened(SHARE, fields({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/feed" }), false);
  const agreed: Readonly<Record<string, string>> =
    extensions === undefined ? {} : { "sec-websocket-extensions": extensions };
  tap.headReceived(fields({ ":status": "200", ...agreed }), false);
  return tap;
}

/** Messages of permessage-deflate with context takeover, as a sender makes them. */
async function deflated(texts: readonly (string | Buffer)[]): Promise<Buffer[]> {
  const stream = zlib.createDeflateRaw();
  const parts: Buffer[] = [];
  stream.on("data", (part: Buffer) => parts.push(part));
  const payloads: Buffer[] = [];
  for (const text of texts) {
    stream.write(text);
    await new Promise<void>((resolve) => stream.flush(zlib.constants.Z_SYNC_FLUSH, resolve));
    payloads.push(Buffer.concat(parts.splice(0)).subarray(0, -4));
  }
  stream.close();
  return payloads;
}

function ticks(count: number): string[] {
  return Array.from({ length: count }, (_, index) =>
    JSON.stringify({ number: index, text: `tick ${index % 17} of many` }),
  );
}

class CountingSchemas extends Schemas {
  jobs: number[] = [];

  override values(messages: readonly TypedBytes[], outputChars: number): ReturnType<Schemas["values"]> {
    this.jobs.push(messages.length);
    return super.values(messages, outputChars);
  }
}

describe("long streams", () => {
  let folder: string;
  let schemas: CountingSchemas;
  let reader: MessageReader;
  let store: Store;

  before(async () => {
    folder = await realpath(await mkdtemp(path.join(tmpdir(), "portlight-stream-")));
    await writeFile(path.join(folder, "feed.proto"), PROTO);
    schemas = new CountingSchemas({
      workspaceFolders: [folder],
      protoRoots: [],
      workerFile: WORKER,
      log: silentLogger,
      changed: () => {},
    });
    schemas.reload();
    reader = new MessageReader(schemas, new TypeRules());
    store = new Store({ maxBytes: 64 * 1024 * 1024, maxExchanges: 100, log: silentLogger });
  });

  after(async () => {
    await schemas.close();
    await rm(folder, { recursive: true });
  });

  function latest(): Exchange {
    const exchange = [...store.all()].at(-1);
    assert.ok(exchange !== undefined);
    return exchange;
  }

  it("decodes many messages in one job, in order", async () => {
    const tap = openCall(store);
    const count = JOB_MESSAGES * 4 + 7;
    const good = Array.from({ length: count }, (_, number) => Tick.encode({ number, text: `t${number}` }).finish());
    // One that does not fit its type, in the middle of a job, is told as it is and disturbs no other.
    good[300] = Buffer.from("ffff", "hex");
    tap.dataReceived("service", Buffer.concat(good.map((message) => envelope(message))), true);
    schemas.jobs = [];
    const { messages, messagesLeftOut } = await recordOf(latest(), reader, false);
    assert.deepEqual(schemas.jobs, [...new Array<number>(4).fill(JOB_MESSAGES), 7]);
    assert.equal(messagesLeftOut, undefined);
    assert.equal(messages.length, count);
    messages.forEach((message, number) => {
      if (number === 300) assert.deepEqual([message.base64, message.value], ["//8=", undefined]);
      else assert.deepEqual(message.value, number === 0 ? { text: "t0" } : { number, text: `t${number}` });
    });
  });

  it("gives a large message a job of its own", async () => {
    const tap = openCall(store);
    const large = Tick.encode({ number: 1, text: "x".repeat(100_000) }).finish();
    const small = Tick.encode({ number: 2 }).finish();
    for (const message of [small, large, small, small]) tap.dataReceived("service", envelope(message), false);
    schemas.jobs = [];
    const { messages } = await recordOf(latest(), reader, false);
    assert.deepEqual(schemas.jobs, [1, 1, 2]);
    assert.deepEqual(
      messages.map(({ value }) => (value as { number: number }).number),
      [2, 1, 2, 2],
    );
  });

  it("records at most so many messages, and says how many it left out", async () => {
    const tap = openSocket(store, undefined);
    const chunk = Buffer.concat(new Array<Buffer>(1000).fill(frame(Buffer.from("x"), false)));
    for (let at = 0; at < MAX_RECORD_MESSAGES + 3000; at += 1000) tap.dataReceived("service", chunk, false);
    const record = await recordOf(latest(), reader, false);
    assert.equal(record.messages.length, MAX_RECORD_MESSAGES);
    assert.equal(record.messagesLeftOut, 3000);
  });

  it("records at most so many decompressed octets", async () => {
    const tap = openCall(store, "gzip");
    const size = 1024 * 1024;
    const bomb = envelope(zlib.gzipSync(Tick.encode({ text: "a".repeat(size) }).finish()), 1);
    for (let at = 0; at < 40; at++) tap.dataReceived("service", bomb, false);
    const record = await recordOf(latest(), reader, false);
    assert.equal(record.messages.length, MAX_RECORD_BYTES / size - 1);
    assert.equal(record.messages.length + (record.messagesLeftOut ?? 0), 40);
  });

  it("inflates the last of a long stream without inflating each before it", async () => {
    const texts = ticks(5000);
    const tap = openSocket(store, "permessage-deflate");
    const payloads = await deflated(texts);
    tap.dataReceived("service", Buffer.concat(payloads.map((payload) => frame(payload, true))), false);
    const exchange = latest();
    const chain = chainOf(exchange, "service");
    const decode = async (index: number): Promise<void> => {
      const record = exchange.messages.get(index);
      assert.ok(record !== undefined);
      const decoded = await reader.decode(exchange, record, { as: "auto", showSecrets: true });
      assert.ok(decoded.view === "json" && decoded.problem === undefined);
      assert.deepEqual(decoded.json, JSON.parse(texts[index] ?? ""));
    };
    await decode(4999);
    const first = chain.skips;
    assert.ok(first > 0 && first < 20, `${first} runs for 4 999 messages`);
    await decode(4990);
    assert.ok(chain.skips - first <= 3, "a window near it was kept");
    const before = chain.skips;
    await Promise.all(Array.from({ length: 200 }, (_, at) => decode(2000 + at)));
    assert.ok(chain.skips - before <= 5, "those asked for together are inflated one after the other, each once");
  });

  it("skips as it inflates one by one", async () => {
    const payloads = await deflated(ticks(300));
    let window: Uint8Array = EMPTY;
    for (const payload of payloads) window = (await inflateMessage(payload, window)).window ?? EMPTY;
    assert.ok(window.length > 0);
    assert.deepEqual(await skipMessages(payloads, EMPTY), window);
    const half = await skipMessages(payloads.slice(0, 150), EMPTY);
    assert.ok(half !== undefined);
    assert.deepEqual(await skipMessages(payloads.slice(150), half), window);
  });

  it("does not skip what a final block hides, nor what is damaged", async () => {
    const [one = EMPTY, two = EMPTY] = await deflated(["first first first", "second second"]);
    const final = zlib.deflateRawSync("with a final block");
    assert.equal(await skipMessages([one, final, two], EMPTY), undefined);
    assert.equal(await skipMessages([one, Buffer.from("ffffff", "hex"), two], EMPTY), undefined);
    const alone = await inflateMessage(final, EMPTY);
    assert.equal(Buffer.from(alone.bytes).toString(), "with a final block");
  });

  it("reads on behind a message with a final block", async () => {
    const payloads = await deflated(["first first first", "second second first"]);
    // Nothing refers to what the final block holds: an empty one, as RFC 7692 section 7.2.3.4 shows.
    const messages = [payloads[0] ?? EMPTY, Buffer.from("0300", "hex"), payloads[1] ?? EMPTY];
    const tap = openSocket(store, "permessage-deflate");
    tap.dataReceived("service", Buffer.concat(messages.map((payload) => frame(payload, true))), false);
    const exchange = latest();
    const last = exchange.messages.get(2);
    assert.ok(last !== undefined);
    const decoded = await reader.decode(exchange, last, { as: "text", showSecrets: true });
    assert.ok(decoded.view === "text");
    assert.equal(decoded.text, "second second first");
  });

  it("inflates the latest of a compressed stream whose beginning is gone", async () => {
    const tap = openSocket(store, "permessage-deflate");
    const exchange = latest();
    const chain = chainOf(exchange, "service");
    // 24 MiB of what does not compress, of which each message begins like the one before: 16 MiB are kept.
    let seed = 1;
    const noise = Buffer.from(Array.from({ length: 20_000 }, () => (seed = (seed * 48_271) % 2_147_483_647) >> 8));
    const texts: Buffer[] = [];
    for (let index = 0; index < 1200; index++) {
      for (let at = 1000; at < noise.length; at += 4) noise.writeUInt32LE((seed = (seed * 48_271) % 2_147_483_647), at);
      texts.push(Buffer.from(noise));
    }
    for (const payload of await deflated(texts)) {
      tap.dataReceived("service", frame(payload, true), false);
      await chain.idle;
    }
    assert.equal(exchange.messages.total, 1200);
    assert.ok(exchange.service.evicted);
    for (const index of [1199, 600, 900, 1000]) {
      const record = exchange.messages.get(index);
      assert.ok(record !== undefined);
      const bytes = await reader.bytes(exchange, record, true);
      assert.equal(Buffer.from(bytes).compare(texts[index] ?? EMPTY), 0, `message ${index}`);
    }
    // Looking at what is gone harms nothing.
    const [first] = await reader.summaries(exchange, [exchange.messages.get(0) ?? assert.fail()]);
    assert.equal(first?.state, "dropped");
    const last = exchange.messages.get(1198) ?? assert.fail();
    assert.equal(Buffer.from(await reader.bytes(exchange, last, true)).compare(texts[1198] ?? EMPTY), 0);
  });

  it("forgets the windows of streams not looked at for long, and reads them again", async () => {
    const texts = ticks(200);
    const payloads = await deflated(texts);
    const exchanges = Array.from({ length: 20 }, () => {
      const tap = openSocket(store, "permessage-deflate");
      tap.dataReceived("service", Buffer.concat(payloads.map((payload) => frame(payload, true))), false);
      return latest();
    });
    for (const exchange of [...exchanges, ...exchanges]) {
      const last = exchange.messages.get(199);
      assert.ok(last !== undefined);
      const [summary] = await reader.summaries(exchange, [last]);
      assert.equal(summary?.preview, texts[199]);
    }
    const [first] = exchanges;
    assert.ok(first !== undefined);
    assert.equal(chainOf(first, "service").skips, 2, "its windows were given to others in between");
  });
});

describe("records and the end", () => {
  function begin(): Capture {
    return createCapture({ workspaceFolders: [], protoRoots: [], workerFile: WORKER, log: silentLogger });
  }

  function talk(capture: Capture, count: number): void {
    const tap = openSocket({ opened: (...args) => capture.tap.opened(...args) }, undefined);
    tap.dataReceived("service", Buffer.concat(ticks(count).map((text) => frame(Buffer.from(text), false))), false);
    tap.ended();
  }

  it("lets the event loop turn while it records", async () => {
    const capture = begin();
    let turns = 0;
    let recorded = false;
    capture.onRecord({ showSecrets: false }, (record) => {
      recorded = true;
      assert.equal(record.messages.length, 20_000);
    });
    talk(capture, 20_000);
    const turn = (): void => {
      if (recorded) return;
      turns++;
      setImmediate(turn);
    };
    turn();
    await capture.flush();
    assert.ok(recorded);
    assert.ok(turns > 3, `${turns} turns`);
    await capture.close();
  });

  it("flushes what ended before, and not what ends later", async () => {
    const capture = begin();
    const given: number[] = [];
    capture.onRecord({ showSecrets: false }, ({ id }) => {
      given.push(id);
      // Traffic that never pauses.
      if (id < 50) talk(capture, 1);
    });
    talk(capture, 1);
    talk(capture, 1);
    await capture.flush();
    assert.ok(given.length >= 2 && given.length < 50, `${given.length} records`);
    await capture.close();
  });

  it("goes on when a listener throws", async () => {
    const capture = begin();
    const given: number[] = [];
    capture.onRecord({ showSecrets: false }, ({ id }) => {
      given.push(id);
      if (id === 1) throw new Error("of the listener");
    });
    talk(capture, 1);
    talk(capture, 1);
    await capture.flush();
    assert.deepEqual(given, [1, 2]);
    await capture.close();
  });

  it("ends at once in the middle of a record, and lets go who waits for it", async () => {
    const capture = begin();
    const given: ExchangeRecord[] = [];
    capture.onRecord({ showSecrets: false }, (record) => given.push(record));
    talk(capture, 100_000);
    talk(capture, 1);
    const flushed = capture.flush();
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    await capture.close();
    await flushed;
    assert.deepEqual(given, []);
    await capture.flush();
  });
});
