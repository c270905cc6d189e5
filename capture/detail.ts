import { decodeGrpcMessage } from "../wire/grpc/percent.ts";
import { parseGrpcTimeout } from "../wire/grpc/status.ts";
import type { Exchange, HeadRecord } from "./exchange.ts";
import { fieldValue } from "./media.ts";
import { TREE_CHARACTERS } from "./decoder/limits.ts";
import type { Detail, Head, HeaderField } from "./protocol.ts";
import type { Schemas } from "./schemas.ts";
import { maskField } from "./secrets.ts";
import { subprotocolOf } from "./type-rules.ts";
import type { TypeRules } from "./type-rules.ts";

/** Everything about an exchange but its messages. */
export async function detailOf(exchange: Exchange, schemas: Schemas, rules: TypeRules): Promise<Detail> {
  const isCall = exchange.protocol === "grpc" || exchange.protocol === "grpc-web" || exchange.protocol === "connect";
  const call = isCall ? await callOf(exchange, schemas) : undefined;
  return {
    row: exchange.row(),
    heads: exchange.heads.map(headOf),
    ...(call === undefined ? {} : { call }),
    ...(exchange.protocol === "websocket" ? { webSocket: webSocketOf(exchange, rules) } : {}),
  };
}

function headOf(head: HeadRecord): Head {
  return { kind: head.kind, at: Math.round(head.at * 100) / 100, fields: head.fields.map(headerField) };
}

function headerField(field: HeadRecord["fields"][number]): HeaderField {
  const value = maskField(field);
  const secret = value !== field.value;
  const binary = field.name.endsWith("-bin") && !secret ? decodeBinary(field.value) : undefined;
  return { name: field.name, value, secret, ...(binary === undefined ? {} : { binary }) };
}

/** `-bin` metadata is base64, padded or not (PROTOCOL-HTTP2.md); undefined when it is none. */
export function decodeBinary(value: string): string | undefined {
  const trimmed = value.trim();
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(trimmed) || trimmed.replace(/=+$/, "").length % 4 === 1) return undefined;
  return Buffer.from(trimmed, "base64").toString("base64");
}

/** The message as people read it. Connect's is plain text already. */
export function grpcMessageOf(exchange: Exchange): string | undefined {
  const { grpcMessage } = exchange;
  return grpcMessage === undefined || exchange.protocol === "connect" ? grpcMessage : decodeGrpcMessage(grpcMessage);
}

/** The value of a field of the trailers; of the head, when there was nothing but a head. */
export function statusField(exchange: Exchange, name: string): string | undefined {
  return fieldValue(exchange.responseTrailers ?? [], name) ?? fieldValue(exchange.response ?? [], name);
}

async function callOf(exchange: Exchange, schemas: Schemas): Promise<NonNullable<Detail["call"]>> {
  const rpc = exchange.row().rpc;
  const none = { problem: "The path names no method (/package.Service/Method), so the types are not known." };
  const method = rpc === undefined ? undefined : await schemas.method(`/${rpc.service}/${rpc.method}`);
  const timeout = timeoutOf(exchange);
  const message = grpcMessageOf(exchange);
  const details = await detailsOf(exchange, schemas);
  return {
    kind: method?.kind ?? "unknown",
    requestSchema: method?.request ?? none,
    responseSchema: method?.response ?? none,
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(message === undefined ? {} : { message }),
    ...(details === undefined ? {} : { details }),
    trailersOnly:
      exchange.responseTrailers === undefined && fieldValue(exchange.response ?? [], "grpc-status") !== undefined,
  };
}

function timeoutOf(exchange: Exchange): number | undefined {
  const grpc = fieldValue(exchange.request, "grpc-timeout");
  if (grpc !== undefined) return parseGrpcTimeout(grpc);
  const connect = fieldValue(exchange.request, "connect-timeout-ms");
  return connect !== undefined && /^\d{1,10}$/.test(connect) ? Number(connect) : undefined;
}

/** `grpc-status-details-bin` is a google.rpc.Status by custom, not by rule: what is none is shown raw. */
async function detailsOf(exchange: Exchange, schemas: Schemas): Promise<NonNullable<Detail["call"]>["details"]> {
  const value = statusField(exchange, "grpc-status-details-bin");
  if (value === undefined) return undefined;
  const base64 = decodeBinary(value);
  if (base64 === undefined) return { base64: value, problem: "This is not base64." };
  const decoded = await schemas.decode(Buffer.from(base64, "base64"), { type: "google.rpc.Status" }, TREE_CHARACTERS);
  if (decoded.reading === "typed" && !decoded.hasUnknownFields) return { base64, decoded };
  return { base64, problem: "This is not a google.rpc.Status, so it is not decoded." };
}

function webSocketOf(exchange: Exchange, rules: TypeRules): NonNullable<Detail["webSocket"]> {
  const subprotocol = subprotocolOf(exchange);
  const extensions = fieldValue(exchange.response ?? [], "sec-websocket-extensions");
  const visitorType = rules.typeOf(exchange, "visitor");
  const serviceType = rules.typeOf(exchange, "service");
  return {
    ...(subprotocol === undefined
      ? {}
      : { subprotocol: maskField({ name: "sec-websocket-protocol", value: subprotocol }) }),
    ...(extensions === undefined ? {} : { extensions }),
    ...(exchange.close === undefined ? {} : { close: exchange.close }),
    ...(visitorType === undefined ? {} : { visitorType }),
    ...(serviceType === undefined ? {} : { serviceType }),
  };
}
