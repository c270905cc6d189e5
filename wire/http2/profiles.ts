import type { Http2Limits } from "./limits.ts";
import { PUBLIC_LIMITS, SERVICE_LIMITS, TUNNEL_LIMITS } from "./limits.ts";
import type { Http2Settings } from "./settings.ts";

/** Everything that is tuned together for one kind of connection; spread it into `Http2Options`. */
export interface Http2Profile {
  readonly settings: Http2Settings;
  /** Octets the peer may have under way on all streams together: 65 535 to 2^31-1. It is credited on receipt. */
  readonly connectionWindow: number;
  readonly limits: Http2Limits;
}

const KIB = 1024;
const MIB = 1024 * 1024;

/** The relay's public side, server role. */
export const PUBLIC_EDGE: Http2Profile = {
  settings: {
    headerTableSize: 4096,
    // RFC 9113 section 6.5.2 asks for at least 100.
    maxConcurrentStreams: 100,
    // 100 streams x 64 KiB: at most 6.4 MiB held for one visitor whose service takes nothing.
    initialWindowSize: 64 * KIB,
    maxFrameSize: 16 * KIB,
    maxHeaderListSize: 64 * KIB,
    enableConnectProtocol: true,
  },
  connectionWindow: MIB,
  limits: PUBLIC_LIMITS,
};

/** Frames as large as the largest chunk Node reads from a socket, so that no chunk is split. */
const TUNNEL_FRAME = 64 * KIB;
/** Large enough for the heads of dozens of different clients and services; costs at most that much memory per end. */
const TUNNEL_TABLE = 64 * KIB;
/** 8 MiB is 1.3 Gbit/s at 50 ms of round trip. */
const TUNNEL_WINDOW = 8 * MIB;

/** The relay's end of a tunnel, client role: it receives the answers, the bulk of all traffic. */
export const TUNNEL_RELAY: Http2Profile = {
  settings: {
    headerTableSize: TUNNEL_TABLE,
    maxConcurrentStreams: 0,
    // One download over 50 ms of round trip reaches 20 MB/s.
    initialWindowSize: MIB,
    maxFrameSize: TUNNEL_FRAME,
    maxHeaderListSize: 256 * KIB,
    enableConnectProtocol: false,
  },
  connectionWindow: TUNNEL_WINDOW,
  limits: TUNNEL_LIMITS,
};

/** The agent's end of a tunnel, server role. */
export const TUNNEL_AGENT: Http2Profile = {
  settings: {
    headerTableSize: TUNNEL_TABLE,
    // 1 000 exchanges at once, and the control stream; the relay queues or refuses beyond.
    maxConcurrentStreams: 1001,
    // 1 000 x 256 KiB is the worst case for a service that takes no upload at all.
    initialWindowSize: 256 * KIB,
    maxFrameSize: TUNNEL_FRAME,
    maxHeaderListSize: 256 * KIB,
    enableConnectProtocol: true,
  },
  connectionWindow: TUNNEL_WINDOW,
  limits: TUNNEL_LIMITS,
};

/** The agent's connection to a service, client role. */
export const SERVICE_CLIENT: Http2Profile = {
  settings: {
    headerTableSize: 4096,
    maxConcurrentStreams: 0,
    initialWindowSize: 256 * KIB,
    maxFrameSize: TUNNEL_FRAME,
    maxHeaderListSize: 256 * KIB,
    enableConnectProtocol: false,
  },
  connectionWindow: TUNNEL_WINDOW,
  limits: SERVICE_LIMITS,
};
