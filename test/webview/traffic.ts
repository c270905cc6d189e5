import type { Decoded } from "../../webview/message-model.ts";
import type { Detail, MessageSummary } from "../../webview/exchange-model.ts";
import type { Row } from "../../webview/list-model.ts";

/** Everything that is known of one made-up exchange. Messages are made by index, so that a hundred thousand cost nothing. */
export interface Exchange {
  row: Row;
  detail: Omit<Detail, "row">;
  message(index: number): Omit<MessageSummary, "index">;
  decode(index: number, as: "auto" | "text" | "wire"): Decoded;
  bytes(index: number): Uint8Array;
  secrets?: Readonly<Record<string, string>>;
}

/** A fixed time, so that pictures are the same each time: 2026-01-15, 10:00 UTC. */
export const START = Date.UTC(2026, 0, 15, 10, 0, 0);
const SHARE = { id: "s1", port: 50051, name: "shop" };
const TEXT = new TextEncoder();

const HTTP_PATHS = [
  "/",
  "/api/orders?limit=20",
  "/assets/app.css",
  "/api/orders/4711",
  "/health",
  "/login",
  "/api/customers/12/addresses",
] as const;
const RPCS = [
  ["shop.v1.Orders", "GetOrder"],
  ["shop.v1.Orders", "ListOrders"],
  ["shop.v1.Catalog", "Search"],
  ["shop.v1.Payments", "Charge"],
  ["shop.v1.Orders", "WatchOrders"],
] as const;

/** Like a day at a small shop: mostly good calls, some failures, some of everything. */
export function makeExchange(id: number): Exchange {
  const kind = id % 10;
  if (kind < 5) return grpcExchange(id);
  if (kind === 9) return webSocketExchange(id, 7);
  return httpExchange(id);
}

function baseRow(id: number): Pick<Row, "id" | "share" | "authority" | "startedAt" | "incomplete"> {
  return { id, share: SHARE, authority: "localhost:50051", startedAt: START + id * 37, incomplete: false };
}

export function grpcExchange(id: number): Exchange {
  const [service, method] = RPCS[id % RPCS.length] ?? RPCS[0];
  const failed = id % 20 === 3;
  const base = baseRow(id);
  const took = 3 + ((id * 7919) % 180);
  const endedAt = base.startedAt + took;
  const row: Row = {
    ...base,
    protocol: "grpc",
    method: "POST",
    path: `/${service}/${method}`,
    rpc: { service, method },
    state: "ended",
    status: 200,
    grpcStatus: failed ? 5 : 0,
    statusText: failed ? "NOT_FOUND" : "OK",
    visitorMessages: 1,
    serviceMessages: failed ? 0 : 1,
    visitorBytes: 24,
    serviceBytes: failed ? 0 : 312,
    headAt: base.startedAt + took - 1,
    endedAt,
    lastActivityAt: endedAt,
  };
  const metadata: Detail["heads"] = [
    {
      kind: "request",
      at: base.startedAt,
      fields: [
        plainField(":method", "POST"),
        plainField(":scheme", "http"),
        plainField(":authority", base.authority),
        plainField(":path", row.path),
        plainField("content-type", "application/grpc+proto"),
        { name: "authorization", value: "••••••", secret: true },
        { name: "trace-bin", value: "AAECAwT/", secret: false, binary: "AAECAwT/" },
        plainField("grpc-timeout", "5S"),
        plainField("user-agent", "grpc-node-js/1.14.7"),
      ],
    },
    {
      kind: "response",
      at: row.headAt ?? 0,
      fields: [plainField(":status", "200"), plainField("content-type", "application/grpc+proto")],
    },
    {
      kind: "responseTrailers",
      at: endedAt,
      fields: failed
        ? [
            plainField("grpc-status", "5"),
            plainField("grpc-message", "order%20not%20found"),
            plainField("grpc-status-details-bin", "CAUSD29yZGVyIG5vdCBmb3VuZA"),
          ]
        : [plainField("grpc-status", "0")],
    },
  ];
  return {
    row,
    detail: {
      heads: metadata,
      call: {
        kind: "unary",
        requestSchema: {
          type: `${service.slice(0, 7)}.${method}Request`,
          file: "proto/shop/v1/orders.proto",
          line: 12,
        },
        responseSchema: { type: "shop.v1.Order", file: "proto/shop/v1/orders.proto", line: 31 },
        timeoutMs: 5000,
        trailersOnly: false,
        ...(failed
          ? { message: "order not found", details: { base64: "CAUSD29yZGVyIG5vdCBmb3VuZA", decoded: ERROR_DETAILS } }
          : {}),
      },
    },
    message: (index) =>
      index === 0
        ? {
            from: "visitor",
            kind: "grpc",
            at: base.startedAt,
            completedAt: base.startedAt,
            size: 24,
            preview: `{"orderId":"ord_${id}"}`,
            type: `${service.slice(0, 7)}.${method}Request`,
            state: "complete",
          }
        : {
            from: "service",
            kind: "grpc",
            at: endedAt,
            completedAt: endedAt,
            size: 187,
            decodedSize: 312,
            compression: "gzip",
            preview: `{"id":"ord_${id}","customer":{"name":"Ada Lovelace"},"lines":[{"sku":"teapot","quantity":2}]}`,
            type: "shop.v1.Order",
            state: "complete",
          },
    decode: (index, as) =>
      as === "text"
        ? { view: "text", text: `order ${id}`, truncated: false }
        : index === 0
          ? requestOf(id)
          : orderOf(id),
    bytes: (index) => Uint8Array.from({ length: index === 0 ? 24 : 312 }, (_, at) => (at * 31 + id) & 0xff),
    secrets: { "0/5": `Bearer token-of-${id}` },
  };
}

function requestOf(id: number): Decoded {
  return {
    view: "protobuf",
    schema: { type: "shop.v1.GetOrderRequest", file: "proto/shop/v1/orders.proto", line: 12 },
    reading: "typed",
    tree: [{ number: 1, name: "order_id", type: "string", value: `ord_${id}`, offset: 0, length: 10 }],
    json: { orderId: `ord_${id}` },
    hasUnknownFields: false,
    truncated: false,
  };
}

function orderOf(id: number): Decoded {
  return {
    view: "protobuf",
    schema: { type: "shop.v1.Order", file: "proto/shop/v1/orders.proto", line: 31 },
    reading: "typed",
    tree: [
      { number: 1, name: "id", type: "string", value: `ord_${id}`, offset: 0, length: 10 },
      {
        number: 2,
        name: "customer",
        type: "shop.v1.Customer",
        offset: 10,
        length: 50,
        children: [
          { number: 1, name: "name", type: "string", value: "Ada Lovelace", offset: 12, length: 14 },
          { number: 2, name: "email", type: "string", value: "ada@example.com", offset: 26, length: 17 },
          { number: 7, name: "vip", type: "bool", value: "true", offset: 43, length: 2 },
        ],
      },
      {
        number: 3,
        name: "lines",
        type: "shop.v1.Line",
        offset: 60,
        length: 20,
        children: [
          { number: 1, name: "sku", type: "string", value: "teapot", offset: 62, length: 8 },
          { number: 2, name: "quantity", type: "int32", value: "2", offset: 70, length: 2 },
          {
            number: 3,
            name: "price",
            type: "google.type.Money",
            offset: 72,
            length: 8,
            children: [{ number: 2, name: "units", type: "int64", value: "39", offset: 74, length: 2 }],
          },
        ],
      },
      {
        number: 4,
        name: "state",
        type: "shop.v1.OrderState",
        value: "ORDER_STATE_PAID",
        alternative: "2",
        offset: 80,
        length: 2,
      },
      {
        number: 5,
        name: "created_at",
        type: "google.protobuf.Timestamp",
        value: "2026-01-15T10:00:00Z",
        offset: 82,
        length: 8,
      },
      {
        number: 6,
        name: "note",
        type: "string",
        value: "Leave it with the neighbour, please ring twice. ".repeat(6),
        offset: 90,
        length: 200,
      },
      {
        number: 99,
        name: "99",
        type: "varint",
        value: "150",
        alternative: "zigzag 75",
        unknown: true,
        offset: 290,
        length: 4,
      },
    ],
    json: {
      id: `ord_${id}`,
      customer: { name: "Ada Lovelace", email: "ada@example.com", vip: true },
      lines: [{ sku: "teapot", quantity: 2, price: { units: "39" } }],
      state: "ORDER_STATE_PAID",
      createdAt: "2026-01-15T10:00:00Z",
    },
    hasUnknownFields: true,
    truncated: false,
  };
}

const ERROR_DETAILS: Decoded = {
  view: "protobuf",
  schema: { type: "google.rpc.Status", file: "bundled:google/rpc/status.proto", line: 30 },
  reading: "typed",
  tree: [
    { number: 1, name: "code", type: "int32", value: "5", offset: 0, length: 2 },
    { number: 2, name: "message", type: "string", value: "order not found", offset: 2, length: 17 },
    {
      number: 3,
      name: "details",
      type: "google.rpc.ResourceInfo",
      offset: 19,
      length: 40,
      children: [
        { number: 1, name: "resource_type", type: "string", value: "shop.v1.Order", offset: 21, length: 15 },
        { number: 2, name: "resource_name", type: "string", value: "ord_13", offset: 36, length: 8 },
      ],
    },
  ],
  json: { code: 5, message: "order not found" },
  hasUnknownFields: false,
  truncated: false,
};

export function httpExchange(id: number): Exchange {
  const base = baseRow(id);
  const path = HTTP_PATHS[id % HTTP_PATHS.length] ?? "/";
  const status = id % 40 === 6 ? 500 : id % 30 === 7 ? 404 : 200;
  const took = 1 + ((id * 104_729) % 60);
  const body = JSON.stringify({ orders: [{ id: `ord_${id}`, total: 78.5, paid: true, note: null }], next: null });
  const row: Row = {
    ...base,
    protocol: "http",
    method: "GET",
    path,
    state: "ended",
    status,
    statusText: { 200: "200 OK", 404: "404 Not Found", 500: "500 Internal Server Error" }[status],
    visitorMessages: 0,
    serviceMessages: 1,
    visitorBytes: 0,
    serviceBytes: body.length,
    headAt: base.startedAt + took,
    endedAt: base.startedAt + took,
    lastActivityAt: base.startedAt + took,
  };
  return {
    row,
    detail: {
      heads: [
        {
          kind: "request",
          at: base.startedAt,
          fields: [
            plainField(":method", "GET"),
            plainField(":path", path),
            plainField("accept", "application/json"),
            { name: "cookie", value: "••••••", secret: true },
          ],
        },
        {
          kind: "response",
          at: row.headAt ?? 0,
          fields: [plainField(":status", String(status)), plainField("content-type", "application/json")],
        },
      ],
    },
    message: () => ({
      from: "service",
      kind: "body",
      at: row.headAt ?? 0,
      completedAt: row.endedAt ?? 0,
      size: body.length,
      preview: body,
      state: "complete",
    }),
    decode: (_index, as) =>
      as === "text"
        ? { view: "text", text: body, truncated: false }
        : { view: "json", json: JSON.parse(body) as unknown, text: body, truncated: false },
    bytes: () => TEXT.encode(body),
    secrets: { "0/3": "session=abc" },
  };
}

/** A stream of `count` messages from both sides, open for ever: the timeline's own test. */
export function webSocketExchange(id: number, count: number, open = false): Exchange {
  const base = baseRow(id);
  const row: Row = {
    ...base,
    protocol: "websocket",
    method: "CONNECT",
    path: "/live",
    state: open ? "open" : "ended",
    status: 101,
    statusText: open ? "101" : "1000",
    visitorMessages: Math.floor(count / 2),
    serviceMessages: Math.ceil(count / 2),
    visitorBytes: count * 20,
    serviceBytes: count * 40,
    headAt: base.startedAt + 2,
    lastActivityAt: base.startedAt + count * 3,
    ...(open ? {} : { endedAt: base.startedAt + count * 3 }),
  };
  return {
    row,
    detail: {
      heads: [
        {
          kind: "request",
          at: base.startedAt,
          fields: [
            plainField(":method", "CONNECT"),
            plainField(":protocol", "websocket"),
            plainField(":path", "/live"),
          ],
        },
      ],
      webSocket: {
        subprotocol: "shop.v1",
        extensions: "permessage-deflate",
        ...(open ? {} : { close: { from: "visitor", code: 1000, reason: "done" } }),
      },
    },
    message: (index) => {
      const at = base.startedAt + index * 3;
      const binary = index % 7 === 6;
      return {
        from: index % 2 === 0 ? "service" : "visitor",
        kind: binary ? "binary" : "text",
        at,
        completedAt: at,
        size: 40,
        ...(binary ? {} : { preview: `{"tick":${index},"price":${(100 + (index % 17) / 4).toFixed(2)}}` }),
        state: index % 50 === 13 ? "dropped" : "complete",
      };
    },
    decode: (index, as) =>
      index % 7 === 6
        ? { view: "binary" }
        : as === "text"
          ? { view: "text", text: `{"tick":${index}}`, truncated: false }
          : {
              view: "json",
              json: { tick: index, price: 100 + (index % 17) / 4 },
              text: `{"tick":${index}}`,
              truncated: false,
            },
    bytes: (index) => TEXT.encode(`{"tick":${index}}`),
  };
}

function plainField(
  name: string,
  value: string,
): { readonly name: string; readonly value: string; readonly secret: false } {
  return { name, value, secret: false };
}
