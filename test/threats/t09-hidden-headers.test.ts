/**
 * T-9: Hidden headers / truncated lists (CVE-2026-58044): 129, 1 001, 2 001 headers incl. Content-Length last, on h1 and
 * h2: 431 or complete forwarding; never partial.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { END_STREAM, HEADERS, block, frame } from "../support/frames.ts";
import { startPath } from "../support/path.ts";
import type { Path } from "../support/path.ts";
import { rawRequest1, rawRequest2 } from "../support/raw-request.ts";
import type { Pair } from "../support/raw-request.ts";
import { startRecordingService } from "../support/recording-service.ts";

/** Besides the figures of the row: what passes, and both sides of our own limit of 100. */
const COUNTS = [20, 90, 99, 100, 101, 128, 129, 1001, 2001];
const LIMIT = 100;

let path: Path;

before(async () => {
  path = await startPath({ capture: false });
});
after(() => path.close());

/** `count` regular fields, the length last. */
function fields(count: number, host: boolean): Pair[] {
  const filler = count - 1 - (host ? 1 : 0);
  return [
    ...(host ? [["host", "a.test"] as const] : []),
    ...Array.from({ length: filler }, (_, index): Pair => [`x-${index}`, String(index)]),
    ["content-length", "5"],
  ];
}

for (const version of [1, 2] as const)
  describe(`a service of HTTP/${version}`, () => {
    for (const count of COUNTS)
      test(`a request with ${count} fields`, async () => {
        const service = await startRecordingService(version);
        const { address } = await path.share(service.port);
        try {
          const lines = fields(count, true).map(([name, value]) => `${name}: ${value}\r\n`);
          const pseudo: Pair[] = [
            [":method", "POST"],
            [":scheme", "http"],
            [":path", "/"],
            [":authority", "a.test"],
          ];
          const answers = [
            await rawRequest1(address, `POST / HTTP/1.1\r\n${lines.join("")}\r\nhello`),
            await rawRequest2(address, [...pseudo, ...fields(count, false)], "hello"),
          ];
          for (const { status, text } of answers) assert.equal(status, count > LIMIT ? 431 : 200, text.slice(0, 500));
          const seen = service.requests.items;
          assert.equal(seen.length, count > LIMIT ? 0 : 2);
          for (const [index, one] of seen.entries()) {
            const numbered = one.fields.filter(([name]) => /^x-\d+$/.test(name));
            assert.deepEqual(
              numbered,
              fields(count, index === 0).filter(([name]) => name.startsWith("x-")),
            );
            assert.ok(one.fields.some(([name, value]) => name === "content-length" && value === "5"));
            assert.equal(one.body, "hello");
          }
          assert.deepEqual(service.doubts, []);
        } finally {
          await service.close();
        }
      });

    for (const count of COUNTS)
      test(`an answer with ${count} fields, the length last: all of it, or 502`, async () => {
        const service = await startRecordingService(version);
        const { address } = await path.share(service.port);
        const list = fields(count, false);
        service.answer = (_request, stream) =>
          version === 1
            ? `HTTP/1.1 200 OK\r\n${list.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\nhello`
            : {
                bytes: Buffer.concat([
                  ...blocks(stream, [[":status", "200"], ...list]),
                  frame(0x0, END_STREAM, stream, "hello"),
                ]),
                close: false,
              };
        try {
          const pseudo: Pair[] = [
            [":method", "POST"],
            [":scheme", "http"],
            [":path", "/"],
            [":authority", "a.test"],
          ];
          // By hand: Node's clients have limits of their own.
          const answers = [
            await rawRequest1(address, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx"),
            await rawRequest2(address, pseudo, "x"),
          ];
          for (const answer of answers) {
            if (answer.status === 502) {
              assert.ok(count > LIMIT, `502 to ${count}`);
              continue;
            }
            assert.equal(answer.status, 200, answer.text.slice(0, 500));
            const passed = answer.fields.filter(([name]) => name !== ":status" && name !== "connection");
            assert.deepEqual(passed, list);
            assert.equal(answer.body, "hello");
          }
        } finally {
          await service.close();
        }
      });
  });

/** The head in frames that any peer takes. */
function blocks(stream: number, list: readonly Pair[]): Uint8Array[] {
  const bytes = block(list);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 16_384)
    parts.push(
      frame(at === 0 ? HEADERS : 0x9, at + 16_384 >= bytes.length ? 0x4 : 0, stream, bytes.slice(at, at + 16_384)),
    );
  return parts;
}
