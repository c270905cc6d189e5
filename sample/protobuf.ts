import path from "node:path";
import protobuf from "protobufjs";
import { orderEvent } from "./grpc/catalog.ts";

const root = new protobuf.Root();
root.resolvePath = (_origin, target) =>
  protobuf.common.get(target) === null ? path.join(import.meta.dirname, "proto", target) : target;
root.loadSync("shop/v1/orders.proto");
const type = root.lookupType("shop.v1.OrderEvent");

/** The `sequence`-th `shop.v1.OrderEvent`, as the WebSocket service sends it: protobuf without gRPC's envelope. */
export function encodeOrderEvent(sequence: number): Uint8Array {
  return type.encode(type.fromObject(orderEvent(sequence))).finish();
}
