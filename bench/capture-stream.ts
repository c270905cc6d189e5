/**
 * What the capture costs with long streams: `node bench/capture-stream.ts [kind …] [count …]`, kinds grpc, text, deflate,
 * sse. Feeds the tap with octets as they are on the wire, 16 messages a chunk, then looks at the stream as a page does
 * and lets it be recorded. `delay` is the longest time for which the event loop did not turn, in the same process as the
 * data path would be.
 */
import path from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import zlib from "node:zlib";
import protobuf from "protobufjs";
import { createCapture } from "../capture/capture.ts";
import type { Capture, ExchangeRecord } from "../capture/options.ts";
import type { ExchangeTap } from "../capture/tap.ts";
import { silentLogger } from "../wire/logger.ts";
import type { Field } from "../wire/stream.ts";

const KINDS = ["grpc", "text", "deflate", "sse"] as const;
type Kind = (typeof KINDS)[number];

const root = path.join(import.meta.dirname, "..");
const PER_CHUNK = 16;
const PAGE = 100;

const Offer = protobuf
  .parse(
    `syntax = "proto3";
  message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }
  message Offer { string from = 1; Money price = 2; bool accepted = 3; }`,
  )
  .root.lookupType("Offer");

function fields(values: Readonly<Record<string, string>>): Field[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

const HEADS: Readonly<Record<Kind, readonly [request: Field[], response: Field[]]>> = {
  grpc: [
    fields({ ":method": "POST", ":path": "/shop.v1.Orders/Negotiate", "content-type": "application/grpc" }),
    fields({ ":status": "200", "content-type": "application/grpc" }),
  ],
  text: [fields({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/feed" }), fields({ ":status": "200" })],
  deflate: [
    fields({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/feed" }),
    fields({ ":status": "200", "sec-websocket-extensions": "permessage-deflate" }),
  ],
  sse: [
    fields({ ":method": "GET", ":path": "/events" }),
    fields({ ":status": "200", "content-type": "text/event-stream" }),
  ],
};

function text(index: number): string {
  const price = ((index * 7919) % 100_000) / 100;
  return JSON.stringify({
    type: "tick",
    sequence: index,
    symbol: `LAMP${index % 50}`,
    price,
    note: "as of the last trade",
  });
}

function webSocketFrame(payload: Uint8Array, compressed: boolean): Buffer {
  const long = payload.length > 125;
  const frame = Buffer.alloc((long ? 4 : 2) + payload.length);
  frame[0] = 0x81 | (compressed ? 0x40 : 0);
  frame[1] = long ? 126 : payload.length;
  if (long) frame.writeUInt16BE(payload.length, 2);
  frame.set(payload, long ? 4 : 2);
  return frame;
}

async function messagesOf(kind: Kind, count: number): Promise<Buffer[]> {
  const messages: Buffer[] = [];
  const deflate = zlib.createDeflateRaw();
  const parts: Buffer[] = [];
  deflate.on("data", (part: Buffer) => parts.push(part));
  for (let index = 0; index < count; index++) {
    if (kind === "grpc") {
      const payload = Offer.encode({ from: `visitor ${index}`, price: { currencyCode: "EUR", units: index } }).finish();
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(payload.length, 1);
      messages.push(Buffer.concat([prefix, payload]));
    } else if (kind === "text") messages.push(webSocketFrame(Buffer.from(text(index)), false));
    else if (kind === "sse") messages.push(Buffer.from(`event: tick\ndata: ${text(index)}\n\n`));
    else {
      deflate.write(text(index));
      await new Promise<void>((resolve) => deflate.flush(zlib.constants.Z_SYNC_FLUSH, resolve));
      messages.push(webSocketFrame(Buffer.concat(parts.splice(0)).subarray(0, -4), true));
    }
  }
  deflate.close();
  return messages;
}

async function timed<T>(what: () => Promise<T> | T): Promise<{ ms: number; result: T }> {
  const began = performance.now();
  const result = await what();
  return { ms: performance.now() - began, result };
}

function feed(tap: ExchangeTap, chunks: readonly Buffer[]): Promise<void> {
  for (const chunk of chunks) tap.dataReceived("service", chunk, false);
  return Promise.resolve();
}

async function look(capture: Capture, id: number, count: number): Promise<string> {
  const parts: string[] = [];
  for (const [name, index] of [
    ["last", count - PAGE],
    ["first", 0],
    ["middle", Math.floor(count / 2)],
    ["next", Math.floor(count / 2) + PAGE],
  ] as const) {
    const { ms, result } = await timed(() => capture.request("exchange/messages", { id, index, count: PAGE }));
    const previews = result?.messages.filter(({ preview }) => preview !== undefined).length;
    parts.push(`${name} ${ms.toFixed(1)}${previews === PAGE ? "" : ` (${previews} previews)`}`);
  }
  return parts.join(", ");
}

async function measure(kind: Kind, count: number): Promise<void> {
  const messages = await messagesOf(kind, count);
  const chunks: Buffer[] = [];
  for (let at = 0; at < messages.length; at += PER_CHUNK)
    chunks.push(Buffer.concat(messages.slice(at, at + PER_CHUNK)));
  messages.length = 0;
  const capture = createCapture({
    workspaceFolders: [path.join(root, "sample/proto")],
    protoRoots: [],
    workerFile: path.join(root, "capture/decoder/worker.ts"),
    log: silentLogger,
  });
  try {
    while (capture.schema.state !== "ready") await new Promise((resolve) => setTimeout(resolve, 10));
    const tap = capture.tap.opened({ id: "s", port: 1, name: "bench" }, HEADS[kind][0], kind === "sse");
    tap.headReceived(HEADS[kind][1], false);
    const { ms: tapped } = await timed(() => feed(tap, chunks));
    await capture.request("exchange/messages", { id: 1, index: 0, count: 1 });
    const decoded = await timed(() => capture.request("message/decode", { id: 1, index: count - 1 }));
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const pages = await look(capture, 1, count);
    // What blocked is counted when the loop turns again.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const looked = delay.max / 1e6;
    delay.reset();
    let record: ExchangeRecord | undefined;
    capture.onRecord({ showSecrets: true }, (given) => (record = given));
    tap.ended();
    const { ms: recorded } = await timed(() => capture.flush());
    await new Promise((resolve) => setTimeout(resolve, 20));
    delay.disable();
    const { ms: line } = await timed(() => JSON.stringify(record).length);
    const whole = record?.messages.filter((message) => message.value !== undefined).length ?? 0;
    console.log(
      `${kind.padEnd(8)}${String(count).padStart(7)}: tap ${((tapped * 1000) / count).toFixed(2)} µs/message; ` +
        `decode last ${decoded.ms.toFixed(1)} ms (${decoded.result?.view}); pages of ${PAGE}: ${pages} ms, delay ${looked.toFixed(1)} ms; ` +
        `record ${recorded.toFixed(0)} ms (${whole} decoded, ${record?.messages.length} in all), delay ${(delay.max / 1e6).toFixed(1)} ms, ` +
        `line ${line.toFixed(0)} ms; rss ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`,
    );
  } finally {
    const { ms } = await timed(() => capture.close());
    if (ms > 100) console.log(`close took ${ms.toFixed(0)} ms`);
  }
}

const kinds = KINDS.filter((kind) => process.argv.includes(kind));
const counts = process.argv.slice(2).map(Number).filter(Number.isInteger);
for (const kind of kinds.length === 0 ? KINDS : kinds)
  for (const count of counts.length === 0 ? [1000, 10_000, 100_000] : counts) await measure(kind, count);
