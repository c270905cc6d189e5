import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { RunningService } from "../../sample/service.ts";
import {
  ACK,
  block,
  CLIENT_PREFACE,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  FrameParser,
  GOAWAY,
  HEADERS,
  join,
  PING,
  readUint31,
  RST_STREAM,
  SETTINGS,
  settings,
  SETTINGS_ACK,
  uint32,
  WINDOW_UPDATE,
} from "../support/frames.ts";
import type { ParsedFrame } from "../support/frames.ts";
import { envelope } from "../support/grpc-server.ts";

/** The cases of gRPC's http2-interop-test-descriptions.md. */
export const MISBEHAVIOURS = [
  "goaway",
  "rst_after_header",
  "rst_during_data",
  "rst_after_data",
  "ping",
  "max_streams",
] as const;
export type Misbehaviour = (typeof MISBEHAVIOURS)[number];

export interface MisbehavingServer extends RunningService {
  /** What the peer did wrong, by the rules of the case. Read when the calls are over. */
  complaints(): readonly string[];
}

/** RFC 9113 section 6.5.2. */
const MAX_CONCURRENT_STREAMS = 0x3;
const INITIAL_WINDOW_SIZE = 0x4;
const DEFAULT_WINDOW = 65_535;
/** More than the requests of a case have together, so that the server need not grant anything later. */
const PLENTY = 64 * 1024 * 1024;
/** RFC 9113 section 7; the server of the gRPC project resets with it. */
const NO_ERROR = 0;
/** Not assigned: what is grpc-go's "Unknown", which its client demands of rst_during_data. */
const UNASSIGNED = 0x2a;
/** The clients demand it. */
const RESPONSE_SIZE = 314_159;
const FRAME_SIZE = 16_384;

const HEAD = block([
  [":status", "200"],
  ["content-type", "application/grpc"],
]);
const TRAILERS = block([["grpc-status", "0"]]);

/** `grpc.testing.SimpleResponse { payload { body } }` in its envelope. */
function simpleResponse(): Uint8Array {
  const payload = field(2, new Uint8Array(RESPONSE_SIZE));
  return envelope(field(1, payload), false);
}

function field(number: number, content: Uint8Array): Uint8Array {
  const size: number[] = [];
  let rest = content.length;
  for (; rest > 0x7f; rest >>>= 7) size.push((rest & 0x7f) | 0x80);
  return join(Uint8Array.of((number << 3) | 2, ...size, rest), content);
}

const RESPONSE = simpleResponse();

/** A gRPC server, frame by frame, that answers UnaryCall and misbehaves as its case says. */
export async function startMisbehaving(misbehaviour: Misbehaviour): Promise<MisbehavingServer> {
  const connections: Connection[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    connections.push(new Connection(socket, misbehaviour));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    complaints: () => connections.flatMap((connection) => connection.complaints),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** What is still to be sent on a stream. */
interface Answer {
  readonly stream: number;
  sent: number;
  window: number;
}

class Connection {
  readonly #complaints: string[] = [];
  readonly #socket: Socket;
  readonly #case: Misbehaviour;
  readonly #parser = new FrameParser();
  /** Octets of the client's preface that are still to come. */
  #preface = CLIENT_PREFACE.length;
  #window = DEFAULT_WINDOW;
  #streamWindow = DEFAULT_WINDOW;
  #open = new Set<number>();
  #answers = new Map<number, Answer>();
  /** What a client granted before its request was complete. */
  #granted = new Map<number, number>();
  #pingsSent = 0;
  #pingsAnswered = 0;
  #saidGoaway = false;

  constructor(socket: Socket, misbehaviour: Misbehaviour) {
    this.#socket = socket;
    this.#case = misbehaviour;
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    const one: readonly (readonly [number, number])[] =
      misbehaviour === "max_streams" ? [[MAX_CONCURRENT_STREAMS, 1]] : [];
    // RFC 9113 section 3.4: nothing comes before it, not even a PING.
    socket.write(settings([INITIAL_WINDOW_SIZE, PLENTY], ...one));
    this.#send(frame(WINDOW_UPDATE, 0, 0, [...uint32(PLENTY)]));
  }

  get complaints(): readonly string[] {
    const unanswered = this.#pingsSent - this.#pingsAnswered;
    return unanswered > 0 ? [...this.#complaints, `${unanswered} PINGs not answered`] : this.#complaints;
  }

  #receive(chunk: Buffer): void {
    const skipped = Math.min(this.#preface, chunk.length);
    this.#preface -= skipped;
    for (const one of this.#parser.push(chunk.subarray(skipped))) this.#frame(one);
  }

  #frame({ type, flags, stream, payload }: ParsedFrame): void {
    switch (type) {
      case SETTINGS:
        if ((flags & ACK) === 0) this.#settings(payload);
        break;
      case PING:
        if ((flags & ACK) === 0) this.#send(frame(PING, ACK, 0, [...payload]));
        else this.#pingsAnswered++;
        break;
      case HEADERS:
        this.#opened(stream);
        break;
      case WINDOW_UPDATE:
        this.#credit(stream, readUint31(payload, 0));
        break;
      case RST_STREAM:
        this.#ended(stream);
        break;
      default:
    }
    if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) this.#requested(stream);
  }

  #settings(payload: Uint8Array): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const identifier = ((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0);
      if (identifier !== INITIAL_WINDOW_SIZE) continue;
      const size = readUint31(payload, at + 2);
      for (const answer of this.#answers.values()) answer.window += size - this.#streamWindow;
      this.#streamWindow = size;
    }
    this.#send(SETTINGS_ACK);
    this.#flush();
  }

  #opened(stream: number): void {
    if (this.#saidGoaway) this.#complaints.push(`stream ${stream} opened behind the GOAWAY`);
    this.#open.add(stream);
    if (this.#case === "max_streams" && this.#open.size > 1)
      this.#complaints.push(`${this.#open.size} streams at once`);
  }

  #credit(stream: number, by: number): void {
    const answer = this.#answers.get(stream);
    if (stream === 0) this.#window += by;
    else if (answer !== undefined) answer.window += by;
    else if (this.#open.has(stream)) this.#granted.set(stream, (this.#granted.get(stream) ?? 0) + by);
    this.#flush();
  }

  #requested(stream: number): void {
    const window = this.#streamWindow + (this.#granted.get(stream) ?? 0);
    this.#answers.set(stream, { stream, sent: 0, window });
    this.#send(frame(HEADERS, END_HEADERS, stream, HEAD));
    if (this.#case === "rst_after_header") this.#reset(stream);
    else this.#flush();
  }

  /** Sends what the windows allow. */
  #flush(): void {
    const size = this.#case === "rst_during_data" ? RESPONSE.length >>> 1 : RESPONSE.length;
    for (const answer of [...this.#answers.values()]) {
      for (;;) {
        const part = Math.min(FRAME_SIZE, size - answer.sent, answer.window, this.#window);
        if (part <= 0) break;
        this.#send(frame(DATA, 0, answer.stream, RESPONSE.subarray(answer.sent, answer.sent + part)));
        answer.sent += part;
        answer.window -= part;
        this.#window -= part;
      }
      if (answer.sent === size) this.#finish(answer.stream);
    }
  }

  #finish(stream: number): void {
    if (this.#case === "rst_during_data" || this.#case === "rst_after_data") {
      this.#reset(stream);
      return;
    }
    this.#send(frame(HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS));
    this.#ended(stream);
    if (this.#case !== "goaway" || this.#saidGoaway) return;
    this.#saidGoaway = true;
    this.#send(frame(GOAWAY, 0, 0, [...uint32(stream), ...uint32(NO_ERROR)]));
  }

  #reset(stream: number): void {
    this.#send(frame(RST_STREAM, 0, stream, uint32(this.#case === "rst_during_data" ? UNASSIGNED : NO_ERROR)));
    this.#ended(stream);
  }

  #ended(stream: number): void {
    this.#open.delete(stream);
    this.#answers.delete(stream);
    this.#granted.delete(stream);
  }

  #send(bytes: Uint8Array): void {
    if (this.#socket.destroyed) return;
    // One before each frame.
    if (this.#case === "ping") {
      this.#pingsSent++;
      this.#socket.write(join(frame(PING, 0, 0, [0, 0, 0, 0, ...uint32(this.#pingsSent)]), bytes));
    } else {
      this.#socket.write(bytes);
    }
  }
}
