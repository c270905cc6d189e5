/**
 * T-2, one client's behaviour kills the shared tunnel, with first octets of every kind: the process lives, the connection
 * of the offender ends, and another visitor's stream on the same tunnel notices nothing.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { startHttp } from "../../sample/http/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { HEADER_BOMB, HTTP1_ATTACKS, HTTP2_ATTACKS } from "../support/attacks.ts";
import { GOAWAY, RST_STREAM } from "../support/frames.ts";
import { RawVisitor, request } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { until } from "../support/time.ts";

let path: Path;
let service: RunningService;
let shared: Shared;
let witness: RawVisitor;
let events = 0;

before(async () => {
  service = await startHttp();
  path = await startPath();
  shared = await path.share(service.port);
  // On the same tunnel as everything below, for the whole time.
  witness = await RawVisitor.connect(shared.address);
  witness.send("GET /events?interval=20 HTTP/1.1\r\nHost: a\r\n\r\n");
  await witness.receive(/"sequence":0/);
});

after(async () => {
  witness.close();
  await path.close();
  await service.close();
});

/** After each attack: the witness's stream goes on without a gap, and new visitors are served. */
afterEach(async () => {
  const numbers = (): number[] =>
    [...witness.received.matchAll(/"sequence":(\d+)/g)].map(([, digits]) => Number(digits));
  events = numbers().length;
  await witness.receive(new RegExp(`"sequence":${events + 2},`));
  assert.deepEqual(
    numbers(),
    numbers().map((_, index) => index),
  );
  assert.equal((await request(shared.address, "/status/200")).status, 200);
});

async function answerTo(text: string): Promise<string> {
  const visitor = await RawVisitor.connect(shared.address);
  visitor.send(text);
  const answer = await visitor.rest(15_000);
  visitor.close();
  return answer;
}

describe("HTTP/1.1", () => {
  for (const [what, text, status] of HTTP1_ATTACKS)
    test(what, async () => {
      const answer = await answerTo(text);
      if (status === 0) assert.doesNotMatch(answer, /^HTTP\/1\.1 2/);
      else assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.equal(
        answer.match(/^HTTP\/1\.1/gm)?.length ?? 0,
        answer === "" ? 0 : 1,
        "one answer, then the connection ends",
      );
    });

  test("a chunk size that is none, in the middle of an upload", async () => {
    const answer = await answerTo(
      "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n",
    );
    assert.doesNotMatch(answer, /"bytes"/);
  });
});

/** Types of the frames received, in order. The visitor reads as latin-1: an octet a character. */
function frameTypes(received: string): number[] {
  const bytes = Buffer.from(received, "latin1");
  const types: number[] = [];
  for (let offset = 0; offset + 9 <= bytes.length; offset += 9 + bytes.readUIntBE(offset, 3))
    types.push(bytes.readUInt8(offset + 3));
  return types;
}

describe("HTTP/2", () => {
  for (const [what, bytes] of HTTP2_ATTACKS)
    test(`${what}: GOAWAY, and the connection ends`, async () => {
      const visitor = await RawVisitor.connect(shared.address);
      visitor.send(bytes);
      const how = visitor.closed;
      const answer = await visitor.rest(15_000);
      // A reset may overtake the GOAWAY when the peer still sends; without one it must be there.
      if ((await how) === "end")
        assert.ok(frameTypes(answer).includes(GOAWAY), `frames ${frameTypes(answer).join(" ")}`);
      visitor.close();
    });

  test("a header bomb of indexed references: refused, and the connection's other stream lives or the connection ends", async () => {
    const visitor = await RawVisitor.connect(shared.address);
    visitor.send(HEADER_BOMB);
    // 431 (":status" by literal), RST_STREAM or GOAWAY: anything but a 200.
    await until(10_000, "an answer or a reset", () => {
      const types = frameTypes(visitor.received);
      return visitor.received.includes("431") || types.includes(RST_STREAM) || types.includes(GOAWAY);
    });
    assert.ok(!visitor.received.includes("\x88"), "no indexed :status 200");
    visitor.close();
  });
});

test("200 silent connections and 100 half heads do no harm", async () => {
  const visitors = await Promise.all(Array.from({ length: 300 }, () => RawVisitor.connect(shared.address)));
  for (const visitor of visitors.slice(200)) visitor.send("GET / HTTP/1.1\r\nHost");
  assert.equal((await request(shared.address, "/status/204")).status, 204);
  for (const visitor of visitors) visitor.close();
});
