import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { within } from "./time.ts";

/** All that a visitor can know about an answer, as plain values. */
export interface Answer {
  readonly status: number;
  /** Interim answers before it. */
  readonly interim: readonly { readonly status: number; readonly fields: readonly string[] }[];
  /** `name: value` in wire order, names in lower case, without what belongs to one connection or moment. */
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
}

/** Fields of one hop (RFC 9110 section 7.6.1), and the clock. */
const HOP_FIELDS = new Set(["connection", "keep-alive", "transfer-encoding", "date", "trailer"]);

export function plainFields(raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]?.toLowerCase() ?? "";
    if (!HOP_FIELDS.has(name)) fields.push(`${name}: ${raw[index + 1] ?? ""}`);
  }
  return fields;
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders | readonly string[];
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array>;
  readonly trailers?: Readonly<Record<string, string>>;
}

/** A body as text when it is short, and as size and hash when it is not. */
export function summary(body: Buffer): string {
  if (body.length < 4096) return body.toString("latin1");
  return `${body.length} octets, sha256 ${createHash("sha256").update(body).digest("hex")}`;
}

/** One request by Node's HTTP/1.1 client, on a connection of its own. Rejects when the answer is cut. */
export async function request(address: string, path: string, options: RequestOptions = {}): Promise<Answer> {
  const interim: { status: number; fields: string[] }[] = [];
  const [host, port] = splitAddress(address);
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const outgoing = http.request({
      host,
      port,
      path,
      method: options.method ?? "GET",
      headers: (options.headers ?? {}) as http.OutgoingHttpHeaders,
      agent: false,
    });
    outgoing.on("error", reject);
    outgoing.on("information", (info) =>
      interim.push({ status: info.statusCode, fields: plainFields(info.rawHeaders) }),
    );
    outgoing.on("response", resolve);
    void send(outgoing, options).catch(reject);
  });
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    interim,
    fields: plainFields(response.rawHeaders),
    body: summary(Buffer.concat(chunks)),
    trailers: plainFields(response.rawTrailers),
  };
}

async function send(outgoing: http.ClientRequest, { body, trailers }: RequestOptions): Promise<void> {
  if (body !== undefined && typeof body !== "string" && Symbol.asyncIterator in body) {
    for await (const chunk of body)
      if (!outgoing.write(chunk)) await new Promise((resolve) => outgoing.once("drain", resolve));
  } else if (body !== undefined) {
    outgoing.write(body);
  }
  if (trailers !== undefined) outgoing.addTrailers(trailers);
  outgoing.end();
}

export function splitAddress(address: string): readonly [host: string, port: number] {
  const url = new URL(`http://${address}`);
  return [url.hostname, Number(url.port)];
}

/** One request by Node's HTTP/2 client with prior knowledge. */
export async function request2(address: string, path: string, options: RequestOptions = {}): Promise<Answer> {
  const session = http2.connect(`http://${address}`);
  try {
    const interim: { status: number; fields: string[] }[] = [];
    return await new Promise<Answer>((resolve, reject) => {
      session.on("error", reject);
      const stream = session.request(
        {
          ":method": options.method ?? "GET",
          ":path": path,
          ...(options.headers as http2.OutgoingHttpHeaders | undefined),
        },
        {
          endStream: options.body === undefined && options.trailers === undefined,
          waitForTrailers: options.trailers !== undefined,
        },
      );
      let status = 0;
      let fields: string[] = [];
      let trailers: string[] = [];
      const chunks: Buffer[] = [];
      const raw = (flat: unknown): string[] =>
        plainFields(
          (flat as string[]).flatMap((text, index, all) =>
            index % 2 === 0 && !text.startsWith(":") ? [text, all[index + 1] ?? ""] : [],
          ),
        );
      stream.on("error", reject);
      stream.on("headers", (head, _flags, ...rest) =>
        interim.push({ status: head[":status"] ?? 0, fields: raw(rest[0]) }),
      );
      stream.on("response", (head, _flags, ...rest) => {
        status = head[":status"] ?? 0;
        fields = raw(rest[0]);
      });
      stream.on("trailers", (_trailers, _flags, ...rest) => (trailers = raw(rest[0])));
      stream.on("wantTrailers", () => stream.sendTrailers({ ...options.trailers }));
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        if (stream.rstCode === 0) resolve({ status, interim, fields, body: summary(Buffer.concat(chunks)), trailers });
      });
      stream.on("close", () => reject(new Error(`The stream ended with code ${stream.rstCode}.`)));
      if (options.body !== undefined) stream.end(options.body as Buffer | string);
      else if (options.trailers !== undefined) stream.end();
    });
  } finally {
    session.destroy();
  }
}

/** A TCP connection on which a test writes and reads by hand. */
export class RawVisitor {
  readonly socket: net.Socket;
  received = "";
  #wake: () => void = () => undefined;
  /** How it ended: `end` (FIN), `error` (RST). */
  readonly closed: Promise<"end" | "error">;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.received += text;
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      socket.on("error", () => resolve("error"));
      socket.on("end", () => resolve("end"));
      socket.on("close", () => resolve("end"));
    });
    void this.closed.then(() => this.#wake());
  }

  static async connect(address: string): Promise<RawVisitor> {
    const [host, port] = splitAddress(address);
    const socket = net.connect({ host, port, allowHalfOpen: true });
    await new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new RawVisitor(socket);
  }

  send(text: string | Uint8Array): void {
    if (typeof text === "string") this.socket.write(text, "latin1");
    else this.socket.write(text);
  }

  /** Resolves with everything received once it matches; rejects when the connection ends first. */
  async receive(pattern: RegExp, ms = 5000): Promise<string> {
    let over = false;
    void this.closed.then(() => {
      over = true;
      this.#wake();
    });
    const wait = async (): Promise<string> => {
      while (!pattern.test(this.received)) {
        if (over)
          throw new Error(
            `The connection ended before ${String(pattern)}: ${JSON.stringify(this.received.slice(0, 400))}`,
          );
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      return this.received;
    };
    return within(ms, `${String(pattern)} in ${JSON.stringify(this.received.slice(0, 400))}`, wait());
  }

  /** Everything received until the peer closes. */
  async rest(ms = 5000): Promise<string> {
    await within(ms, "the end of the connection", this.closed);
    return this.received;
  }

  close(): void {
    this.socket.destroy();
  }
}

export interface CurlResult {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs curl. Exit codes other than 0 are results too. */
export async function curl(...args: string[]): Promise<CurlResult> {
  return new Promise((resolve, reject) => {
    execFile(
      "curl",
      ["--silent", "--show-error", "--max-time", "60", "--noproxy", "*", ...args],
      { encoding: "buffer", maxBuffer: 256 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== "number") reject(new Error(`curl could not run: ${error.message}`));
        else resolve({ exitCode: typeof error?.code === "number" ? error.code : 0, stdout, stderr: stderr.toString() });
      },
    );
  });
}
