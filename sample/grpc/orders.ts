import grpc from "@grpc/grpc-js";
import { knownOrder, orderEvent } from "./catalog.ts";
import { encodeStatus } from "./rich-error.ts";
import type { ErrorDetail } from "./rich-error.ts";
import type { Money, Offer, Order, PlaceOrderRequest } from "./schema.ts";

/** An order event every 10 ms at most: a caller who asks for 0 ms gets a stream, not a flood. */
const MINIMUM_INTERVAL_MS = 10;

function richError(code: grpc.status, message: string, details: readonly ErrorDetail[]): Partial<grpc.StatusObject> {
  const metadata = new grpc.Metadata();
  metadata.set("grpc-status-details-bin", encodeStatus(code, message, details));
  metadata.set("x-shop-region", "eu-north");
  return { code, details: message, metadata };
}

/** Answers metadata with metadata, as text and in binary, so that a caller sees both directions of both kinds. */
function greet(metadata: grpc.Metadata, send: (initial: grpc.Metadata) => void): grpc.Metadata {
  const initial = new grpc.Metadata();
  initial.set("x-shop-version", "1.4.2");
  for (const value of metadata.get("x-request-id")) initial.add("x-request-id", value);
  for (const value of metadata.get("x-trace-bin")) initial.add("x-trace-bin", value);
  send(initial);
  const trailing = new grpc.Metadata();
  trailing.set("x-shop-checksum-bin", Buffer.from([0, 1, 2, 253, 254, 255]));
  for (const value of metadata.get("x-trace-bin")) trailing.add("x-trace-echo-bin", value);
  return trailing;
}

function addMoney(left: Money, right: Money | null | undefined, times: number): Money {
  const nanos = (left.nanos ?? 0) + (right?.nanos ?? 0) * times;
  const units = Number(left.units ?? 0) + Number(right?.units ?? 0) * times + Math.floor(nanos / 1e9);
  return { currencyCode: right?.currencyCode ?? left.currencyCode ?? "", units: String(units), nanos: nanos % 1e9 };
}

/** `shop.v1.Orders`. */
export const orders = {
  getOrder(call: grpc.ServerUnaryCall<{ id: string }, Order>, answer: grpc.sendUnaryData<Order>): void {
    const trailing = greet(call.metadata, (initial) => call.sendMetadata(initial));
    const { id } = call.request;
    if (id === knownOrder.id) {
      answer(null, knownOrder, trailing);
    } else if (/^order-\d+$/.test(id)) {
      answer(
        richError(grpc.status.NOT_FOUND, `No order “${id}” – it may have been deleted.`, [
          {
            type: "ResourceInfo",
            value: { resource_type: "shop.v1.Order", resource_name: id, description: "unknown id" },
          },
          { type: "ErrorInfo", value: { reason: "ORDER_UNKNOWN", domain: "shop.example", metadata: { id } } },
        ]),
      );
    } else {
      answer(
        richError(grpc.status.INVALID_ARGUMENT, "The id of an order is “order-” and a number.", [
          {
            type: "BadRequest",
            value: { field_violations: [{ field: "id", description: "does not match order-[0-9]+" }] },
          },
        ]),
      );
    }
  },

  placeOrders(call: grpc.ServerReadableStream<PlaceOrderRequest, unknown>, answer: grpc.sendUnaryData<unknown>): void {
    const trailing = greet(call.metadata, (initial) => call.sendMetadata(initial));
    const ids: string[] = [];
    let total: Money = {};
    call.on("data", (request: PlaceOrderRequest) => {
      ids.push(`order-${ids.length + 2}`);
      total = addMoney(total, request.price, request.quantity);
    });
    call.on("end", () => answer(null, { orders: ids.length, total, ids }, trailing));
  },

  watchOrder(call: grpc.ServerWritableStream<{ id: string; events: number; intervalMs: number }, unknown>): void {
    const trailing = greet(call.metadata, (initial) => call.sendMetadata(initial));
    const { id, events, intervalMs } = call.request;
    if (id !== knownOrder.id) {
      call.emit("error", richError(grpc.status.NOT_FOUND, `No order “${id}”.`, []));
      return;
    }
    let sequence = 0;
    const timer = setInterval(
      () => {
        call.write(orderEvent(sequence));
        sequence++;
        if (sequence === events) {
          clearInterval(timer);
          call.end(trailing);
        }
      },
      Math.max(MINIMUM_INTERVAL_MS, intervalMs),
    );
    call.on("cancelled", () => clearInterval(timer));
  },

  negotiate(call: grpc.ServerDuplexStream<Offer, Offer>): void {
    const trailing = greet(call.metadata, (initial) => call.sendMetadata(initial));
    call.on("data", (offer: Offer) => {
      const units = Number(offer.price?.units ?? 0);
      const accepted = units >= 40;
      const price = accepted ? (offer.price ?? null) : { currencyCode: "EUR", units: String(units + 5), nanos: 0 };
      call.write({ from: "shop", price, accepted });
    });
    call.on("end", () => call.end(trailing));
  },

  listOrders(
    call: grpc.ServerUnaryCall<{ page?: { size: number } | null }, unknown>,
    answer: grpc.sendUnaryData<unknown>,
  ): void {
    const size = Math.min(call.request.page?.size ?? 1, 100);
    const list = Array.from({ length: size }, (_, index) => ({ ...knownOrder, id: `order-${index + 1}` }));
    answer(null, { orders: list, page: { nextToken: "", total: size } });
  },

  clearCart(_call: grpc.ServerUnaryCall<unknown, unknown>, answer: grpc.sendUnaryData<unknown>): void {
    answer(null, {});
  },
};
