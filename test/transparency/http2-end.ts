import net from "node:net";
import { HpackDecoder } from "../../wire/http2/hpack/decoder.ts";
import {
  CLIENT_PREFACE,
  DATA,
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
import { within } from "../support/time.ts";
import { End } from "./end.ts";

const END_STREAM = 0x1;
const ACK = 0x1;
const INITIAL_WINDOW_SIZE = 4;
const ENABLE_CONNECT_PROTOCOL = 8;
const MAX_FRAME = 16_384;
const LARGEST_WINDOW = 0x7fffffff;
const CANCEL = 8;
const STREAM = 1;

/** A WebSocket by extended CONNECT (RFC 8441) made of raw frames: nothing between the test and the wire. */
export class Http2End extends End {
  status = 0;
  /** Fields of the answer, `name: value`. */
  fields: string[] = [];
  readonly #socket: net.Socket;
  readonly #parser = new FrameParser();
  readonly #decoder = new HpackDecoder(4096);
  #window = 65_535;
  #connectionWindow = 65_535;
  #initialWindow = 65_535;
  #queue: Uint8Array[] = [];
  #finishing = false;
  #settled: (error?: Error) => void = () => undefined;
  #connectAnnounced: (announced: boolean) => void = () => undefined;

  private constructor(socket: net.Socket) {
    super();
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => {
      for (const one of this.#parser.push(bytes)) this.#frame(one);
    });
    const lost = (): void => {
      this.over("reset");
      this.#settled(new Error("The connection ended before the answer to CONNECT."));
    };
    socket.on("error", lost);
    socket.on("end", lost);
    socket.on("close", lost);
  }

  /** Resolves when the answer's head is there. Rejects when the peer does not announce extended CONNECT. */
  static async open(port: number, path: string, fields: readonly (readonly [string, string])[]): Promise<Http2End> {
    const end = new Http2End(net.connect({ port, host: "127.0.0.1" }));
    const announced = new Promise<boolean>((resolve) => (end.#connectAnnounced = resolve));
    end.#send(
      CLIENT_PREFACE,
      settings([INITIAL_WINDOW_SIZE, LARGEST_WINDOW]),
      frame(WINDOW_UPDATE, 0, 0, uint32(LARGEST_WINDOW - 65_535)),
    );
    if (!(await within(5000, "SETTINGS", announced))) throw new Error("Extended CONNECT is not announced.");
    const answered = new Promise<void>((resolve, reject) => {
      end.#settled = (error) => (error === undefined ? resolve() : reject(error));
    });
    const head = block([
      [":method", "CONNECT"],
      [":protocol", "websocket"],
      [":scheme", "http"],
      [":path", path],
      [":authority", `127.0.0.1:${port}`],
      ...fields,
    ]);
    end.#send(frame(HEADERS, 0x4, STREAM, head));
    await within(5000, "the answer to CONNECT", answered);
    return end;
  }

  write(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#pump();
  }

  finish(bytes?: Uint8Array): void {
    if (bytes !== undefined) this.#queue.push(bytes);
    this.#finishing = true;
    this.#pump();
  }

  reset(bytes?: Uint8Array): void {
    if (bytes !== undefined) this.write(bytes);
    this.#send(frame(RST_STREAM, 0, STREAM, uint32(CANCEL)));
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(...parts: readonly Uint8Array[]): void {
    if (!this.#socket.destroyed) this.#socket.write(join(...parts));
  }

  #pump(): void {
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined) break;
      const size = Math.min(next.length, this.#window, this.#connectionWindow, MAX_FRAME);
      if (size <= 0) return;
      this.#window -= size;
      this.#connectionWindow -= size;
      if (size === next.length) this.#queue.shift();
      else this.#queue[0] = next.subarray(size);
      this.#send(frame(DATA, 0, STREAM, next.subarray(0, size)));
    }
    if (!this.#finishing) return;
    this.#finishing = false;
    this.#send(frame(DATA, END_STREAM, STREAM));
  }

  #frame({ type, flags, stream, payload }: ParsedFrame): void {
    switch (type) {
      case SETTINGS:
        if ((flags & ACK) === 0) this.#settings(payload);
        return;
      case PING:
        if ((flags & ACK) === 0) this.#send(frame(PING, ACK, 0, payload));
        return;
      case WINDOW_UPDATE:
        if (stream === 0) this.#connectionWindow += readUint31(payload, 0);
        else this.#window += readUint31(payload, 0);
        this.#pump();
        return;
      case GOAWAY:
        this.over("reset");
        return;
      case HEADERS:
        this.#decoder.decode(payload, 0, payload.length, {
          field: ({ name, value }) => {
            if (name === ":status") this.status = Number(value);
            else this.fields.push(`${name}: ${value}`);
          },
        });
        if ((flags & END_STREAM) !== 0) this.over("end");
        if (this.status >= 200) this.#settled();
        return;
      case DATA:
        // Never padded: the relay pads nothing.
        this.received(Buffer.from(payload));
        if ((flags & END_STREAM) !== 0) this.over("end");
        return;
      case RST_STREAM:
        this.over("reset");
        this.#settled(new Error(`RST_STREAM ${readUint31(payload, 0)} instead of an answer.`));
        return;
      default:
    }
  }

  #settings(payload: Uint8Array): void {
    let announced = false;
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const identifier = ((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0);
      const value = readUint31(payload, at + 2);
      if (identifier === ENABLE_CONNECT_PROTOCOL) announced = value === 1;
      if (identifier !== INITIAL_WINDOW_SIZE) continue;
      this.#window += value - this.#initialWindow;
      this.#initialWindow = value;
    }
    this.#send(SETTINGS_ACK);
    this.#connectAnnounced(announced);
    this.#pump();
  }
}
