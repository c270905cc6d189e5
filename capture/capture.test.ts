import assert from "node:assert/strict";
import { mkdtemp, mkdir, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import protobuf from "protobufjs";
import { silentLogger } from "../wire/logger.ts";
import type { Field } from "../wire/stream.ts";
import { createCapture } from "./capture.ts";
import type { Capture, ExchangeRecord } from "./options.ts";
import type { ExchangeTap } from "./tap.ts";

const WORKER = path.join(import.meta.dirname, "decoder", "worker.ts");
const SHARE = { id: "s1", port: 50051, name: "shop" };
const PROTO = `syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
service Orders {
  rpc Get(GetRequest) returns (Order);
  rpc Watch(GetRequest) returns (stream Order);
}
message GetRequest { string id = 1; }
message Order { string id = 1; int64 total = 2; google.protobuf.Timestamp at = 3; repeated string tags = 4; }
`;

function fields(values: Readonly<Record<string, string>>): Field[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

function envelope(message: Uint8Array, flags = 0): Uint8Array {
  const framed = Buffer.alloc(5 + message.length);
  framed[0] = flags;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}

const root = protobuf.parse(
  PROTO.replace(/import.*\n/, "").replace("google.protobuf.Timestamp at = 3;", "bytes at = 3;"),
).root;
const Order = root.lookupType("shop.v1.Order");
const GetRequest = root.lookupType("shop.v1.GetRequest");

function openCall(capture: Capture, path = "/shop.v1.Orders/Get"): ExchangeTap {
  return capture.tap.opened(
    SHARE,
    fields({
      ":method": "POST",
      ":scheme": "http",
      ":authority": "shop.localhost:4000",
      ":path": path,
      "content-type": "application/grpc",
      authorization: "Bearer very-secret",
      "grpc-timeout": "5S",
    }),
    false,
  );
}

const RESPONSE = fields({ ":status": "200", "content-type": "application/grpc" });

function finishCall(tap: ExchangeTap): void {
  tap.dataReceived("visitor", envelope(GetRequest.encode({ id: "o-1" }).finish()), true);
  tap.headReceived(RESPONSE, false);
  tap.dataReceived("service", envelope(Order.encode({ id: "o-1", total: 12, tags: ["a"] }).finish()), false);
  tap.trailersReceived("service", fields({ "grpc-status": "0" }));
  tap.ended();
}

describe("capture", () => {
  let folder: string;
  let capture: Capture;

  before(async () => {
    folder = await realpath(await mkdtemp(path.join(tmpdir(), "portlight-capture-")));
    await mkdir(path.join(folder, "proto", "shop", "v1"), { recursive: true });
    await writeFile(path.join(folder, "proto", "shop", "v1", "orders.proto"), PROTO);
    capture = createCapture({ workspaceFolders: [folder], protoRoots: [], workerFile: WORKER, log: silentLogger });
  });

  after(async () => {
    await capture.close();
    await rm(folder, { recursive: true });
  });

  it("shows a gRPC call decoded, with its secrets masked", async () => {
    finishCall(openCall(capture));
    const id = 1;
    const detail = await capture.request("exchange/detail", { id });
    assert.equal(detail?.row.protocol, "grpc");
    assert.equal(detail.row.statusText, "OK");
    assert.equal(detail.row.state, "ended");
    assert.equal(detail.call?.kind, "unary");
    assert.equal(detail.call.requestSchema.type, "shop.v1.GetRequest");
    assert.equal(detail.call.requestSchema.file, "proto/shop/v1/orders.proto");
    assert.equal(detail.call.requestSchema.line, 8);
    assert.equal(detail.call.timeoutMs, 5000);
    const authorization = detail.heads[0]?.fields.findIndex(({ name }) => name === "authorization") ?? -1;
    assert.equal(detail.heads[0]?.fields[authorization]?.value, "••••••");
    assert.deepEqual(await capture.request("exchange/reveal", { id, head: 0, index: authorization }), {
      value: "Bearer very-secret",
    });
    const page = await capture.request("exchange/messages", { id, index: 0, count: 10 });
    assert.equal(page?.total, 2);
    assert.deepEqual(
      page.messages.map(({ from, kind, type, preview, state }) => ({ from, kind, type, preview, state })),
      [
        { from: "visitor", kind: "grpc", type: "shop.v1.GetRequest", preview: '{"id":"o-1"}', state: "complete" },
        {
          from: "service",
          kind: "grpc",
          type: "shop.v1.Order",
          preview: '{"id":"o-1","total":"12","tags":["a"]}',
          state: "complete",
        },
      ],
    );
    const decoded = await capture.request("message/decode", { id, index: 1 });
    assert.equal(decoded?.view, "protobuf");
    assert.equal(decoded.reading, "typed");
    assert.deepEqual(decoded.json, { id: "o-1", total: "12", tags: ["a"] });
    assert.deepEqual(
      decoded.tree.map(({ number, name, type, value, offset, length }) => ({
        number,
        name,
        type,
        value,
        offset,
        length,
      })),
      [
        { number: 1, name: "id", type: "string", value: "o-1", offset: 0, length: 5 },
        { number: 2, name: "total", type: "int64", value: "12", offset: 5, length: 2 },
        { number: 4, name: "tags", type: "string", value: "a", offset: 7, length: 3 },
      ],
    );
  });

  it("records each exchange as it ends, in order", async () => {
    const records: ExchangeRecord[] = [];
    const listening = capture.onRecord({ showSecrets: false }, (record) => records.push(record));
    const slow = openCall(capture);
    finishCall(openCall(capture));
    finishCall(slow);
    await capture.flush();
    listening.dispose();
    assert.equal(records.length, 2);
    const [first, second] = records;
    assert.ok(first !== undefined && second !== undefined && first.id > second.id);
    assert.deepEqual(
      first.messages.map(({ from, type, value }) => ({ from, type, value })),
      [
        { from: "visitor", type: "shop.v1.GetRequest", value: { id: "o-1" } },
        { from: "service", type: "shop.v1.Order", value: { id: "o-1", total: "12", tags: ["a"] } },
      ],
    );
    assert.ok(first.request.headers.some(([name, value]) => name === "authorization" && value === "••••••"));
    assert.deepEqual(first.response.trailers, [["grpc-status", "0"]]);
  });
});
