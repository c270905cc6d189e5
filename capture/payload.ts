import { ENVELOPE_PREFIX } from "../wire/grpc/envelope.ts";
import type { Fields, Side } from "../wire/stream.ts";
import { joinPayload } from "../wire/websocket/message.ts";
import { DeflateChain } from "./deflate-chain.ts";
import type { Exchange } from "./exchange.ts";
import { decompress } from "./inflate.ts";
import type { Inflated } from "./inflate.ts";
import { fieldValue } from "./media.ts";
import type { MessageRecord } from "./message-log.ts";
import type { MessageSummary } from "./protocol.ts";

/** A message's octets without framing and mask. */
export interface Payload {
  readonly record: MessageRecord;
  readonly bytes: Uint8Array;
  /** All of it is here. */
  readonly complete: boolean;
  readonly state: MessageSummary["state"];
  /** Undefined: not compressed. */
  readonly compression: string | undefined;
}

const chains = new WeakMap<Exchange, { readonly visitor: DeflateChain; readonly service: DeflateChain }>();

/** The head that describes the body of this side. */
export function headOf(exchange: Exchange, side: Side): Fields {
  return side === "visitor" ? exchange.request : (exchange.response ?? []);
}

export function compressionOf(exchange: Exchange, record: MessageRecord): string | undefined {
  const head = headOf(exchange, record.from);
  switch (record.kind) {
    case "text":
    case "binary":
      return record.compressed ? "permessage-deflate" : undefined;
    case "grpc":
    case "end-of-stream":
      if (!record.compressed) return undefined;
      return fieldValue(head, "grpc-encoding") ?? fieldValue(head, "connect-content-encoding") ?? "unnamed";
    case "body": {
      const encoding = fieldValue(head, "content-encoding")?.trim().toLowerCase();
      return encoding === undefined || encoding === "identity" || encoding === "" ? undefined : encoding;
    }
    default:
      return undefined;
  }
}

export function messageState(exchange: Exchange, record: MessageRecord): MessageSummary["state"] {
  if (record.capped) return "capped";
  const end =
    record.completedAt > 0 || record.kind === "body"
      ? record.end
      : Math.min(record.end, exchange.log(record.from).position);
  if (!exchange.log(record.from).has(record.start, end)) return "dropped";
  if (record.partial) return "partial";
  return record.completedAt > 0 ? "complete" : "growing";
}

export function readPayload(exchange: Exchange, record: MessageRecord): Payload {
  const state = messageState(exchange, record);
  const log = exchange.log(record.from);
  // An unfinished WebSocket message does not know its end; what is there so far is read.
  const end = record.completedAt > 0 ? record.end : Math.max(record.end, log.position);
  const { bytes } = log.read(record.start, Math.min(end, log.position));
  return {
    record,
    bytes: state === "dropped" ? new Uint8Array(0) : unframed(exchange, record, bytes),
    complete: state === "complete",
    state,
    compression: compressionOf(exchange, record),
  };
}

function unframed(exchange: Exchange, record: MessageRecord, bytes: Uint8Array): Uint8Array {
  switch (record.kind) {
    case "grpc":
    case "end-of-stream":
      return bytes.subarray(
        Math.min(ENVELOPE_PREFIX, bytes.length),
        Math.min(ENVELOPE_PREFIX + record.size, bytes.length),
      );
    case "text":
    case "ping":
    case "pong":
    case "close":
      return joinPayload(bytes, record.kind !== "text");
    case "binary":
      // What one side of a TCP connection said is not framed.
      return exchange.protocol === "websocket" ? joinPayload(bytes, false) : bytes;
    default:
      return bytes;
  }
}

/** The payload after decompression. Never rejects. */
export async function inflatePayload(exchange: Exchange, payload: Payload): Promise<Inflated> {
  const { record, compression, bytes, complete } = payload;
  if (payload.state === "dropped")
    return { bytes, complete: false, problem: "Its octets are no longer in the capture." };
  if (compression === undefined) return { bytes, complete };
  if (compression !== "permessage-deflate") {
    const result = await decompress(compression, bytes, !complete);
    return complete ? result : { ...result, complete: false };
  }
  if (!complete)
    return { bytes: new Uint8Array(0), complete: false, problem: "It is not complete, and cannot be inflated." };
  return chainOf(exchange, record.from).inflate(record.index, bytes);
}

export function chainOf(exchange: Exchange, side: Side): DeflateChain {
  let pair = chains.get(exchange);
  if (pair === undefined) {
    pair = { visitor: new DeflateChain(exchange, "visitor"), service: new DeflateChain(exchange, "service") };
    chains.set(exchange, pair);
  }
  return pair[side];
}
