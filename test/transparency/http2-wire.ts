import { connect } from "node:net";
import type { Socket } from "node:net";
import { HpackDecoder } from "../../wire/http2/hpack/decoder.ts";
import {
  ACK,
  CLIENT_PREFACE,
  DATA,
  END_HEADERS,
  END_STREAM,
  FrameParser,
  GOAWAY,
  HEADERS,
  PING,
  RST_STREAM,
  SETTINGS,
  SETTINGS_ACK,
  WINDOW_UPDATE,
  block,
  frame,
  join,
  readUint31,
  settings,
  uint32,
} from "../support/frames.ts";
import type { ParsedFrame } from "../support/frames.ts";
import { End } from "./end.ts";

const INITIAL_WINDOW_SIZE = 4;
const ENABLE_CONNECT_PROTOCOL = 8;
const DEFAULT_WINDOW = 65_535;
const LARGEST_WINDOW = 0x7fffffff;
const MAX_FRAME = 16_384;
const CANCEL = 8;

export type HeadFields = readonly (readonly [name: string, value: string])[];

/** An HTTP/2 connection of raw frames in either role: nothing between the test and the wire but flow control. */
export class Http2Wire {
  /** Whether the peer announces extended CONNECT: known with its first SETTINGS. */
  readonly extendedConnect: Promise<boolean>;
  /** Server role: a request came. */
  onRequest: (end: Http2End, fields: HeadFields) => void = () => undefined;
  window = DEFAULT_WINDOW;
  readonly role: "client" | "server";
  readonly #socket: Socket;
  readonly #parser = new FrameParser();
  readonly #decoder = new HpackDecoder(4096);
  readonly #ends = new Map<number, Http2End>();
  #initialWindow = DEFAULT_WINDOW;
  /** Octets of the peer's preface still to come. */
  #preface: number;
  #announced: (announced: boolean) => void = () => undefined;

  constructor(socket: Socket, role: "client" | "server") {
    this.role = role;
    this.#socket = socket;
    this.#preface = role === "server" ? CLIENT_PREFACE.length : 0;
    this.extendedConnect = new Promise((resolve) => (this.#announced = resolve));
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => {
      const from = Math.min(this.#preface, bytes.length);
      this.#preface -= from;
      for (const one of this.#parser.push(bytes.subarray(from))) this.#frame(one);
    });
    for (const event of ["error", "end", "close"]) socket.on(event, () => this.#lost());
    const large = frame(WINDOW_UPDATE, 0, 0, uint32(LARGEST_WINDOW - DEFAULT_WINDOW));
    if (role === "client") this.send(CLIENT_PREFACE, settings([INITIAL_WINDOW_SIZE, LARGEST_WINDOW]), large);
    else this.send(settings([INITIAL_WINDOW_SIZE, LARGEST_WINDOW], [ENABLE_CONNECT_PROTOCOL, 1]), large);
  }

  /** Client role: sends a request that goes on. */
  open(id: number, fields: HeadFields): Http2End {
    const end = this.#end(id);
    end.sendHead(fields);
    return end;
  }

  send(...parts: readonly Uint8Array[]): void {
    if (!this.#socket.destroyed) this.#socket.write(join(...parts));
  }

  forget(id: number): void {
    this.#ends.delete(id);
  }

  close(): void {
    this.#socket.destroy();
  }

  #end(id: number): Http2End {
    const end = new Http2End(this, id, this.#initialWindow);
    this.#ends.set(id, end);
    return end;
  }

  #lost(): void {
    this.#announced(false);
    for (const end of this.#ends.values()) end.lost();
  }

  #frame({ type, flags, stream, payload }: ParsedFrame): void {
    if (type === SETTINGS) {
      if ((flags & ACK) === 0) this.#settings(payload);
    } else if (type === PING) {
      if ((flags & ACK) === 0) this.send(frame(PING, ACK, 0, payload));
    } else if (type === GOAWAY) this.#lost();
    else if (type === WINDOW_UPDATE && stream === 0) {
      this.window += readUint31(payload, 0);
      for (const end of this.#ends.values()) end.pump();
    } else if (type === HEADERS) {
      const fields: (readonly [string, string])[] = [];
      this.#decoder.decode(payload, 0, payload.length, { field: ({ name, value }) => fields.push([name, value]) });
      const known = this.#ends.get(stream);
      if (known !== undefined) known.head(fields, (flags & END_STREAM) !== 0);
      else this.onRequest(this.#end(stream), fields);
    } else this.#ends.get(stream)?.frame(type, flags, payload);
  }

  #settings(payload: Uint8Array): void {
    let announced = false;
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const identifier = ((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0);
      const value = readUint31(payload, at + 2);
      if (identifier === ENABLE_CONNECT_PROTOCOL) announced = value === 1;
      if (identifier !== INITIAL_WINDOW_SIZE) continue;
      for (const end of this.#ends.values()) end.widen(value - this.#initialWindow);
      this.#initialWindow = value;
    }
    this.send(SETTINGS_ACK);
    this.#announced(announced);
  }
}

/** A WebSocket by extended CONNECT (RFC 8441): one stream of an `Http2Wire`. */
export class Http2End extends End {
  /** Client role: the answer. */
  status = 0;
  fields: HeadFields = [];
  readonly answered: Promise<void>;
  readonly #wire: Http2Wire;
  readonly #id: number;
  #window: number;
  #queue: Uint8Array[] = [];
  #finishing = false;
  /** Our END_STREAM or RST_STREAM is out. */
  #over = false;
  #settled: (error?: Error) => void = () => undefined;

  constructor(wire: Http2Wire, id: number, window: number) {
    super();
    this.#wire = wire;
    this.#id = id;
    this.#window = window;
    this.answered = new Promise((resolve, reject) => {
      this.#settled = (error) => (error === undefined ? resolve() : reject(error));
    });
    // Nobody waits for the answer in the server role.
    this.answered.catch(() => undefined);
  }

  sendHead(fields: HeadFields): void {
    this.#wire.send(frame(HEADERS, END_HEADERS, this.#id, block(fields)));
  }

  write(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.pump();
  }

  finish(bytes?: Uint8Array): void {
    if (bytes !== undefined) this.#queue.push(bytes);
    this.#finishing = true;
    this.pump();
  }

  reset(bytes?: Uint8Array): void {
    if (bytes !== undefined) this.write(bytes);
    this.#over = true;
    this.#wire.send(frame(RST_STREAM, 0, this.#id, uint32(CANCEL)));
  }

  close(): void {
    // A service's connection is not of one WebSocket alone.
    if (this.#wire.role === "client") this.#wire.close();
    else if (!this.#over && this.seen.ending !== "reset") this.reset();
    this.#wire.forget(this.#id);
  }

  // What the wire reports.

  head(fields: HeadFields, end: boolean): void {
    this.status = Number(fields.find(([name]) => name === ":status")?.[1]);
    this.fields = fields.filter(([name]) => !name.startsWith(":"));
    if (end) this.over("end");
    if (this.status >= 200) this.#settled();
  }

  frame(type: number, flags: number, payload: Uint8Array): void {
    if (type === DATA) {
      // Never padded: we pad nothing.
      this.received(Buffer.from(payload));
      if ((flags & END_STREAM) !== 0) this.over("end");
    } else if (type === RST_STREAM) {
      this.over("reset");
      this.#settled(new Error(`RST_STREAM ${readUint31(payload, 0)} instead of an answer.`));
    } else if (type === WINDOW_UPDATE) this.widen(readUint31(payload, 0));
  }

  lost(): void {
    this.over("reset");
    this.#settled(new Error("The connection ended before the answer to CONNECT."));
  }

  widen(octets: number): void {
    this.#window += octets;
    this.pump();
  }

  /** Sends what the windows allow. */
  pump(): void {
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined) break;
      const size = Math.min(next.length, this.#window, this.#wire.window, MAX_FRAME);
      if (size <= 0 && next.length > 0) return;
      this.#window -= size;
      this.#wire.window -= size;
      if (size === next.length) this.#queue.shift();
      else this.#queue[0] = next.subarray(size);
      this.#wire.send(frame(DATA, 0, this.#id, next.subarray(0, size)));
    }
    if (!this.#finishing) return;
    this.#finishing = false;
    this.#over = true;
    this.#wire.send(frame(DATA, END_STREAM, this.#id));
  }
}

/** Opens a WebSocket on a connection of its own. Rejects when the peer does not announce extended CONNECT. */
export async function openByHttp2(port: number, path: string, fields: HeadFields): Promise<Http2End> {
  const wire = new Http2Wire(connect({ port, host: "127.0.0.1" }), "client");
  if (!(await wire.extendedConnect)) throw new Error("Extended CONNECT is not announced.");
  const end = wire.open(1, [
    [":method", "CONNECT"],
    [":protocol", "websocket"],
    [":scheme", "http"],
    [":path", path],
    [":authority", `127.0.0.1:${port}`],
    ...fields,
  ]);
  await end.answered;
  return end;
}
