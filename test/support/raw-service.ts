import net from "node:net";
import type { AddressInfo } from "node:net";
import { HpackDecoder } from "../../wire/http2/hpack/decoder.ts";
import {
  DATA,
  HEADERS,
  PING,
  RST_STREAM,
  RawPeer,
  SETTINGS,
  SETTINGS_ACK,
  block,
  frame,
  settings,
  uint32,
} from "./frames.ts";
import type { ParsedFrame } from "./frames.ts";
import { Arrivals } from "./time.ts";

const END_STREAM = 0x1;
const ACK = 0x1;
/** So that the connection's window never plays a part where a test is about a stream's. */
const LARGE_WINDOW = 0x3fffffff;

export type RawFields = readonly (readonly [string, string])[];

/** HEADERS with a whole block. */
export function head(stream: number, fields: RawFields, end = false): Uint8Array {
  return frame(HEADERS, 0x4 | (end ? END_STREAM : 0), stream, block(fields));
}

export function data(stream: number, content: Uint8Array | string, end = false): Uint8Array {
  return frame(DATA, end ? END_STREAM : 0, stream, content);
}

export function rst(stream: number, code: number): Uint8Array {
  return frame(RST_STREAM, 0, stream, uint32(code));
}

export function goaway(last: number, code = 0): Uint8Array {
  return frame(0x7, 0, 0, [...uint32(last), ...uint32(code)]);
}

export function windowUpdate(stream: number, by: number): Uint8Array {
  return frame(0x8, 0, stream, uint32(by));
}

/** A request as it arrived at a service made of raw frames. */
export class RawRequest {
  readonly connection: RawPeer;
  /** Which of the service's connections, from 0. */
  readonly index: number;
  readonly stream: number;
  readonly fields: Readonly<Record<string, string>>;
  /** Octets of content, as they come. */
  content = Buffer.alloc(0);
  /** END_STREAM came. */
  complete = false;
  /** The code of RST_STREAM. */
  resetCode: number | undefined;
  readonly changes = new Arrivals<"content" | "over">();

  constructor(connection: RawPeer, index: number, stream: number, fields: Readonly<Record<string, string>>) {
    this.connection = connection;
    this.index = index;
    this.stream = stream;
    this.fields = fields;
  }

  get path(): string {
    return this.fields[":path"] ?? "";
  }

  send(...frames: readonly Uint8Array[]): void {
    this.connection.send(...frames);
  }

  /** A whole answer. */
  answer(body: string, status = "200"): void {
    this.send(head(this.stream, [[":status", status]]), data(this.stream, body, true));
  }

  /** Resolves at END_STREAM; rejects when the request is reset. */
  async ended(): Promise<void> {
    await this.changes.next(5000, `the end of ${this.path} at the service`, () => this.complete || this.wasReset);
    if (this.wasReset) throw new Error(`RST_STREAM ${this.resetCode ?? 0} instead of an end.`);
  }

  /** Resolves with the code of RST_STREAM. */
  async reset(): Promise<number> {
    await this.changes.next(5000, `RST_STREAM of ${this.path} at the service`, () => this.wasReset);
    return this.resetCode ?? 0;
  }

  get wasReset(): boolean {
    return this.resetCode !== undefined;
  }

  async contentSize(size: number): Promise<void> {
    while (this.content.length < size) {
      const seen = this.changes.items.length;
      if (this.complete || this.wasReset) throw new Error(`Over after ${this.content.length} of ${size} octets.`);
      await this.changes.next(5000, `${size} octets of ${this.path}`, () => true, seen);
    }
  }
}

export interface RawService {
  readonly port: number;
  /** Those over HTTP/2. */
  readonly connections: Arrivals<RawPeer>;
  readonly requests: Arrivals<RawRequest>;
  /** The first request for `path`. */
  request(path: string): Promise<RawRequest>;
  close(): void;
}

export interface RawServiceOptions {
  /** SETTINGS of each connection. */
  readonly settings?: readonly (readonly [number, number])[];
  /** Sent right behind them. */
  readonly greeting?: readonly Uint8Array[];
  /** What happens when a request's head has come. */
  readonly serve?: (request: RawRequest) => void;
  /** What becomes of all connections but the first: nothing is said on them, or they are closed. */
  readonly further?: "silent" | "closed";
}

/** A service that speaks HTTP/2 in raw frames: it acknowledges SETTINGS and PING, and leaves all else to the test. */
export async function startRawService(options: RawServiceOptions = {}): Promise<RawService> {
  const connections = new Arrivals<RawPeer>();
  let arrived = 0;
  const requests = new Arrivals<RawRequest>();
  const sockets = new Set<net.Socket>();
  const serve = (socket: net.Socket): void => {
    const peer = RawPeer.accept(socket);
    const index = connections.items.length;
    const decoder = new HpackDecoder(4096);
    const open = new Map<number, RawRequest>();
    peer.onFrame = (one) => {
      if (one.type === SETTINGS && (one.flags & ACK) === 0) peer.send(SETTINGS_ACK);
      else if (one.type === PING && (one.flags & ACK) === 0) peer.send(frame(PING, ACK, 0, one.payload));
      const request = open.get(one.stream);
      if (request !== undefined) note(request, one);
      else if (one.type === HEADERS) {
        const made = new RawRequest(peer, index, one.stream, decode(decoder, one.payload));
        open.set(one.stream, made);
        if ((one.flags & END_STREAM) !== 0) note(made, { ...one, type: DATA, payload: new Uint8Array(0) });
        requests.add(made);
        options.serve?.(made);
      }
    };
    peer.send(settings(...(options.settings ?? [])), ...(options.greeting ?? []), windowUpdate(0, LARGE_WINDOW));
    connections.add(peer);
  };
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", (first: Buffer) => {
      socket.pause();
      if (!first.toString("latin1").startsWith("PRI ")) {
        // The agent asks whether we take HTTP/1, too.
        socket.destroy();
        return;
      }
      if (arrived++ > 0 && options.further !== undefined) {
        if (options.further === "closed") socket.destroy();
        return;
      }
      socket.unshift(first);
      serve(socket);
      socket.resume();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    requests,
    request: (path) => requests.next(5000, `a request for ${path}`, (one) => one.path === path),
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function note(request: RawRequest, { type, flags, payload }: ParsedFrame): void {
  if (type === DATA) request.content = Buffer.concat([request.content, payload]);
  if (type === RST_STREAM) request.resetCode ??= new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  else if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) request.complete = true;
  request.changes.add(request.complete || request.wasReset ? "over" : "content");
}

function decode(decoder: HpackDecoder, bytes: Uint8Array): Record<string, string> {
  const fields: Record<string, string> = {};
  decoder.decode(bytes, 0, bytes.length, {
    field: ({ name, value }) => {
      fields[name] = value;
    },
  });
  return fields;
}
