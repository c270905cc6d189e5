import { connectCodeNumber, parseGrpcStatus } from "../wire/grpc/status.ts";
import { ENVELOPE_PREFIX } from "../wire/grpc/envelope.ts";
import type { Failure, Field, Fields, Side } from "../wire/stream.ts";
import { joinPayload, readClosePayload } from "../wire/websocket/message.ts";
import { requestLayout, responseLayout } from "./detect.ts";
import type { Layout } from "./detect.ts";
import type { Exchange } from "./exchange.ts";
import { fieldValue, mediaType } from "./media.ts";
import type { MessageLog } from "./message-log.ts";
import { chainOf } from "./payload.ts";
import type { ExchangeTap } from "./tap.ts";
import { createTrack } from "./track.ts";
import type { Track, TrackContext } from "./track.ts";

/**
 * Memory that one exchange may take: a message of 8 MiB each way. A longer stream keeps its latest messages, a longer
 * body its beginning.
 */
export const EXCHANGE_CAP = 16 * 1024 * 1024;

/** Trailers in a body, an end-of-stream and a Connect error are read as they pass when they are at most this long. */
const CLOSING_BYTES = 64 * 1024;

export interface RecorderHost {
  /** Milliseconds since the epoch. */
  now(): number;
  changed(exchange: Exchange): void;
  ended(exchange: Exchange): void;
  /** A defect of ours: the exchange passes on, unrecorded. */
  defect(error: unknown): void;
}

/** Writes one exchange into the capture. No defect of ours may reach the data path: what throws here ends the recording. */
export class Recorder implements ExchangeTap, TrackContext {
  readonly #exchange: Exchange;
  readonly #host: RecorderHost;
  /** Who spoke last, of a TCP connection. */
  #speaker: Side | undefined;
  readonly messages: MessageLog;
  #visitorTrack: Track | undefined;
  #serviceTrack: Track | undefined;
  #over = false;

  constructor(exchange: Exchange, host: RecorderHost, end: boolean) {
    this.#exchange = exchange;
    this.#host = host;
    this.messages = exchange.messages;
    if (end) this.#sideEnded("visitor", exchange.startedAt);
  }

  headReceived(fields: Fields, end: boolean): void {
    this.#record((exchange, at) => {
      const status = Number(fieldValue(fields, ":status"));
      const switched = exchange.protocol === "websocket" && (status === 101 || status === 200);
      if (status >= 100 && status < 200 && !switched) {
        exchange.addHead("interim", fields, at);
        return;
      }
      exchange.addHead("response", fields, at);
      exchange.response = fields;
      exchange.headAt = at;
      // A WebSocket is 101 to people, whether HTTP/1 or RFC 8441 carried it.
      if (Number.isInteger(status)) exchange.status = switched ? 101 : status;
      const layout = responseLayout(exchange.protocol, fields, status);
      if (layout === "event-stream" && exchange.protocol === "http") exchange.protocol = "sse";
      this.#serviceTrack ??= this.#newTrack("service", layout);
      this.#readStatus(fields);
      if (end) this.#sideEnded("service", at);
    });
  }

  dataReceived(side: Side, bytes: Uint8Array, end: boolean): void {
    this.#record((exchange, at) => {
      if (side === "visitor") exchange.visitorBytes += bytes.length;
      else exchange.serviceBytes += bytes.length;
      if (bytes.length > 0 && !exchange.removed) {
        this.#track(side).receive(bytes, at);
        this.#keepWithinCap(exchange);
      }
      if (end) this.#sideEnded(side, at);
    });
  }

  trailersReceived(side: Side, fields: Fields): void {
    this.#record((exchange, at) => {
      exchange.addHead(side === "visitor" ? "requestTrailers" : "responseTrailers", fields, at);
      if (side === "service") {
        exchange.responseTrailers = fields;
        this.#readStatus(fields);
      }
      this.#sideEnded(side, at);
    });
  }

  ended(): void {
    this.#record((exchange, at) => {
      this.#visitorTrack?.ended(at);
      this.#serviceTrack?.ended(at);
      this.#readConnectStatus(exchange);
      exchange.state = "ended";
      this.#finish(exchange, at);
    });
  }

  failed(failure: Failure): void {
    this.#record((exchange, at) => {
      // The answer is complete and only the rest of the request is not wanted: that is an end in order.
      const answered = failure.code === "unneeded" && exchange.response !== undefined;
      if (answered) this.#serviceTrack?.ended(at);
      this.#visitorTrack?.cut();
      this.#serviceTrack?.cut();
      this.#readConnectStatus(exchange);
      const gaveUp = failure.code === "cancelled" || (failure.code === "closed" && failure.by === "visitor");
      // After a close frame the connection is over, however its end looks on the wire.
      const closed = exchange.close !== undefined && (failure.code === "closed" || failure.code === "cancelled");
      exchange.state = answered || closed ? "ended" : gaveUp ? "cancelled" : "failed";
      if (exchange.state !== "ended") exchange.failure = failure;
      this.#finish(exchange, at);
    });
  }

  get deflating(): boolean {
    const { response, request } = this.#exchange;
    // Until the answer came, an extension that was offered may be in force.
    return /permessage-deflate/i.test(fieldValue(response ?? request, "sec-websocket-extensions") ?? "");
  }

  turned(side: Side): boolean {
    const before = this.#speaker;
    this.#speaker = side;
    return before !== side;
  }

  counted(side: Side): void {
    if (side === "visitor") this.#exchange.visitorMessages++;
    else this.#exchange.serviceMessages++;
  }

  capped(index: number): void {
    this.#exchange.capped = true;
    this.messages.markCapped(index);
  }

  compressed(side: Side): void {
    chainOf(this.#exchange, side).follow();
  }

  closing(side: Side, index: number): void {
    const exchange = this.#exchange;
    const record = exchange.messages.get(index);
    if (record === undefined || record.end - record.start > CLOSING_BYTES) return;
    const { bytes, complete } = exchange.log(side).read(record.start, record.end);
    if (!complete) return;
    if (record.kind === "close") {
      const { code, reason } = readClosePayload(joinPayload(bytes, true));
      exchange.close ??= { from: side, code, reason };
    } else if (side === "service" && !record.compressed) {
      this.#endOfStream(exchange, Buffer.from(bytes.subarray(ENVELOPE_PREFIX)).toString("latin1"));
    }
  }

  /** gRPC-Web: trailers as header lines. Connect: JSON with error and metadata. */
  #endOfStream(exchange: Exchange, text: string): void {
    if (exchange.protocol === "connect") {
      this.#readConnectError(exchange, Buffer.from(text, "latin1").toString("utf8"), true);
      return;
    }
    const fields: Field[] = [];
    for (const line of text.split(/\r?\n/)) {
      const colon = line.indexOf(":");
      if (colon > 0)
        fields.push({ name: line.slice(0, colon).trim().toLowerCase(), value: line.slice(colon + 1).trim() });
    }
    exchange.addHead("responseTrailers", fields, this.#host.now());
    exchange.responseTrailers = fields;
    this.#readStatus(fields);
  }

  #readStatus(fields: Fields): void {
    const exchange = this.#exchange;
    if (exchange.protocol !== "grpc" && exchange.protocol !== "grpc-web") return;
    const status = parseGrpcStatus(fieldValue(fields, "grpc-status") ?? "");
    if (status === undefined) return;
    exchange.grpcStatus = status;
    exchange.grpcMessage = fieldValue(fields, "grpc-message");
  }

  /** A unary Connect call says its fate in the HTTP status and, when it failed, in a JSON body. */
  #readConnectStatus(exchange: Exchange): void {
    if (exchange.protocol !== "connect" || exchange.grpcStatus !== undefined || exchange.response === undefined) return;
    if (mediaType(fieldValue(exchange.response, "content-type")).startsWith("application/connect+")) return;
    if (exchange.status === 200) {
      exchange.grpcStatus = 0;
      return;
    }
    const { bytes, complete } = exchange.service.read(0, Math.min(exchange.service.position, CLOSING_BYTES + 1));
    if (complete && bytes.length <= CLOSING_BYTES)
      this.#readConnectError(exchange, Buffer.from(bytes).toString("utf8"), false);
  }

  #readConnectError(exchange: Exchange, text: string, wrapped: boolean): void {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return;
    }
    const error = wrapped ? property(json, "error") : json;
    const code = property(error, "code");
    const message = property(error, "message");
    if (wrapped && error === undefined) exchange.grpcStatus = 0;
    else if (typeof code === "string") exchange.grpcStatus = connectCodeNumber(code);
    if (typeof message === "string") exchange.grpcMessage = message;
  }

  #track(side: Side): Track {
    if (side === "service")
      return (this.#serviceTrack ??= this.#newTrack("service", this.#exchange.protocol === "tcp" ? "tcp" : "body"));
    return (this.#visitorTrack ??= this.#newTrack(
      "visitor",
      requestLayout(this.#exchange.protocol, this.#exchange.request),
    ));
  }

  #newTrack(side: Side, layout: Layout): Track {
    return createTrack(side, this.#exchange.log(side), this, layout);
  }

  #keepWithinCap(exchange: Exchange): void {
    while (exchange.charge > EXCHANGE_CAP) {
      const larger = exchange.visitor.charge > exchange.service.charge ? exchange.visitor : exchange.service;
      if (!larger.dropOldest()) return;
    }
  }

  #sideEnded(side: Side, at: number): void {
    this.#exchange.endedFirst ??= side;
    (side === "visitor" ? this.#visitorTrack : this.#serviceTrack)?.ended(at);
  }

  #finish(exchange: Exchange, at: number): void {
    this.#over = true;
    exchange.endedAt = at;
    this.#host.ended(exchange);
  }

  #record(write: (exchange: Exchange, at: number) => void): void {
    if (this.#over) return;
    const exchange = this.#exchange;
    try {
      const at = this.#host.now();
      exchange.lastActivityAt = at;
      write(exchange, at);
      this.#host.changed(exchange);
    } catch (error) {
      this.#over = true;
      this.#host.defect(error);
    }
  }
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** What the tap gives out while the capture is paused, and for what it cannot take. */
export const UNRECORDED: ExchangeTap = {
  headReceived() {},
  dataReceived() {},
  trailersReceived() {},
  ended() {},
  failed() {},
};
