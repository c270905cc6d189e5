import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FilterError, parseFilter } from "./filter.ts";
import type { Row } from "./protocol.ts";

const base: Row = {
  id: 1,
  share: { id: "s1", port: 8080, name: "shop" },
  protocol: "http",
  method: "GET",
  authority: "shop.localhost:4000",
  path: "/api/orders?q=1",
  state: "ended",
  status: 404,
  statusText: "404 Not Found",
  visitorMessages: 0,
  serviceMessages: 1,
  visitorBytes: 0,
  serviceBytes: 20_480,
  startedAt: 1000,
  endedAt: 1250,
  lastActivityAt: 1250,
  incomplete: false,
};
const call: Row = {
  ...base,
  protocol: "grpc",
  method: "POST",
  path: "/shop.v1.Orders/Get",
  rpc: { service: "shop.v1.Orders", method: "Get" },
  status: 200,
  grpcStatus: 5,
  statusText: "NOT_FOUND",
  serviceBytes: 100,
};

const TABLE: readonly (readonly [filter: string, http: boolean, grpc: boolean])[] = [
  ["", true, true],
  ["   ", true, true],
  ["orders", true, true],
  ["ORDERS", true, true],
  ["get orders", true, true],
  ["shop.localhost", true, true],
  ["localhost:4000", true, true],
  ["-orders", false, false],
  ["-q=1", false, true],
  ["404", true, false],
  ["grpc", false, true],
  ['"404 not"', true, false],
  ["protocol:grpc", false, true],
  ["-protocol:grpc", true, false],
  ["PROTOCOL:HTTP", true, false],
  ["status:4xx", true, false],
  ["status:2xx", false, true],
  ["status:404", true, false],
  ["status:5", false, true],
  ["status:NOT_FOUND", true, true],
  ["status:not_found", true, true],
  ['status:"not found"', true, true],
  ["status:ok", false, false],
  ["method:get", true, true],
  ["method:POST", false, true],
  ["path:/api", true, false],
  ["service:orders", false, true],
  ["port:8080", true, true],
  ["port:80", false, false],
  ["state:ended", true, true],
  ["state:open", false, false],
  ["from:shop", true, true],
  ["from:other", false, false],
  ["larger:10k", true, false],
  ["larger:20k", false, false],
  ["larger:99", true, true],
  ["slower:200ms", true, true],
  ["slower:0.25s", false, false],
  ["-slower:1s protocol:http 404", true, false],
];

const WRONG: readonly (readonly [filter: string, told: RegExp])[] = [
  ["colour:red", /"colour:" is no key.*protocol:/],
  ["protocol:http3", /one of grpc, grpc-web/],
  ["state:done", /one of open, ended/],
  ["port:http", /a port is a number/],
  ["larger:much", /larger:10k/],
  ["larger:10q", /larger:10k/],
  ["slower:long", /slower:200ms/],
  ["status:", /needs a value/],
  ['"open', /not closed/],
  ["x".repeat(1001), /longer than 1000/],
];

describe("filters", () => {
  for (const [filter, http, grpc] of TABLE) {
    it(`matches ${filter || "all"}`, () =>
      assert.deepEqual([parseFilter(filter)(base), parseFilter(filter)(call)], [http, grpc]));
  }
  for (const [filter, told] of WRONG) {
    it(`refuses ${filter.slice(0, 20)}`, () => {
      assert.throws(
        () => parseFilter(filter),
        (error) => error instanceof FilterError && told.test(error.message),
      );
    });
  }
});
