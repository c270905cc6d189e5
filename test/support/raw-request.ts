import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  HEADERS,
  RST_STREAM,
  RawPeer,
  block,
  describe,
  frame,
} from "./frames.ts";
import { RawVisitor, splitAddress } from "./http.ts";
import { HpackDecoder } from "../../wire/http2/hpack/decoder.ts";

export type Pair = readonly [name: string, value: string];

/** HEADERS and as many CONTINUATIONs as it takes. */
export function headFrames(stream: number, fields: readonly Pair[], flags: number): Uint8Array {
  const bytes = block(fields);
  const parts: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += 16_384) {
    const last = at + 16_384 >= bytes.length ? END_HEADERS : 0;
    const type = at === 0 ? HEADERS : CONTINUATION;
    parts.push(frame(type, (at === 0 ? flags : 0) | last, stream, bytes.slice(at, at + 16_384)));
  }
  return Buffer.concat(parts);
}

/** What became of a request: a status and body, or `reset` (the stream or the connection was ended). */
export interface RawOutcome {
  readonly status: number | "reset";
  readonly fields: readonly Pair[];
  readonly body: string;
  /** The frames or octets, for messages. */
  readonly text: string;
}

/** Sends the fields as they are on a connection of its own, which is raw frames; any octet passes. */
export async function rawRequest2(address: string, fields: readonly Pair[], body?: string): Promise<RawOutcome> {
  const peer = await RawPeer.connect(splitAddress(address)[1]);
  try {
    peer.send(headFrames(1, fields, body === undefined ? END_STREAM : 0));
    if (body !== undefined) peer.send(frame(DATA, END_STREAM, 1, body));
    return await outcome2(peer, 1);
  } finally {
    peer.destroy();
  }
}

export async function outcome2(peer: RawPeer, stream: number): Promise<RawOutcome> {
  const frames = await peer.until((all) =>
    all.some(
      ({ type, flags, stream: id }) =>
        type === GOAWAY || (id === stream && (type === RST_STREAM || (type <= HEADERS && (flags & END_STREAM) !== 0))),
    ),
  );
  const decoder = new HpackDecoder(4096);
  const fields: Pair[] = [];
  const fragments: Uint8Array[] = [];
  for (const { type, flags, stream: id, payload } of frames) {
    if (type !== HEADERS && type !== CONTINUATION) continue;
    fragments.push(payload);
    if ((flags & END_HEADERS) === 0) continue;
    const bytes = Buffer.concat(fragments.splice(0));
    const sink = { field: (field: { name: string; value: string }) => fields.push([field.name, field.value]) };
    // Other streams' heads too: the table must follow.
    decoder.decode(bytes, 0, bytes.length, id === stream ? sink : { field: () => undefined });
  }
  const status = fields.find(([name]) => name === ":status")?.[1];
  const data = frames.filter(({ type, stream: id }) => type === DATA && id === stream).map(({ payload }) => payload);
  return {
    status: status === undefined ? "reset" : Number(status),
    fields,
    body: Buffer.concat(data).toString("latin1"),
    text: frames.map(describe).join(", "),
  };
}

/** Sends the text on a connection of its own, then half-closes; the first answer. */
export async function rawRequest1(address: string, text: string): Promise<RawOutcome> {
  const visitor = await RawVisitor.connect(address);
  visitor.send(text);
  visitor.socket.end();
  const answer = await visitor.rest();
  visitor.close();
  const [head = "", ...rest] = answer.split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1];
  const fields = lines.map((line): Pair => [
    line.slice(0, line.indexOf(":")).toLowerCase(),
    line.replace(/^[^:]*: ?/, ""),
  ]);
  return { status: status === undefined ? "reset" : Number(status), fields, body: rest.join("\r\n\r\n"), text: answer };
}
