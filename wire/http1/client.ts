import type { Failure, FailureCode, Fields, Party, Stream, StreamEvents } from "../stream.ts";
import type { HttpConnection, HttpConnectionEvents, Transport } from "../transport.ts";
import { planRequest } from "./ask.ts";
import type { RequestPlan } from "./ask.ts";
import { writableTrailers } from "./answer.ts";
import { BodyReader } from "./body.ts";
import { Exchange } from "./exchange.ts";
import type { ExchangeOwner } from "./exchange.ts";
import { HeadReader } from "./head.ts";
import { Intake } from "./intake.ts";
import { SERVICE_LIMITS } from "./limits.ts";
import type { Http1Limits } from "./limits.ts";
import { EMPTY } from "./octets.ts";
import { interpretResponse } from "./response.ts";
import type { ResponseHead } from "./response.ts";
import { BodyWriter, writeHead } from "./write.ts";

export interface Http1ClientOptions {
  readonly transport: Transport;
  readonly events: HttpConnectionEvents;
  /** Sec-WebSocket-Accept for a Sec-WebSocket-Key, RFC 6455 section 4.2.2. */
  readonly acceptKey: (key: string) => string;
  /** A new Sec-WebSocket-Key: 16 random octets in base64. */
  readonly randomKey: () => string;
  readonly limits?: Partial<Http1Limits>;
  /** Who is at the other end. */
  readonly peer: Party;
  /** Who we are. */
  readonly party: Party;
}

type Phase =
  /** No exchange is open, the next one may be. */
  | "idle"
  /** The head of an answer is awaited. */
  | "head"
  | "body"
  /** The answer is complete, the request is not yet. */
  | "answered"
  /** After 101: octets as they are, both ways. */
  | "tunnel"
  /** Orderly: our FIN is sent. */
  | "closing"
  | "closed";

/**
 * The service's end of HTTP/1.1 (RFC 9112), one exchange at a time. No time limit is judged here: a service that stands at a
 * breakpoint may take as long as its visitor has patience.
 */
export class Http1Client implements HttpConnection, ExchangeOwner {
  readonly extendedConnect = true;

  readonly #transport: Transport;
  readonly #events: HttpConnectionEvents;
  readonly #limits: Http1Limits;
  readonly #acceptKey: (key: string) => string;
  readonly #randomKey: () => string;
  readonly #peer: Party;
  readonly #party: Party;
  readonly #head: HeadReader;
  readonly #body: BodyReader;
  readonly #writer: BodyWriter;
  readonly #intake: Intake;

  #phase: Phase = "idle";
  #completed = 0;
  #draining = false;
  #drainingTold = false;
  #ended = false;
  #peerEnded = false;
  /** The service takes nothing any more; what it said before is still read. */
  #writingFailed = false;
  #failure: Failure | undefined;

  #exchange: Exchange | undefined;
  #plan: RequestPlan | undefined;
  #accept: string | undefined;
  #interims = 0;
  #unconsumed = 0;
  #requestDone = false;
  #persistent = false;
  /** What a WebSocket's opener sends before the 101: kept back, it might be read as a request (RFC 9931). */
  #early: Uint8Array[] = [];
  #earlyEnd = false;

  constructor(options: Http1ClientOptions) {
    this.#transport = options.transport;
    this.#events = options.events;
    this.#limits = { ...SERVICE_LIMITS, ...options.limits };
    this.#acceptKey = options.acceptKey;
    this.#randomKey = options.randomKey;
    this.#peer = options.peer;
    this.#party = options.party;
    this.#head = new HeadReader("response", this.#limits);
    this.#body = new BodyReader(this.#limits);
    this.#writer = new BodyWriter(options.transport.outbox);
    this.#intake = new Intake(options.transport, this.#limits.unconsumedBytes);
  }

  get openStreams(): number {
    return this.#exchange === undefined ? 0 : 1;
  }

  get capacity(): number {
    return this.#phase === "idle" && !this.#draining ? 1 : 0;
  }

  /** Exchanges this connection has completed. An exchange that fails `closed` without a head on a connection with some may have met a keep-alive connection just being closed by the service. */
  get completed(): number {
    return this.#completed;
  }

  open(fields: Fields, end: boolean, events: StreamEvents): Stream | undefined {
    if (this.capacity === 0) return undefined;
    const exchange = new Exchange(this, events);
    const plan = planRequest(fields, end, this.#randomKey);
    if ("message" in plan) {
      const failure: Failure = { by: this.#party, code: plan.code, message: plan.message };
      // Not from within `open`: the caller does not know the stream yet.
      void Promise.resolve().then(() => exchange.events.resetReceived(failure));
      return exchange;
    }
    this.#exchange = exchange;
    this.#plan = plan;
    this.#accept = plan.key === undefined ? undefined : this.#acceptKey(plan.key);
    this.#interims = 0;
    this.#unconsumed = 0;
    this.#requestDone = false;
    this.#persistent = false;
    this.#phase = "head";
    this.#head.start();
    writeHead(this.#transport.outbox, plan.startLine, plan.fields);
    if (plan.key === undefined) {
      this.#writer.start(plan.kind, plan.length);
      if (end) this.#written(exchange, this.#writer.send(EMPTY, true));
    } else {
      this.#earlyEnd = end;
    }
    this.#events.capacityChanged();
    return exchange;
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#tellDraining();
    if (this.#phase === "idle") this.#finish();
  }

  abort(failure: Failure): void {
    if (this.#ended) return;
    this.#failure = failure;
    this.#destroy();
    this.#tell(failure);
    this.#end();
  }

  receive(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      switch (this.#phase) {
        case "head":
          at = this.#readHead(bytes, at);
          break;
        case "body":
          at = this.#readBody(bytes, at);
          break;
        case "tunnel":
          this.#deliver(at === 0 ? bytes : bytes.subarray(at), false);
          return;
        case "idle":
        case "answered":
          // Octets nobody asked for: whatever they are, no answer of a later exchange may begin with them.
          this.#anomaly("The service sent octets that belong to no answer.");
          return;
        case "closing":
        case "closed":
          return;
      }
    }
  }

  receiveEnd(): void {
    this.#peerEnded = true;
    switch (this.#phase) {
      case "idle":
        this.#finish();
        break;
      case "body":
        if (this.#body.kind === "close") {
          this.#phase = "answered";
          this.#exchange?.events.dataReceived(EMPTY, true);
          this.#settle();
          break;
        }
        this.#fail("closed", "The service closed the connection within the body of its answer.");
        break;
      case "head":
        this.#fail("closed", "The service closed the connection before its answer.");
        break;
      case "answered":
        this.#settle();
        break;
      case "tunnel":
        this.#deliver(EMPTY, true);
        this.#settle();
        break;
      case "closing":
      case "closed":
        break;
    }
  }

  writingFailed(): void {
    this.#writingFailed = true;
    this.#persistent = false;
    this.#tellDraining();
    if (this.#phase === "idle") this.#destroy();
    else if (this.#phase === "answered") this.#settle();
  }

  transportClosed(): void {
    const exchange = this.#exchange;
    const answered = this.#phase === "answered";
    this.#phase = "closed";
    if (answered && exchange !== undefined) this.#unneeded(exchange);
    this.#tell({ by: this.#peer, code: "closed", message: `The connection of the ${this.#peer} was closed.` });
    this.#end();
  }

  drained(): void {
    const exchange = this.#exchange;
    if (exchange !== undefined && this.#writer.waiting) this.#written(exchange, this.#writer.drained());
  }

  tick(_now: number): void {}

  // ---- What comes

  #readHead(bytes: Uint8Array, at: number): number {
    const head = this.#head;
    const end = head.read(bytes, at);
    if (head.state === "failed") {
      const large = head.problem?.status === 431;
      this.#fail(
        large ? "head-too-large" : "malformed",
        `Service: ${head.problem?.reason ?? "The head is malformed."}`,
      );
    } else if (head.state === "done") {
      const response = interpretResponse(head, this.#plan?.method ?? "", this.#accept);
      head.start();
      if ("reason" in response) this.#fail("malformed", `Service: ${response.reason}`);
      else this.#answered(response, end < bytes.length);
    }
    return end;
  }

  /** @param more octets follow in the same piece. */
  #answered(response: ResponseHead, more: boolean): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (response.status === 101) {
      this.#switched(exchange, response.fields);
      return;
    }
    if (response.status < 200) {
      if (++this.#interims > this.#limits.interimHeads) {
        // Not "limit", which would ask the visitor to try again.
        this.#fail("malformed", "The service sends nothing but 1xx heads.");
      } else exchange.events.headReceived(response.fields, false);
      return;
    }
    if (this.#accept !== undefined) {
      if (response.status < 300) {
        // Passed on, it would mean that the WebSocket is open (RFC 8441 section 4).
        this.#fail("unsupported", `The service answered ${response.status} to a WebSocket, not 101.`);
        return;
      }
      // What was kept back is not wanted, and the connection is not used again (RFC 9931): `#settle` says "unneeded".
      this.#early = [];
    }
    this.#persistent = response.persistent && this.#accept === undefined && !this.#writingFailed;
    if (!this.#persistent) this.#tellDraining();
    this.#body.start(response.kind, response.length);
    const complete = this.#body.state === "done";
    this.#phase = complete ? "answered" : "body";
    exchange.events.headReceived(response.fields, complete);
    if (complete) this.#complete(exchange, more);
  }

  #switched(exchange: Exchange, fields: Fields): void {
    const early = this.#early;
    this.#early = [];
    this.#phase = "tunnel";
    this.#head.forget();
    this.#tellDraining();
    this.#writer.start("raw", 0);
    exchange.events.headReceived(fields, false);
    for (const bytes of early) {
      if (exchange !== this.#exchange) return;
      this.#written(exchange, this.#writer.send(bytes, false));
    }
    if (this.#earlyEnd && exchange === this.#exchange) this.#written(exchange, this.#writer.send(EMPTY, true));
  }

  #readBody(bytes: Uint8Array, at: number): number {
    const body = this.#body;
    const end = body.read(bytes, at);
    if (body.state === "failed") {
      this.#fail("malformed", `Service: ${body.reason}`);
      return end;
    }
    const exchange = this.#exchange;
    const data = body.data;
    const complete = body.state === "done";
    if (complete) this.#phase = "answered";
    if (data !== undefined) this.#deliver(data, complete);
    else if (complete) {
      const trailers = body.trailers;
      if (trailers.length > 0) exchange?.events.trailersReceived(trailers);
      else exchange?.events.dataReceived(EMPTY, true);
    }
    if (complete && exchange !== undefined) this.#complete(exchange, end < bytes.length);
    return end;
  }

  /**
   * The answer is complete. Octets behind it on a connection that would be used again are looked for before anybody learns that
   * it is free: they must not become the answer of whoever is next (CVE-2026-48931).
   */
  #complete(exchange: Exchange, more: boolean): void {
    if (exchange !== this.#exchange) return;
    if (!more || !this.#persistent) {
      this.#settle();
      return;
    }
    if (this.#requestDone) {
      this.#release();
      this.#completed++;
    }
    this.#anomaly("The service sent octets that belong to no answer.");
  }

  #deliver(bytes: Uint8Array, end: boolean): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#unconsumed += bytes.length;
    this.#intake.add(bytes.length);
    exchange.events.dataReceived(bytes, end);
  }

  consume(exchange: Exchange, bytes: number): void {
    if (exchange !== this.#exchange) return;
    this.#unconsumed -= bytes;
    this.#intake.consume(bytes);
  }

  // ---- What goes

  sendHead(): void {}

  sendData(exchange: Exchange, bytes: Uint8Array, end: boolean): void {
    if (exchange !== this.#exchange) return;
    if (this.#accept !== undefined && this.#phase !== "tunnel") {
      if (this.#phase !== "head" || this.#earlyEnd) return;
      if (bytes.length > 0) this.#early.push(bytes);
      this.#earlyEnd = end;
      return;
    }
    this.#written(exchange, this.#writer.send(bytes, end));
  }

  sendTrailers(exchange: Exchange, fields: Fields): void {
    if (exchange !== this.#exchange) return;
    const writable = writableTrailers(fields);
    if (writable === undefined) this.#fail("malformed", "The trailers cannot be written as HTTP/1.", this.#party);
    else if (this.#accept !== undefined) this.sendData(exchange, EMPTY, true);
    else this.#written(exchange, this.#writer.trailers(writable));
  }

  reset(exchange: Exchange, _failure: Failure): void {
    if (exchange !== this.#exchange) return;
    this.#release();
    this.#destroy();
  }

  #written(exchange: Exchange, sent: number): void {
    if (this.#writer.state === "failed") {
      this.#fail("malformed", "The Content-Length of the request contradicts its body.", this.#party);
      return;
    }
    const done = this.#writer.state === "done" && !this.#requestDone;
    if (done) this.#requestDone = true;
    if (sent > 0) exchange.events.dataSent(sent);
    if (!done || exchange !== this.#exchange) return;
    if (this.#phase === "tunnel") this.#transport.endWriting();
    this.#settle();
  }

  // ---- What ends

  /** Ends the exchange if both directions are complete, or if the service will not take the rest of the request. */
  #settle(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (this.#phase === "tunnel") {
      if (!this.#requestDone || !this.#peerEnded) return;
      this.#release();
      this.#phase = "closing";
    } else if (this.#phase === "answered") {
      if (this.#requestDone) {
        this.#release();
        this.#completed++;
        if (this.#persistent && !this.#draining && !this.#peerEnded) {
          this.#phase = "idle";
          this.#events.capacityChanged();
        } else {
          this.#finish();
        }
      } else if (!this.#persistent || this.#peerEnded) {
        // RFC 9112 section 9.6: after an answer with `close` the service reads no more.
        this.#unneeded(exchange);
      }
    }
  }

  /** The answer is complete, and the rest of the request has nobody to take it. */
  #unneeded(exchange: Exchange): void {
    this.#release();
    this.#completed++;
    this.#destroy();
    exchange.events.resetReceived({
      by: this.#peer,
      code: "unneeded",
      message: "The service answered completely and takes no more of the request.",
    });
  }

  #release(): void {
    const unconsumed = this.#unconsumed;
    this.#exchange = undefined;
    this.#plan = undefined;
    this.#unconsumed = 0;
    this.#early = [];
    this.#earlyEnd = false;
    this.#writer.stop();
    this.#intake.consume(unconsumed);
  }

  #tell(failure: Failure): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#release();
    exchange.events.resetReceived(failure);
  }

  #fail(code: FailureCode, message: string, by: Party = this.#peer): void {
    this.#destroy();
    this.#tell({ by, code, message });
  }

  #anomaly(message: string): void {
    const failure: Failure = { by: this.#peer, code: "malformed", message };
    this.#failure = failure;
    this.#destroy();
    this.#tell(failure);
  }

  #finish(): void {
    this.#phase = "closing";
    this.#tellDraining();
    this.#transport.close();
  }

  #destroy(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#tellDraining();
    this.#transport.destroy();
  }

  #tellDraining(): void {
    if (this.#drainingTold) return;
    this.#drainingTold = true;
    this.#events.draining();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.ended(this.#failure);
  }
}
