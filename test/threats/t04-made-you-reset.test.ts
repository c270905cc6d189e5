/**
 * T-4, MadeYouReset (CVE-2025-8671): 5 variants (WU 0, WU overflow, DATA after ES, trailers w/o ES, CL mismatch) × 5 000:
 * closed after ≤ 200 emitted RST; origin requests ≤ 200.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  GOAWAY,
  POST,
  RST_STREAM,
  RawPeer,
  block,
  describe as frameText,
  frame,
  headers,
  join,
  uint32,
} from "../support/frames.ts";
import { request, splitAddress } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";

let path: Path;
let service: Server;
let shared: Shared;
let requests = 0;

before(async () => {
  service = createServer((incoming, response) => {
    requests++;
    incoming.on("error", () => undefined);
    response.on("error", () => undefined);
    // The service is busy: every reset comes before its answer. Only the last visitor of a test is answered.
    if (incoming.url === "/last") response.end("last");
  });
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  path = await startPath();
  shared = await path.share((service.address() as AddressInfo).port);
});

after(async () => {
  await path.close();
  service.closeAllConnections();
  await new Promise((resolve) => service.close(resolve));
});

beforeEach(() => {
  requests = 0;
});

const id = (index: number): number => 1 + 2 * index;

const variants: Readonly<Record<string, (stream: number) => Uint8Array>> = {
  "WINDOW_UPDATE by 0": (stream) => join(headers(stream, POST, 0), frame(8, 0, stream, uint32(0))),
  "WINDOW_UPDATE above 2^31-1": (stream) => join(headers(stream, POST, 0), frame(8, 0, stream, uint32(0x7fffffff))),
  "DATA after END_STREAM": (stream) => join(headers(stream, POST), frame(0, 0, stream, "x")),
  "trailers without END_STREAM": (stream) => join(headers(stream, POST, 0), frame(1, 4, stream, block([["a", "b"]]))),
  "content above content-length": (stream) =>
    join(headers(stream, [...POST, ["content-length", "1"]], 0), frame(0, 0, stream, "xx")),
  // Beyond the five of the catalogue.
  "a stream that depends on itself": (stream) =>
    join(headers(stream, POST, 0), frame(2, 0, stream, [...uint32(stream), 1])),
  "a malformed request": (stream) => headers(stream, [["x", "y"]]),
  "a head of 101 fields": (stream) =>
    headers(stream, [...POST, ...Array.from({ length: 101 }, () => ["x", "y"] as const)]),
};

for (const [what, make] of Object.entries(variants))
  describe(`5 000 × ${what}`, () => {
    for (const [how, perWrite] of [
      ["in one write", 5000],
      ["ten a write, and the answers read", 10],
    ] as const)
      test(how, async () => {
        const [, port] = splitAddress(shared.address);
        const visitor = await RawPeer.connect(port);
        for (let index = 0; index < 5000 && !visitor.closed; index += perWrite) {
          visitor.send(...Array.from({ length: perWrite }, (_, one) => make(id(index + one))));
          await new Promise<void>((resolve) => setImmediate(resolve));
        }
        const frames = await visitor.untilClosed(10_000);
        const resets = frames.filter(({ type }) => type === RST_STREAM).length;
        assert.ok(resets <= 200, `${resets} RST_STREAM frames`);
        const last = frames.find(({ type }) => type === GOAWAY);
        // When the visitor still writes, the kernel's reset may overtake what we said last.
        if (last !== undefined || perWrite === 10)
          assert.match(last === undefined ? "closed" : frameText(last), /code 11$/);
        visitor.destroy();
        assert.equal((await request(shared.address, "/last")).body, "last");
        assert.ok(requests - 1 <= 200, `${requests - 1} requests reached the service`);
      });
  });
