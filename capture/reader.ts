import { readClosePayload } from "../wire/websocket/message.ts";
import { TREE_CHARACTERS } from "./decoder/limits.ts";
import { asText, MAX_TEXT, oneLine, parseJson, readContent, readEvent } from "./content.ts";
import type { Exchange } from "./exchange.ts";
import { inflatePayload, headOf, readPayload } from "./payload.ts";
import type { Payload } from "./payload.ts";
import { Pace } from "./pace.ts";
import { fieldValue, isJsonType, isProtobufType, mediaType } from "./media.ts";
import type { MessageRecord } from "./message-log.ts";
import type { Decoded, MessageSummary, SchemaNote } from "./protocol.ts";
import type { Schemas, TypedBytes } from "./schemas.ts";
import type { Inflated } from "./inflate.ts";
import type { TypeRules } from "./type-rules.ts";

/** A preview is made from messages up to this size: a screenful of them must cost nothing that one notices. */
const PREVIEW_BYTES = 16 * 1024;
/** A preview of text is made from its beginning: 200 characters are shown, of at most 4 octets each. */
const PREVIEW_TEXT = 1024;
/** Characters of values for a program, which wants all of an 8 MiB message, bytes in base64 included. */
export const RECORD_CHARACTERS = 12 * 1024 * 1024;

export interface ReadOptions {
  readonly as: "auto" | "text" | "wire";
  readonly showSecrets: boolean;
}

/** Reads messages on demand: finds their type, decompresses, decodes. Never rejects for what a payload is. */
export class MessageReader {
  readonly #schemas: Schemas;
  readonly #rules: TypeRules;

  constructor(schemas: Schemas, rules: TypeRules) {
    this.#schemas = schemas;
    this.#rules = rules;
  }

  /** The type of a message, where it is protobuf; undefined where it is not. */
  async schemaOf(exchange: Exchange, record: MessageRecord): Promise<SchemaNote | undefined> {
    if (record.kind === "binary" && exchange.protocol === "websocket") {
      const type = this.#rules.typeOf(exchange, record.from);
      return type === undefined ? undefined : this.#schemas.note(type);
    }
    if (!isProtobufMessage(exchange, record)) return undefined;
    const { rpc } = exchange;
    if (rpc === undefined) return { problem: "The path names no method, so the type is not known." };
    const method = await this.#schemas.method(`/${rpc.service}/${rpc.method}`);
    return record.from === "visitor" ? method.request : method.response;
  }

  async decode(exchange: Exchange, record: MessageRecord, options: ReadOptions): Promise<Decoded> {
    const payload = readPayload(exchange, record);
    if (record.kind === "close") return { view: "close", ...readClosePayload(payload.bytes) };
    const inflated = await inflatePayload(exchange, payload);
    if (payload.state === "dropped") return { view: "binary", problem: "Its octets are no longer in the capture." };
    const decoded = await this.#read(exchange, record, inflated, options);
    const problem = [record.problem, inflated.problem, decoded.problem].filter((text) => text !== undefined).join(" ");
    return problem === "" ? decoded : { ...decoded, problem };
  }

  /** Octets as they are, or after decompression. */
  async bytes(exchange: Exchange, record: MessageRecord, decompressed: boolean): Promise<Uint8Array> {
    const payload = readPayload(exchange, record);
    return decompressed ? (await inflatePayload(exchange, payload)).bytes : payload.bytes;
  }

  /** One page of the timeline, with previews where they are cheap. */
  async summaries(exchange: Exchange, records: readonly MessageRecord[]): Promise<MessageSummary[]> {
    const pace = new Pace();
    const drafts: Draft[] = [];
    for (const record of records) {
      await pace.rest();
      drafts.push(await this.#draft(exchange, record));
    }
    const typed = drafts.filter(
      (draft): draft is Draft & { protobuf: { bytes: Uint8Array; type: string } } => draft.protobuf !== undefined,
    );
    const previews = await this.#schemas.previews(typed.map(({ protobuf }) => protobuf));
    typed.forEach((draft, index) => (draft.preview = previews[index] ?? undefined));
    return drafts.map(({ summary, preview }) =>
      preview === undefined ? summary : { ...summary, preview: oneLine(preview) },
    );
  }

  async #draft(exchange: Exchange, record: MessageRecord): Promise<Draft> {
    const payload = readPayload(exchange, record);
    const schema = await this.schemaOf(exchange, record);
    const summary = summaryOf(exchange, record, payload, schema);
    if (payload.state === "dropped" || payload.state === "growing" || record.size > PREVIEW_BYTES) {
      // The beginning of a text is a preview; half a protobuf message is none.
      if (payload.compression !== undefined || schema !== undefined || payload.bytes.length === 0) return { summary };
    }
    if (payload.compression === undefined)
      return this.#preview(exchange, record, { bytes: payload.bytes, complete: payload.complete }, summary, schema);
    const inflated = await inflatePayload(exchange, payload);
    const problem = summary.problem ?? inflated.problem;
    const known = inflated.complete ? { decodedSize: inflated.bytes.length } : {};
    const more = { ...summary, ...known, ...(problem === undefined ? {} : { problem }) };
    return inflated.complete ? this.#preview(exchange, record, inflated, more, schema) : { summary: more };
  }

  #preview(
    exchange: Exchange,
    record: MessageRecord,
    inflated: Inflated,
    summary: MessageSummary,
    schema: SchemaNote | undefined,
  ): Draft {
    const { bytes } = inflated;
    if (schema?.type !== undefined)
      return inflated.complete ? { summary, protobuf: { bytes, type: schema.type } } : { summary };
    if (schema !== undefined) return { summary };
    if (record.kind === "close") {
      const { code, reason } = readClosePayload(bytes);
      return { summary, preview: `${code} ${reason}` };
    }
    if (record.kind === "event") {
      const { event, data, comment } = readEvent(bytes.subarray(0, PREVIEW_TEXT));
      return { summary, preview: data === undefined ? `: ${comment ?? ""}` : `${event}: ${data}` };
    }
    const content = readContent(bytes.subarray(0, PREVIEW_TEXT), {
      contentType: contentTypeOf(exchange, record),
      complete: inflated.complete && bytes.length <= PREVIEW_TEXT,
      maxText: PREVIEW_TEXT,
      showSecrets: false,
    });
    if (content.view === "text" || content.view === "json") return { summary, preview: content.text };
    if (content.view === "form")
      return { summary, preview: content.fields.map(({ name, value }) => `${name}=${value}`).join("&") };
    if (content.view === "image")
      return {
        summary,
        preview: `${content.mediaType}${content.width === undefined ? "" : ` ${content.width}×${content.height ?? 0}`}`,
      };
    return { summary };
  }

  async #read(exchange: Exchange, record: MessageRecord, inflated: Inflated, options: ReadOptions): Promise<Decoded> {
    const { bytes, complete } = inflated;
    const contentType = contentTypeOf(exchange, record);
    if (options.as === "text") return asText(bytes, { contentType, complete, maxText: MAX_TEXT });
    if (options.as === "wire") return this.#schemas.decode(bytes, {}, TREE_CHARACTERS);
    // Octets that could not be decompressed are no message.
    const unreadable = inflated.problem !== undefined && record.compressed && !complete;
    const schema = await this.schemaOf(exchange, record);
    if (schema !== undefined && unreadable) return { view: "binary" };
    if (schema !== undefined) return this.#protobuf(bytes, complete, schema);
    return this.content(exchange, record, inflated, { maxText: MAX_TEXT, showSecrets: options.showSecrets });
  }

  /** What is not protobuf, by its media type and its looks. */
  content(
    exchange: Exchange,
    record: MessageRecord,
    { bytes, complete }: Inflated,
    { maxText, showSecrets }: { readonly maxText: number; readonly showSecrets: boolean },
  ): Decoded {
    if (record.kind === "close") return { view: "close", ...readClosePayload(bytes) };
    if (record.kind === "event") return decodeEvent(bytes, complete, maxText);
    return readContent(bytes, { contentType: contentTypeOf(exchange, record), complete, maxText, showSecrets });
  }

  /** The JSON of many protobuf messages, for programs; null for what does not fit its type. */
  values(messages: readonly TypedBytes[]): Promise<readonly ({ readonly json: unknown } | null)[]> {
    return this.#schemas.values(messages, RECORD_CHARACTERS);
  }

  #protobuf(bytes: Uint8Array, complete: boolean, schema: SchemaNote): Promise<Decoded> {
    if (complete) return this.#schemas.decode(bytes, schema, TREE_CHARACTERS);
    // The beginning of a message may fit its type by chance: only the wire reading is honest.
    return this.#schemas.decode(
      bytes,
      { problem: "The message is not complete here, so it is not read with its type." },
      TREE_CHARACTERS,
    );
  }
}

interface Draft {
  readonly summary: MessageSummary;
  readonly protobuf?: { readonly bytes: Uint8Array; readonly type: string };
  preview?: string | undefined;
}

function summaryOf(
  exchange: Exchange,
  record: MessageRecord,
  payload: Payload,
  schema: SchemaNote | undefined,
): MessageSummary {
  const log = exchange.log(record.from);
  const growing = record.completedAt === 0;
  const size = growing && record.size === 0 ? Math.max(0, log.position - record.start) : record.size;
  return {
    index: record.index,
    from: record.from,
    kind: record.kind,
    at: Math.round(record.at * 100) / 100,
    ...(growing ? {} : { completedAt: Math.round(record.completedAt * 100) / 100 }),
    size,
    ...(payload.compression === undefined ? {} : { compression: payload.compression }),
    ...(schema?.type === undefined ? {} : { type: schema.type }),
    state: payload.state,
    ...(record.problem === undefined ? {} : { problem: record.problem }),
  };
}

/** Envelopes and bodies that hold protobuf, told by the media type of their side. */
export function isProtobufMessage(exchange: Exchange, record: MessageRecord): boolean {
  const type = mediaType(fieldValue(headOf(exchange, record.from), "content-type"));
  if (record.kind === "grpc") return !type.endsWith("+json") && !type.endsWith("+thrift");
  return record.kind === "body" && record.problem === undefined && isProtobufType(type);
}

/** The media type of what is inside a message. */
function contentTypeOf(exchange: Exchange, record: MessageRecord): string | undefined {
  const declared = fieldValue(headOf(exchange, record.from), "content-type");
  switch (record.kind) {
    case "body":
      return declared;
    case "grpc":
      return isJsonType(mediaType(declared)) ? "application/json" : undefined;
    case "end-of-stream":
      return exchange.protocol === "connect" ? "application/json" : "text/plain";
    case "text":
      return "text/plain";
    default:
      return undefined;
  }
}

function decodeEvent(bytes: Uint8Array, complete: boolean, maxText: number): Decoded {
  const { data } = readEvent(bytes);
  const text = asText(bytes, { contentType: undefined, complete, maxText });
  const json = data === undefined ? undefined : parseJson(data);
  if (typeof json === "object" && json !== null)
    return { view: "json", json, text: text.text, truncated: text.truncated };
  return text;
}
