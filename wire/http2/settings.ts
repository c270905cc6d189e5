/** What SETTINGS say (RFC 9113 section 6.5.2, RFC 8441 section 3). */
export interface Http2Settings {
  /** Octets of HPACK table that our decoder offers to the peer's encoder. */
  readonly headerTableSize: number;
  /** Streams the peer may have open at once. */
  readonly maxConcurrentStreams: number;
  /** Octets the peer may send on a stream before `consume`. At most 2^31-1. */
  readonly initialWindowSize: number;
  /** Largest frame payload we take: 16 384 to 16 777 215 octets. */
  readonly maxFrameSize: number;
  /** Largest head in octets, each field counted with 32 octets of overhead. Enforced, not only announced. */
  readonly maxHeaderListSize: number;
  /** Server role: `:protocol` is taken (RFC 8441). */
  readonly enableConnectProtocol: boolean;
}

export const SETTINGS_HEADER_TABLE_SIZE = 0x1;
export const SETTINGS_ENABLE_PUSH = 0x2;
export const SETTINGS_MAX_CONCURRENT_STREAMS = 0x3;
export const SETTINGS_INITIAL_WINDOW_SIZE = 0x4;
export const SETTINGS_MAX_FRAME_SIZE = 0x5;
export const SETTINGS_MAX_HEADER_LIST_SIZE = 0x6;
export const SETTINGS_ENABLE_CONNECT_PROTOCOL = 0x8;

/** Both windows before any SETTINGS or WINDOW_UPDATE (RFC 9113 sections 6.5.2 and 6.9.2). */
export const DEFAULT_WINDOW = 65_535;
export const DEFAULT_HEADER_TABLE_SIZE = 4096;
export const MIN_MAX_FRAME_SIZE = 16_384;
export const MAX_MAX_FRAME_SIZE = 16_777_215;
export const MAX_WINDOW = 0x7fffffff;

/** What a peer is taken to allow until its SETTINGS come: nghttp2 assumes the same. */
export const ASSUMED_CONCURRENT_STREAMS = 100;

/** Identifier and value of each setting we announce. */
export function settingsEntries(settings: Http2Settings, role: "client" | "server"): (readonly [number, number])[] {
  const entries: (readonly [number, number])[] = [
    [SETTINGS_HEADER_TABLE_SIZE, settings.headerTableSize],
    [SETTINGS_INITIAL_WINDOW_SIZE, settings.initialWindowSize],
    [SETTINGS_MAX_FRAME_SIZE, settings.maxFrameSize],
    [SETTINGS_MAX_HEADER_LIST_SIZE, settings.maxHeaderListSize],
  ];
  if (role === "client") {
    // An exchange is one request with its answer: there is no place for a pushed one.
    entries.push([SETTINGS_ENABLE_PUSH, 0]);
  } else {
    entries.push([SETTINGS_MAX_CONCURRENT_STREAMS, settings.maxConcurrentStreams]);
    if (settings.enableConnectProtocol) entries.push([SETTINGS_ENABLE_CONNECT_PROTOCOL, 1]);
  }
  return entries;
}
