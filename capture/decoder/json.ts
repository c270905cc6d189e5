import { jsonName } from "../schema/universe.ts";
import type { FieldType } from "../schema/types.ts";
import { jsonObject, MessageValue } from "./value.ts";
import type { FieldValue, Json, Stored } from "./value.ts";

/** What the JSON of an Any needs: its content, read with its type. */
export type AnyReader = (
  value: MessageValue,
) => { readonly value: MessageValue } | { readonly base64: string } | undefined;

/** proto3 JSON (protobuf.dev/programming-guides/json) of a message that was read. Notes tell what has no JSON form. */
export function toJson(message: MessageValue, readAny: AnyReader, notes: Set<string>): Json {
  return new JsonWriter(readAny, notes).message(message);
}

/** 0001-01-01 and 9999-12-31 in seconds: what a Timestamp may be. */
const TIMESTAMP_RANGE = [-62_135_596_800n, 253_402_300_799n] as const;
/** 10 000 years in seconds: what a Duration may be. */
const DURATION_RANGE = 315_576_000_000n;

class JsonWriter {
  readonly #readAny: AnyReader;
  readonly #notes: Set<string>;

  constructor(readAny: AnyReader, notes: Set<string>) {
    this.#readAny = readAny;
    this.#notes = notes;
  }

  message(message: MessageValue): Json {
    const special = this.#wellKnown(message);
    return special === undefined ? this.#plain(message) : special;
  }

  #plain(message: MessageValue): Record<string, Json> {
    const object = jsonObject();
    const fields = [...message.fields].sort(([one], [other]) => one.number - other.number);
    for (const [field, stored] of fields) {
      const json = this.#stored(field, stored);
      if (json !== undefined) object[field.jsonName] = json;
    }
    return object;
  }

  #stored(field: FieldType, stored: Stored): Json | undefined {
    if ("list" in stored) return stored.list.length === 0 ? undefined : stored.list.map((value) => this.#value(value));
    if ("map" in stored) {
      const object = jsonObject();
      for (const [key, value] of stored.map) object[key] = this.#value(value);
      return object;
    }
    // Without presence, default and absent are the same, and JSON leaves both out.
    if (!field.presence && isDefault(field, stored.single)) return undefined;
    return this.#value(stored.single);
  }

  #value(value: FieldValue): Json {
    return value instanceof MessageValue ? this.message(value) : value;
  }

  #wellKnown(message: MessageValue): Json | undefined {
    const name = message.type.fullName;
    if (!name.startsWith("google.protobuf.")) return undefined;
    switch (name.slice("google.protobuf.".length)) {
      case "Timestamp":
        return this.#noted(timestampText(message), "a Timestamp is out of range, and has no JSON form");
      case "Duration":
        return this.#noted(durationText(message), "a Duration is out of range, and has no JSON form");
      case "FieldMask":
        return message
          .list(1)
          .map((path) => text(path).split(".").map(camelCase).join("."))
          .join(",");
      case "Struct": {
        const object = jsonObject();
        for (const [key, value] of message.map(1)) object[key] = this.#value(value);
        return object;
      }
      case "ListValue":
        return message.list(1).map((value) => this.#value(value));
      case "Value":
        return this.#dynamic(message);
      case "DoubleValue":
      case "FloatValue":
        return scalarOr(message, 0);
      case "Int64Value":
      case "UInt64Value":
        return scalarOr(message, "0");
      case "Int32Value":
      case "UInt32Value":
        return scalarOr(message, 0);
      case "BoolValue":
        return scalarOr(message, false);
      case "StringValue":
      case "BytesValue":
        return scalarOr(message, "");
      case "Any":
        return this.#any(message);
      default:
        return undefined;
    }
  }

  /** Undefined (so that the plain fields are printed) with a note, when there is no text. */
  #noted(text: string | undefined, note: string): string | undefined {
    if (text === undefined) this.#notes.add(note);
    return text;
  }

  #dynamic(message: MessageValue): Json {
    const [entry] = message.fields;
    if (entry === undefined) {
      this.#notes.add("a google.protobuf.Value has no kind, which has no JSON form");
      return null;
    }
    const [field, stored] = entry;
    if (field.number === 1 || !("single" in stored)) return null;
    if (field.number === 2 && typeof stored.single === "string")
      this.#notes.add("a google.protobuf.Value is not a finite number");
    return this.#value(stored.single);
  }

  #any(message: MessageValue): Json {
    if (message.fields.size === 0) return jsonObject();
    const url = message.get(1);
    const object = jsonObject();
    object["@type"] = typeof url === "string" ? url : "";
    const content = this.#readAny(message);
    if (content === undefined) return object;
    if ("base64" in content) {
      this.#notes.add("the type in a google.protobuf.Any is not known: its value is shown as base64");
      object["value"] = content.base64;
      return object;
    }
    const special = this.#wellKnown(content.value);
    if (special !== undefined) object["value"] = special;
    else Object.assign(object, this.#plain(content.value));
    return object;
  }
}

function scalarOr(message: MessageValue, absent: Json): Json {
  const value = message.get(1);
  return value === undefined || value instanceof MessageValue ? absent : value;
}

function isDefault(field: FieldType, value: FieldValue): boolean {
  if (value instanceof MessageValue) return false;
  if (field.shape.kind === "enum") return value === (field.shape.enumeration.names.get(0) ?? 0);
  return Object.is(value, 0) || value === "" || value === "0" ? defaultFits(field, value) : value === false;
}

/** `"0"` is the default of 64-bit numbers, and an ordinary string. */
function defaultFits(field: FieldType, value: FieldValue): boolean {
  if (value !== "0") return true;
  return field.shape.kind === "scalar" && field.shape.scalar !== "string" && field.shape.scalar !== "bytes";
}

function camelCase(segment: string): string {
  return jsonName(segment);
}

/** RFC 3339 in UTC with 0, 3, 6 or 9 digits of fraction; undefined when out of range. */
export function timestampText(message: MessageValue): string | undefined {
  const seconds = BigInt(numberText(message.get(1)));
  const nanos = Number(numberText(message.get(2)));
  if (seconds < TIMESTAMP_RANGE[0] || seconds > TIMESTAMP_RANGE[1] || nanos < 0 || nanos > 999_999_999)
    return undefined;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${whole}${fraction(nanos)}Z`;
}

export function durationText(message: MessageValue): string | undefined {
  const seconds = BigInt(numberText(message.get(1)));
  const nanos = Number(numberText(message.get(2)));
  const magnitude = seconds < 0n ? -seconds : seconds;
  const signsDiffer = (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0);
  if (magnitude > DURATION_RANGE || Math.abs(nanos) > 999_999_999 || signsDiffer) return undefined;
  return `${seconds < 0n || nanos < 0 ? "-" : ""}${magnitude}${fraction(Math.abs(nanos))}s`;
}

function fraction(nanos: number): string {
  if (nanos === 0) return "";
  const digits = String(nanos).padStart(9, "0");
  if (digits.endsWith("000000")) return `.${digits.slice(0, 3)}`;
  return digits.endsWith("000") ? `.${digits.slice(0, 6)}` : `.${digits}`;
}

function numberText(value: FieldValue | undefined): string {
  return typeof value === "string" && /^-?\d+$/.test(value) ? value : typeof value === "number" ? String(value) : "0";
}

function text(value: FieldValue): string {
  return typeof value === "string" ? value : "";
}
