import http2 from "node:http2";
import net from "node:net";
import type { Duplex } from "node:stream";
import { splitAddress } from "./http.ts";
import { within } from "./time.ts";

export interface FrameOptions {
  readonly fin?: boolean;
  /** permessage-deflate: this message is compressed. */
  readonly compressed?: boolean;
}

/** Fixed, so that what is sent is the same octets each time. */
const MASK = Buffer.from([0x11, 0x22, 0x33, 0x44]);

/** A frame as a visitor sends it (masked, RFC 6455 section 5.2). */
export function visitorFrame(opcode: number, payload: Uint8Array | string, options: FrameOptions = {}): Buffer {
  const bytes = Buffer.from(payload as Uint8Array);
  const first = (options.fin === false ? 0 : 0x80) | (options.compressed === true ? 0x40 : 0) | opcode;
  let head: Buffer;
  if (bytes.length < 126) head = Buffer.from([first, 0x80 | bytes.length]);
  else if (bytes.length < 65_536) head = Buffer.from([first, 0x80 | 126, bytes.length >> 8, bytes.length & 0xff]);
  else {
    head = Buffer.alloc(10);
    head.writeUInt8(first, 0);
    head.writeUInt8(0x80 | 127, 1);
    head.writeBigUInt64BE(BigInt(bytes.length), 2);
  }
  const masked = Buffer.from(bytes);
  for (let index = 0; index < masked.length; index++) masked[index] = (masked[index] ?? 0) ^ (MASK[index % 4] ?? 0);
  return Buffer.concat([head, MASK, masked]);
}

export interface Frame {
  readonly opcode: number;
  readonly fin: boolean;
  readonly compressed: boolean;
  readonly payload: Buffer;
}

/** The whole frames at the beginning of `bytes` (from the service, so not masked). */
export function serviceFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  let offset = 0;
  while (bytes.length >= offset + 2) {
    const first = bytes.readUInt8(offset);
    const short = bytes.readUInt8(offset + 1) & 0x7f;
    let start = offset + 2;
    let length = short;
    if (short === 126) {
      if (bytes.length < start + 2) break;
      length = bytes.readUInt16BE(start);
      start += 2;
    } else if (short === 127) {
      if (bytes.length < start + 8) break;
      length = Number(bytes.readBigUInt64BE(start));
      start += 8;
    }
    if (bytes.length < start + length) break;
    frames.push({
      opcode: first & 0x0f,
      fin: (first & 0x80) !== 0,
      compressed: (first & 0x40) !== 0,
      payload: bytes.subarray(start, start + length),
    });
    offset = start + length;
  }
  return frames;
}

/** A WebSocket as raw octets, however it was opened. */
export class RawWebSocket {
  readonly #stream: Duplex;
  readonly #dispose: () => void;
  #received: Buffer[] = [];
  #wake: () => void = () => undefined;
  #over: "end" | "error" | undefined;
  readonly status: number;
  /** Fields of the answer, in lower case. */
  readonly fields: Readonly<Record<string, string>>;

  constructor(
    stream: Duplex,
    status: number,
    fields: Readonly<Record<string, string>>,
    head: Buffer,
    dispose: () => void,
  ) {
    this.#stream = stream;
    this.#dispose = dispose;
    this.status = status;
    this.fields = fields;
    if (head.length > 0) this.#received.push(head);
    const over = (how: "end" | "error") => (): void => {
      this.#over ??= how;
      this.#wake();
    };
    stream.on("data", (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#wake();
    });
    stream.on("end", over("end"));
    stream.on("error", over("error"));
    stream.on("close", over("end"));
  }

  send(...frames: readonly Uint8Array[]): void {
    this.#stream.write(Buffer.concat(frames));
  }

  /** Every octet received so far. */
  get octets(): Buffer {
    return Buffer.concat(this.#received);
  }

  get frames(): Frame[] {
    return serviceFrames(this.octets);
  }

  /** Resolves when `count` frames are there. */
  async receive(count: number, ms = 10_000): Promise<Frame[]> {
    const wait = async (): Promise<Frame[]> => {
      for (;;) {
        const { frames } = this;
        if (frames.length >= count) return frames;
        if (this.#over !== undefined) throw new Error(`The WebSocket ended after ${frames.length} of ${count} frames.`);
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    };
    return within(ms, `${count} frames`, wait());
  }

  async receiveOctets(count: number, ms = 10_000): Promise<Buffer> {
    // Not joined each time: megabytes come in hundreds of chunks.
    const size = (): number => this.#received.reduce((sum, { length }) => sum + length, 0);
    const wait = async (): Promise<Buffer> => {
      while (size() < count) {
        if (this.#over !== undefined) throw new Error(`The WebSocket ended after ${size()} of ${count} octets.`);
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      return this.octets;
    };
    return within(ms, `${count} octets`, wait());
  }

  /** How it ended. */
  async end(ms = 5000): Promise<"end" | "error"> {
    const wait = async (): Promise<"end" | "error"> => {
      while (this.#over === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      return this.#over;
    };
    return within(ms, "the end of the WebSocket", wait());
  }

  close(): void {
    this.#stream.destroy();
    this.#dispose();
  }
}

export interface OpenOptions {
  readonly subprotocol?: string;
  readonly extensions?: string;
}

/** By an Upgrade (RFC 6455 section 4). */
export async function openByUpgrade(address: string, path: string, options: OpenOptions = {}): Promise<RawWebSocket> {
  const [host, port] = splitAddress(address);
  const socket = net.connect({ host, port });
  const fields = [
    `GET ${path} HTTP/1.1`,
    "Host: shop.test",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...(options.subprotocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${options.subprotocol}`]),
    ...(options.extensions === undefined ? [] : [`Sec-WebSocket-Extensions: ${options.extensions}`]),
  ];
  socket.write(`${fields.join("\r\n")}\r\n\r\n`);
  const answer = await within(
    5000,
    "the answer to the Upgrade",
    new Promise<Buffer>((resolve, reject) => {
      let bytes = Buffer.alloc(0);
      const read = (chunk: Buffer): void => {
        bytes = Buffer.concat([bytes, chunk]);
        if (!bytes.includes("\r\n\r\n")) return;
        socket.off("data", read);
        socket.pause();
        resolve(bytes);
      };
      socket.on("data", read);
      socket.once("error", reject);
      socket.once("end", () => reject(new Error("The connection ended before the answer to the Upgrade.")));
    }),
  );
  const end = answer.indexOf("\r\n\r\n");
  const [statusLine = "", ...lines] = answer.subarray(0, end).toString("latin1").split("\r\n");
  const received = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const opened = new RawWebSocket(
    socket,
    Number(statusLine.split(" ")[1]),
    received,
    answer.subarray(end + 4),
    () => undefined,
  );
  socket.resume();
  return opened;
}

/** By extended CONNECT (RFC 8441). Rejects when the peer does not announce it. */
export async function openByConnect(address: string, path: string, options: OpenOptions = {}): Promise<RawWebSocket> {
  const session = http2.connect(`http://${address}`);
  session.on("error", () => undefined);
  await within(5000, "SETTINGS", new Promise((resolve) => session.once("remoteSettings", resolve)));
  if (session.remoteSettings.enableConnectProtocol !== true) {
    session.destroy();
    throw new Error("The peer does not announce SETTINGS_ENABLE_CONNECT_PROTOCOL.");
  }
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":path": path,
    ":scheme": "http",
    "sec-websocket-version": "13",
    ...(options.subprotocol === undefined ? {} : { "sec-websocket-protocol": options.subprotocol }),
    ...(options.extensions === undefined ? {} : { "sec-websocket-extensions": options.extensions }),
  });
  const head = await within(
    5000,
    "the answer to CONNECT",
    new Promise<http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader>((resolve, reject) => {
      stream.once("response", resolve);
      stream.once("error", reject);
    }),
  );
  const fields = Object.fromEntries(Object.entries(head).map(([name, value]) => [name, String(value)]));
  return new RawWebSocket(stream, head[":status"] ?? 0, fields, Buffer.alloc(0), () => session.destroy());
}
