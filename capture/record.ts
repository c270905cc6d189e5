import { grpcMessageOf } from "./detail.ts";
import type { Exchange } from "./exchange.ts";
import type { ExchangeRecord } from "./options.ts";
import type { MessageReader } from "./reader.ts";
import { recordedMessages } from "./recorded-messages.ts";
import { maskQuery, shownPairs } from "./secrets.ts";

/**
 * An exchange with its messages, decoded: a line of `portlight share --json`. Ends early, with fewer messages, once it is
 * no longer `wanted`.
 */
export async function recordOf(
  exchange: Exchange,
  reader: MessageReader,
  showSecrets: boolean,
  wanted: () => boolean = () => true,
): Promise<ExchangeRecord> {
  const message = grpcMessageOf(exchange);
  const pairs = (kind: "request" | "requestTrailers" | "response" | "responseTrailers"): [string, string][] =>
    exchange.heads.filter((head) => head.kind === kind).flatMap((head) => shownPairs(head.fields, showSecrets));
  const requestTrailers = pairs("requestTrailers");
  const { messages, left } = await recordedMessages(exchange, reader, showSecrets, wanted);
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
    messages,
    ...(left === 0 ? {} : { messagesLeftOut: left }),
    ...(exchange.failure === undefined ? {} : { failure: exchange.failure }),
  };
}
