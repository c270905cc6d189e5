import assert from "node:assert/strict";
import { test } from "node:test";
import { REQUEST, block, frame, headers, settings } from "../../test/support/frames.ts";
import { GET, Lone, OK, POST } from "../../test/support/http2.ts";
import type { Field } from "../stream.ts";
import { CONTINUATION } from "./frame.ts";
import { PUBLIC_EDGE, SERVICE_CLIENT, TUNNEL_AGENT } from "./profiles.ts";

type Pairs = readonly (readonly [string, string])[];

/** A request whose block takes more than one frame. */
function large(stream: number, fields: Pairs): Uint8Array[] {
  const bytes = block(fields);
  const parts = [frame(1, bytes.length > 16_384 ? 1 : 5, stream, bytes.subarray(0, 16_384))];
  for (let at = 16_384; at < bytes.length; at += 16_384) {
    parts.push(frame(CONTINUATION, at + 16_384 >= bytes.length ? 4 : 0, stream, bytes.subarray(at, at + 16_384)));
  }
  return parts;
}

function path(length: number, method = "GET"): Pairs {
  return [[":method", method], REQUEST[1] ?? ["", ""], [":path", `/${"p".repeat(length - 1)}`], ...REQUEST.slice(3)];
}

const PASSES = ["opened :method=GET end"];

/** What reliability.md promises to carry, and the octet above it. */
const TABLE: readonly { name: string; fields: Pairs; log?: readonly string[]; sent?: readonly string[] }[] = [
  { name: "a path of 8 KiB", fields: path(8192), log: PASSES },
  { name: "a path above 8 KiB", fields: path(8193), sent: ["HEADERS 1", "DATA 1 end 32"] },
  { name: "a path above 8 KiB of HEAD", fields: path(8193, "HEAD"), sent: ["HEADERS 1 end"] },
  { name: "a value of 16 KiB", fields: [...REQUEST, ["x", "v".repeat(16_384)]], log: PASSES },
  {
    name: "a value above 16 KiB",
    fields: [...REQUEST, ["x", "v".repeat(16_385)]],
    sent: ["HEADERS 1", "DATA 1 end 61"],
  },
  { name: "three values of 16 KiB", fields: [...REQUEST, ...repeat(3, ["x", "v".repeat(16_384)])], log: PASSES },
];

function repeat(count: number, field: readonly [string, string]): Pairs {
  return Array.from({ length: count }, () => field);
}

for (const { name, fields, log = [], sent = [] } of TABLE) {
  test(`the public edge, ${name}: ${log.length > 0 ? "passes" : "is refused alone"}`, () => {
    const lone = new Lone("server", PUBLIC_EDGE);
    assert.deepEqual(lone.feed(...large(1, fields)), sent);
    assert.deepEqual(lone.log, log);
    lone.feed(headers(3));
    assert.deepEqual(lone.log, [...log, "opened :method=GET end"]);
  });
}

test("a refusal says why as far as the visitor's windows take it at once", () => {
  const lone = new Lone("server", PUBLIC_EDGE);
  lone.feed(settings([4, 31]));
  assert.deepEqual(lone.feed(headers(1, path(8193))), ["HEADERS 1 end"]);
  lone.feed(settings([4, 32]));
  assert.deepEqual(lone.feed(headers(3, path(8193))), ["HEADERS 3", "DATA 3 end 32"]);
  lone.transport.outbox.blocked = true;
  assert.deepEqual(lone.feed(headers(5, path(8193))), ["HEADERS 5 end"]);
});

test("tunnel and services: what the visitor's edge let pass is not judged again", () => {
  const lone = new Lone("server", TUNNEL_AGENT);
  lone.feed(headers(1, [...path(20_000), ["x", "v".repeat(40_000)]]));
  assert.deepEqual(lone.log, PASSES);
  const service = new Lone("client", SERVICE_CLIENT);
  const events = service.open();
  service.feed(
    headers(1, [
      [":status", "200"],
      ["x", "v".repeat(60_000)],
    ]),
  );
  assert.match(events.log[0] ?? "", /^head :status=200 x=v+ end$/);
});

const LARGE: Field = { name: "x", value: "v".repeat(500) };

test("a request above the peer's SETTINGS_MAX_HEADER_LIST_SIZE is not sent, and nothing else is harmed", () => {
  const lone = new Lone("client");
  lone.feed(settings([6, 600]));
  const events = lone.open([...GET, LARGE]);
  assert.deepEqual(events.log, ["reset visitor head-too-large"]);
  assert.match(events.failure?.message ?? "", /takes no head above 600 octets/);
  assert.deepEqual(lone.sent(), []);
  // 42 + 43 + 54 + 38 octets of GET, 32 + 1 + 390 of the field: exactly 600.
  const fits = lone.open([...GET, { name: "x", value: "v".repeat(390) }]);
  assert.deepEqual(lone.sent(), ["HEADERS 1 end"]);
  assert.deepEqual(fits.log, []);
  assert.equal(lone.connection.openStreams, 1);
  events.stream?.sendData(new Uint8Array(1), true);
  assert.deepEqual(lone.sent(), []);
});

test("an answer above it is a reset of its stream", () => {
  const lone = new Lone("server");
  lone.feed(settings([6, 100]), headers(1), headers(3));
  const [first, second] = lone.streams;
  first?.stream?.sendHead([...OK, LARGE], false);
  assert.deepEqual(lone.sent(), ["RST_STREAM 1 code 11"]);
  assert.deepEqual(first?.log, ["reset service head-too-large"]);
  second?.stream?.sendHead(OK, true);
  assert.deepEqual(lone.sent(), ["HEADERS 3 end"]);
  assert.deepEqual(second?.log, []);
});

test("so are trailers above it, behind what was queued", () => {
  const lone = new Lone("client");
  lone.feed(settings([6, 300], [4, 10]));
  const events = lone.open(POST, false);
  lone.sent();
  events.stream?.sendData(new Uint8Array(20), false);
  events.stream?.sendTrailers([LARGE]);
  assert.deepEqual(lone.sent(), ["DATA 1 10"]);
  assert.deepEqual(lone.feed(frame(8, 0, 1, [0, 0, 0, 10])), ["DATA 1 10", "RST_STREAM 1 code 11"]);
  assert.deepEqual(events.log, ["reset visitor head-too-large"]);
});

test("a visitor that takes no answer at all is shown out", () => {
  const lone = new Lone("server", { limits: { resetsProvoked: 5 } });
  lone.feed(settings([6, 0]));
  for (let id = 1; id <= 13; id += 2) {
    lone.feed(headers(id));
    lone.streams.at(-1)?.stream?.sendHead(OK, true);
  }
  assert.equal(lone.log.at(-1), "ended visitor limit");
});
