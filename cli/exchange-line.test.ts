import assert from "node:assert/strict";
import { test } from "node:test";
import type { ExchangeRecord } from "../capture/options.ts";
import { exchangeLine, printable } from "./exchange-line.ts";

const record: ExchangeRecord = {
  type: "exchange",
  id: 1,
  port: 50051,
  protocol: "http",
  method: "GET",
  path: "/a?b=c",
  status: 200,
  startedAt: new Date(2026, 2, 14, 9, 26, 53).getTime(),
  durationMs: 12.4,
  request: { headers: [] },
  response: { headers: [], trailers: [] },
  messages: [],
};

test("a line says what was asked and how it ended", () => {
  for (const [change, expected] of [
    [{}, "09:26:53  http      GET /a?b=c  200  12 ms"],
    [{ protocol: "grpc", path: "/p.S/M", grpcStatus: 0 }, "09:26:53  grpc      p.S/M  OK  12 ms"],
    [
      { protocol: "grpc", path: "/p.S/M", grpcStatus: 5, grpcMessage: "gone" },
      "09:26:53  grpc      p.S/M  NOT_FOUND (gone)  12 ms",
    ],
    [{ protocol: "grpc", path: "/p.S/M", grpcStatus: 0, grpcMessage: "OK" }, "09:26:53  grpc      p.S/M  OK  12 ms"],
    [{ protocol: "grpc", path: "/p.S/M", grpcStatus: 99 }, "09:26:53  grpc      p.S/M  status 99  12 ms"],
    [
      { status: null, failure: { by: "service", code: "closed", message: "" } },
      "09:26:53  http      GET /a?b=c  closed by service  12 ms",
    ],
    [{ status: null, durationMs: 1500 }, "09:26:53  http      GET /a?b=c  –  1.5 s"],
    [{ durationMs: 125_000 }, "09:26:53  http      GET /a?b=c  200  2 min 5 s"],
    [{ path: `/${"x".repeat(200)}` }, `09:26:53  http      GET /${"x".repeat(99)}…  200  12 ms`],
  ] as const)
    assert.equal(exchangeLine({ ...record, ...change }), expected);
});

test("what comes from outside cannot control a terminal", () => {
  assert.equal(
    printable("a\u001b[31mred\u0007\u009b\u202e\tz\nnext"),
    "a\\u001b[31mred\\u0007\\u009b\\u202e\\u0009z\nnext",
  );
  assert.equal(
    exchangeLine({ ...record, path: "/\u001b]0;title\u0007\n" }),
    "09:26:53  http      GET /\\u001b]0;title\\u0007\\u000a  200  12 ms",
  );
});
