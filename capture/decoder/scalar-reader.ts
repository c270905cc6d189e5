import { float32, float64, signed64, unsigned64, zigzag32, zigzag64 } from "../../wire/protobuf/reader.ts";
import type { WireReader } from "../../wire/protobuf/reader.ts";
import { decodeUtf8 } from "../../wire/utf8.ts";
import type { FieldShape, Scalar } from "../schema/types.ts";
import { jsonNumber, shortestFloat32 } from "./numbers.ts";
import { enumValue } from "./scalars.ts";
import type { Json } from "./value.ts";

export interface ReadLimits {
  /** Fields and elements read; the rest is only walked. */
  readonly elements: number;
  /** Characters of all values together. */
  readonly characters: number;
}

/** The octets do not fit the type. The message is for people. */
export class MisfitError extends Error {
  override readonly name = "MisfitError";
}

/** Reads the scalars of one message, and keeps account of how many and how long they may be. */
export class ScalarReader {
  readonly #bytes: Uint8Array;
  #elements: number;
  #characters: number;
  #truncated = false;
  /** What is odd about the message, for people. */
  readonly notes = new Set<string>();

  constructor(bytes: Uint8Array, limits: ReadLimits) {
    this.#bytes = bytes;
    this.#elements = limits.elements;
    this.#characters = limits.characters;
  }

  /** Something was left out for want of room. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** The value of a scalar or an enum, with the wire type that its shape has. */
  read(
    reader: WireReader,
    shape: FieldShape,
    strictUtf8: boolean,
  ): { value: Json; alternative?: string; closedOut: boolean } {
    if (shape.kind === "enum") {
      reader.varint();
      return enumValue(reader.low | 0, shape.enumeration);
    }
    if (shape.kind !== "scalar") throw new MisfitError("A message is where a scalar should be.");
    return { value: this.#primitive(reader, shape.scalar, strictUtf8), closedOut: false };
  }

  #primitive(reader: WireReader, scalar: Scalar, strictUtf8: boolean): Json {
    switch (scalar) {
      case "double":
        reader.fixed64();
        return jsonNumber(float64(reader.low, reader.high));
      case "float":
        reader.fixed32();
        return jsonNumber(shortestFloat32(float32(reader.low)));
      case "int32":
        reader.varint();
        return reader.low | 0;
      case "uint32":
        reader.varint();
        return reader.low;
      case "sint32":
        reader.varint();
        return zigzag32(reader.low);
      case "fixed32":
        reader.fixed32();
        return reader.low;
      case "sfixed32":
        reader.fixed32();
        return reader.low | 0;
      case "int64":
        reader.varint();
        return signed64(reader.low, reader.high);
      case "uint64":
        reader.varint();
        return unsigned64(reader.low, reader.high);
      case "sint64":
        reader.varint();
        return zigzag64(reader.low, reader.high);
      case "fixed64":
        reader.fixed64();
        return unsigned64(reader.low, reader.high);
      case "sfixed64":
        reader.fixed64();
        return signed64(reader.low, reader.high);
      case "bool":
        reader.varint();
        return (reader.low | reader.high) !== 0;
      case "string":
        return this.#string(reader, strictUtf8);
      case "bytes": {
        const length = reader.length();
        const start = reader.position;
        reader.position += length;
        // Base64 of the first part: 3 octets become 4 characters.
        const shown = Math.min(length, Math.floor(this.#characters / 4) * 3);
        this.#charge(Math.ceil(length / 3) * 4);
        return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, shown).toString("base64");
      }
    }
  }

  #string(reader: WireReader, strict: boolean): string {
    const length = reader.length();
    const start = reader.position;
    reader.position += length;
    const buffer = Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, length);
    let text = buffer.toString("utf8");
    if (text.includes("\uFFFD") && decodeUtf8(buffer) === undefined) {
      if (strict) throw new MisfitError("A string is not UTF-8.");
      this.notes.add("a string is not UTF-8");
    }
    if (text.length > this.#characters) text = text.slice(0, this.#characters);
    this.#charge(length);
    return text;
  }

  #charge(characters: number): void {
    if (characters > this.#characters) this.#truncated = true;
    this.#characters = Math.max(0, this.#characters - characters);
  }

  /** One more field or element; false when there were enough. */
  spend(): boolean {
    if (this.#elements <= 0 || this.#characters <= 0) {
      this.#truncated = true;
      return false;
    }
    this.#elements--;
    return true;
  }
}
