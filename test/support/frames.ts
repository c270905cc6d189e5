import { connect, type Socket } from "node:net";
import { CLIENT_PREFACE, FRAME_HEAD, readUint31, writeFrameHead, writeUint32 } from "../../wire/http2/frame.ts";
import { writeInteger } from "../../wire/http2/hpack/integer.ts";

export * from "../../wire/http2/frame.ts";

/** A frame as bytes, whatever its content: nothing is checked, since tests send wrong ones. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array | number[] | string = [],
): Uint8Array {
  const content = typeof payload === "string" ? latin1(payload) : Uint8Array.from(payload);
  const bytes = new Uint8Array(FRAME_HEAD + content.length);
  bytes.set(content, writeFrameHead(bytes, 0, content.length, type, flags, stream));
  return bytes;
}

export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, value);
  return bytes;
}

/** SETTINGS from identifier and value pairs. */
export function settings(...entries: readonly (readonly [number, number])[]): Uint8Array {
  const payload = entries.flatMap(([identifier, value]) => [identifier >>> 8, identifier & 0xff, ...uint32(value)]);
  return frame(0x4, 0, 0, payload);
}

export const SETTINGS_ACK = frame(0x4, 0x1, 0);

/** A header block of literals without indexing and without Huffman: any octet passes. */
export function block(fields: readonly (readonly [string, string])[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, value] of fields) parts.push(Uint8Array.of(0), hpackString(name), hpackString(value));
  return join(...parts);
}

function hpackString(text: string): Uint8Array {
  const size = new Uint8Array(6);
  const end = writeInteger(size, 0, 7, 0, text.length);
  return join(size.subarray(0, end), latin1(text));
}

/** A whole GET request for "/", ending its stream; `fields` are added behind. */
export const REQUEST: readonly (readonly [string, string])[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "example.test"],
];
export const POST: readonly (readonly [string, string])[] = [[":method", "POST"], ...REQUEST.slice(1)];

/** HEADERS with END_HEADERS (0x4) and the given further flags. */
export function headers(
  stream: number,
  fields: readonly (readonly [string, string])[] = REQUEST,
  flags = 0x1,
): Uint8Array {
  return frame(0x1, flags | 0x4, stream, block(fields));
}

export interface ParsedFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

/** Cuts bytes into frames; what is incomplete stays for the next call. */
export class FrameParser {
  #rest: Uint8Array = new Uint8Array(0);

  push(bytes: Uint8Array): ParsedFrame[] {
    let rest = join(this.#rest, bytes);
    const frames: ParsedFrame[] = [];
    for (;;) {
      if (rest.length < FRAME_HEAD) break;
      const length = ((rest[0] ?? 0) << 16) | ((rest[1] ?? 0) << 8) | (rest[2] ?? 0);
      if (rest.length < FRAME_HEAD + length) break;
      frames.push({
        type: rest[3] ?? 0,
        flags: rest[4] ?? 0,
        stream: readUint31(rest, 5),
        payload: rest.slice(FRAME_HEAD, FRAME_HEAD + length),
      });
      rest = rest.subarray(FRAME_HEAD + length);
    }
    this.#rest = rest;
    return frames;
  }
}

const NAMES = [
  "DATA",
  "HEADERS",
  "PRIORITY",
  "RST_STREAM",
  "SETTINGS",
  "PUSH_PROMISE",
  "PING",
  "GOAWAY",
  "WINDOW_UPDATE",
  "CONTINUATION",
];

/** One line for a person, or a test: `RST_STREAM 1 code 8`, `DATA 1 end 100`. */
export function describe({ type, flags, stream, payload }: ParsedFrame): string {
  const name = NAMES[type] ?? `type ${type}`;
  const code = (at: number): number =>
    ((payload[at] ?? 0) << 24) |
    ((payload[at + 1] ?? 0) << 16) |
    ((payload[at + 2] ?? 0) << 8) |
    (payload[at + 3] ?? 0);
  const end = (flags & 0x1) !== 0;
  switch (name) {
    case "RST_STREAM":
      return `${name} ${stream} code ${code(0)}`;
    case "GOAWAY":
      return `${name} last ${readUint31(payload, 0)} code ${code(4)}`;
    case "WINDOW_UPDATE":
      return `${name} ${stream} by ${readUint31(payload, 0)}`;
    case "SETTINGS":
    case "PING":
      return end ? `${name} ack` : name;
    case "DATA":
      return `${name} ${stream}${end ? " end" : ""} ${payload.length}`;
    default:
      return `${name} ${stream}${end ? " end" : ""}`;
  }
}

/** A peer made of raw frames over a socket. As a client it sends the preface and empty SETTINGS unless told otherwise. */
export class RawPeer {
  readonly frames: ParsedFrame[] = [];
  closed = false;
  /** Told of each frame as it comes. */
  onFrame: (frame: ParsedFrame) => void = () => undefined;
  readonly #socket: Socket;
  readonly #parser = new FrameParser();
  #wake: (() => void)[] = [];

  /** @param skip octets before the first frame. */
  private constructor(socket: Socket, skip = 0) {
    this.#socket = socket;
    let left = skip;
    socket.on("data", (bytes: Buffer) => {
      const from = Math.min(left, bytes.length);
      left -= from;
      for (const one of this.#parser.push(bytes.subarray(from))) {
        this.frames.push(one);
        this.onFrame(one);
      }
      this.#notify();
    });
    // A reset by the other end is an answer like any other.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
      this.#notify();
    });
    socket.on("end", () => {
      this.closed = true;
      this.#notify();
    });
  }

  static async connect(port: number, options: { host?: string; handshake?: boolean } = {}): Promise<RawPeer> {
    const socket = connect({ port, host: options.host ?? "127.0.0.1", noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    const peer = new RawPeer(socket);
    if (options.handshake !== false) peer.send(CLIENT_PREFACE, settings());
    return peer;
  }

  /** The server's end of a connection that was accepted. Sends nothing by itself. */
  static accept(socket: Socket): RawPeer {
    return new RawPeer(socket, CLIENT_PREFACE.length);
  }

  send(...parts: readonly Uint8Array[]): void {
    if (!this.#socket.destroyed) this.#socket.write(join(...parts));
  }

  /** Stop reading, so that the other end's writes pile up. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Waits until `condition` holds, or the connection is closed. Rejects after `timeoutMs`. */
  async until(
    condition: (frames: readonly ParsedFrame[]) => boolean,
    timeoutMs = 5000,
  ): Promise<readonly ParsedFrame[]> {
    const deadline = Date.now() + timeoutMs;
    while (!condition(this.frames) && !this.closed) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`Nothing after ${timeoutMs} ms. So far: ${this.frames.map(describe).join(", ")}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return this.frames;
  }

  /** The first frame of this type (and stream); rejects when the connection closes without one. */
  async frame(type: number, stream?: number): Promise<ParsedFrame> {
    const matches = (one: ParsedFrame): boolean => one.type === type && (stream === undefined || one.stream === stream);
    await this.until((frames) => frames.some(matches));
    const found = this.frames.find(matches);
    if (found === undefined)
      throw new Error(`Closed without a ${NAMES[type] ?? type}. Frames: ${this.frames.map(describe).join(", ")}`);
    return found;
  }

  /** Everything until the other end closes the connection. */
  async untilClosed(timeoutMs?: number): Promise<readonly ParsedFrame[]> {
    return this.until(() => false, timeoutMs);
  }

  /** FIN. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const one of wake) one();
  }
}
