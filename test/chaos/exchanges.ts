import http from "node:http";
import http2 from "node:http2";
import { WebSocket } from "ws";
import { GrpcClient } from "../support/grpc.ts";
import { splitAddress } from "../support/http.ts";
import { until } from "../support/time.ts";
import { Checker, expected, MESSAGES } from "./checker.ts";
import { startGrpcService, startHttpService } from "./service.ts";
import type { ChaosService, Ending } from "./service.ts";

export interface Outcome {
  readonly visitor: Ending;
  /** Why what the visitor got is not a beginning of what was sent, or not all of it although it looked whole. */
  readonly wrong: string | undefined;
}

/** An exchange whose first half has come through. */
export interface Exchange {
  /** Sends the second half. */
  proceed(): void;
  readonly outcome: Promise<Outcome>;
  close(): void;
}

/** A kind of exchange: its service, and a visitor of it. */
export interface Kind {
  startService(octets: number): Promise<ChaosService>;
  /** Resolves when half has come through; rejects when the exchange ends before. */
  begin(address: string, service: ChaosService, octets: number): Promise<Exchange>;
}

function message(index: number, octets: number): Buffer {
  const size = octets / MESSAGES;
  return expected(octets).subarray(index * size, (index + 1) * size);
}

/** What is known of an answer that is read octet by octet. */
class Reading {
  readonly checker: Checker;
  readonly outcome: Promise<Outcome>;
  #settle: (outcome: Outcome) => void = () => undefined;
  settled: Outcome | undefined;

  constructor(octets: number) {
    this.checker = new Checker(expected(octets));
    this.outcome = new Promise((resolve) => (this.#settle = resolve));
  }

  end(visitor: Ending, wrong?: string): void {
    const { checker } = this;
    const short = visitor === "complete" && !checker.complete ? `whole after ${checker.octets} octets` : undefined;
    this.settled ??= { visitor, wrong: wrong ?? checker.wrong ?? short };
    this.#settle(this.settled);
  }

  /** Resolves when `octets` have come. */
  async has(octets: number): Promise<void> {
    await until(60_000, `${octets} octets of the answer`, () => {
      if (this.checker.octets >= octets) return true;
      if (this.settled !== undefined) throw new Error(`The exchange ended in its first half: ${this.settled.visitor}`);
      return false;
    });
  }
}

async function get(address: string, path: string, service: ChaosService, octets: number): Promise<Exchange> {
  const [host, port] = splitAddress(address);
  const reading = new Reading(octets);
  const request = http.get({ host, port, path, agent: false }, (response) => {
    if (response.statusCode !== 200) {
      response.resume();
      reading.end("cut");
      return;
    }
    response.on("data", (chunk: Buffer) => reading.checker.read(chunk));
    response.on("error", () => undefined);
    response.on("close", () => reading.end(response.complete ? "complete" : "cut"));
  });
  request.on("error", () => reading.end("cut"));
  const exchange = { proceed: () => service.proceed(), outcome: reading.outcome, close: () => request.destroy() };
  return begun(exchange, reading.has(octets / 2));
}

/** An exchange that fails before its half is closed. */
async function begun(exchange: Exchange, half: Promise<unknown>): Promise<Exchange> {
  try {
    await half;
    return exchange;
  } catch (error) {
    exchange.close();
    throw error;
  }
}

export const kinds = {
  GET: {
    startService: startHttpService,
    begin: (address, service, octets) => get(address, "/length", service, octets),
  },

  "GET, h2": {
    startService: startHttpService,
    begin(address, service, octets) {
      const reading = new Reading(octets);
      const session = http2.connect(`http://${address}`);
      session.on("error", () => reading.end("cut"));
      const stream = session.request({ ":path": "/chunked" });
      let failed = false;
      stream.on("response", (head) => (failed ||= head[":status"] !== 200));
      stream.on("data", (chunk: Buffer) => {
        if (!failed) reading.checker.read(chunk);
      });
      stream.on("error", () => (failed = true));
      stream.on("aborted", () => (failed = true));
      // RST_STREAM, or the end of the connection, sets the code before "close"; END_STREAM leaves it 0.
      stream.on("close", () => reading.end(failed || stream.rstCode !== 0 ? "cut" : "complete"));
      const exchange = { proceed: () => service.proceed(), outcome: reading.outcome, close: () => session.destroy() };
      return begun(exchange, reading.has(octets / 2));
    },
  },

  upload: {
    startService: startHttpService,
    begin(address, service, octets) {
      const [host, port] = splitAddress(address);
      const reading = new Reading(octets);
      const body = expected(octets);
      const before = service.received;
      const request = http.request({ host, port, path: "/upload", method: "POST", agent: false });
      request.on("error", () => reading.end("cut"));
      request.on("close", () => reading.end("cut"));
      request.on("response", (response) => {
        let told = "";
        response.on("data", (chunk: Buffer) => (told += chunk.toString()));
        response.on("error", () => undefined);
        response.on("close", () => {
          // The service has counted; what it has read it checks itself.
          if (response.complete && response.statusCode === 200 && told === String(octets)) reading.checker.read(body);
          reading.end(response.complete && response.statusCode === 200 ? "complete" : "cut");
        });
      });
      request.write(body.subarray(0, octets / 2));
      const half = until(60_000, "half of the upload", () => {
        if (service.received - before >= octets / 2) return true;
        if (reading.settled !== undefined) throw new Error("The upload ended in its first half");
        return false;
      });
      const exchange = {
        proceed: () => void request.end(body.subarray(octets / 2)),
        outcome: reading.outcome,
        close: () => request.destroy(),
      };
      return begun(exchange, half);
    },
  },

  SSE: {
    startService: startHttpService,
    begin: (address, service, octets) => get(address, "/events", service, octets),
  },

  WebSocket: {
    startService: startHttpService,
    begin(address, _service, octets) {
      const reading = new Reading(octets);
      const socket = new WebSocket(`ws://${address}/echo`, { perMessageDeflate: false });
      let wrong: string | undefined;
      const send = (from: number, to: number): void => {
        for (let index = from; index < to; index++) socket.send(message(index, octets));
      };
      socket.on("error", () => undefined);
      socket.on("open", () => send(0, MESSAGES / 2));
      socket.on("message", (data: Buffer) => {
        if (data.length !== octets / MESSAGES) wrong ??= `a message of ${data.length} octets`;
        reading.checker.read(data);
        if (reading.checker.octets === octets) socket.close(1000);
      });
      // 1006: the connection ended without a close frame.
      socket.on("close", (code) => {
        if (code !== 1006 && code !== 1000) wrong ??= `closed with ${code}`;
        reading.end(code === 1006 ? "cut" : "complete", wrong);
      });
      const exchange = {
        proceed: () => send(MESSAGES / 2, MESSAGES),
        outcome: reading.outcome,
        close: () => socket.terminate(),
      };
      return begun(exchange, reading.has(octets / 2));
    },
  },

  "gRPC bidi": {
    startService: startGrpcService,
    begin(address, _service, octets) {
      const reading = new Reading(octets);
      const client = new GrpcClient(address, "diagnostics.v1.Diagnostics");
      const call = client.start("Converse");
      const send = (from: number, to: number): void => {
        for (let index = from; index < to; index++) call.write({ payload: message(index, octets) });
      };
      void call.result.then(({ code, messages }) => {
        reading.checker.octets = 0;
        for (const answer of messages) reading.checker.read((answer as { payload: Buffer }).payload);
        reading.end(code === "OK" ? "complete" : "cut");
      });
      send(0, MESSAGES / 2);
      const exchange = {
        proceed() {
          send(MESSAGES / 2, MESSAGES);
          call.end();
        },
        outcome: reading.outcome,
        close() {
          call.cancel();
          client.close();
        },
      };
      return begun(exchange, call.message(MESSAGES / 2 - 1));
    },
  },
} as const satisfies Readonly<Record<string, Kind>>;

export type KindName = keyof typeof kinds;
export const kindNames = Object.keys(kinds) as KindName[];
