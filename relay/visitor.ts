import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { Failure, Field, Fields, Stream, StreamEvents } from "../wire/stream.ts";
import type { HttpConnection } from "../wire/transport.ts";
import { Http1Server } from "../wire/http1/server.ts";
import { Http2Connection } from "../wire/http2/connection.ts";
import type { Http2Events } from "../wire/http2/options.ts";
import { PUBLIC_EDGE } from "../wire/http2/profiles.ts";
import { RawConnection } from "../wire/raw.ts";
import { VERSION_FIELD } from "../tunnel/protocol.ts";
import { attachSocket } from "../tunnel/socket.ts";
import { plainAddress } from "./addresses.ts";
import type { Arrival } from "./edge.ts";
import type { Lease } from "./lease.ts";
import type { ShareRecord } from "./registry.ts";
import type { Origin, Router } from "./router.ts";

const HTTP_10: Field = { name: VERSION_FIELD, value: "1.0" };
const HTTP_11: Field = { name: VERSION_FIELD, value: "1.1" };
const HTTP_2: Field = { name: VERSION_FIELD, value: "2" };

/** RFC 6455 section 4.2.2. */
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

function acceptKey(key: string): string {
  return createHash("sha1")
    .update(key + WEBSOCKET_GUID)
    .digest("base64");
}

/** One HTTP connection of a visitor, in whichever version. */
export class VisitorConnection implements Http2Events {
  readonly #router: Router;
  readonly #connection: HttpConnection;
  readonly #origin: Origin;
  #origin10: Origin | undefined;
  #retiring = false;
  readonly #over: (visitor: VisitorConnection) => void;

  constructor(
    arrival: Arrival,
    record: ShareRecord<Lease> | undefined,
    router: Router,
    over: (visitor: VisitorConnection) => void,
  ) {
    const { socket, protocol, secure, initial } = arrival;
    const http2 = protocol === "http/2";
    this.#router = router;
    this.#over = over;
    this.#origin = {
      version: http2 ? HTTP_2 : HTTP_11,
      forwardedFor: forwardedFor(socket),
      forwardedProto: { name: "x-forwarded-proto", value: secure ? "https" : "http" },
      record,
      joinOptions: router.joinOptions(http2),
      target: undefined,
    };
    const common = { events: this, peer: "visitor", party: "relay" } as const;
    this.#connection = http2
      ? attachSocket(
          socket,
          (transport) => new Http2Connection({ ...PUBLIC_EDGE, ...common, role: "server", transport }),
          { initial },
        )
      : attachSocket(
          socket,
          (transport) => new Http1Server({ ...common, transport, scheme: secure ? "https" : "http", acceptKey }),
          { initial },
        );
  }

  /** No new requests; those open go on. */
  drain(): void {
    this.#connection.drain();
  }

  /** As `drain`; but HTTP/1 has no way to say so on a connection without a request, so that one waits for its next. */
  retire(): void {
    if (this.#connection instanceof Http1Server && this.#connection.openStreams === 0) this.#retiring = true;
    else this.#connection.drain();
  }

  streamOpened(stream: Stream, fields: Fields, end: boolean): StreamEvents {
    // Before the answer, which says so.
    if (this.#retiring) this.#connection.drain();
    return this.#router.open(stream, fields, end, this.#originNow());
  }

  capacityChanged(): void {}

  draining(): void {}

  pingAnswered(): void {}

  ended(_failure: Failure | undefined): void {
    this.#over(this);
  }

  #originNow(): Origin {
    const connection = this.#connection;
    if (!(connection instanceof Http1Server) || connection.version === "1.1") return this.#origin;
    return (this.#origin10 ??= { ...this.#origin, version: HTTP_10 });
  }
}

/** A connection to the port of a TCP share. */
export function openTcpVisitor(socket: Socket, record: ShareRecord<Lease>, router: Router): void {
  attachSocket(socket, (transport) => {
    const connection = new RawConnection({ transport, events: NO_EVENTS, peer: "visitor", party: "relay" });
    router.openTcp(connection, record, forwardedFor(socket));
    return connection;
  });
}

const NO_EVENTS: StreamEvents = {
  headReceived() {},
  dataReceived() {},
  trailersReceived() {},
  resetReceived() {},
  dataSent() {},
};

function forwardedFor(socket: Socket): Field {
  return { name: "x-forwarded-for", value: plainAddress(socket.remoteAddress) };
}
