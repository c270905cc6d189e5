import http from "node:http";
import { Duplex } from "node:stream";

export interface OracleMessage {
  /** Method and target, or the status. */
  readonly start: string;
  /** Names and values as they came, names in lower case. */
  readonly fields: readonly (readonly [string, string])[];
  body: string;
  trailers: readonly (readonly [string, string])[];
}

/** What came of some octets. */
export interface Verdict {
  /** Those that are complete, in order. */
  readonly messages: readonly OracleMessage[];
  /** One more has a valid head, and its body is not complete: its first line. */
  readonly open: string | undefined;
  /** Nothing is read any more: why. Undefined: more octets are awaited. */
  readonly refused: string | undefined;
}

/** One end of a connection in memory. What is written to it is lost. */
class Wire extends Duplex {
  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

function pairs(raw: readonly string[]): [string, string][] {
  const list: [string, string][] = [];
  for (let index = 0; index < raw.length; index += 2)
    list.push([(raw[index] ?? "").toLowerCase(), raw[index + 1] ?? ""]);
  return list;
}

function collect(message: http.IncomingMessage, start: string, messages: OracleMessage[]): OracleMessage {
  const own: OracleMessage = { start, fields: pairs(message.rawHeaders), body: "", trailers: [] };
  message.setEncoding("latin1");
  message.on("data", (text: string) => (own.body += text));
  message.on("error", () => undefined);
  message.on("end", () => {
    if (!message.complete) return;
    own.trailers = pairs(message.rawTrailers);
    messages.push(own);
  });
  return own;
}

/** Streams hand things on by microtasks and `nextTick`; without sockets a turn of the loop is the end of that. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

const STRICT = { insecureHTTPParser: false, maxHeaderSize: 128 * 1024 } as const;

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}

/** Node's parser (llhttp, strict) as a server. */
export class NodeServer {
  readonly #server = http.createServer({ ...STRICT, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 });
  #messages: OracleMessage[] = [];
  #started: OracleMessage[] = [];
  #refused: string[] = [];

  constructor() {
    const take = (message: http.IncomingMessage, response: http.ServerResponse): void => {
      this.#started.push(collect(message, `${message.method ?? ""} ${message.url ?? ""}`, this.#messages));
      // Not before: an answer that closes takes the rest of the request away.
      message.on("end", () => response.end());
    };
    this.#server.on("request", take).on("checkExpectation", take);
    this.#server.on("checkContinue", (message, response) => {
      // Without it the connection would be closed.
      response.writeContinue();
      take(message, response);
    });
    this.#server.on("clientError", (error) => {
      // The connection is left open: what was complete before is still to be handed out.
      this.#refused.push(codeOf(error));
    });
  }

  async parse(text: string): Promise<Verdict> {
    this.#messages = [];
    this.#started = [];
    this.#refused = [];
    const wire = new Wire();
    this.#server.emit("connection", wire);
    wire.push(Buffer.from(text, "latin1"));
    await settled();
    const refused = this.#refused[0] ?? (wire.destroyed || wire.writableEnded ? "closed" : undefined);
    wire.destroy();
    return { messages: this.#messages, open: this.#started[this.#messages.length]?.start, refused };
  }
}

/** Node's parser as a client that sent one request: heads of 1xx, then the answer. */
export async function parseAnswer(method: string, text: string, end: boolean): Promise<Verdict> {
  const wire = new Wire();
  const messages: OracleMessage[] = [];
  const seen: { refused?: string; answer?: OracleMessage } = {};
  const request = http.request({ ...STRICT, method, createConnection: () => wire });
  request.on("information", ({ statusCode, rawHeaders }) => {
    messages.push({ start: String(statusCode), fields: pairs(rawHeaders), body: "", trailers: [] });
  });
  request.on("response", (message) => {
    seen.answer = collect(message, String(message.statusCode), messages);
    message.on("aborted", () => (seen.refused ??= "aborted"));
  });
  request.on("upgrade", () => (seen.refused ??= "upgrade"));
  request.on("error", (error) => (seen.refused ??= codeOf(error)));
  request.end();
  await settled();
  wire.push(Buffer.from(text, "latin1"));
  if (end) wire.push(null);
  await settled();
  wire.destroy();
  const { refused, answer } = seen;
  return { messages, open: answer === undefined || messages.includes(answer) ? undefined : answer.start, refused };
}
