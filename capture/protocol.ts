/**
 * The inspector protocol: how a page, a panel or a program looks at a capture. JSON-RPC 2.0 requests and notifications;
 * every type here is JSON-serialisable. Served by `capture/inspector.ts`; carried over IPC (extension), `postMessage`
 * (webview) or a WebSocket (`portlight share --inspect`).
 *
 * Nothing is pushed but counts and small rows, at most every `BATCH_MS`; heads, messages and bytes are asked for.
 */
import type { Failure, Side } from "../wire/stream.ts";

/** Changes are gathered this long before they are told: 20 times a second is smooth for a list. */
export const BATCH_MS = 50;
/** A request for rows or messages returns at most this many. */
export const PAGE_ITEMS = 500;
/** A request for bytes returns at most this many octets. */
export const PAGE_BYTES = 256 * 1024;

export type Protocol = "grpc" | "grpc-web" | "connect" | "http" | "sse" | "websocket" | "tcp";

/** `cancelled` is a peer that gave up, for example a browser that closed an event stream; it is not an error of the service. */
export type ExchangeState = "open" | "ended" | "cancelled" | "failed";

/** One line of the list. */
export interface Row {
  /** Counts up from 1 for the life of the capture. */
  readonly id: number;
  readonly share: { readonly id: string; readonly port: number; readonly name: string };
  readonly protocol: Protocol;
  readonly method: string;
  readonly authority: string;
  /** As on the wire, with query, secrets in the query masked. */
  readonly path: string;
  /** gRPC, gRPC-Web, Connect: the two parts of the path. */
  readonly rpc?: { readonly service: string; readonly method: string };
  readonly state: ExchangeState;
  /** HTTP status, once a final head came. */
  readonly status?: number;
  /** gRPC status number (or the number of a Connect error code), once known. */
  readonly grpcStatus?: number;
  /** What the protocol calls it: `OK`, `NOT_FOUND`, `404 Not Found`, `101`, `1000`, `closed by service`. */
  readonly statusText: string;
  /** Messages passed from each side; for plain HTTP a body counts as one, for SSE an event. */
  readonly visitorMessages: number;
  readonly serviceMessages: number;
  /** Octets of bodies passed from each side, as on the wire. */
  readonly visitorBytes: number;
  readonly serviceBytes: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly headAt?: number;
  readonly endedAt?: number;
  readonly lastActivityAt: number;
  /** Some bytes are no longer, or never were, in the capture. */
  readonly incomplete: boolean;
  readonly failure?: Failure;
}

export interface HeaderField {
  readonly name: string;
  /** Masked (`••••••`) when `secret`; `exchange/reveal` returns the true value. */
  readonly value: string;
  readonly secret: boolean;
  /** gRPC `-bin` metadata: the decoded octets in base64; and decoded further where the type is known. */
  readonly binary?: string;
}

export type HeadKind = "request" | "interim" | "response" | "requestTrailers" | "responseTrailers";

export interface Head {
  readonly kind: HeadKind;
  readonly at: number;
  /** Pseudo-fields first. */
  readonly fields: readonly HeaderField[];
}

/** Why a payload is shown as it is. */
export interface SchemaNote {
  /** Full name of the message type, when known. */
  readonly type?: string;
  /** Where it is defined, for "Go to definition": workspace-relative path, 1-based line. `bundled:` before google's own. */
  readonly file?: string;
  readonly line?: number;
  /** Why there is no type, or why the one chosen is doubtful. For people: says what to do. */
  readonly problem?: string;
}

export interface Detail {
  readonly row: Row;
  readonly heads: readonly Head[];
  /** gRPC and Connect. */
  readonly call?: {
    readonly kind: "unary" | "client-streaming" | "server-streaming" | "bidi-streaming" | "unknown";
    readonly requestSchema: SchemaNote;
    readonly responseSchema: SchemaNote;
    /** `grpc-timeout` in milliseconds. */
    readonly timeoutMs?: number;
    /** Percent-decoded `grpc-message`. */
    readonly message?: string;
    /** `grpc-status-details-bin` as google.rpc.Status; `decoded` undefined with `problem` when it is none. */
    readonly details?: { readonly base64: string; readonly decoded?: Decoded; readonly problem?: string };
    readonly trailersOnly: boolean;
  };
  readonly webSocket?: {
    readonly subprotocol?: string;
    readonly extensions?: string;
    readonly close?: { readonly from: Side; readonly code: number; readonly reason: string };
    /** Rules in force for binary messages. */
    readonly visitorType?: string;
    readonly serviceType?: string;
  };
}

export type MessageKind = "grpc" | "text" | "binary" | "ping" | "pong" | "close" | "body" | "event" | "end-of-stream";

/** One entry of the timeline: cheap, without decoding beyond a preview. */
export interface MessageSummary {
  /** 0-based within the exchange, in order of arrival of both sides. */
  readonly index: number;
  readonly from: Side;
  readonly kind: MessageKind;
  /** When its first octet passed, and when its last did (absent while it is still growing). */
  readonly at: number;
  readonly completedAt?: number;
  /** Octets on the wire without framing; and after decompression where that is known. */
  readonly size: number;
  readonly decodedSize?: number;
  /** `gzip`, `deflate`, `permessage-deflate`, or the unknown encoding's name. */
  readonly compression?: string;
  /** One line, at most 200 characters; control characters replaced. Absent until decoded (protobuf). */
  readonly preview?: string;
  readonly type?: string;
  /** `dropped`: its bytes left the ring. `capped`: only the first part was captured. `partial`: the exchange was cut in it. */
  readonly state: "growing" | "complete" | "capped" | "dropped" | "partial";
  /** What a strict reader objects to: bad frame, bad UTF-8, unknown compression. */
  readonly problem?: string;
}

/** A node of a decoded protobuf message, in wire order. */
export interface ProtobufNode {
  /** Field number; absent for the elements of a packed list and for map keys/values shown as one. */
  readonly number?: number;
  /** proto name, `[extension]` names in brackets, or the number when unknown. */
  readonly name: string;
  /** `string`, `int32`, `pkg.Type`, `map<string, pkg.Type>`; for unknown fields the wire type: `varint`, `64-bit`, `length-delimited`, `32-bit`, `group`. */
  readonly type: string;
  /** No field of the schema has this number: the reading is a guess from the wire. */
  readonly unknown?: boolean;
  /** Scalars: as proto3 JSON prints it (strings unquoted, bytes as base64). */
  readonly value?: string;
  /** A second reading: an enum's number, a varint as zigzag, a fixed64 as double, a timestamp in words. */
  readonly alternative?: string;
  readonly children?: readonly ProtobufNode[];
  /** Where its octets (with the tag) are in the decoded message. */
  readonly offset: number;
  readonly length: number;
}

/** The reading of one payload. */
export type Decoded =
  | {
      readonly view: "protobuf";
      readonly schema: SchemaNote;
      /** `typed` when every octet was read with the schema, `wire` without one. */
      readonly reading: "typed" | "wire";
      readonly tree: readonly ProtobufNode[];
      /** proto3 JSON; absent for a wire reading. */
      readonly json?: unknown;
      readonly hasUnknownFields: boolean;
      /** The tree stops early: limits of size, elements or depth. */
      readonly truncated: boolean;
      readonly problem?: string;
    }
  | {
      readonly view: "json";
      readonly json: unknown;
      readonly text: string;
      readonly truncated: boolean;
      readonly problem?: string;
    }
  | { readonly view: "text"; readonly text: string; readonly truncated: boolean; readonly problem?: string }
  | {
      readonly view: "form";
      readonly fields: readonly { readonly name: string; readonly value: string; readonly secret: boolean }[];
      readonly truncated: boolean;
      readonly problem?: string;
    }
  | {
      readonly view: "image";
      readonly mediaType: string;
      readonly width?: number;
      readonly height?: number;
      readonly problem?: string;
    }
  | { readonly view: "close"; readonly code: number; readonly reason: string; readonly problem?: string }
  | { readonly view: "binary"; readonly mediaType?: string; readonly problem?: string };

export interface SchemaProblem {
  /** Workspace-relative. */
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
}

export interface SchemaStatus {
  readonly state: "loading" | "ready" | "restarting";
  readonly files: number;
  readonly types: number;
  readonly services: number;
  /** Import roots in force, workspace-relative, with how each was found. */
  readonly roots: readonly { readonly path: string; readonly from: "setting" | "buf.yaml" | "imports" | "workspace" }[];
  readonly problems: readonly SchemaProblem[];
  /** Counts up with each reload: what was decoded before may be decoded again. */
  readonly revision: number;
}

export interface CaptureState {
  readonly capturing: boolean;
  readonly exchanges: number;
  readonly maxExchanges: number;
  readonly bytes: number;
  readonly maxBytes: number;
  /** Exchanges and octets that left the ring since the start or the last clear. */
  readonly droppedExchanges: number;
  readonly droppedBytes: number;
}

/**
 * A live, filtered list. Positions count up from 0 for the life of the view and never move: `first` is the position of
 * the oldest row still there, `end` that of the next one to come.
 */
export interface ViewState {
  readonly first: number;
  readonly end: number;
  /** Rows in the capture, matching or not. */
  readonly total: number;
}

export interface InspectorRequests {
  "capture/state": { params: null; result: CaptureState };
  "capture/pause": { params: { paused: boolean }; result: CaptureState };
  "capture/clear": { params: null; result: CaptureState };
  /**
   * Opens a view, or replaces the one with this id (chosen by the caller). Filter grammar: words that must all be in
   * method, authority, path, status or protocol; `-word` excludes; `key:value` with keys protocol, status (`5xx`,
   * `NOT_FOUND`, `404`), method, path, service, port, state, from (name of a share), larger (`10k`), slower (`200ms`).
   * Rejects (InvalidParams) with what is wrong in the filter.
   */
  "view/open": { params: { view: string; filter: string }; result: ViewState };
  "view/rows": {
    params: { view: string; position: number; count: number };
    result: { position: number; rows: readonly Row[] };
  };
  "view/close": { params: { view: string }; result: null };
  /** Undefined result (null): no such exchange any more. `watch`: `exchange/changed` is sent for it until unwatched. */
  "exchange/detail": { params: { id: number; watch?: boolean }; result: Detail | null };
  "exchange/unwatch": { params: { id: number }; result: null };
  "exchange/messages": {
    params: { id: number; index: number; count: number };
    /** `total`: messages so far, dropped ones included. */
    result: { total: number; index: number; messages: readonly MessageSummary[] } | null;
  };
  "message/decode": { params: { id: number; index: number; as?: "auto" | "text" | "wire" }; result: Decoded | null };
  /** The payload: after unmasking and, with `decompressed`, after decompression. */
  "message/bytes": {
    params: { id: number; index: number; offset: number; count: number; decompressed: boolean };
    result: { base64: string; offset: number; total: number } | null;
  };
  /** The true value of a masked field: the `index`-th field of the `head`-th head. */
  "exchange/reveal": { params: { id: number; head: number; index: number }; result: { value: string } | null };
  /** Text of the whole exchanges (all that match, or `ids`), masked unless `showSecrets`. `jsonl` is what `portlight share --json` prints. */
  "capture/export": {
    params: { ids?: readonly number[]; view?: string; format: "jsonl" | "har"; showSecrets: boolean };
    result: { text: string; truncated: boolean };
  };
  "exchange/copyAs": {
    params: { id: number; format: "curl" | "grpcurl"; showSecrets: boolean };
    result: { text: string } | null;
  };
  "schema/status": { params: null; result: SchemaStatus };
  "schema/reload": { params: null; result: null };
  /** Full names of message types that contain `query`, at most 100, for the WebSocket type picker. */
  "schema/types": { params: { query: string }; result: readonly string[] };
  /** Binary WebSocket messages of this path and sub-protocol from this side are messages of `type` (null: no longer). Remembered for the session. */
  "websocket/setType": { params: { id: number; from: Side; type: string | null }; result: null };
}

export interface InspectorNotifications {
  /** `changed`: rows (with position) that are new or changed, at most PAGE_ITEMS; `stale`: ask again for what you show. */
  "view/changed": {
    view: string;
    state: ViewState;
    changed: readonly { position: number; row: Row }[];
    stale: boolean;
  };
  "exchange/changed": { id: number; row: Row; messages: number };
  "capture/changed": CaptureState;
  "schema/changed": SchemaStatus;
}
