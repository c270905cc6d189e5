/** What a visitor may ask, and what a service may answer, at the octet: Node's own clients → relay → agent → service. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { request, request2 } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";

const KIB = 1024;

/** Says how long the target and the field "x" were, and answers with a field of `?answer=` octets. */
const service = http.createServer({ maxHeaderSize: 256 * KIB }, ({ url = "", headers }, response) => {
  const size = Number(/answer=(\d+)/.exec(url)?.[1] ?? 0);
  response.writeHead(200, { "x-answer": "a".repeat(size) });
  response.end(`${url.length} ${String(headers["x"] ?? "").length}`);
});
let path: Path;
let shared: Shared;

before(async () => {
  service.listen(0, "127.0.0.1");
  await once(service, "listening");
  path = await startPath();
  shared = await path.share((service.address() as AddressInfo).port);
});

after(async () => {
  await path.close();
  service.closeAllConnections();
  service.close();
});

const target = (length: number): string => `/${"p".repeat(length - 1)}`;

const ASKED: readonly (readonly [name: string, target: string, value: number, status: number, body: RegExp])[] = [
  ["a URL of 8 KiB", target(8 * KIB), 0, 200, /^8192 0$/],
  ["an octet more", target(8 * KIB + 1), 0, 414, /^The request target is too long\.\n$/],
  ["a field of 16 KiB", "/", 16 * KIB, 200, /^1 16384$/],
  ["an octet more", "/", 16 * KIB + 1, 431, /too large/],
];

describe("the public edge", () => {
  for (const [name, url, value, status, body] of ASKED) {
    for (const [version, ask] of [
      ["HTTP/1.1", request],
      ["HTTP/2", request2],
    ] as const) {
      test(`${name}, by ${version}: ${status}`, async () => {
        const answer = await ask(shared.address, url, { headers: { x: "v".repeat(value) } });
        assert.equal(answer.status, status);
        assert.match(answer.body, body);
      });
    }
  }
});

describe("a service may answer with more than a visitor may ask", () => {
  test("a field of 60 KiB", async () => {
    const answer = await request2(shared.address, `/?answer=${60 * KIB}`, {});
    assert.equal(answer.status, 200);
    assert.ok(answer.fields.some((field) => field === `x-answer: ${"a".repeat(60 * KIB)}`));
  });
});
