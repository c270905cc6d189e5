/**
 * T-5, CONTINUATION / HPACK / HTTP-2 Bomb (CVE-2024-27983, CVE-2026-49975/-47774): 1 000 CONTINUATION; 100 indexed-ref bombs of
 * 4 KB with INITIAL_WINDOW_SIZE=0: RSS growth < 64 MB, closed ≤ 10 s, > 100 headers or > 64 KiB → 431/RST.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { startHttp } from "../../sample/http/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { HpackDecoder } from "../../wire/http2/hpack/decoder.ts";
import {
  CLIENT_PREFACE,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  HEADERS,
  RST_STREAM,
  RawPeer,
  describe as frameText,
  frame,
  headers,
  join,
  settings,
} from "../support/frames.ts";
import { RawVisitor, request, splitAddress } from "../support/http.ts";
import { memory } from "../support/process.ts";
import { startProcesses } from "../support/processes.ts";
import type { Processes } from "../support/processes.ts";

/** MiB that the relay may take more. */
const GROWTH = 64;

let service: RunningService;
let processes: Processes;
let address: string;
let port: number;

before(async () => {
  service = await startHttp();
  processes = await startProcesses([service.port]);
  [address = ""] = processes.addresses;
  [, port] = splitAddress(address);
  // What every process takes for its first requests is no growth.
  for (let index = 0; index < 50; index++) await request(address, "/status/200");
});

after(async () => {
  await processes.close();
  await service.close();
});

/** GET http / of authority "a", by static indexes and one literal. */
const GET = [0x82, 0x86, 0x84, 0x01, 0x01, 0x61];
/** A field "b" of `size` octets (127 to 16 000), into the dynamic table; then it is index 62. */
const define = (size: number): number[] => {
  const rest = size - 127;
  const length = rest < 128 ? [rest] : [(rest & 0x7f) | 0x80, rest >>> 7];
  return [0x40, 0x01, 0x62, 0x7f, ...length, ...Array<number>(size).fill(0x62)];
};
/** A request with `count` references to that field, each of one octet. */
const bomb = (stream: number, count: number, first: number[] = []): Uint8Array =>
  frame(HEADERS, END_STREAM | END_HEADERS, stream, [...GET, ...first, ...Array<number>(count).fill(0xbe)]);

/** Reads the heads of one connection, in their order. */
function decoder(): (block: Uint8Array) => string {
  const hpack = new HpackDecoder(4096);
  return (block) => {
    const fields: string[] = [];
    hpack.decode(block, 0, block.length, { field: ({ name, value }) => fields.push(`${name}=${value}`) });
    return fields.join(" ");
  };
}

const ZERO_WINDOW = settings([4, 0]);

async function bounded(t: TestContext, act: () => Promise<void>): Promise<void> {
  const before = [memory(processes.relay.pid), memory(processes.agent.pid)] as const;
  const started = performance.now();
  await act();
  const seconds = (performance.now() - started) / 1000;
  const growth = [memory(processes.relay.pid) - before[0], memory(processes.agent.pid) - before[1]] as const;
  t.diagnostic(`${seconds.toFixed(1)} s; relay ${growth[0].toFixed(1)} MiB, agent ${growth[1].toFixed(1)} MiB more`);
  assert.ok(growth[0] < GROWTH, `the relay grew by ${growth[0].toFixed(1)} MiB`);
  assert.ok(growth[1] < GROWTH, `the agent grew by ${growth[1].toFixed(1)} MiB`);
  assert.ok(seconds < 10, `took ${seconds.toFixed(1)} s`);
  assert.equal((await request(address, "/status/200")).status, 200);
}

const ends: Readonly<Record<string, Uint8Array>> = {
  "1 000 CONTINUATION frames": join(
    frame(HEADERS, END_STREAM, 1, GET),
    ...Array.from({ length: 1000 }, () => frame(9, 0, 1, [0, 1, 0x61, 1, 0x62])),
  ),
  "1 000 empty CONTINUATION frames": join(
    frame(HEADERS, END_STREAM, 1, GET),
    ...Array.from({ length: 1000 }, () => frame(9, 0, 1)),
  ),
  "a head of half a GB in nine frames": join(
    frame(HEADERS, END_STREAM, 1, [...GET, ...define(4000)]),
    ...Array.from({ length: 8 }, (_, index) => frame(9, index === 7 ? 4 : 0, 1, Array<number>(16_384).fill(0xbe))),
  ),
  "100 bombs of 12 MB each": join(
    ...Array.from({ length: 100 }, (_, index) => bomb(1 + 2 * index, 3000, index === 0 ? define(4000) : [])),
  ),
};

describe("the connection ends with ENHANCE_YOUR_CALM", () => {
  for (const [what, bytes] of Object.entries(ends))
    test(`${what}, on each of 20 connections with a window of 0`, async (t) => {
      await bounded(t, async () => {
        for (let connection = 0; connection < 20; connection++) {
          const visitor = await RawPeer.connect(port, { handshake: false });
          visitor.send(CLIENT_PREFACE, ZERO_WINDOW, bytes);
          const frames = await visitor.untilClosed(10_000);
          const last = frames.find(({ type }) => type === GOAWAY);
          // The kernel's reset may overtake it: we close while the visitor still writes.
          if (last !== undefined) assert.match(frameText(last), /code 11$/);
          assert.ok(!frames.some(({ type }) => type === HEADERS), "no request was answered");
          visitor.destroy();
        }
      });
    });
});

describe("the request is refused, the connection lives", () => {
  for (const [what, make] of Object.entries({
    "100 bombs of 4 KB fields, 80 KB each": (stream: number): Uint8Array =>
      bomb(stream, 20, stream === 1 ? define(4000) : []),
    "100 heads of 101 fields by reference": (stream: number): Uint8Array =>
      bomb(stream, 101, stream === 1 ? define(200) : []),
    "100 heads of 101 fields": (stream: number): Uint8Array =>
      headers(stream, [
        [":method", "GET"],
        [":scheme", "http"],
        [":path", "/"],
        [":authority", "a"],
        ...Array.from({ length: 101 }, (_, index) => [`x-${index}`, "y"] as const),
      ]),
  }))
    test(`${what}: each 431 or RST_STREAM`, async (t) => {
      await bounded(t, async () => {
        const decode = decoder();
        const visitor = await RawPeer.connect(port, { handshake: false });
        visitor.send(CLIENT_PREFACE, ZERO_WINDOW, ...Array.from({ length: 100 }, (_, index) => make(1 + 2 * index)));
        const frames = await visitor.until(
          (seen) => seen.filter(({ type }) => type === HEADERS || type === RST_STREAM).length >= 100,
          10_000,
        );
        const answers = frames.filter(({ type }) => type === HEADERS).map(({ payload }) => decode(payload));
        assert.deepEqual(new Set(answers), new Set([":status=431 content-length=0"]));
        assert.ok(!frames.some(({ type }) => type === GOAWAY));
        visitor.destroy();
      });
    });
});

test("100 heads as large as may be, their answers held back by a window of 0: little is kept", async (t) => {
  const visitor = await RawPeer.connect(port, { handshake: false });
  await bounded(t, async () => {
    // 15 references to 4 KB: 60 KB decoded, 6 KB on the wire for all hundred.
    visitor.send(
      CLIENT_PREFACE,
      ZERO_WINDOW,
      ...Array.from({ length: 100 }, (_, index) => bomb(1 + 2 * index, 15, index === 0 ? define(4000) : [])),
    );
    // The service refuses what is above its own 16 KiB: a hundred answers.
    await visitor.until((frames) => frames.filter(({ type }) => type === HEADERS).length >= 100, 10_000);
  });
  visitor.destroy();
});

test("HTTP/1.1: 431 for 101 fields and for 65 KiB", async () => {
  for (const fields of ["X-A: 1\r\n".repeat(101), `X-A: ${"x".repeat(14_000)}\r\n`.repeat(5)]) {
    const visitor = await RawVisitor.connect(address);
    visitor.send(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
    assert.match(await visitor.rest(), /^HTTP\/1\.1 431 /);
    visitor.close();
  }
});
