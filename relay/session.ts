import type { Socket } from "node:net";
import type { Failure, Fields, StreamEvents } from "../wire/stream.ts";
import type { Transport } from "../wire/transport.ts";
import { Http2Connection } from "../wire/http2/connection.ts";
import type { Http2Events } from "../wire/http2/options.ts";
import { TUNNEL_RELAY } from "../wire/http2/profiles.ts";
import { CONTROL_REQUEST, ControlChannel } from "../tunnel/control.ts";
import type { Join } from "../tunnel/join.ts";
import { readAgentMessage } from "../tunnel/messages.ts";
import type { AgentMessage, Hello, RefusalCode, Refused, RelayMessage, ShareGrant } from "../tunnel/protocol.ts";
import { HELLO_TIMEOUT_MS, MAX_LINKS, TUNNEL_VERSION } from "../tunnel/protocol.ts";
import { TunnelProtocol } from "../tunnel/session.ts";
import { attachSocket } from "../tunnel/socket.ts";
import type { Ticking } from "../tunnel/wheel.ts";
import { unwatch, watch } from "../tunnel/wheel.ts";
import { plainAddress } from "./addresses.ts";
import { LeaseBook } from "./lease-book.ts";
import type { LeaseHost } from "./lease-book.ts";
import type { Lease, LeaseOwner } from "./lease.ts";
import type { Guesses } from "./guesses.ts";
import { digest } from "./names.ts";
import type { Dismissal } from "./registry.ts";

/** A refused session has this long to read why. */
const FAREWELL_MS = 2_000;

/**
 * Who was wrong too often waits this long for his refusal, and what he sends meanwhile is thrown away: longer than a new
 * connection costs him, shorter than an agent that means well waits for an answer (`HELLO_TIMEOUT_MS`).
 */
const TARPIT_MS = 5_000;

/** What all sessions of a relay share. */
export interface SessionHost extends LeaseHost {
  /** Name and version for `welcome`. */
  readonly relay: string;
  /** Whether an agent with this token may share. */
  authorised(token: string | undefined): boolean;
  /** Of tokens. */
  readonly tokens: Guesses;
  /** Whether one more session may be welcomed. */
  admits(): boolean;
  /** Whether one more session may be kept waiting for its refusal: a socket each. */
  delays(): boolean;
  /** The session is over; its names are released. */
  sessionEnded(session: Session): void;
}

type State =
  /** The agent's SETTINGS are awaited; without extended CONNECT there is no control stream. */
  | "connecting"
  | "awaiting-hello"
  | "online"
  /** No new exchanges; those open go on. */
  | "draining"
  /** Guessed too often: refused later. */
  | "tarpit"
  | "refused"
  | "over";

/** One tunnel as the relay sees it: HTTP/2 client towards an agent, with the names the agent holds. */
export class Session implements Http2Events, LeaseOwner, Ticking {
  readonly #host: SessionHost;
  readonly #protocol: TunnelProtocol<Http2Connection>;
  readonly #control: ControlChannel<RelayMessage, AgentMessage>;
  readonly #leases: LeaseBook;
  readonly #address: string;
  readonly #who: string;
  #state: State = "connecting";
  #since: number | undefined;

  constructor(socket: Socket, host: SessionHost) {
    this.#host = host;
    this.#address = plainAddress(socket.remoteAddress);
    this.#who = `agent at ${this.#address}`;
    this.#control = new ControlChannel<RelayMessage, AgentMessage>(readAgentMessage, {
      opened: () => undefined,
      messageReceived: (message) => this.#received(message),
      violated: (message) => this.#refuse("protocol", message),
      closed: (failure) => this.#controlClosed(failure),
    });
    const create = (transport: Transport): TunnelProtocol<Http2Connection> => {
      const connection = new Http2Connection({
        ...TUNNEL_RELAY,
        role: "client",
        transport,
        events: this,
        peer: "agent",
        party: "relay",
      });
      return new TunnelProtocol(
        connection,
        () => performance.now(),
        () => this.#abort("timeout", "The agent answers no more"),
      );
    };
    this.#protocol = attachSocket(socket, create, { gathers: true });
    this.#leases = new LeaseBook(host, this, this.#address);
    watch(this);
  }

  /** Its token was right. */
  get welcomed(): boolean {
    return this.#state === "online" || this.#state === "draining";
  }

  get delayed(): boolean {
    return this.#state === "tarpit";
  }

  /** Exchanges in this tunnel, without the control stream. */
  get openExchanges(): number {
    return Math.max(0, this.#protocol.connection.openStreams - 1);
  }

  /** The agent is asked to dial elsewhere; what is open goes on. */
  drain(): void {
    this.#control.send({ type: "draining" });
  }

  /** Ends the tunnel now, as an orderly end of the relay when nothing is open. */
  close(): void {
    if (this.#state === "over") return;
    this.#control.close();
    this.#abort("closed", "The relay is going down");
  }

  // ---- LeaseOwner

  get capacity(): number {
    return this.#state === "online" ? this.#protocol.connection.capacity : 0;
  }

  forward(head: Fields, ended: boolean, join: Join, websocket: boolean): void {
    const { connection } = this.#protocol;
    if (this.#state !== "online") {
      join.fail(OFFLINE);
    } else if (websocket && !connection.extendedConnect) {
      join.fail({ by: "agent", code: "unsupported", message: "The agent takes no WebSockets" });
    } else {
      const opened = join.connect((events) => connection.open(head, ended, events));
      // A visitor who left meanwhile is no failure, and `fail` knows.
      if (!opened) join.fail(OFFLINE);
    }
  }

  dismissed(lease: Lease, why: Dismissal): void {
    this.#leases.forget(lease);
    if (why !== "surplus") this.#control.send({ type: "unshared", id: lease.id });
    if (why === "stopped") return;
    this.#host.log.info(`${this.#who}: a newer session took over ${lease.record?.name ?? lease.id}`);
    if (this.#leases.size === 0 && this.#state === "online") {
      // The same agent came back before we noticed that this tunnel was gone. Exchanges in it may still end well.
      this.#state = "draining";
      this.#protocol.connection.drain();
    }
  }

  // ---- Http2Events

  streamOpened(): StreamEvents {
    // An agent is an HTTP/2 server and opens no streams; the engine refuses such frames before they come here.
    return this.#control.streamEvents;
  }

  capacityChanged(): void {
    const { connection } = this.#protocol;
    if (this.#state === "connecting" && connection.extendedConnect) {
      const stream = connection.open(CONTROL_REQUEST, false, this.#control.streamEvents);
      if (stream === undefined) return;
      this.#state = "awaiting-hello";
      this.#control.attach(stream);
    }
    if (this.#state === "online") this.#leases.serve();
  }

  draining(): void {
    // Our own `drain` reports here as well; names are given back only for the agent's.
    if (this.#state === "online") this.#retire();
  }

  pingAnswered(): void {
    this.#protocol.pingAnswered();
  }

  ended(failure: Failure | undefined): void {
    if (this.#state === "over") return;
    const before = this.#state;
    this.#state = "over";
    unwatch(this);
    this.#leases.releaseAll("lost");
    if (before === "online" || before === "draining") {
      this.#host.log.info(`${this.#who}: disconnected${failure === undefined ? "" : ` (${failure.message})`}`);
    }
    this.#host.sessionEnded(this);
  }

  // ---- Ticking

  tick(now: number): void {
    if (this.#state === "online" || this.#state === "draining") return;
    this.#since ??= now;
    const elapsed = now - this.#since;
    if (this.#state === "refused") {
      if (elapsed >= FAREWELL_MS) this.#abort("closed", "The session was refused");
    } else if (this.#state === "tarpit") {
      if (elapsed >= TARPIT_MS) this.#refuse("limit", TOO_OFTEN);
    } else if (elapsed >= HELLO_TIMEOUT_MS) {
      this.#abort("timeout", `The agent did not say hello within ${HELLO_TIMEOUT_MS} ms`);
    }
  }

  // ---- Control messages

  #received(message: AgentMessage): void {
    if (this.#state === "awaiting-hello") {
      if (message.type === "hello") this.#hello(message);
      else this.#refuse("protocol", "The first message must be hello");
      return;
    }
    if (this.#state === "draining") {
      // The agent is about to dial again; what it asks here is answered there.
      if (message.type === "share") this.#control.send({ ...GOING, id: message.share.id });
      else if (message.type === "unshare") this.#stop(message.id);
      return;
    }
    if (this.#state !== "online") return;
    switch (message.type) {
      case "hello":
        this.#refuse("protocol", "Hello was said already");
        break;
      case "share":
        void this.#leases.claim(message.share).then((answer) => this.#answer(answer));
        break;
      case "unshare":
        this.#stop(message.id);
        break;
      case "draining":
        this.#retire();
        break;
    }
  }

  #hello(hello: Hello): void {
    const host = this.#host;
    if (hello.version !== TUNNEL_VERSION) {
      this.#refuse(
        "version",
        `This relay speaks version ${TUNNEL_VERSION} of the tunnel protocol, the agent ${hello.version}`,
      );
      return;
    }
    const shown = digest(hello.token ?? "").toString("hex");
    if (!host.tokens.allows(this.#address, shown)) {
      this.#state = "tarpit";
      this.#since = undefined;
      if (!host.delays()) this.#refuse("limit", TOO_OFTEN);
      return;
    }
    if (!host.authorised(hello.token)) {
      host.tokens.wrong(this.#address, shown);
      // One answer for a missing and a wrong token.
      this.#refuse("unauthorized", "The token is missing or wrong");
      return;
    }
    host.tokens.right(this.#address, shown);
    if (!host.admits()) {
      this.#refuse("limit", "This relay has as many agents as it takes");
      return;
    }
    this.#state = "online";
    this.#leases.belongsTo(hello.instance);
    void Promise.all(hello.shares.map((share) => this.#leases.claim(share))).then((answers) => {
      const grants = answers.filter((answer) => isGrant(answer));
      this.#control.send({
        type: "welcome",
        version: TUNNEL_VERSION,
        relay: host.relay,
        links: MAX_LINKS,
        shares: grants,
      });
      for (const answer of answers) if (answer !== undefined && !isGrant(answer)) this.#control.send(answer);
      host.log.info(`${this.#who}: connected with ${grants.length} of ${answers.length} shares`);
      this.#leases.serve();
    });
  }

  #answer(answer: ShareGrant | Refused | undefined): void {
    if (answer === undefined) return;
    this.#control.send(isGrant(answer) ? { type: "shared", share: answer } : answer);
    this.#leases.serve();
  }

  #stop(id: string): void {
    this.#leases.stop(id);
    // Also when there is none: the agent waits for the word, and the outcome is what it asked for.
    this.#control.send({ type: "unshared", id });
  }

  // ---- Ends

  /** The agent goes: its names are offline from now on, what is open goes on. */
  #retire(): void {
    this.#state = "draining";
    this.#leases.releaseAll("left");
  }

  #refuse(code: RefusalCode, message: string): void {
    if (this.#state === "refused" || this.#state === "over") return;
    this.#host.log.warn(`${this.#who}: refused (${code}): ${message}`);
    this.#leases.releaseAll("left");
    this.#state = "refused";
    this.#since = undefined;
    this.#control.send({ type: "refused", code, message });
    this.#control.close();
    this.#protocol.connection.drain();
  }

  #controlClosed(failure: Failure | undefined): void {
    if (failure === undefined && this.#state === "online") this.#retire();
    // Without it the agent can neither share nor be told anything: the session is over.
    this.#abort("closed", "The agent closed the control stream");
  }

  #abort(code: Failure["code"], message: string): void {
    if (this.#state === "over") return;
    this.#protocol.connection.abort({ by: code === "closed" ? "relay" : "agent", code, message });
  }
}

const TOO_OFTEN = "Too many wrong tokens came from this network; try again in a minute";

const OFFLINE: Failure = { by: "relay", code: "offline", message: "The share is not connected" };

const GOING: Refused = { type: "refused", code: "draining", message: "This session is ending; ask again in the next" };

function isGrant(answer: ShareGrant | Refused | undefined): answer is ShareGrant {
  return answer !== undefined && "secret" in answer;
}
