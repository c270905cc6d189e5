/**
 * The one contract of the data path.
 *
 * An HTTP/2 stream, an HTTP/1 exchange, a WebSocket, a TCP connection and a stream of the tunnel all offer `Stream` and
 * report through `StreamEvents`. Whoever forwards (`tunnel/join.ts`) knows only these two interfaces.
 *
 * It lives in `wire/`, not in `tunnel/`, because the codecs implement it directly: an adapter object per exchange would
 * be the most expensive thing on the path.
 */

/** The two ends of an exchange. Never "inbound", "client" or "sent": sides are absolute. */
export type Side = "visitor" | "service";

/** Who made an exchange fail. */
export type Party = Side | "relay" | "agent";

/**
 * One header field. `name` is lower case (pseudo-fields begin with ":"); `value` holds one octet per character
 * (latin-1), so that any octet passes unchanged.
 *
 * A field is immutable, and a decoder returns *the same object* each time a peer refers to it by index: an encoder may
 * find its own index with one `Map.get(field)`.
 */
export interface Field {
  readonly name: string;
  readonly value: string;
  /** RFC 7541 section 6.2.3: never to be put into a compression table by anyone on the way. */
  readonly neverIndexed?: boolean;
}

/**
 * A head or trailers, in wire order. Pseudo-fields come first. A request head has `:method`, `:scheme`, `:authority`,
 * `:path` (CONNECT without `:protocol`: only `:method` and `:authority`), a response head has `:status`.
 */
export type Fields = readonly Field[];

/** What went wrong, as a decision may read it. Message texts are for people; no decision ever reads one. */
export type FailureCode =
  /** A peer gave up: RST_STREAM CANCEL, a closed tab. */
  | "cancelled"
  /** A connection ended in mid-exchange. */
  | "closed"
  /** Nothing was processed; the same request may be sent again (REFUSED_STREAM, or above GOAWAY's last stream id). */
  | "refused"
  /** The answer is complete, the rest of the request is not wanted (RST_STREAM NO_ERROR, RFC 9113 section 8.1). */
  | "unneeded"
  /** A peer violated its protocol. */
  | "malformed"
  /** A head above the limits of bytes or fields. */
  | "head-too-large"
  /** A peer exceeded a limit that guards others: floods, too many streams. */
  | "limit"
  /** Nothing answered at the service's address: connection refused, timed out, or not resolvable. */
  | "unreachable"
  /** A peer was silent, or took no data, for too long. */
  | "timeout"
  /** No share has this name. */
  | "unknown-name"
  /** Wrong too often: whether this is right is not said for a while. */
  | "too-often"
  /** The share exists, but its agent is not connected. */
  | "offline"
  /** The request came back to us: it already passed this relay too often. */
  | "loop"
  /** The visitor may not use this share. */
  | "unauthorized"
  /** The service cannot do what the request needs (a WebSocket, for example). */
  | "unsupported"
  /** A defect on our side. */
  | "internal";

export interface Failure {
  readonly by: Party;
  readonly code: FailureCode;
  /** One sentence for people: subject, operation, and the limit or address concerned. Never payload, never a secret. */
  readonly message: string;
  /** The error code of the RST_STREAM that told us, passed on unchanged so that a gRPC client sees what it would see directly. */
  readonly http2Code?: number;
}

/**
 * One half of an exchange, seen by whoever forwards it.
 *
 * Order of calls: `sendHead` (interim 1xx heads any number of times, then the final one), `sendData` any number of
 * times, then at most one end: `end === true`, `sendTrailers`, or `reset`. Calls after the end, or after the stream was
 * reset by its peer, do nothing. None of them throws for what a peer did.
 */
export interface Stream {
  /** Who is told what comes from this stream's peer. Set when the stream is opened; may be replaced between events. */
  events: StreamEvents;

  sendHead(fields: Fields, end: boolean): void;

  /**
   * Queues when a window is closed or the transport is blocked. The queue is bounded by the credit the caller gives to
   * the other side, which he gives only for bytes that `dataSent` reported. `bytes` is kept, not copied: it must not
   * change afterwards. Empty `bytes` with `end` is an end.
   */
  sendData(bytes: Uint8Array, end: boolean): void;

  /** Ends the sending direction with trailers. */
  sendTrailers(fields: Fields): void;

  /** Ends both directions at once as a failure: queued data is dropped, no further event is reported. */
  reset(failure: Failure): void;

  /** The other side took `bytes` octets of what `dataReceived` reported: the peer may send that many more. */
  consume(bytes: number): void;
}

/**
 * What a stream reports. Called synchronously from `ByteProtocol.receive`; a handler may call any method of any stream,
 * including `reset` of the one that reports. After `resetReceived` nothing more is reported.
 */
export interface StreamEvents {
  /** A head: for the visitor's side the request (once), for the service's side interim heads (`:status` 1xx) and the final one. */
  headReceived(fields: Fields, end: boolean): void;

  /** `bytes` belongs to the receiver; nobody writes into it again. May be empty when `end` is true. */
  dataReceived(bytes: Uint8Array, end: boolean): void;

  /** The peer's direction ended with trailers. */
  trailersReceived(fields: Fields): void;

  /** Both directions are over, abnormally. */
  resetReceived(failure: Failure): void;

  /** `bytes` octets given to `sendData` have been handed to the transport, within every window. Sums up to all that was given. */
  dataSent(bytes: number): void;
}
