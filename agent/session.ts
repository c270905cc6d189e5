import type { Socket } from "node:net";
import { ControlChannel } from "../tunnel/control.ts";
import { valueOf } from "../tunnel/fields.ts";
import { readRelayMessage } from "../tunnel/messages.ts";
import type { AgentMessage, RelayMessage } from "../tunnel/protocol.ts";
import { CONTROL_PROTOCOL, HELLO_TIMEOUT_MS } from "../tunnel/protocol.ts";
import { TunnelProtocol } from "../tunnel/session.ts";
import { attachSocket } from "../tunnel/socket.ts";
import { Http2Connection } from "../wire/http2/connection.ts";
import type { Http2Events } from "../wire/http2/connection.ts";
import { TUNNEL_AGENT } from "../wire/http2/profiles.ts";
import type { Failure, Fields, Stream, StreamEvents } from "../wire/stream.ts";

export interface SessionEvents {
  /** The control stream is there: say hello. */
  opened(session: Session): void;
  messageReceived(session: Session, message: RelayMessage): void;
  /** A request of a visitor. */
  streamOpened(stream: Stream, fields: Fields, end: boolean): StreamEvents;
  /** A new round trip time. */
  measured(session: Session): void;
  /** Called once. Undefined: an orderly end. */
  ended(session: Session, failure: Failure | undefined): void;
}

/** One tunnel to a relay, from the dialled socket to its end: the HTTP/2 server whose one client is the relay. */
export class Session implements Http2Events {
  readonly #events: SessionEvents;
  readonly #tunnel: TunnelProtocol<Http2Connection>;
  readonly #control: ControlChannel<AgentMessage, RelayMessage>;
  #controlOpened = false;
  #ended = false;
  #reason: Failure | undefined;
  /** Until the relay has answered our hello. */
  #timeout: NodeJS.Timeout | undefined;

  constructor(socket: Socket, events: SessionEvents) {
    this.#events = events;
    this.#control = new ControlChannel<AgentMessage, RelayMessage>(readRelayMessage, {
      opened: () => events.opened(this),
      messageReceived: (message) => {
        clearTimeout(this.#timeout);
        events.messageReceived(this, message);
      },
      violated: (message) => this.abort({ by: "relay", code: "malformed", message }),
      closed: (failure) =>
        this.abort(failure ?? { by: "relay", code: "closed", message: "The relay ended the session" }),
    });
    this.#tunnel = attachSocket(
      socket,
      (transport) =>
        new TunnelProtocol(
          new Http2Connection({
            role: "server",
            transport,
            events: this,
            ...TUNNEL_AGENT,
            peer: "relay",
            party: "agent",
          }),
          () => performance.now(),
          () => this.abort({ by: "relay", code: "timeout", message: "The relay was silent for 15 seconds" }),
        ),
      { gathers: true },
    );
    this.#timeout = setTimeout(() => {
      this.abort({
        by: "relay",
        code: "timeout",
        message: `The relay did not open the session within ${HELLO_TIMEOUT_MS / 1000} seconds`,
      });
    }, HELLO_TIMEOUT_MS);
  }

  get rttMs(): number | undefined {
    return this.#tunnel.rttMs;
  }

  send(message: AgentMessage): void {
    this.#control.send(message);
  }

  /** Asks at once whether the relay is still there; without an answer the session ends within about 5 s. */
  probe(): void {
    this.#tunnel.probe();
  }

  /** Ends in order: what is open goes on, then the connection closes. */
  close(): void {
    clearTimeout(this.#timeout);
    this.#control.close();
    this.#tunnel.connection.drain();
  }

  /** Ends now: every open exchange is cut. */
  abort(failure: Failure): void {
    if (this.#ended) return;
    this.#reason = failure;
    this.#tunnel.connection.abort(failure);
  }

  streamOpened(stream: Stream, fields: Fields, end: boolean): StreamEvents {
    if (this.#controlOpened) {
      if (valueOf(fields, ":protocol") === CONTROL_PROTOCOL) return this.#refuse(stream, "A second control stream");
      return this.#events.streamOpened(stream, fields, end);
    }
    if (valueOf(fields, ":protocol") !== CONTROL_PROTOCOL || end) {
      const message = "The relay's first stream was not the control stream";
      queueMicrotask(() => this.abort({ by: "relay", code: "malformed", message }));
      return this.#refuse(stream, message);
    }
    this.#controlOpened = true;
    this.#control.accept(stream);
    return this.#control.streamEvents;
  }

  capacityChanged(): void {
    // A server opens no streams.
  }

  draining(): void {
    // The relay's GOAWAY: it says "draining" on the control stream as well, or the connection just ends.
  }

  pingAnswered(): void {
    this.#tunnel.pingAnswered();
    this.#events.measured(this);
  }

  ended(failure: Failure | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timeout);
    this.#events.ended(this, this.#reason ?? failure);
  }

  #refuse(stream: Stream, message: string): StreamEvents {
    stream.reset({ by: "relay", code: "malformed", message });
    return SILENT;
  }
}

const SILENT: StreamEvents = {
  headReceived() {},
  dataReceived() {},
  trailersReceived() {},
  resetReceived() {},
  dataSent() {},
};
