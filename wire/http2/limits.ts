/** What a peer may do before a connection defends itself. `Infinity` switches a limit off. Rates are per second. */
export interface Http2Limits {
  /** Regular fields of one head. Thousands of one-octet references make a cheap bomb (CVE-2026-49975). */
  readonly headerFields: number;
  /** Octets of one field's value. */
  readonly headerValueBytes: number;
  /** Octets of `:path`. */
  readonly pathBytes: number;
  /**
   * Octets of a head, decoded or on the wire, above which the connection ends. Between
   * `Http2Settings.maxHeaderListSize` and this only the one request is refused, with 431 (414 for its path).
   */
  readonly headerBytesHard: number;
  /** CONTINUATION frames of one head (CVE-2024-27983; nghttp2 allows 8). */
  readonly continuations: number;
  /** Client role: 1xx heads before one final head. No window bounds them: they pile up where a visitor reads slowly. */
  readonly interimHeads: number;
  /**
   * RST_STREAM frames a second (CVE-2023-44487). Twice what a page may have open at once: one that asks for 100 images
   * and gives them all up, again and again each second, is a browser that scrolls.
   */
  readonly resetsPerSecond: number;
  /**
   * Requests reset, before they were answered, in the very octets in which they came: each started work for nothing, and
   * no person is so quick. Ten are forgiven per second, and one per completed exchange. One more than this may reach the
   * service at once.
   */
  readonly resetsAtOnce: number;
  /**
   * Streams *we* had to reset for an error of the peer (CVE-2025-8671, "MadeYouReset"); the last one ends the connection.
   * One is forgiven per second.
   */
  readonly resetsProvoked: number;
  /** PING frames, beyond one for each DATA frame we sent. Each is answered. */
  readonly pingsPerSecond: number;
  /** SETTINGS frames. Each is answered, and may move every stream's window. */
  readonly settingsPerSecond: number;
  /** DATA frames that carry nothing and end nothing. */
  readonly emptyDataPerSecond: number;
  /** WINDOW_UPDATE frames, beyond what the streams opened and the DATA frames sent explain (`flood.ts`). */
  readonly windowUpdatesPerSecond: number;
  readonly prioritiesPerSecond: number;
  /**
   * Frames that mean nothing here: unknown types, acknowledgements that nobody waits for, GOAWAY said again, what comes
   * on streams that are over or were never accepted. Reading them costs as much as reading frames that mean something.
   */
  readonly idleFramesPerSecond: number;
  /** Octets put while the transport is blocked: a peer that sends requests or PINGs and reads no answer. */
  readonly backlogBytes: number;
  /** A stream whose queued data did not move for so long is reset (slow read attacks, CVE-2019-9511). Milliseconds. */
  readonly stallMs: number;
  /** Server role: the preface and the first SETTINGS must have come. Milliseconds. */
  readonly prefaceMs: number;
  /** A head must be complete (END_HEADERS). Milliseconds. */
  readonly headMs: number;
  /** Without streams for so long: graceful GOAWAY. Milliseconds. */
  readonly idleMs: number;
}

/** Anybody may connect: every limit is on. */
export const PUBLIC_LIMITS: Http2Limits = {
  // Envoy allows 100, Sozu and Node 128.
  headerFields: 100,
  // As for HTTP/1, so that what a visitor may ask does not depend on the version he speaks: one cookie jar of a large site,
  headerValueBytes: 16 * 1024,
  // and the target that browsers and nginx agree on.
  pathBytes: 8 * 1024,
  // Four times the 64 KiB that are answered with 431: a client that sends more does not want an answer.
  headerBytesHard: 256 * 1024,
  continuations: 8,
  interimHeads: 0,
  resetsPerSecond: 200,
  // With what is forgiven in the seconds of an attack, 100 and 200: the figures of T-3 and T-4.
  resetsAtOnce: 79,
  resetsProvoked: 180,
  // Of these Sozu allows as many.
  pingsPerSecond: 100,
  settingsPerSecond: 50,
  emptyDataPerSecond: 100,
  windowUpdatesPerSecond: 100,
  prioritiesPerSecond: 100,
  // A browser may say PRIORITY_UPDATE (RFC 9218) for each of 100 images, several times in a second of scrolling.
  idleFramesPerSecond: 1000,
  // 100 streams with 8 KiB of answer head each, and some control frames.
  backlogBytes: 1024 * 1024,
  stallMs: 30_000,
  prefaceMs: 5_000,
  headMs: 10_000,
  idleMs: 120_000,
};

/** Both ends are ours: visitors' cancellations pass here by the thousand and must never end it. Memory stays bounded. */
export const TUNNEL_LIMITS: Http2Limits = {
  // A service may answer with more than a visitor may send, and the join adds some.
  headerFields: 1000,
  // The public edge has judged what comes from visitors; what a service sends is its own affair.
  headerValueBytes: Infinity,
  pathBytes: Infinity,
  headerBytesHard: 1024 * 1024,
  continuations: 32,
  // As for HTTP/1: a 103 or two and some 102 of a slow service.
  interimHeads: 64,
  resetsPerSecond: Infinity,
  resetsAtOnce: Infinity,
  resetsProvoked: Infinity,
  pingsPerSecond: 1000,
  settingsPerSecond: 100,
  emptyDataPerSecond: Infinity,
  windowUpdatesPerSecond: Infinity,
  prioritiesPerSecond: 100,
  idleFramesPerSecond: Infinity,
  // 1 000 streams with 16 KiB of head each.
  backlogBytes: 16 * 1024 * 1024,
  // The hop to the visitor judges stalls; a bidirectional call may wait for hours.
  stallMs: Infinity,
  prefaceMs: 10_000,
  headMs: 30_000,
  idleMs: Infinity,
};

/** A service the user chose himself, on his own machine: only memory is bounded. */
export const SERVICE_LIMITS: Http2Limits = { ...TUNNEL_LIMITS, pingsPerSecond: Infinity, settingsPerSecond: 1000 };
