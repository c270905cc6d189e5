import type { Failure, Fields, Side } from "../wire/stream.ts";
import { ByteLog } from "./byte-log.ts";
import { rpcOf } from "./detect.ts";
import { appended } from "./lists.ts";
import { fieldValue } from "./media.ts";
import { MessageLog } from "./message-log.ts";
import type { ExchangeState, HeadKind, Protocol, Row } from "./protocol.ts";
import type { Ring } from "./ring.ts";
import { maskQuery } from "./secrets.ts";
import { statusText } from "./status.ts";
import type { TappedShare } from "./tap.ts";

export interface HeadRecord {
  readonly kind: HeadKind;
  readonly at: number;
  readonly fields: Fields;
}

/** What the fields of one head occupy, roughly: two strings and an object each. */
const FIELD_OVERHEAD = 96;
/** What an exchange occupies besides heads, messages and octets. */
const EXCHANGE_OVERHEAD = 1024;

/** The milliseconds that `Row` shows: a hundredth is what the clock is good for. */
function rounded(time: number): number {
  return Math.round(time * 100) / 100;
}

/** Everything kept of one exchange. The recorder writes it; rows, details and records are read from it. */
export class Exchange {
  readonly id: number;
  readonly share: TappedShare;
  readonly request: Fields;
  heads: HeadRecord[] = [];
  readonly messages: MessageLog;
  readonly startedAt: number;
  protocol: Protocol;
  state: ExchangeState = "open";
  response: Fields | undefined;
  responseTrailers: Fields | undefined;
  status: number | undefined;
  grpcStatus: number | undefined;
  /** As on the wire (gRPC, gRPC-Web: percent-encoded; Connect: plain). */
  grpcMessage: string | undefined;
  close: { readonly from: Side; readonly code: number; readonly reason: string } | undefined;
  failure: Failure | undefined;
  /** Who ended his direction first. */
  endedFirst: Side | undefined;
  visitorMessages = 0;
  serviceMessages = 0;
  visitorBytes = 0;
  serviceBytes = 0;
  headAt: number | undefined;
  endedAt: number | undefined;
  lastActivityAt: number;
  /** Left the capture. What still arrives is not kept. */
  removed = false;
  /** Some octets were never kept. */
  capped = false;
  /** Octets of heads and overhead, reserved in the ring: they stay for as long as the exchange does. */
  #reserved = 0;
  readonly #ring: Ring;
  /** Made when they are asked for: most requests have no body. */
  #visitor: ByteLog | undefined;
  #service: ByteLog | undefined;

  constructor(id: number, share: TappedShare, request: Fields, protocol: Protocol, ring: Ring, at: number) {
    this.id = id;
    this.share = share;
    this.request = request;
    this.protocol = protocol;
    this.startedAt = at;
    this.lastActivityAt = at;
    this.#ring = ring;
    this.#reserve(EXCHANGE_OVERHEAD);
    this.messages = new MessageLog(ring);
    this.addHead("request", request, at);
  }

  get visitor(): ByteLog {
    return (this.#visitor ??= new ByteLog(this.#ring, false));
  }

  get service(): ByteLog {
    return (this.#service ??= new ByteLog(this.#ring, false));
  }

  log(side: Side): ByteLog {
    return side === "visitor" ? this.visitor : this.service;
  }

  /** Octets of memory that the payloads of both sides hold. */
  get charge(): number {
    return (this.#visitor?.charge ?? 0) + (this.#service?.charge ?? 0);
  }

  addHead(kind: HeadKind, fields: Fields, at: number): void {
    this.heads = appended(this.heads, { kind, at, fields });
    let octets = 0;
    for (const field of fields) octets += FIELD_OVERHEAD + field.name.length + field.value.length;
    this.#reserve(octets);
  }

  #reserve(octets: number): void {
    if (this.removed) return;
    this.#reserved += octets;
    this.#ring.reserve(octets);
  }

  get method(): string {
    const method = fieldValue(this.request, ":method") ?? "";
    // The visitor said GET; CONNECT is how the tunnel carries it (RFC 8441).
    return this.protocol === "websocket" ? "GET" : method;
  }

  get authority(): string {
    return fieldValue(this.request, ":authority") ?? "";
  }

  get path(): string {
    return fieldValue(this.request, ":path") ?? "";
  }

  /** Undefined: not a call, or the path names no method. */
  get rpc(): Row["rpc"] {
    const isCall = this.protocol === "grpc" || this.protocol === "grpc-web" || this.protocol === "connect";
    return isCall ? rpcOf(this.path) : undefined;
  }

  /** Some octets are no longer, or never were, in the capture. */
  get incomplete(): boolean {
    return this.capped || this.#visitor?.evicted === true || this.#service?.evicted === true || this.messages.first > 0;
  }

  statusText(): string {
    return statusText({
      protocol: this.protocol,
      state: this.state,
      status: this.status,
      grpcStatus: this.grpcStatus,
      closeCode: this.close?.code,
      failure: this.failure,
      closedBy: this.endedFirst,
    });
  }

  row(): Row {
    const { rpc } = this;
    return {
      id: this.id,
      share: this.share,
      protocol: this.protocol,
      method: this.method,
      authority: this.authority,
      path: maskQuery(this.path),
      ...(rpc === undefined ? {} : { rpc }),
      state: this.state,
      ...(this.status === undefined ? {} : { status: this.status }),
      ...(this.grpcStatus === undefined ? {} : { grpcStatus: this.grpcStatus }),
      statusText: this.statusText(),
      visitorMessages: this.visitorMessages,
      serviceMessages: this.serviceMessages,
      visitorBytes: this.visitorBytes,
      serviceBytes: this.serviceBytes,
      startedAt: rounded(this.startedAt),
      ...(this.headAt === undefined ? {} : { headAt: rounded(this.headAt) }),
      ...(this.endedAt === undefined ? {} : { endedAt: rounded(this.endedAt) }),
      lastActivityAt: rounded(this.lastActivityAt),
      incomplete: this.incomplete,
      ...(this.failure === undefined ? {} : { failure: this.failure }),
    };
  }

  /** Gives all memory back. */
  clear(): void {
    this.removed = true;
    this.#visitor?.clear();
    this.#service?.clear();
    this.messages.clear();
    this.#ring.reserve(-this.#reserved);
    this.#reserved = 0;
  }
}
