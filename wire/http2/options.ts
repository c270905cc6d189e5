import type { Party } from "../stream.ts";
import type { HttpConnectionEvents, Transport } from "../transport.ts";
import type { Http2Limits } from "./limits.ts";
import type { Http2Settings } from "./settings.ts";

export interface Http2Events extends HttpConnectionEvents {
  /** The peer answered our `ping`. */
  pingAnswered(): void;
}

export interface Http2Options {
  readonly role: "client" | "server";
  readonly transport: Transport;
  readonly events: Http2Events;
  /** What is not given comes from `PUBLIC_EDGE` (server role) or `SERVICE_CLIENT` (client role). */
  readonly settings?: Partial<Http2Settings>;
  /** Octets the peer may have under way on all streams together: 65 535 to 2^31-1. */
  readonly connectionWindow?: number;
  readonly limits?: Partial<Http2Limits>;
  /** Who is at the other end: `Failure.by` for what the peer did. */
  readonly peer: Party;
  /** Who we are: `Failure.by` for our own defects. */
  readonly party: Party;
}
