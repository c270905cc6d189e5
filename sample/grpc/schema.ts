import path from "node:path";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const directory = path.join(import.meta.dirname, "..", "proto");

const definition = loadSync(["shop/v1/orders.proto", "diagnostics/v1/diagnostics.proto"], {
  includeDirs: [directory],
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});

/** What `@grpc/proto-loader` calls the service with this full name. Throws when the `.proto` files have none. */
export function serviceDefinition(name: string): grpc.ServiceDefinition {
  const found = definition[name];
  if (found === undefined || "format" in found) throw new Error(`No gRPC service "${name}" in ${directory}.`);
  return found;
}

/** Message types as the loader shows them (`longs: String`, `enums: String`, `defaults`, `oneofs`). */
export interface Money {
  currencyCode?: string;
  units?: string;
  nanos?: number;
}

export interface Timestamp {
  seconds: string;
  nanos: number;
}

export interface Order {
  id: string;
  [field: string]: unknown;
}

export interface OrderEvent {
  sequence: string;
  at: Timestamp;
  event?: "stateChanged" | "noteAdded" | "refunded";
  stateChanged?: string;
  noteAdded?: string;
  refunded?: Money;
}

export interface Offer {
  from: string;
  price?: Money | null;
  accepted?: boolean;
}

export interface PlaceOrderRequest {
  sku: string;
  quantity: number;
  price?: Money | null;
}

export interface EchoRequest {
  payload?: Buffer;
  responseSize?: number;
  delay?: { seconds?: string | number; nanos?: number } | null;
  status?: { code: grpc.status; message: string } | null;
}

export interface EchoResponse {
  payload: Buffer;
  requestSize: number;
}

export interface SpreadRequest {
  sizes: number[];
  delay?: EchoRequest["delay"];
  status?: EchoRequest["status"];
}
