/** What one HTTP/1 connection may cost. All sizes in octets, all times in milliseconds. */
export interface Http1Limits {
  /** A head or the trailers, start line and line ends included. */
  readonly headBytes: number;
  /** Field lines of one head or of the trailers. */
  readonly fields: number;
  /** The request target. */
  readonly urlBytes: number;
  /** One field value. */
  readonly valueBytes: number;
  /** The extensions of all chunks of one body together. */
  readonly chunkExtensionBytes: number;
  /** Octets delivered but not yet consumed, or held for later; above it reading pauses, below half of it it resumes. */
  readonly unconsumedBytes: number;
  /** 1xx heads before one final head. */
  readonly interimHeads: number;
  /** Octets of an unwanted rest of a request that are read and dropped before the connection is closed. */
  readonly lingerBytes: number;
  /** How long a connection that is to be closed waits for the visitor to close as well. */
  readonly lingerMs: number;
  /** From the accepted connection to the first octet. */
  readonly silentMs: number;
  /** From the first octet of a head to its end. */
  readonly headMs: number;
  /** Between two requests. */
  readonly idleMs: number;
  /** Within a body of known length: nothing comes although we read. A body in chunks may come when it likes, as a WebSocket. */
  readonly bodyMs: number;
  /** Data waits and the visitor takes none. */
  readonly stallMs: number;
  /** The visitor half-closed after its request and the answer makes no progress. */
  readonly halfClosedMs: number;
}

/** The public edge. Together with `PUBLIC_LIMITS` of HTTP/2: what a visitor may ask does not depend on the version he speaks. */
export const DEFAULT_LIMITS: Http1Limits = {
  // Node allows 16 KiB, nginx 32 KiB: above both, so that no service's own limit is hidden by ours.
  headBytes: 64 * 1024,
  // Envoy's default. Heads above it are refused whole, never cut (CVE-2026-58044).
  fields: 100,
  // What browsers and nginx agree on.
  urlBytes: 8 * 1024,
  // One cookie jar of a large site.
  valueBytes: 16 * 1024,
  // Nobody uses them; only attacks do (CVE-2023-39326).
  chunkExtensionBytes: 4 * 1024,
  // One socket read. More would be memory, less would pause within each read.
  unconsumedBytes: 64 * 1024,
  // A 103 or two and some 102 of a slow service; a service that sends nothing else is stuck.
  interimHeads: 64,
  // What the socket buffers of both kernels may hold (tcp_wmem + tcp_rmem of Linux: 4 + 6 MiB): closing over unread octets
  // makes the kernel send RST, which takes away the answer the visitor has not read yet.
  lingerBytes: 16 * 1024 * 1024,
  // nginx's lingering_time.
  lingerMs: 30_000,
  silentMs: 10_000,
  headMs: 10_000,
  // Above the 50 s for which browsers keep idle connections is not needed; below it costs handshakes.
  idleMs: 60_000,
  // Who has said how much he sends and stops in the middle is gone; nginx waits 60 s.
  bodyMs: 30_000,
  // A visitor that takes nothing at all in this time blocks memory of ours. Any octet that his kernel takes counts.
  stallMs: 30_000,
  // A closed tab sends FIN just as `nc` does that half-closed: long enough for a prompt answer, short enough to cancel an event stream.
  halfClosedMs: 3_000,
};

/** A service the user chose himself: only memory is bounded, as much as a tunnel's head may hold (`TUNNEL_LIMITS`). */
export const SERVICE_LIMITS: Http1Limits = {
  ...DEFAULT_LIMITS,
  headBytes: 256 * 1024,
  fields: 1000,
  valueBytes: 128 * 1024,
};
