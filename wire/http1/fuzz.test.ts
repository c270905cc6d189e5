import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ClientRig, GET, ServerRig, answer } from "../../test/support/http1.ts";

/** A generator with a fixed seed (mulberry32): a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const PIECES = ["\r\n", "\n", "\r", " ", "\t", "\0", ":", ",", ";", "0", "5", "chunked", "Content-Length: 3\r\n"];
const MORE = [
  "Transfer-Encoding: chunked\r\n",
  "Host: a.test\r\n",
  "\r\n\r\n",
  "\xff",
  "+",
  "Connection: close\r\n",
  "\x7f",
];

function mutate(text: string, next: (below: number) => number): string {
  let result = text;
  for (let count = 1 + next(3); count > 0; count--) {
    const at = next(result.length);
    const piece = [...PIECES, ...MORE][next(PIECES.length + MORE.length)] ?? "";
    const kind = next(3);
    if (kind === 0) result = result.slice(0, at) + piece + result.slice(at);
    else if (kind === 1) result = result.slice(0, at) + piece + result.slice(at + 1 + next(4));
    else result = result.slice(0, at) + result.slice(at + 1 + next(4));
  }
  return result;
}

const REQUESTS = [
  "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
  "POST /b HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n",
  "GET /c HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n",
  "GET /d HTTP/1.0\r\n\r\n",
];
const ANSWERS = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
];

function cuts(length: number, next: (below: number) => number): number[] {
  const at = Array.from({ length: next(5) }, () => next(length + 1));
  return at.sort((one, other) => one - other);
}

describe("mutated messages mean the same however they are cut", () => {
  test("requests", () => {
    const next = random(1);
    for (let round = 0; round < 4000; round++) {
      const input = mutate(REQUESTS[next(REQUESTS.length)] ?? "", next) + (REQUESTS[next(REQUESTS.length)] ?? "");
      const run = (...at: number[]) => {
        const rig = new ServerRig((stream) => {
          stream.sendHead(answer(200), true);
        }).feed(input, ...at);
        rig.server.receiveEnd();
        rig.server.transportClosed();
        return { log: rig.log, written: rig.transport.written };
      };
      const whole = run();
      const at = cuts(input.length, next);
      assert.deepEqual(run(...at), whole, `${JSON.stringify(input)} cut at ${at.join()}`);
      assert.equal(whole.log.at(-1), "ended");
      // Nothing is read behind a refusal, so there is one at most, and it is the last answer.
      const refusals = whole.written.match(/HTTP\/1\.1 (?:400|414|426|431|501|505) /g) ?? [];
      assert.ok(refusals.length <= 1, JSON.stringify(input));
      if (refusals.length === 1) assert.match(whole.written, /connection: close\r\n\r\n[^\r\n]+\n$/);
    }
  });

  test("answers", () => {
    const next = random(2);
    for (let round = 0; round < 4000; round++) {
      const input = mutate(ANSWERS[next(ANSWERS.length)] ?? "", next);
      const run = (...at: number[]) => {
        const rig = new ClientRig();
        rig.open(GET, true);
        rig.feed(input, ...at);
        const end = rig.log.some((line) => line.endsWith("END") || line.startsWith("trailers"));
        rig.client.receiveEnd();
        rig.client.transportClosed();
        return { log: rig.log.filter((line) => line !== "draining" && line !== "close" && line !== "destroy"), end };
      };
      const whole = run();
      const at = cuts(input.length, next);
      assert.deepEqual(run(...at), whole, `${JSON.stringify(input)} cut at ${at.join()}`);
      const ends = whole.log.filter((line) => line.endsWith("END") || line.startsWith("trailers")).length;
      const resets = whole.log.filter((line) => line.startsWith("reset")).length;
      assert.equal(ends + resets, 1, `${JSON.stringify(input)} ends exactly once: ${whole.log.join(" / ")}`);
    }
  });
});
