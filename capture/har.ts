import type { Exchange } from "./exchange.ts";
import { fieldValue, mediaType } from "./media.ts";
import type { ExchangeRecord, RecordedMessage } from "./options.ts";
import type { MessageReader } from "./reader.ts";
import { recordOf } from "./record.ts";
import { maskQuery } from "./secrets.ts";
import { reasonPhrase } from "../wire/http1/reasons.ts";

type Pair = readonly [name: string, value: string];
type JsonObject = Readonly<Record<string, unknown>>;

/** Opcodes of RFC 6455, as Chrome writes them into `_webSocketMessages`. */
const OPCODES: Readonly<Record<string, number>> = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** One entry of an HTTP archive 1.2. What it has no place for (gRPC messages, events) is in fields of our own, with `_`. */
export async function harOf(exchange: Exchange, reader: MessageReader, showSecrets: boolean): Promise<JsonObject> {
  const record = await recordOf(exchange, reader, showSecrets);
  const scheme = fieldValue(exchange.request, ":scheme") ?? "http";
  const url = `${exchange.protocol === "websocket" ? scheme.replace("http", "ws") : scheme}://${exchange.authority}${record.path}`;
  const wait = Math.max(0, (exchange.headAt ?? exchange.startedAt) - exchange.startedAt);
  return {
    startedDateTime: new Date(record.startedAt).toISOString(),
    time: record.durationMs,
    request: {
      method: record.method,
      url: showSecrets ? url : maskQuery(url),
      httpVersion: "unknown",
      cookies: [],
      headers: headers(record.request.headers),
      queryString: [...new URLSearchParams(record.path.split("?")[1] ?? "")].map(([name, value]) => ({ name, value })),
      ...postData(exchange, record),
      headersSize: -1,
      bodySize: exchange.visitorBytes,
    },
    response: {
      status: record.status ?? 0,
      statusText: record.status === null ? "" : reasonPhrase(record.status),
      httpVersion: "unknown",
      cookies: [],
      headers: headers([...record.response.headers, ...record.response.trailers]),
      content: content(exchange, record),
      redirectURL:
        fieldValue(exchange.response ?? [], "location") === undefined
          ? ""
          : (pairValue(record.response.headers, "location") ?? ""),
      headersSize: -1,
      bodySize: exchange.serviceBytes,
    },
    cache: {},
    timings: { send: 0, wait, receive: Math.max(0, record.durationMs - wait) },
    ...streamed(exchange, record),
    ...(record.grpcStatus === undefined
      ? {}
      : { _grpcStatus: record.grpcStatus, _grpcMessage: record.grpcMessage ?? "" }),
    ...(record.failure === undefined ? {} : { _failure: record.failure }),
  };
}

function headers(pairs: readonly Pair[]): JsonObject[] {
  return pairs.filter(([name]) => !name.startsWith(":")).map(([name, value]) => ({ name, value }));
}

function pairValue(pairs: readonly Pair[], name: string): string | undefined {
  return pairs.find(([candidate]) => candidate === name)?.[1];
}

function bodyOf(record: ExchangeRecord, from: "visitor" | "service"): RecordedMessage | undefined {
  return record.messages.find((message) => message.from === from && message.kind === undefined);
}

function postData(exchange: Exchange, record: ExchangeRecord): JsonObject {
  if (exchange.protocol !== "http" && exchange.protocol !== "sse") return {};
  const body = bodyOf(record, "visitor");
  if (body === undefined) return {};
  const mimeType = fieldValue(exchange.request, "content-type") ?? "";
  return { postData: { mimeType, text: textOf(body), ...(body.base64 === undefined ? {} : { encoding: "base64" }) } };
}

function content(exchange: Exchange, record: ExchangeRecord): JsonObject {
  const mimeType = mediaType(fieldValue(exchange.response ?? [], "content-type"));
  const body = exchange.protocol === "http" ? bodyOf(record, "service") : undefined;
  if (body === undefined) return { size: exchange.serviceBytes, mimeType };
  return {
    size: body.size,
    mimeType,
    text: textOf(body),
    ...(body.base64 === undefined ? {} : { encoding: "base64" }),
  };
}

function textOf(message: RecordedMessage): string {
  return message.text ?? message.base64 ?? (message.value === undefined ? "" : JSON.stringify(message.value));
}

/** Chrome's `_webSocketMessages`; other streams in `_messages`, as `portlight share --json` prints them. */
function streamed(exchange: Exchange, record: ExchangeRecord): JsonObject {
  if (exchange.protocol === "http") return {};
  if (exchange.protocol !== "websocket") return { _messages: record.messages };
  return {
    _resourceType: "websocket",
    _webSocketMessages: record.messages.map((message) => ({
      type: message.from === "visitor" ? "send" : "receive",
      time: message.at / 1000,
      opcode:
        OPCODES[
          message.kind ??
            (message.text === undefined && message.type !== undefined
              ? "binary"
              : message.base64 === undefined
                ? "text"
                : "binary")
        ] ?? 1,
      data: textOf(message),
    })),
  };
}
