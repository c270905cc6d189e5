/**
 * T-6, PING/SETTINGS/empty-DATA/PRIORITY/WINDOW_UPDATE floods (the 2019 set, CVE-2019-9511 to -9518): 20 000 frames each:
 * closed or CPU < 1 core-second; RSS growth < 16 MB.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startHttp } from "../../sample/http/server.ts";
import type { RunningService } from "../../sample/service.ts";
import {
  GOAWAY,
  RawPeer,
  SETTINGS_ACK,
  block,
  describe as frameText,
  frame,
  headers,
  settings,
  uint32,
} from "../support/frames.ts";
import { request, splitAddress } from "../support/http.ts";
import { memory } from "../support/process.ts";
import { cpuSeconds, startProcesses } from "../support/processes.ts";
import type { Processes } from "../support/processes.ts";

const FRAMES = 20_000;
/** MiB that the relay may take more. */
const GROWTH = 16;

let service: RunningService;
let processes: Processes;
let address: string;

before(async () => {
  service = await startHttp();
  // A small young generation, as the extension gives it: what the collector has not looked at yet is no growth.
  processes = await startProcesses([service.port], { relayNodeOptions: "--max-semi-space-size=1" });
  [address = ""] = processes.addresses;
  for (let index = 0; index < 200; index++) await request(address, "/status/200");
});

after(async () => {
  await processes.close();
  await service.close();
});

let relayBefore: readonly [memory: number, cpu: number];
beforeEach(() => {
  relayBefore = [memory(processes.relay.pid), cpuSeconds(processes.relay.pid)];
});

const POST_UPLOAD = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/upload"],
  [":authority", "a"],
] as const;
/** A stream that stays open: the service waits for more of the upload. */
const OPEN = headers(1, POST_UPLOAD, 0);

interface Flood {
  readonly first?: readonly Uint8Array[];
  readonly make: (index: number) => Uint8Array;
}

const floods: Readonly<Record<string, Flood>> = {
  PING: { make: () => frame(6, 0, 0, new Uint8Array(8)) },
  "PING ACK": { make: () => frame(6, 1, 0, new Uint8Array(8)) },
  SETTINGS: { make: () => settings() },
  "SETTINGS of 32 entries": {
    make: () => settings(...Array.from({ length: 32 }, (_, index) => [4, 60_000 + index] as const)),
  },
  "SETTINGS ACK": { make: () => SETTINGS_ACK },
  "empty DATA": { first: [OPEN], make: () => frame(0, 0, 1) },
  "DATA of padding alone": { first: [OPEN], make: () => frame(0, 8, 1, [0]) },
  "DATA of one octet": { first: [OPEN], make: () => frame(0, 0, 1, "x") },
  "DATA on a stream that is over": {
    first: [OPEN, frame(8, 0, 1, uint32(0))],
    make: () => frame(0, 0, 1, "x"),
  },
  PRIORITY: { make: () => frame(2, 0, 1, [0, 0, 0, 3, 1]) },
  "PRIORITY, each on a stream of its own": { make: (index) => frame(2, 0, 1 + 2 * index, [0, 0, 0, 0, 1]) },
  "WINDOW_UPDATE of the connection": { make: () => frame(8, 0, 0, uint32(1)) },
  "WINDOW_UPDATE of a stream": { first: [OPEN], make: () => frame(8, 0, 1, uint32(1)) },
  "WINDOW_UPDATE of one octet, each answered with one": {
    first: [
      settings([4, 0]),
      headers(1, [
        [":method", "GET"],
        [":scheme", "http"],
        [":path", "/download?bytes=1000000"],
        [":authority", "a"],
      ]),
    ],
    make: () => frame(8, 0, 1, uint32(1)),
  },
  "unknown types": { make: (index) => frame(0x10 + (index % 0xe0), 0, 0, "x") },
  "unknown types of 256 octets": { make: () => frame(0xbe, 0, 0, new Uint8Array(256)) },
  GOAWAY: { first: [OPEN], make: () => frame(7, 0, 0, new Uint8Array(8)) },
  "RST_STREAM of a stream that is over": { first: [OPEN], make: () => frame(3, 0, 1, uint32(8)) },
  "trailers of a stream that is over": {
    first: [OPEN, frame(8, 0, 1, uint32(0))],
    make: () => frame(1, 5, 1, block([["a", "b"]])),
  },
  "heads of nothing": { make: (index) => frame(1, 5, 1 + 2 * index) },
  "empty CONTINUATION": { first: [frame(1, 1, 1)], make: () => frame(9, 0, 1) },
};

for (const [what, { first = [], make }] of Object.entries(floods))
  describe(`${FRAMES} × ${what}`, () => {
    for (const [how, perWrite] of [
      ["in writes of 5 000, nothing read", 5000],
      ["a hundred a write, and the answers read", 100],
    ] as const)
      test(how, async (t) => {
        const visitor = await RawPeer.connect(splitAddress(address)[1]);
        if (perWrite === 5000) visitor.pause();
        visitor.send(...first);
        for (let index = 0; index < FRAMES && !visitor.closed; index += perWrite) {
          visitor.send(...Array.from({ length: perWrite }, (_, one) => make(index + one)));
          await new Promise<void>((resolve) => setImmediate(resolve));
        }
        visitor.resume();
        // Whoever still listens answers this; an attacker's connection is over.
        visitor.send(frame(6, 0, 0, Buffer.from("the last")));
        await visitor.until((frames) =>
          frames.some(({ payload }) => Buffer.from(payload).equals(Buffer.from("the last"))),
        );
        const [memoryBefore, cpuBefore] = relayBefore;
        const cpu = cpuSeconds(processes.relay.pid) - cpuBefore;
        const growth = memory(processes.relay.pid) - memoryBefore;
        const last = visitor.frames.find(({ type }) => type === GOAWAY);
        const end = last !== undefined ? frameText(last) : visitor.closed ? "closed" : "goes on";
        t.diagnostic(`${end}; ${cpu.toFixed(2)} s of CPU, ${growth.toFixed(1)} MiB`);
        visitor.destroy();
        assert.ok(visitor.closed || cpu < 1, `goes on, and took ${cpu} s`);
        assert.ok(cpu < 1, `took ${cpu} s`);
        assert.ok(growth < GROWTH, `grew by ${growth.toFixed(1)} MiB`);
        assert.equal((await request(address, "/status/200")).status, 200);
      });
  });
