import type { Failure, Fields, Stream, StreamEvents } from "../wire/stream.ts";
import { statusOf } from "./fields.ts";
import { CONTROL_LINE_BYTES, CONTROL_PROTOCOL } from "./protocol.ts";

/** What the relay opens the control stream with. */
export const CONTROL_REQUEST: Fields = [
  { name: ":method", value: "CONNECT" },
  { name: ":scheme", value: "http" },
  { name: ":authority", value: "portlight" },
  { name: ":path", value: "/" },
  { name: ":protocol", value: CONTROL_PROTOCOL },
];

/** What the agent answers. */
export const CONTROL_RESPONSE: Fields = [{ name: ":status", value: "200" }];

/** Octets that may wait for a peer who reads no control messages: all messages of a full session, several times. */
const MAX_WAITING_BYTES = 1024 * 1024;

const LF = 10;
const encoder = new TextEncoder();

export interface ControlHandlers<In> {
  /** The peer's stream is there: for the relay, the agent's 200 came. */
  opened(): void;
  messageReceived(message: In): void;
  /** The peer broke the protocol: not JSON, a line too long, an unknown type. Nothing more is reported; say so, then `close`. */
  violated(message: string): void;
  /** The stream is over and so is the session. Called once, not after `close`. */
  closed(failure: Failure | undefined): void;
}

/**
 * The control stream: one JSON message a line, in both directions.
 *
 * The relay gives `streamEvents` to `open` and then calls `attach`; the agent calls `accept` with the stream that was
 * opened for it and returns `streamEvents`. What is sent before goes out then.
 */
export class ControlChannel<Out, In> {
  readonly streamEvents: StreamEvents;
  readonly #read: (value: unknown) => In | undefined;
  readonly #handlers: ControlHandlers<In>;
  #stream: Stream | undefined;
  readonly #early: Out[] = [];
  #parts: Uint8Array[] = [];
  #partBytes = 0;
  #waiting = 0;
  #opened = false;
  /** The peer broke the protocol: what else it sends is thrown away. */
  #violated = false;
  #over = false;

  /** @param read `readAgentMessage` or `readRelayMessage`: undefined for what is no message. */
  constructor(read: (value: unknown) => In | undefined, handlers: ControlHandlers<In>) {
    this.#read = read;
    this.#handlers = handlers;
    this.streamEvents = {
      headReceived: (fields, end) => this.#headReceived(fields, end),
      dataReceived: (bytes, end) => this.#dataReceived(bytes, end),
      trailersReceived: () => this.#end(undefined),
      resetReceived: (failure) => this.#end(failure),
      dataSent: (bytes) => {
        this.#waiting -= bytes;
      },
    };
  }

  /** The relay's end: `stream` was opened with `CONTROL_REQUEST`. */
  attach(stream: Stream): void {
    this.#stream = stream;
    for (const message of this.#early.splice(0)) this.send(message);
  }

  /** The agent's end: answers the stream that the relay opened. */
  accept(stream: Stream): void {
    stream.sendHead(CONTROL_RESPONSE, false);
    this.#opened = true;
    this.attach(stream);
    this.#handlers.opened();
  }

  send(message: Out): void {
    if (this.#over) return;
    const stream = this.#stream;
    if (stream === undefined) {
      this.#early.push(message);
      return;
    }
    const line = encoder.encode(`${JSON.stringify(message)}\n`);
    this.#waiting += line.length;
    if (this.#waiting > MAX_WAITING_BYTES) {
      const failure: Failure = { by: "agent", code: "limit", message: "The control stream is not read" };
      stream.reset(failure);
      this.#end(failure);
      return;
    }
    stream.sendData(line, false);
  }

  /** Ends our direction: what was sent still arrives. Nothing more is reported. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream?.sendData(new Uint8Array(0), true);
  }

  #headReceived(fields: Fields, end: boolean): void {
    if (this.#over || this.#violated || this.#opened) return;
    const status = statusOf(fields);
    if (status < 200) return;
    if (status !== 200 || end) {
      this.#violate(`The control stream was answered with status ${status}`);
      return;
    }
    this.#opened = true;
    this.#handlers.opened();
  }

  #dataReceived(bytes: Uint8Array, end: boolean): void {
    // Always: what is thrown away must not eat up the connection's window.
    if (bytes.length > 0) this.#stream?.consume(bytes.length);
    let from = 0;
    while (!this.#over && !this.#violated) {
      const at = bytes.indexOf(LF, from);
      const piece = bytes.subarray(from, at < 0 ? bytes.length : at);
      this.#partBytes += piece.length;
      if (this.#partBytes > CONTROL_LINE_BYTES) {
        this.#violate(`A control message is longer than ${CONTROL_LINE_BYTES} octets`);
        return;
      }
      if (piece.length > 0) this.#parts.push(piece);
      if (at < 0) break;
      from = at + 1;
      this.#line();
    }
    if (end && !this.#over) this.#end(undefined);
  }

  #line(): void {
    const line = join(this.#parts, this.#partBytes);
    this.#parts = [];
    this.#partBytes = 0;
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
    } catch {
      this.#violate("A control message is not JSON");
      return;
    }
    const message = this.#read(value);
    if (message === undefined) this.#violate("A control message has an unknown type or a wrong field");
    else this.#handlers.messageReceived(message);
  }

  #violate(message: string): void {
    if (this.#over || this.#violated) return;
    this.#parts = [];
    // Our direction stays open: the handler may still send its refusal.
    this.#violated = true;
    this.#handlers.violated(message);
  }

  #end(failure: Failure | undefined): void {
    if (this.#over) return;
    this.#over = true;
    // An orderly end is answered with ours, so that the stream is over on both sides.
    if (failure === undefined) this.#stream?.sendData(new Uint8Array(0), true);
    if (!this.#violated) this.#handlers.closed(failure);
  }
}

function join(parts: readonly Uint8Array[], size: number): Uint8Array {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) return first;
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
