import { createHash } from "node:crypto";
import http from "node:http";
import http2 from "node:http2";
import { WebSocket } from "ws";
import { pattern } from "../../sample/http/routes.ts";
import { GrpcClient } from "../support/grpc.ts";
import { splitAddress } from "../support/http.ts";

/** An answer that is not what was asked for: never allowed. Every other error is a failed exchange. */
export class WrongAnswer extends Error {
  override readonly name = "WrongAnswer";
}

export interface Addresses {
  readonly http: string;
  readonly websocket: string;
  readonly grpc: string;
}

/** One visitor: makes exchanges of one kind, one after the other. */
export interface Visitor {
  /** One exchange. Rejects when it failed, with `WrongAnswer` when it lied. */
  exchange(round: number): Promise<void>;
  close(): void;
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new WrongAnswer(what);
}

/** Counts the octets of `/download`, each of which has its place. */
class PatternReader {
  octets = 0;

  read(chunk: Buffer): void {
    for (let from = 0; from < chunk.length;) {
      const block = pattern(this.octets, this.octets + chunk.length - from);
      expect(block.equals(chunk.subarray(from, from + block.length)), `octets from ${this.octets} on are not as sent`);
      from += block.length;
      this.octets += block.length;
    }
  }
}

function answerOf(request: http.ClientRequest): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("response", resolve);
  });
}

async function text(response: http.IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return body;
}

function status(seen: number | undefined, what: string): void {
  if (seen !== 200) throw new Error(`${what}: status ${seen ?? "?"}`);
}

function http1(address: string) {
  const [host, port] = splitAddress(address);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  return {
    send: (path: string, options: http.RequestOptions = {}) => http.request({ host, port, path, agent, ...options }),
    close: () => agent.destroy(),
  };
}

/** One HTTP/2 connection, made anew after 100 requests or when it is gone. */
class Http2Visitor {
  readonly #address: string;
  #session: http2.ClientHttp2Session | undefined;
  #requests = 0;

  constructor(address: string) {
    this.#address = address;
  }

  send(path: string, method = "GET"): http2.ClientHttp2Stream {
    if (this.#session === undefined || this.#session.destroyed || this.#session.closed || ++this.#requests > 100) {
      this.#session?.close();
      this.#requests = 0;
      this.#session = http2.connect(`http://${this.#address}`);
      this.#session.on("error", () => undefined);
    }
    return this.#session.request({ ":path": path, ":method": method }, { endStream: method === "GET" });
  }

  close(): void {
    this.#session?.destroy();
  }
}

/** Rejects when the stream did not end well. */
async function whole(stream: http2.ClientHttp2Stream, read: (chunk: Buffer) => void): Promise<void> {
  let answered: number | undefined;
  let wrong: unknown;
  stream.on("response", (head) => (answered = head[":status"]));
  stream.on("data", (chunk: Buffer) => {
    try {
      if (answered === 200) read(chunk);
    } catch (error) {
      wrong = error;
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }
  });
  let failure: Error | undefined;
  stream.on("error", (error: Error) => (failure = error));
  await new Promise((resolve) => stream.on("close", resolve));
  if (wrong instanceof Error) throw wrong;
  if (failure !== undefined) throw failure;
  if (stream.rstCode !== 0) throw new Error(`reset with code ${stream.rstCode}`);
  status(answered, "HTTP/2");
}

const MEBIBYTE = 1024 * 1024;
const UPLOAD = Buffer.alloc(3 * MEBIBYTE, pattern(0, 251 * 8));

/** 1, 2 or 3 MiB and a bit. */
const size = (round: number): number => ((round % 3) + 1) * MEBIBYTE - (round % 1000);

export const visitors: Readonly<Record<string, (addresses: Addresses) => Visitor>> = {
  "GET, HTTP/1.1"({ http: address }) {
    const visitor = http1(address);
    return {
      async exchange() {
        const response = await answerOf(visitor.send("/api/products/lamp-7").end());
        const body = await text(response);
        status(response.statusCode, "GET");
        expect(body === '{"sku":"lamp-7","title":"Nordlicht","price":{"currency":"EUR","amount":49.9}}\n', body);
      },
      close: visitor.close,
    };
  },

  "GET, HTTP/2"({ http: address }) {
    const visitor = new Http2Visitor(address);
    return {
      async exchange(round) {
        const reader = new PatternReader();
        const octets = 1 + (round % 5000);
        await whole(visitor.send(`/download?bytes=${octets}`), (chunk) => reader.read(chunk));
        expect(reader.octets === octets, `${reader.octets} octets of ${octets}`);
      },
      close: () => visitor.close(),
    };
  },

  "download, HTTP/1.1"({ http: address }) {
    const visitor = http1(address);
    return {
      async exchange(round) {
        const octets = size(round);
        const response = await answerOf(
          visitor.send(`/download?bytes=${octets}${round % 2 === 0 ? "&chunked" : ""}`).end(),
        );
        const reader = new PatternReader();
        const failed = response.statusCode !== 200;
        for await (const chunk of response) if (!failed) reader.read(chunk as Buffer);
        status(response.statusCode, "download");
        expect(reader.octets === octets, `${reader.octets} octets of ${octets}`);
      },
      close: visitor.close,
    };
  },

  "download, HTTP/2"({ http: address }) {
    const visitor = new Http2Visitor(address);
    return {
      async exchange(round) {
        const reader = new PatternReader();
        await whole(visitor.send(`/download?bytes=${size(round)}`), (chunk) => reader.read(chunk));
        expect(reader.octets === size(round), `${reader.octets} octets of ${size(round)}`);
      },
      close: () => visitor.close(),
    };
  },

  upload({ http: address }) {
    const visitor = http1(address);
    return {
      async exchange(round) {
        const body = UPLOAD.subarray(0, size(round));
        const request = visitor.send("/upload", {
          method: "POST",
          headers: round % 2 === 0 ? { "content-length": body.length } : { "transfer-encoding": "chunked" },
        });
        const answer = answerOf(request);
        request.end(body);
        const response = await answer;
        const told = await text(response);
        status(response.statusCode, "upload");
        const sha256 = createHash("sha256").update(body).digest("hex");
        expect(told === `${JSON.stringify({ bytes: body.length, sha256, trailers: {} })}\n`, told);
      },
      close: visitor.close,
    };
  },

  "server-sent events"({ http: address }) {
    const visitor = http1(address);
    return {
      async exchange() {
        const response = await answerOf(visitor.send("/events?count=20&interval=25").end());
        const body = await text(response);
        status(response.statusCode, "events");
        const seen = [...body.matchAll(/"sequence":(\d+)/g)].map(([, digits]) => Number(digits));
        expect(seen.length === 20 && seen.every((one, index) => one === index), `events ${seen.join(" ")}`);
      },
      close: visitor.close,
    };
  },

  "WebSocket echo"({ websocket: address }) {
    return {
      async exchange(round) {
        const socket = new WebSocket(`ws://${address}/echo`);
        let received = 0;
        await new Promise<void>((resolve, reject) => {
          const payload = (index: number): Buffer => pattern(index, index + ((round * 37 + index * 6000) % 60_000));
          socket.on("error", reject);
          socket.on("open", () => {
            for (let index = 0; index < 10; index++) socket.send(payload(index));
          });
          socket.on("message", (data: Buffer) => {
            if (!data.equals(payload(received))) reject(new WrongAnswer(`message ${received} is not as sent`));
            if (++received === 10) socket.close(1000);
          });
          socket.on("close", (code) => {
            if (received === 10 && code === 1000) resolve();
            else if (code === 1006) reject(new Error(`cut after ${received} messages`));
            else reject(new WrongAnswer(`closed with ${code} after ${received} messages`));
          });
        });
      },
      close: () => undefined,
    };
  },

  "gRPC unary": ({ grpc: address }) => grpcVisitor(address, "Echo", 1),
  "gRPC bidi": ({ grpc: address }) => grpcVisitor(address, "Converse", 20),

  "given up": ({ http: address, websocket, grpc }) => abandoning(address, websocket, grpc),
};

function grpcVisitor(address: string, method: string, messages: number): Visitor {
  let client = new GrpcClient(address, "diagnostics.v1.Diagnostics");
  return {
    async exchange(round) {
      if (round % 200 === 199) {
        client.close();
        client = new GrpcClient(address, "diagnostics.v1.Diagnostics");
      }
      const payload = (index: number): Buffer => pattern(index, index + ((round * 131 + index * 997) % 20_000));
      const call = client.start(method, { deadlineMs: 30_000 });
      for (let index = 0; index < messages; index++) call.write({ payload: payload(index) });
      call.end();
      const { code, details, messages: answers } = await call.result;
      answers.forEach((answer, index) => {
        const { payload: echoed } = answer as { payload: Buffer };
        expect(payload(index).equals(echoed), `${method}: message ${index} is not as sent`);
      });
      if (code !== "OK") throw new Error(`${method}: ${code} ${details}`);
      expect(answers.length === messages, `${method}: OK after ${answers.length} messages of ${messages}`);
    },
    close: () => client.close(),
  };
}

/** Leaves in the middle, each time in another way. What matters is what remains behind. */
function abandoning(address: string, websocket: string, grpc: string): Visitor {
  const multiplexed = new Http2Visitor(address);
  const client = new GrpcClient(grpc, "diagnostics.v1.Diagnostics");
  const [host, port] = splitAddress(address);
  const ways: readonly (() => Promise<void>)[] = [
    async () => {
      const response = await answerOf(http.get({ host, port, path: "/download?bytes=50000000", agent: false }));
      await new Promise((resolve) => response.once("data", resolve).once("close", resolve));
      response.on("error", () => undefined).destroy();
    },
    async () => {
      const stream = multiplexed.send("/download?bytes=50000000");
      stream.on("error", () => undefined);
      await new Promise((resolve) => stream.once("data", resolve).once("close", resolve));
      stream.close(http2.constants.NGHTTP2_CANCEL);
    },
    async () => {
      const request = http.request({ host, port, path: "/upload", method: "POST", agent: false });
      request.on("error", () => undefined);
      await new Promise<void>((resolve) => request.write(UPLOAD.subarray(0, 500_000), () => resolve()));
      request.destroy();
    },
    async () => {
      const request = http.get({ host, port, path: "/delay?ms=60000", agent: false });
      request.on("error", () => undefined);
      await new Promise((resolve) =>
        request.once("socket", (socket) => socket.once("connect", resolve)).once("close", resolve),
      );
      request.destroy();
    },
    async () => {
      const call = client.start("Converse");
      call.write({ payload: Buffer.alloc(10_000) });
      await call.message(0);
      call.cancel();
      await call.result;
    },
    async () => {
      const socket = new WebSocket(`ws://${websocket}/ticker?interval=5`);
      socket.on("error", () => undefined);
      await new Promise((resolve) => socket.once("message", resolve).once("close", resolve));
      socket.terminate();
    },
  ];
  return {
    async exchange(round) {
      await ways[round % ways.length]?.();
    },
    close() {
      multiplexed.close();
      client.close();
    },
  };
}
