import { WIRE } from "../../wire/protobuf/reader.ts";
import type { ProtobufNode } from "../protocol.ts";
import type { EnumType, FieldShape, FieldType } from "../schema/types.ts";
import { durationText, timestampText } from "./json.ts";
import type { Json, MessageValue } from "./value.ts";

export function enumValue(number: number, type: EnumType): { value: Json; alternative?: string; closedOut: boolean } {
  const name = type.names.get(number);
  if (name === undefined) return { value: number, alternative: `not in ${type.fullName}`, closedOut: type.closed };
  // The one enum whose only value JSON prints as null.
  if (type.fullName === "google.protobuf.NullValue")
    return { value: null, alternative: String(number), closedOut: false };
  return { value: name, alternative: String(number), closedOut: false };
}

export function wireTypeOf(shape: FieldShape): number {
  if (shape.kind === "enum") return WIRE.varint;
  if (shape.kind !== "scalar") return WIRE.lengthDelimited;
  switch (shape.scalar) {
    case "double":
    case "fixed64":
    case "sfixed64":
      return WIRE.fixed64;
    case "float":
    case "fixed32":
    case "sfixed32":
      return WIRE.fixed32;
    case "string":
    case "bytes":
      return WIRE.lengthDelimited;
    default:
      return WIRE.varint;
  }
}

export function defaultOf(shape: FieldShape): Json {
  if (shape.kind === "enum") return enumValue(0, shape.enumeration).value;
  if (shape.kind !== "scalar") return null;
  if (shape.scalar === "bool") return false;
  if (shape.scalar === "string" || shape.scalar === "bytes") return "";
  return shape.scalar.endsWith("64") ? "0" : 0;
}

export function typeName(field: FieldType): string {
  switch (field.shape.kind) {
    case "scalar":
      return field.shape.scalar;
    case "message":
      return field.shape.message.fullName;
    case "enum":
      return field.shape.enumeration.fullName;
    case "unresolved":
      return field.shape.reference;
  }
}

export function scalarNode(
  field: FieldType,
  value: Json,
  alternative: string | undefined,
  offset: number,
  length: number,
): ProtobufNode {
  return { number: field.number, ...partNode(field.name, typeName(field), value, alternative, offset, length) };
}

export function partNode(
  name: string,
  type: string,
  value: Json,
  alternative: string | undefined,
  offset: number,
  length: number,
): ProtobufNode {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return { name, type, value: text, ...(alternative === undefined ? {} : { alternative }), offset, length };
}

/** Timestamps, durations and wrappers are shown as proto3 JSON prints them, beside their fields. */
export function wellKnownValue(message: MessageValue): { readonly value?: string } {
  const name = message.type.fullName;
  if (!name.startsWith("google.protobuf.")) return {};
  if (name === "google.protobuf.Timestamp") return optional(timestampText(message));
  if (name === "google.protobuf.Duration") return optional(durationText(message));
  if (!name.endsWith("Value") || name === "google.protobuf.Value" || name === "google.protobuf.ListValue") return {};
  const value = message.get(1);
  return value === undefined || value === null || typeof value === "object" ? {} : { value: String(value) };
}

function optional(value: string | undefined): { readonly value?: string } {
  return value === undefined ? {} : { value };
}

/** The key of a map as JSON has it. */
export function keyText(key: Json): string {
  return typeof key === "string" ? key : typeof key === "number" || typeof key === "boolean" ? String(key) : "";
}
