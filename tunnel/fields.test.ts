import assert from "node:assert/strict";
import { test } from "node:test";
import { fields, show } from "../test/support/recording-stream.ts";
import { hopsOf, isForAgent, responseFields, trailerFields, without, withoutHopByHop } from "./fields.ts";

test("hop-by-hop fields go, everything else stays as it is", () => {
  const cases: [string, string][] = [
    ["a: 1\nB_c: 2\na: 3", "a=1 B_c=2 a=3"],
    ["connection: close\na: 1", "a=1"],
    ["connection: X-Y , keep-alive\nx-y: 1\nkeep-alive: 5\na: 1", "a=1"],
    [
      "connection: x-forwarded-for, host, authorization, cookie\nx-forwarded-for: 1\nhost: h\nauthorization: t",
      "x-forwarded-for=1 host=h authorization=t",
    ],
    ["te: trailers\na: 1", "te=trailers a=1"],
    ["te: gzip\na: 1", "a=1"],
    ["connection: te\nte: trailers", "te=trailers"],
    [
      "transfer-encoding: chunked\nupgrade: h2c\nhttp2-settings: x\nproxy-authorization: y\nproxy-connection: z\na: 1",
      "a=1",
    ],
    [":path: /\nconnection: :path", ":path=/"],
  ];
  for (const [given, expected] of cases) assert.equal(show(withoutHopByHop(fields(given))), expected, given);
});

test("the same array comes back when there is nothing to remove", () => {
  const clean = fields(":status: 200\ncontent-type: a\nx-y: 1");
  assert.equal(withoutHopByHop(clean), clean);
  assert.equal(responseFields(clean), clean);
  assert.equal(trailerFields(clean), clean);
});

test("our own name space never leaves the tunnel, but the hops do towards the service", () => {
  assert.equal(show(responseFields(fields(":status: 200\nportlight-share: a\nportlight-x: b"))), ":status=200");
  assert.equal(show(trailerFields(fields("portlight-hops: 1\ngrpc-status: 0"))), "grpc-status=0");
  assert.equal(
    show(trailerFields(fields("x-forwarded-for: 1\nx-real-ip: 1\nhost: a\ncontent-length: 3\na: 1"))),
    "a=1",
  );
  const request = fields(":path: /\nportlight-share: a\nportlight-http: 2\nportlight-hops: 1");
  assert.equal(show(without(request, isForAgent)), ":path=/ portlight-hops=1");
});

test("hops that are no small number are too many", () => {
  const cases: [string, number][] = [
    ["a: 1", 0],
    ["portlight-hops: 3", 3],
    ["portlight-hops: -1", Number.MAX_SAFE_INTEGER],
    ["portlight-hops: 1e9", Number.MAX_SAFE_INTEGER],
    ["portlight-hops: 99999", Number.MAX_SAFE_INTEGER],
  ];
  for (const [given, expected] of cases) assert.equal(hopsOf(fields(given)), expected, given);
});
