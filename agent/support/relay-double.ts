import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { CONTROL_REQUEST, ControlChannel } from "../../tunnel/control.ts";
import { readAgentMessage } from "../../tunnel/messages.ts";
import type { AgentMessage, Hello, RelayMessage, ShareGrant, ShareRequest } from "../../tunnel/protocol.ts";
import { SHARE_FIELD } from "../../tunnel/protocol.ts";
import { attachSocket } from "../../tunnel/socket.ts";
import { Http2Connection } from "../../wire/http2/connection.ts";
import { TUNNEL_RELAY } from "../../wire/http2/profiles.ts";
import type { Failure, Field, Fields, Stream, StreamEvents } from "../../wire/stream.ts";

/** Rejects with `what` when `promise` takes longer: the bound of a wait. */
async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not within ${ms} ms: ${what}.`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** As a body: the test sends it in pieces. */
export const OPEN = "(open)";

/** What the visitor of one exchange saw. */
export class VisitorStream implements StreamEvents {
  interim: Fields[] = [];
  head: Fields | undefined;
  trailers: Fields | undefined;
  failure: Failure | undefined;
  ended = false;
  stream: Stream | undefined;
  readonly #chunks: Uint8Array[] = [];
  #waiting: (() => void)[] = [];

  headReceived(fields: Fields, end: boolean): void {
    if (field(fields, ":status")?.startsWith("1") === true) this.interim.push(fields);
    else this.head = fields;
    this.#progress(end);
  }
  dataReceived(bytes: Uint8Array, end: boolean): void {
    this.#chunks.push(bytes);
    this.stream?.consume(bytes.length);
    this.#progress(end);
  }
  trailersReceived(fields: Fields): void {
    this.trailers = fields;
    this.#progress(true);
  }
  resetReceived(failure: Failure): void {
    this.failure = failure;
    this.#progress(false);
  }
  dataSent(): void {}

  get status(): string | undefined {
    return this.head === undefined ? undefined : field(this.head, ":status");
  }
  get body(): Buffer {
    return Buffer.concat(this.#chunks);
  }
  get text(): string {
    return this.body.toString();
  }

  send(bytes: Uint8Array | string, end = false): void {
    this.stream?.sendData(Buffer.from(bytes), end);
  }
  reset(): void {
    this.stream?.reset({ by: "visitor", code: "cancelled", message: "The visitor went away" });
  }

  /** Until the condition holds; checked with each event. */
  async until(condition: (visitor: this) => boolean, what = "the condition"): Promise<this> {
    await within(
      8_000,
      `${what}: ${JSON.stringify([this.status, this.text.slice(0, 200), this.failure])}`,
      (async () => {
        while (!condition(this)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      })(),
    );
    return this;
  }
  /** The exchange is over, in whatever way. */
  over(): Promise<this> {
    return this.until(({ ended, failure }) => ended || failure !== undefined, "the end of the exchange");
  }

  #progress(end: boolean): void {
    this.ended ||= end;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

export function field(fields: Fields, name: string): string | undefined {
  return fields.find((candidate) => candidate.name === name)?.value;
}

/** One tunnel as the relay double sees it. */
export interface DoubleSession {
  readonly hello: Hello;
  readonly messages: AgentMessage[];
  readonly connection: Http2Connection;
  readonly socket: Socket;
  send(message: RelayMessage): void;
}

export interface RelayDoubleOptions {
  /** Instead of the welcome. */
  readonly onHello?: (hello: Hello, grants: readonly ShareGrant[]) => RelayMessage;
  /** Instead of the control stream. */
  readonly firstRequest?: Fields;
  readonly port?: number;
}

/** The relay's end of the tunnel with the real engine, and nothing of a relay but granting: for tests of the agent. */
export class RelayDouble {
  readonly sessions: DoubleSession[] = [];
  readonly #options: RelayDoubleOptions;
  readonly #server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();
  #waiting: (() => void)[] = [];
  port = 0;

  static async start(options: RelayDoubleOptions = {}): Promise<RelayDouble> {
    const relay = new RelayDouble(options);
    await new Promise<void>((resolve, reject) => {
      relay.#server.once("error", reject);
      relay.#server.listen(options.port ?? 0, "127.0.0.1", resolve);
    });
    relay.port = (relay.#server.address() as AddressInfo).port;
    return relay;
  }

  private constructor(options: RelayDoubleOptions) {
    this.#options = options;
  }

  get url(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  get session(): DoubleSession {
    const session = this.sessions.at(-1);
    if (session === undefined) throw new Error("No tunnel is open");
    return session;
  }

  /** An exchange on the newest tunnel. `fields` over the defaults of a GET; `body` undefined: it ends with its head. */
  exchange(shareId: string, fields: Readonly<Record<string, string>>, body?: Uint8Array | string): VisitorStream {
    const all: Record<string, string> = {
      ":method": "GET",
      ":scheme": "https",
      ":authority": "bold-otter.example.com",
      ":path": "/",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "bold-otter.example.com",
      [SHARE_FIELD]: shareId,
      "portlight-http": "2",
      "portlight-hops": "1",
      ...fields,
    };
    const list: Field[] = Object.entries(all)
      .filter(([, value]) => value !== "")
      // Pseudo-fields come first.
      .sort(([left], [right]) => Number(right.startsWith(":")) - Number(left.startsWith(":")))
      .map(([name, value]) => ({ name, value }));
    const visitor = new VisitorStream();
    visitor.stream = this.session.connection.open(list, body === undefined, visitor);
    if (visitor.stream === undefined) throw new Error("The tunnel takes no stream");
    if (body !== undefined && body !== OPEN) visitor.send(body, true);
    return visitor;
  }

  /** Resolves when this many tunnels have said hello since the start. */
  async opened(count: number, ms = 8_000): Promise<void> {
    await within(
      ms,
      `${count} tunnels`,
      (async () => {
        while (this.sessions.length < count) await this.#change();
      })(),
    );
  }

  /** Until a message of this type has come on the newest tunnel. */
  async message(type: AgentMessage["type"]): Promise<AgentMessage> {
    return within(
      8_000,
      `the message ${type}`,
      (async () => {
        for (;;) {
          const message = this.sessions.at(-1)?.messages.find((candidate) => candidate.type === type);
          if (message !== undefined) return message;
          await this.#change();
        }
      })(),
    );
  }

  /** Cuts every tunnel and stops listening. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    const messages: AgentMessage[] = [];
    const control = new ControlChannel<RelayMessage, AgentMessage>(readAgentMessage, {
      opened() {},
      messageReceived: (message) => {
        messages.push(message);
        if (message.type === "hello") {
          this.sessions.push({ hello: message, messages, connection, socket, send: (reply) => control.send(reply) });
          const shares = message.shares.map((share) => this.#grant(share));
          control.send(
            this.#options.onHello?.(message, shares) ?? { type: "welcome", version: 1, relay: "double/1", shares },
          );
        } else if (message.type === "share") control.send({ type: "shared", share: this.#grant(message.share) });
        else if (message.type === "unshare") control.send({ type: "unshared", id: message.id });
        for (const wake of this.#waiting.splice(0)) wake();
      },
      violated() {},
      closed: () => connection.abort({ by: "agent", code: "closed", message: "The agent ended the session" }),
    });
    const connection: Http2Connection = attachSocket(
      socket,
      (transport) =>
        new Http2Connection({
          role: "client",
          transport,
          ...TUNNEL_RELAY,
          peer: "agent",
          party: "relay",
          events: {
            streamOpened: (stream) => stream.events,
            capacityChanged: () => {
              for (const wake of this.#waiting.splice(0)) wake();
            },
            draining() {},
            ended() {},
            pingAnswered() {},
          },
        }),
    );
    const stream = connection.open(this.#options.firstRequest ?? CONTROL_REQUEST, false, control.streamEvents);
    if (stream !== undefined) control.attach(stream);
  }

  #grant({ id, kind, name, publicPort }: ShareRequest): ShareGrant {
    const granted = name ?? `name-${id.toLowerCase().replace(/[^a-z0-9]/g, "")}`;
    return {
      id,
      kind,
      name: granted,
      url: `https://${granted}.example.com`,
      alternativeUrls: [],
      publicPort: publicPort ?? 41_000,
      secret: `secret-of-${granted}`,
    };
  }
}
