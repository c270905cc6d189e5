import net from "node:net";
import { HpackDecoder } from "../../wire/http2/hpack/decoder.ts";
import type { RunningService } from "../../sample/service.ts";
import { FrameParser, SETTINGS_ACK, block, frame, settings, uint32 } from "./frames.ts";
import type { ParsedFrame } from "./frames.ts";
import { Arrivals } from "./time.ts";

/** A request as it stood on the wire of the service. */
export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  /** Names in lower case, in wire order, pseudo-fields left out. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
  /** Its connection ended, or it was reset, before its end. */
  readonly cut: boolean;
  /** Which connection, counted from 0. */
  readonly connection: number;
}

export interface OpenedRequest {
  readonly target: string;
  readonly stream: number;
  readonly connection: number;
  /** Names of fields that nobody may put into a table (RFC 7541 section 6.2.3). */
  readonly neverIndexed: readonly string[];
}

/** Octets to be sent; `close` ends the connection behind them. Undefined: nothing is answered. */
export type RawAnswer = string | { readonly bytes: string | Uint8Array; readonly close: boolean } | undefined;

/**
 * A service that records what reaches it and takes nothing for granted. Its reader was written for this and is as strict
 * as can be: what is not beyond doubt (RFC 9112 section 11.2) goes to `doubts`. A request in `requests` is one that no
 * parser of the world reads in another way.
 */
export interface RecordingService extends RunningService {
  readonly requests: Arrivals<SeenRequest>;
  /** HTTP/2: requests whose head has come. */
  readonly opened: Arrivals<OpenedRequest>;
  /** Why some octets were not beyond doubt. To be empty after each test. */
  readonly doubts: string[];
  readonly connections: readonly net.Socket[];
  /** What is answered; the default says `seen:` and the target. */
  answer: (request: SeenRequest, stream: number) => RawAnswer;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Field content without leading or trailing space; no control octet but HTAB within. */
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;

interface Recording {
  readonly requests: Arrivals<SeenRequest>;
  readonly opened: Arrivals<OpenedRequest>;
  readonly doubts: string[];
  answer: RecordingService["answer"];
}

/** @param version what it speaks, in cleartext. */
export async function startRecordingService(version: 1 | 2): Promise<RecordingService> {
  const connections: net.Socket[] = [];
  const recording: Recording = {
    requests: new Arrivals<SeenRequest>(),
    opened: new Arrivals<OpenedRequest>(),
    doubts: [],
    answer: version === 1 ? ({ target }) => text1(200, `seen:${target}`) : ({ target }, id) => seen2(id, target),
  };
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const index = connections.push(socket) - 1;
    socket.on("error", () => undefined);
    if (version === 1) readHttp1(socket, index, recording);
    else readHttp2(socket, index, recording);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(recording, {
    port: (server.address() as net.AddressInfo).port,
    connections,
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of connections) socket.destroy();
        server.close(() => resolve());
      }),
  });
}

export function text1(status: number, body: string, ...lines: string[]): string {
  return [`HTTP/1.1 ${status} Any`, `Content-Length: ${body.length}`, ...lines, "", body].join("\r\n");
}

/** The answer of HTTP/2 that says what was seen. */
function seen2(stream: number, target: string): RawAnswer {
  const bytes = Buffer.concat([
    frame(0x1, 0x4, stream, block([[":status", "200"]])),
    frame(0x0, 0x1, stream, `seen:${target}`),
  ]);
  return { bytes, close: false };
}

function give(socket: net.Socket, answer: RawAnswer): void {
  if (answer === undefined || socket.destroyed) return;
  const { bytes, close } = typeof answer === "string" ? { bytes: answer, close: false } : answer;
  if (typeof bytes === "string") socket.write(bytes, "latin1");
  else socket.write(bytes);
  if (close) socket.end();
}

interface Read {
  readonly request: Omit<SeenRequest, "connection">;
  /** Offset behind it. */
  readonly end: number;
}

function readHttp1(socket: net.Socket, connection: number, recording: Recording): void {
  let buffer = "";
  socket.setEncoding("latin1");
  socket.on("data", (piece: string) => {
    buffer += piece;
    for (;;) {
      // The two ways in which the agent finds out what is spoken here: never a request.
      if (/^(?:PRI \* HTTP\/2\.0\r\n|OPTIONS \* HTTP\/1\.1\r\n\r\n)/.test(buffer)) {
        buffer = "";
        give(socket, { bytes: text1(400, "", "Connection: close"), close: true });
        return;
      }
      const read = readRequest(buffer, false, recording.doubts);
      if (read === undefined) return;
      buffer = buffer.slice(read.end);
      const request = { ...read.request, connection };
      recording.requests.add(request);
      give(socket, recording.answer(request, 0));
    }
  });
  socket.on("end", () => socket.end());
  socket.on("close", () => {
    if (buffer === "" || buffer.startsWith("PRI")) return;
    const read = readRequest(buffer, true, recording.doubts);
    if (read !== undefined) recording.requests.add({ ...read.request, connection });
  });
}

/** The first request of `text`; undefined while it is not complete. @param ended nothing follows: what is there was cut. */
function readRequest(text: string, ended: boolean, doubts: string[]): Read | undefined {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) {
    if (ended) doubts.push(`half a head: ${JSON.stringify(text.slice(0, 200))}`);
    return undefined;
  }
  const [line = "", ...rest] = text.slice(0, headEnd).split("\r\n");
  const start = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.1$/.exec(line);
  if (start === null) doubts.push(`request line ${JSON.stringify(line.slice(0, 200))}`);
  const fields = readFields(rest, doubts);
  const all = (name: string): string[] => fields.filter(([one]) => one === name).map(([, value]) => value);
  const [lengths, codings, hosts] = [all("content-length"), all("transfer-encoding"), all("host")];
  if (lengths.length + codings.length > 1) doubts.push(`framing ${lengths.join(" ")} ${codings.join(" ")}`);
  if (hosts.length !== 1) doubts.push(`${hosts.length} hosts`);
  const request = { method: start?.[1] ?? "", target: start?.[2] ?? "", fields, body: "", trailers: [], cut: false };
  const from = headEnd + 4;
  if (codings.length > 0) {
    if (codings[0] !== "chunked") doubts.push(`transfer-encoding ${JSON.stringify(codings[0])}`);
    return readChunks(request, text, from, ended, doubts);
  }
  const [length = "0"] = lengths;
  if (!/^(?:0|[1-9][0-9]*)$/.test(length)) doubts.push(`content-length ${JSON.stringify(length)}`);
  const end = from + Number(length);
  if (text.length >= end) return { request: { ...request, body: text.slice(from, end) }, end };
  return ended ? { request: { ...request, body: text.slice(from), cut: true }, end: text.length } : undefined;
}

function readFields(lines: readonly string[], doubts: string[]): (readonly [string, string])[] {
  return lines.map((line) => {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (!TOKEN.test(name) || !VALUE.test(value)) doubts.push(`field line ${JSON.stringify(line.slice(0, 200))}`);
    return [name.toLowerCase(), value];
  });
}

function readChunks(
  head: Omit<SeenRequest, "connection">,
  text: string,
  from: number,
  ended: boolean,
  doubts: string[],
): Read | undefined {
  let body = "";
  let at = from;
  for (;;) {
    const match = /^([0-9a-f]{1,8})\r\n/i.exec(text.slice(at, at + 10));
    if (match === null) {
      if (text.length - at >= 10) doubts.push(`chunk size ${JSON.stringify(text.slice(at, at + 10))}`);
      break;
    }
    const size = Number.parseInt(match[1] ?? "", 16);
    at += match[0].length;
    if (size === 0) {
      const end = text.startsWith("\r\n", at) ? at : text.indexOf("\r\n\r\n", at) + 2;
      if (end < at) break;
      const lines = end === at ? [] : text.slice(at, end - 2).split("\r\n");
      return { request: { ...head, body, trailers: readFields(lines, doubts) }, end: end + 2 };
    }
    if (text.length < at + size + 2) break;
    body += text.slice(at, at + size);
    if (text.slice(at + size, at + size + 2) !== "\r\n") doubts.push("a chunk is longer than its size");
    at += size + 2;
  }
  return ended ? { request: { ...head, body, cut: true }, end: text.length } : undefined;
}

interface OpenStream {
  fields: (readonly [string, string])[];
  trailers: (readonly [string, string])[];
  headed: boolean;
  /** END_STREAM stood in a HEADERS that CONTINUATION follows. */
  ending: boolean;
  body: string;
}

function readHttp2(socket: net.Socket, connection: number, recording: Recording): void {
  const parser = new FrameParser();
  const decoder = new HpackDecoder(4096);
  const streams = new Map<number, OpenStream>();
  let preface: Buffer | undefined = Buffer.alloc(0);
  let fragments: Uint8Array[] = [];
  const done = (id: number, stream: OpenStream, cut: boolean): void => {
    streams.delete(id);
    const { body, trailers } = stream;
    const fields = stream.fields.filter(([name]) => !name.startsWith(":"));
    const request = {
      method: valueOf(stream, ":method"),
      target: valueOf(stream, ":path"),
      fields,
      body,
      trailers,
      cut,
      connection,
    };
    recording.requests.add(request);
    if (!cut) give(socket, recording.answer(request, id));
  };
  const received = ({ type, flags, stream: id, payload }: ParsedFrame): void => {
    const stream = streams.get(id) ?? { fields: [], trailers: [], headed: false, ending: false, body: "" };
    if (type === 0x4 && (flags & 1) === 0) socket.write(SETTINGS_ACK);
    else if (type === 0x3 && streams.has(id)) done(id, stream, true);
    else if (type === 0x1 || type === 0x9) {
      fragments.push(payload);
      streams.set(id, stream);
      stream.ending ||= type === 0x1 && (flags & 0x1) !== 0;
      if ((flags & 0x4) === 0) return;
      const whole = Buffer.concat(fragments);
      fragments = [];
      const list = stream.headed ? stream.trailers : stream.fields;
      const neverIndexed: string[] = [];
      decoder.decode(whole, 0, whole.length, {
        field: (field) => {
          if (field.neverIndexed === true) neverIndexed.push(field.name);
          list.push([judged(field.name, field.value, recording.doubts), field.value]);
        },
      });
      if (!stream.headed)
        recording.opened.add({ target: valueOf(stream, ":path"), stream: id, connection, neverIndexed });
      stream.headed = true;
      // A CONNECT has no end before its answer.
      if (stream.ending || valueOf(stream, ":method") === "CONNECT") done(id, stream, false);
    } else if (type === 0x0 && payload.length > 0) {
      stream.body += Buffer.from(payload).toString("latin1");
      for (const one of [0, id]) socket.write(frame(0x8, 0, one, uint32(payload.length)));
    }
    if (type === 0x0 && (flags & 0x1) !== 0 && streams.has(id)) done(id, stream, false);
  };
  socket.write(settings([0x8, 1]));
  socket.on("data", (bytes: Buffer) => {
    let rest = bytes;
    if (preface !== undefined) {
      preface = Buffer.concat([preface, bytes]);
      if (preface.length < 24) return;
      if (!preface.toString("latin1").startsWith("PRI * HTTP/2.0")) {
        socket.destroy();
        return;
      }
      rest = preface.subarray(24);
      preface = undefined;
    }
    for (const one of parser.push(rest)) received(one);
  });
  socket.on("end", () => socket.end());
  socket.on("close", () => {
    for (const [id, stream] of streams) done(id, stream, true);
  });
}

function valueOf({ fields }: OpenStream, name: string): string {
  return fields.find(([one]) => one === name)?.[1] ?? "";
}

function judged(name: string, value: string, doubts: string[]): string {
  const plain = name.startsWith(":") ? name.slice(1) : name;
  if (!TOKEN.test(plain) || plain !== plain.toLowerCase() || !VALUE.test(value))
    doubts.push(`field ${JSON.stringify(name.slice(0, 200))}: ${JSON.stringify(value.slice(0, 200))}`);
  return name;
}
