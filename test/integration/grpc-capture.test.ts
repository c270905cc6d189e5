/** What passed, decoded: each kind of gRPC call as the capture shows it, by the workspace's own .proto files. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import grpc from "@grpc/grpc-js";
import type { ExchangeRecord, RecordedMessage } from "../../capture/options.ts";
import { startGrpc } from "../../sample/grpc/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { GrpcClient } from "../support/grpc.ts";
import type { CallOptions } from "../support/grpc.ts";
import { startGzipServer } from "../support/grpc-server.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { until } from "../support/time.ts";

let path: Path;
let service: RunningService;
let shared: Shared;

before(async () => {
  service = await startGrpc();
  path = await startPath();
  shared = await path.share(service.port);
  await until(10_000, "the .proto files are read", () => path.capture.schema.state === "ready");
});

after(async () => {
  await path.close();
  await service.close();
});

async function record(
  name: "shop.v1.Orders" | "diagnostics.v1.Diagnostics",
  method: string,
  requests: readonly unknown[],
  options: CallOptions & { readonly gzip?: boolean; readonly address?: string } = {},
): Promise<ExchangeRecord> {
  const known = path.records.items.length;
  const client = new GrpcClient(
    options.address ?? shared.address,
    name,
    options.gzip === true ? { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip } : {},
  );
  try {
    await client.call(method, requests, options);
    return await path.record((one) => one.path === `/${name}/${method}`, known);
  } finally {
    client.close();
  }
}

const brief = ({ from, type, value }: RecordedMessage): unknown => [from, type, value];

test("the workspace's files are found without a setting, all without problems", () => {
  const { schema } = path.capture;
  assert.deepEqual(schema.problems, []);
  assert.equal(schema.files, 5);
  assert.equal(schema.services, 2);
});

test("unary: every kind of field as proto3 JSON, metadata, status", async () => {
  const one = await record("shop.v1.Orders", "GetOrder", [{ id: "order-1", fields: { paths: ["id", "placed_at"] } }], {
    metadata: { "x-request-id": "r-1", "x-trace-bin": Buffer.from([1, 2, 255]), authorization: "Bearer secret" },
    deadlineMs: 60_000,
  });
  assert.deepEqual(
    [one.protocol, one.method, one.status, one.grpcStatus, one.port],
    ["grpc", "POST", 200, 0, service.port],
  );
  const [request, response] = one.messages;
  assert.ok(request !== undefined && response !== undefined && one.messages.length === 2);
  assert.deepEqual(brief(request), ["visitor", "shop.v1.GetOrderRequest", { id: "order-1", fields: "id,placedAt" }]);
  assert.equal(response.from, "service");
  assert.equal(response.type, "shop.v1.Order");
  const order = response.value as Record<string, unknown>;
  assert.equal(order["state"], "ORDER_STATE_PAID");
  assert.equal(order["placedAt"], "2026-03-14T09:26:53.589Z");
  assert.deepEqual(order["labels"], { campaign: "spring", straße: "Hauptstraße 1" });
  assert.deepEqual(order["note"], { "@type": "type.googleapis.com/common.Money", currencyCode: "EUR", units: "5" });
  assert.deepEqual(order["history"], ["ORDER_STATE_PLACED", "ORDER_STATE_PAID"]);
  assert.equal(order["giftMessage"], "");
  const [line] = order["lines"] as [{ product: Record<string, unknown>; quantity: number }];
  assert.equal(line.product["title"], "Schreibtischlampe „Nordlicht“ 💡");
  assert.deepEqual(line.product["attributes"], { lumen: 806, warranty: true, colours: ["black", "brass", null] });
  assert.equal(line.product["deliveryTime"], "172800.500s");
  assert.equal(line.product["rating"], 4.5);
  assert.equal(line.product["picture"], "iVBORwD/");
  assert.deepEqual(line.product["stockChanges"], [12, -3, -1]);
  const fields = new Map(one.request.headers);
  assert.equal(fields.get("x-request-id"), "r-1");
  assert.equal(fields.get("x-trace-bin"), "AQL/");
  assert.ok(one.response.trailers.some(([name, value]) => name === "grpc-status" && value === "0"));
});

test("streams: every message in order of time, both sides interleaved", async () => {
  const known = path.records.items.length;
  const client = new GrpcClient(shared.address, "shop.v1.Orders");
  const call = client.start("Negotiate");
  for (const [round, units] of [10, 25, 45].entries()) {
    call.write({ from: "visitor", price: { currencyCode: "EUR", units } });
    await call.message(round);
  }
  call.end();
  await call.result;
  client.close();
  const one = await path.record(({ path: target }) => target.endsWith("Negotiate"), known);
  assert.deepEqual(
    one.messages.map(({ from }) => from),
    ["visitor", "service", "visitor", "service", "visitor", "service"],
  );
  const [first, answer] = one.messages;
  assert.deepEqual(first?.value, { from: "visitor", price: { currencyCode: "EUR", units: "10" } });
  assert.deepEqual(answer?.value, { from: "shop", price: { currencyCode: "EUR", units: "15" } });
  assert.ok(one.messages.every(({ at }, index, all) => index === 0 || at >= (all[index - 1]?.at ?? 0)));
});

test("client and server streaming", async () => {
  const placed = await record(
    "shop.v1.Orders",
    "PlaceOrders",
    [1, 2, 3].map((quantity) => ({ sku: `s${quantity}`, quantity })),
  );
  assert.deepEqual(
    placed.messages.map(({ from, type }) => `${from} ${type ?? "?"}`),
    [...Array.from({ length: 3 }, () => "visitor shop.v1.PlaceOrderRequest"), "service shop.v1.PlaceOrdersSummary"],
  );
  const watched = await record("shop.v1.Orders", "WatchOrder", [{ id: "order-1", events: 4, intervalMs: 10 }]);
  assert.deepEqual(
    watched.messages
      .slice(1)
      .map(({ value }) => Object.keys(value as object).filter((key) => !["sequence", "at"].includes(key))),
    [["stateChanged"], ["noteAdded"], ["refunded"], ["stateChanged"]],
  );
});

test("compressed messages, both ways", async () => {
  const sent = await record(
    "diagnostics.v1.Diagnostics",
    "Echo",
    [{ payload: Buffer.alloc(5000, "x"), responseSize: 3 }],
    { gzip: true },
  );
  const [request] = sent.messages;
  assert.equal(request?.compressed, true);
  assert.ok(request.size < 200, `${request.size} octets on the wire`);
  assert.equal((request.value as { responseSize: number }).responseSize, 3);

  const raw = await startGzipServer([Buffer.from([0x10, 0x07])]);
  try {
    const target = await path.share(raw.port);
    const received = await record("diagnostics.v1.Diagnostics", "Spread", [{ sizes: [] }], { address: target.address });
    assert.deepEqual(received.messages.map(({ from, compressed, value }) => [from, compressed, value]).at(-1), [
      "service",
      true,
      { requestSize: 7 },
    ]);
    assert.equal(received.grpcMessage, "all ök");
  } finally {
    await raw.close();
  }
});

test("errors: trailers only, message decoded, details decoded", async () => {
  const one = await record("shop.v1.Orders", "GetOrder", [{ id: "order-999" }]);
  assert.deepEqual([one.grpcStatus, one.grpcMessage], [5, "No order “order-999” – it may have been deleted."]);
  const detail = await path.capture.request("exchange/detail", { id: one.id });
  const decoded = detail?.call?.details?.decoded;
  assert.ok(decoded?.view === "protobuf");
  assert.deepEqual((decoded.json as { details: unknown[] }).details, [
    {
      "@type": "type.googleapis.com/google.rpc.ResourceInfo",
      resourceType: "shop.v1.Order",
      resourceName: "order-999",
      description: "unknown id",
    },
    {
      "@type": "type.googleapis.com/google.rpc.ErrorInfo",
      reason: "ORDER_UNKNOWN",
      domain: "shop.example",
      metadata: { id: "order-999" },
    },
  ]);

  const missing = await record("diagnostics.v1.Diagnostics", "Missing", [{}]);
  assert.equal(missing.grpcStatus, 12);
  const trailersOnly = await path.capture.request("exchange/detail", { id: missing.id });
  assert.equal(trailersOnly?.call?.trailersOnly, true);
});

test("4 MiB: counted whole, kept in part", async () => {
  const size = 4 * 1024 * 1024;
  const one = await record("diagnostics.v1.Diagnostics", "Echo", [{ payload: Buffer.alloc(size), responseSize: 0 }]);
  assert.ok((one.messages[0]?.size ?? 0) > size);
  assert.equal(one.grpcStatus, 0);
});

test("a stream that goes on is shown while it does", async () => {
  const client = new GrpcClient(shared.address, "shop.v1.Orders");
  const call = client.start("WatchOrder");
  call.write({ id: "order-1", events: 0, intervalMs: 20 });
  call.end();
  try {
    await call.message(3);
    await path.capture.request("view/open", { view: "open", filter: "state:open method:WatchOrder" });
    const { rows } = await path.capture.request("view/rows", { view: "open", position: 0, count: 1 });
    const [row] = rows;
    assert.ok(row?.state === "open" && row.serviceMessages >= 4);
    const decoded = await path.capture.request("message/decode", { id: row.id, index: 2 });
    assert.ok(decoded?.view === "protobuf" && decoded.reading === "typed");
    assert.equal((decoded.json as { noteAdded: string }).noteAdded, "Parcel seen at stop 1");
  } finally {
    call.cancel();
    client.close();
  }
});

test("secrets are masked unless asked for", async () => {
  const seen: ExchangeRecord[] = [];
  const recording = path.capture.onRecord({ showSecrets: false }, (one) => seen.push(one));
  await record("shop.v1.Orders", "ClearCart", [{}], { metadata: { authorization: "Bearer canary-secret" } });
  const masked = await until(5000, "the masked record", () => seen.find((one) => one.path.endsWith("ClearCart")));
  recording.dispose();
  assert.doesNotMatch(JSON.stringify(masked), /canary-secret/);
  assert.ok(masked.request.headers.some(([name]) => name === "authorization"));
});
