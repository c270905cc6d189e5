import { createHash, randomBytes } from "node:crypto";
import type { Failure, Fields, Stream, StreamEvents } from "../../wire/stream.ts";
import type { HttpConnection, Transport } from "../../wire/transport.ts";
import { Http1Client } from "../../wire/http1/client.ts";
import { Http2Connection } from "../../wire/http2/connection.ts";
import type { Http2Events } from "../../wire/http2/connection.ts";
import { SERVICE_CLIENT } from "../../wire/http2/profiles.ts";

/** RFC 6455 section 1.3. */
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** RFC 6455 section 4.2.2. */
export function webSocketAccept(key: string): string {
  return createHash("sha1")
    .update(key + WEBSOCKET_GUID)
    .digest("base64");
}

/** RFC 6455 section 4.1: 16 octets. */
function webSocketKey(): string {
  return randomBytes(16).toString("base64");
}

/** Who holds the connections of a service. */
export interface ConnectionOwner {
  /** It may take another exchange, or no longer. */
  changed(connection: ServiceConnection): void;
  ended(connection: ServiceConnection): void;
}

/** One connection to a service, as its pool holds it. */
export class ServiceConnection implements Http2Events {
  readonly version: 1 | 2;
  readonly tls: boolean;
  readonly http: HttpConnection;
  /** Exchanges that began on it. */
  exchanges = 0;
  /** Since when no exchange is on it; monotonic milliseconds. */
  idleSince: number;
  /** In the pool's list of idle ones. */
  listed = false;
  /** It takes no more exchanges, or is over. */
  closing = false;
  readonly #owner: ConnectionOwner;

  /** Sends preface and SETTINGS when `version` is 2. */
  constructor(owner: ConnectionOwner, version: 1 | 2, tls: boolean, transport: Transport) {
    this.#owner = owner;
    this.version = version;
    this.tls = tls;
    this.idleSince = performance.now();
    this.http =
      version === 1
        ? new Http1Client({
            transport,
            events: this,
            acceptKey: webSocketAccept,
            randomKey: webSocketKey,
            peer: "service",
            party: "agent",
          })
        : new Http2Connection({
            role: "client",
            transport,
            events: this,
            ...SERVICE_CLIENT,
            peer: "service",
            party: "agent",
          });
  }

  open(fields: Fields, end: boolean, events: StreamEvents): Stream | undefined {
    const stream = this.http.open(fields, end, events);
    if (stream !== undefined) this.exchanges += 1;
    return stream;
  }

  streamOpened(stream: Stream): StreamEvents {
    // A client is never opened a stream (HTTP/2: push is off), so this is a defect of the connection.
    stream.reset({ by: "agent", code: "internal", message: "A service opened a stream" });
    return stream.events;
  }

  capacityChanged(): void {
    if (this.http.openStreams === 0) this.idleSince = performance.now();
    this.#owner.changed(this);
  }

  draining(): void {
    this.closing = true;
    this.#owner.changed(this);
  }

  ended(_failure: Failure | undefined): void {
    this.closing = true;
    this.#owner.ended(this);
  }

  pingAnswered(): void {
    // Services are never pinged: several of them close connections that do (gRPC's "too_many_pings").
  }
}
