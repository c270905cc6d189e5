import { setTimeout as pause } from "node:timers/promises";
import type { Failure, Fields, Stream, StreamEvents } from "../../wire/stream.ts";
import { Http2Connection } from "../../wire/http2/connection.ts";
import type { Http2Events } from "../../wire/http2/options.ts";
import { TUNNEL_AGENT } from "../../wire/http2/profiles.ts";
import { ControlChannel } from "../../tunnel/control.ts";
import { valueOf } from "../../tunnel/fields.ts";
import { readRelayMessage } from "../../tunnel/messages.ts";
import type { AgentMessage, Hello, RelayMessage, ShareGrant } from "../../tunnel/protocol.ts";
import { CONTROL_PROTOCOL } from "../../tunnel/protocol.ts";
import { attachSocket } from "../../tunnel/socket.ts";
import { dial } from "../../tunnel/transports.ts";
import type { DialOptions } from "../../tunnel/transports.ts";

/** What a test does with an exchange. */
export type Handler = (exchange: TestExchange) => void;

/** One exchange as the agent sees it. Data is consumed as it comes. */
export class TestExchange implements StreamEvents {
  readonly fields: Fields;
  readonly stream: Stream;
  body = "";
  trailers: Fields | undefined;
  failure: Failure | undefined;
  sent = 0;
  readonly ended: Promise<void>;
  readonly cut: Promise<Failure>;
  onData: (bytes: Uint8Array, end: boolean) => void = () => undefined;
  #end: () => void = () => undefined;
  #cut: (failure: Failure) => void = () => undefined;

  constructor(stream: Stream, fields: Fields, end: boolean) {
    this.stream = stream;
    this.fields = fields;
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.cut = new Promise((resolve) => (this.#cut = resolve));
    if (end) this.#end();
  }

  value(name: string): string | undefined {
    return valueOf(this.fields, name);
  }

  values(name: string): string[] {
    return this.fields.filter((field) => field.name === name).map((field) => field.value);
  }

  respond(status: number, body: string, more: Fields = []): void {
    this.stream.sendHead([{ name: ":status", value: String(status) }, ...more], false);
    this.stream.sendData(Buffer.from(body), true);
  }

  headReceived(): void {}

  dataReceived(bytes: Uint8Array, end: boolean): void {
    this.body += Buffer.from(bytes).toString("latin1");
    if (bytes.length > 0) this.stream.consume(bytes.length);
    this.onData(bytes, end);
    if (end) this.#end();
  }

  trailersReceived(fields: Fields): void {
    this.trailers = fields;
    this.#end();
  }

  resetReceived(failure: Failure): void {
    this.failure = failure;
    this.#cut(failure);
  }

  dataSent(bytes: number): void {
    this.sent += bytes;
  }
}

/** The other end of a tunnel, with no service behind it: a test answers each exchange itself. */
export class FakeAgent implements Http2Events {
  readonly messages: RelayMessage[] = [];
  readonly exchanges: TestExchange[] = [];
  over = false;
  handler: Handler = (exchange) => exchange.respond(200, "ok");
  readonly #connection: Http2Connection;
  readonly #channel: ControlChannel<AgentMessage, RelayMessage>;
  readonly #socket: { destroy(): unknown; resetAndDestroy(): unknown };

  constructor(socket: Awaited<ReturnType<typeof dial>>) {
    this.#socket = socket;
    this.#channel = new ControlChannel<AgentMessage, RelayMessage>(readRelayMessage, {
      opened: () => undefined,
      messageReceived: (message) => this.messages.push(message),
      violated: () => undefined,
      closed: () => undefined,
    });
    this.#connection = attachSocket(
      socket,
      (transport) =>
        new Http2Connection({
          ...TUNNEL_AGENT,
          role: "server",
          transport,
          events: this,
          peer: "relay",
          party: "agent",
        }),
    );
  }

  static async dial(url: string, options: Omit<DialOptions, "url"> = {}): Promise<FakeAgent> {
    return new FakeAgent(await dial({ url, ...options }));
  }

  /** Dials, says hello and waits for the welcome. */
  static async online(
    url: string,
    shares: Hello["shares"],
    options: Omit<DialOptions, "url"> & { token?: string; instance?: string } = {},
  ): Promise<{ agent: FakeAgent; grants: readonly ShareGrant[] }> {
    const agent = await FakeAgent.dial(url, options);
    agent.hello(shares, options.token, 1, options.instance);
    const { shares: grants } = await agent.message("welcome");
    return { agent, grants };
  }

  hello(shares: Hello["shares"], token?: string, version = 1, instance?: string): void {
    this.send({
      type: "hello",
      version,
      agent: "test",
      shares,
      ...(token === undefined ? {} : { token }),
      ...(instance === undefined ? {} : { instance }),
    });
  }

  /** Ends the control stream, and with it the session, in order. */
  end(): void {
    this.#channel.close();
  }

  send(message: AgentMessage): void {
    this.#channel.send(message);
  }

  /** The first message of this type, taken out of `messages`. */
  async message<T extends RelayMessage["type"]>(type: T): Promise<Extract<RelayMessage, { type: T }>> {
    const found = await until(() => this.messages.find((message) => message.type === type), `a message ${type}`);
    this.messages.splice(this.messages.indexOf(found), 1);
    return found as Extract<RelayMessage, { type: T }>;
  }

  exchange(count = 1): Promise<TestExchange> {
    return until(() => this.exchanges[count - 1], `exchange ${count}`);
  }

  drain(): void {
    this.#connection.drain();
  }

  /** `fin`: as a crashed process on a living machine; `rst`: as a machine that came back. */
  cut(how: "fin" | "rst"): void {
    if (how === "fin") this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  streamOpened(stream: Stream, fields: Fields, end: boolean): StreamEvents {
    if (valueOf(fields, ":protocol") === CONTROL_PROTOCOL) {
      this.#channel.accept(stream);
      return this.#channel.streamEvents;
    }
    const exchange = new TestExchange(stream, fields, end);
    this.exchanges.push(exchange);
    // After the relay has been told where to report.
    queueMicrotask(() => this.handler(exchange));
    return exchange;
  }

  capacityChanged(): void {}
  draining(): void {}
  pingAnswered(): void {}
  ended(): void {
    this.over = true;
  }
}

/** Waits until `look` sees something. Fails after five seconds, which only a defect takes. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
): Promise<T> {
  const end = performance.now() + 5000;
  while (performance.now() < end) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    await pause(2);
  }
  throw new Error(`Waited in vain for ${what}`);
}
