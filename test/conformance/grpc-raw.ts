import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import type { RunningService } from "../../sample/service.ts";
import { envelope } from "../support/grpc-server.ts";
import { within } from "../support/time.ts";

/** A message as it was on the wire: gRPC libraries do not tell whether it was compressed. */
export interface RawMessage {
  readonly compressed: boolean;
  /** Decompressed. */
  readonly bytes: Buffer;
}

export interface RawAnswer {
  readonly status: number;
  readonly messages: readonly RawMessage[];
}

/** A whole call, cut into messages. */
function messagesOf(body: Buffer): RawMessage[] {
  const messages: RawMessage[] = [];
  for (let at = 0; at < body.length;) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    if (end > body.length) throw new Error("The stream ends in the middle of a message.");
    const compressed = body[at] === 1;
    const bytes = body.subarray(at + 5, end);
    messages.push({ compressed, bytes: compressed ? gunzipSync(bytes) : bytes });
    at = end;
  }
  return messages;
}

async function read(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/** One call of `grpc.testing.TestService` on a connection of its own; `ca` where `url` is https. */
export async function callRaw(
  url: string,
  method: string,
  messages: readonly RawMessage[],
  ca: string,
): Promise<RawAnswer> {
  const session = http2.connect(url, { ca });
  try {
    // An error of the connection is one of the stream too, where it is awaited.
    session.on("error", () => undefined);
    const stream = session.request({
      ":method": "POST",
      ":path": `/grpc.testing.TestService/${method}`,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-encoding": "gzip",
      "grpc-accept-encoding": "gzip",
    });
    let status: unknown;
    const note = (fields: http2.IncomingHttpHeaders): void => {
      status = fields["grpc-status"] ?? status;
    };
    stream.on("response", note);
    stream.on("trailers", note);
    for (const { bytes, compressed } of messages) stream.write(envelope(bytes, compressed));
    stream.end();
    const body = await within(15_000, `the answer of ${method}`, read(stream as AsyncIterable<Buffer>));
    if (typeof status !== "string") throw new Error("The call ended without a grpc-status.");
    return { status: Number(status), messages: messagesOf(body) };
  } finally {
    session.destroy();
  }
}

/** Serves by `answer`, gzip where it says so. */
export async function serveRaw(
  answer: (method: string, messages: readonly RawMessage[]) => RawAnswer,
): Promise<RunningService> {
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, fields) => {
    stream.on("error", () => undefined);
    void read(stream as AsyncIterable<Buffer>).then((body) => {
      const { status, messages } = answer((fields[":path"] ?? "").split("/")[2] ?? "", messagesOf(body));
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-encoding": "gzip" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(status) }));
      for (const { bytes, compressed } of messages) stream.write(envelope(bytes, compressed));
      stream.end();
    }, stream.destroy.bind(stream));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}
