import { grpcMessageOf } from "./detail.ts";
import type { Exchange } from "./exchange.ts";
import type { ExchangeRecord, RecordedMessage } from "./options.ts";
import type { MessageReader } from "./reader.ts";
import type { MessageRecord } from "./message-log.ts";
import { maskQuery, shownPairs } from "./secrets.ts";
import { readPayload, inflatePayload } from "./payload.ts";

/** Messages in one record: what one line of text can hold. Of a longer stream, the first ones. */
export const MAX_RECORD_MESSAGES = 100_000;

/** An exchange with all its messages, decoded: a line of `portlight share --json`. */
export async function recordOf(
  exchange: Exchange,
  reader: MessageReader,
  showSecrets: boolean,
): Promise<ExchangeRecord> {
  const message = grpcMessageOf(exchange);
  const pairs = (kind: "request" | "requestTrailers" | "response" | "responseTrailers"): [string, string][] =>
    exchange.heads.filter((head) => head.kind === kind).flatMap((head) => shownPairs(head.fields, showSecrets));
  const requestTrailers = pairs("requestTrailers");
  return {
    type: "exchange",
    id: exchange.id,
    port: exchange.share.port,
    protocol: exchange.protocol,
    method: exchange.method,
    path: showSecrets ? exchange.path : maskQuery(exchange.path),
    status: exchange.status ?? null,
    ...(exchange.grpcStatus === undefined ? {} : { grpcStatus: exchange.grpcStatus }),
    ...(message === undefined ? {} : { grpcMessage: message }),
    startedAt: exchange.startedAt,
    durationMs: (exchange.endedAt ?? exchange.lastActivityAt) - exchange.startedAt,
    request: { headers: pairs("request"), ...(requestTrailers.length === 0 ? {} : { trailers: requestTrailers }) },
    response: { headers: pairs("response"), trailers: pairs("responseTrailers") },
    messages: await recordedMessages(exchange, reader, showSecrets),
    ...(exchange.failure === undefined ? {} : { failure: exchange.failure }),
  };
}

async function recordedMessages(
  exchange: Exchange,
  reader: MessageReader,
  showSecrets: boolean,
): Promise<RecordedMessage[]> {
  const messages: RecordedMessage[] = [];
  const { total } = exchange.messages;
  for (let index = exchange.messages.first; index < total && messages.length < MAX_RECORD_MESSAGES; index++) {
    const record = exchange.messages.get(index);
    if (record !== undefined) messages.push(await recordedMessage(exchange, record, reader, showSecrets));
  }
  return messages;
}

export async function recordedMessage(
  exchange: Exchange,
  record: MessageRecord,
  reader: MessageReader,
  showSecrets: boolean,
): Promise<RecordedMessage> {
  const payload = readPayload(exchange, record);
  const base = {
    from: record.from,
    at: record.at,
    size: record.size,
    compressed: payload.compression !== undefined,
    ...(record.kind === "grpc" || record.kind === "body" || record.kind === "text" || record.kind === "binary"
      ? {}
      : { kind: record.kind }),
    ...(payload.complete ? {} : { dropped: true as const }),
  };
  if (payload.state === "dropped") return base;
  const decoded = await reader.decode(exchange, record, { as: "auto", showSecrets, whole: true });
  const raw = async (): Promise<RecordedMessage> => {
    const { bytes } = await inflatePayload(exchange, payload);
    return { ...base, base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64") };
  };
  switch (decoded.view) {
    case "protobuf":
      if (decoded.reading !== "typed" || decoded.truncated) return raw();
      return {
        ...base,
        ...(decoded.schema.type === undefined ? {} : { type: decoded.schema.type }),
        value: decoded.json,
      };
    case "json":
      return { ...base, value: decoded.json };
    case "text":
      return decoded.problem === undefined || record.kind === "text" ? { ...base, text: decoded.text } : raw();
    case "form":
      return {
        ...base,
        text: decoded.fields
          .map(({ name, value }) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
          .join("&"),
      };
    case "close":
      return { ...base, value: { code: decoded.code, reason: decoded.reason } };
    default:
      return raw();
  }
}
