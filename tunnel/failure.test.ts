import assert from "node:assert/strict";
import { test } from "node:test";
import type { Failure, FailureCode, Fields } from "../wire/stream.ts";
import { RecordingStream, fields } from "../test/support/recording-stream.ts";
import { FAILURES, percentEncode, respond } from "./failure.ts";
import { valueOf } from "./fields.ts";

function answer(request: string, failure: Failure): { head: Fields; body: Buffer; ended: boolean } {
  const stream = new RecordingStream("visitor", []);
  let head: Fields = [];
  let body = Buffer.alloc(0);
  let ended = false;
  stream.sendHead = (sent, end) => {
    head = sent;
    ended ||= end;
  };
  stream.sendData = (bytes, end) => {
    body = Buffer.concat([body, bytes]);
    ended ||= end;
  };
  const size = respond(stream, fields(`:method: POST\n:path: /a\n${request}`), failure);
  assert.equal(size, body.length);
  return { head, body, ended };
}

const because = (
  code: FailureCode,
  by: Failure["by"] = "agent",
  message = "Nothing answers on port 3000",
): Failure => ({ by, code, message });

test("every code has a status of its own, and the page says what happened and what to do", () => {
  for (const code of Object.keys(FAILURES) as FailureCode[]) {
    const { head, body, ended } = answer("", because(code, "visitor"));
    assert.equal(valueOf(head, ":status"), String(FAILURES[code].status), code);
    assert.equal(valueOf(head, "content-length"), String(body.length), code);
    assert.equal(valueOf(head, "cache-control"), "no-store");
    assert.ok(body.includes("Nothing answers on port 3000.") && body.includes(FAILURES[code].advice), code);
    assert.ok(ended);
  }
});

test("the statuses that clients rely on", () => {
  const expected: [Failure, number, number][] = [
    [because("unreachable"), 502, 14],
    [because("unknown-name", "relay"), 404, 14],
    [because("too-often", "relay"), 429, 8],
    [because("offline", "relay"), 503, 14],
    [because("head-too-large", "visitor"), 431, 8],
    [because("head-too-large", "service"), 502, 13],
    [because("malformed", "visitor"), 400, 13],
    [because("malformed", "service"), 502, 13],
    [because("timeout"), 504, 14],
    [because("loop", "relay"), 508, 9],
    [because("unauthorized", "relay"), 401, 16],
    [because("unsupported"), 501, 12],
  ];
  for (const [failure, http, grpc] of expected) {
    assert.equal(valueOf(answer("", failure).head, ":status"), String(http), failure.code);
    const { head, ended } = answer("content-type: application/grpc+proto", failure);
    assert.equal(valueOf(head, ":status"), "200");
    assert.equal(valueOf(head, "grpc-status"), String(grpc), failure.code);
    assert.match(decodeURIComponent(valueOf(head, "grpc-message") ?? ""), /port 3000/);
    assert.ok(ended, "trailers-only");
  }
  assert.match(valueOf(answer("", because("offline")).head, "retry-after") ?? "", /^[0-9]+$/);
});

test("each dialect is answered in kind", () => {
  const failure = because("unreachable");
  assert.equal(valueOf(answer("content-type: application/grpc", failure).head, "content-type"), "application/grpc");
  const web = answer("content-type: application/grpc-web-text+proto\norigin: https://a.test", failure);
  assert.equal(valueOf(web.head, "content-type"), "application/grpc-web-text+proto");
  assert.equal(valueOf(web.head, "grpc-status"), "14");
  assert.equal(valueOf(web.head, "access-control-allow-origin"), "https://a.test");
  for (const request of ["content-type: application/json\nconnect-protocol-version: 1", ":path: /x?connect=v1&a=b"]) {
    const unary = answer(request.startsWith(":path") ? "" : request, failure);
    if (!request.startsWith(":path")) {
      assert.equal(valueOf(unary.head, ":status"), "502");
      assert.equal((JSON.parse(unary.body.toString()) as { code: string }).code, "unavailable");
    }
  }
  const stream = answer("content-type: application/connect+proto", failure);
  assert.equal(valueOf(stream.head, ":status"), "200");
  assert.equal(stream.body[0], 2);
  assert.equal(stream.body.readUInt32BE(1), stream.body.length - 5);
  assert.equal(
    (JSON.parse(stream.body.subarray(5).toString()) as { error: { code: string } }).error.code,
    "unavailable",
  );
  assert.match(answer("content-type: application/grpcish", failure).body.toString(), /^502 Bad Gateway/);
});

test("browsers get a page in which nothing of the message is markup", () => {
  const { head, body } = answer("accept: text/html,*/*", because("unreachable", "agent", "<img onerror=x>&'\""));
  assert.equal(valueOf(head, "content-type"), "text/html; charset=utf-8");
  assert.ok(!body.includes("<img"));
  assert.match(valueOf(head, "content-security-policy") ?? "", /default-src 'none'/);
});

test("HEAD is answered without a body", () => {
  const stream = new RecordingStream("visitor", []);
  const seen: boolean[] = [];
  stream.sendHead = (head, end) => {
    assert.ok(Number(valueOf(head, "content-length")) > 0);
    seen.push(end);
  };
  assert.equal(respond(stream, fields(":method: HEAD\n:path: /"), because("offline")), 0);
  assert.deepEqual(seen, [true]);
});

test("grpc-message is percent-encoded UTF-8", () => {
  assert.equal(percentEncode("a% \u00e9\n\u{1f600}"), "a%25 %C3%A9%0A%F0%9F%98%80");
});
