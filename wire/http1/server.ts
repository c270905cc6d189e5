import type { Failure, FailureCode, Fields, Party } from "../stream.ts";
import type { HttpConnection, HttpConnectionEvents, Transport } from "../transport.ts";
import { writableTrailers, writeRefusal } from "./answer.ts";
import { Answering } from "./answering.ts";
import { BodyReader } from "./body.ts";
import { Deadlines } from "./deadlines.ts";
import { EarlyEvents, Exchange } from "./exchange.ts";
import type { ExchangeOwner } from "./exchange.ts";
import type { Problem } from "./head.ts";
import { HeadReader } from "./head.ts";
import { Held } from "./held.ts";
import { Intake } from "./intake.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import type { Http1Limits } from "./limits.ts";
import { EMPTY } from "./octets.ts";
import { RequestInterpreter } from "./request.ts";
import type { RequestHead } from "./request.ts";

export interface Http1ServerOptions {
  readonly transport: Transport;
  readonly events: HttpConnectionEvents;
  /** How the visitor came: TLS or cleartext. */
  readonly scheme: "http" | "https";
  /** Sec-WebSocket-Accept for a Sec-WebSocket-Key, RFC 6455 section 4.2.2. */
  readonly acceptKey: (key: string) => string;
  readonly limits?: Partial<Http1Limits>;
  /** Who is at the other end. */
  readonly peer: Party;
  /** Who we are. */
  readonly party: Party;
  /** Octets that were read before this connection was made. They are taken by the constructor: a stream may open within it. */
  readonly initial?: Uint8Array;
}

type Phase =
  /** Between two requests, or within the head of one. */
  | "head"
  /** Within the body of a request. */
  | "body"
  /** The request is complete, or asks for a WebSocket; what follows is held until it is answered. */
  | "waiting"
  /** After 101: octets as they are, both ways. */
  | "tunnel"
  /** All is said and our FIN sent; what still comes is read and dropped, so that no RST overtakes the answer. */
  | "lingering"
  | "closed";

/** The visitor's end of HTTP/1.0 and 1.1 (RFC 9112). One exchange at a time; pipelined requests are answered in order. */
export class Http1Server implements HttpConnection, ExchangeOwner {
  readonly #transport: Transport;
  readonly #events: HttpConnectionEvents;
  readonly #limits: Http1Limits;
  readonly #peer: Party;
  readonly #party: Party;
  readonly #head: HeadReader;
  readonly #body: BodyReader;
  readonly #answering: Answering;
  readonly #intake: Intake;
  readonly #interpreter: RequestInterpreter;
  readonly #deadlines: Deadlines;
  readonly #early = new EarlyEvents();

  #phase: Phase = "head";
  #requests = 0;
  #peerEnded = false;
  #draining = false;
  #ended = false;
  #lingered = 0;
  #failure: Failure | undefined;

  /** Octets of later requests, or of a WebSocket not yet accepted (RFC 9931). Bounded by `#intake`. */
  readonly #held: Held;
  #parsing = false;

  #exchange: Exchange | undefined;
  #request: RequestHead | undefined;
  #unconsumed = 0;

  constructor(options: Http1ServerOptions) {
    this.#transport = options.transport;
    this.#events = options.events;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#peer = options.peer;
    this.#party = options.party;
    this.#head = new HeadReader("request", this.#limits);
    this.#body = new BodyReader(this.#limits);
    this.#answering = new Answering(options.transport.outbox, options.acceptKey);
    this.#intake = new Intake(options.transport, this.#limits.unconsumedBytes);
    this.#held = new Held(this.#intake);
    this.#deadlines = new Deadlines(this.#limits);
    this.#interpreter = new RequestInterpreter(options.scheme);
    if (options.initial !== undefined) this.receive(options.initial);
  }

  get openStreams(): number {
    return this.#exchange === undefined ? 0 : 1;
  }

  readonly capacity = 0;
  readonly extendedConnect = false;

  /** HTTP version of the request now open. */
  get version(): "1.0" | "1.1" {
    return this.#request?.minor === 0 ? "1.0" : "1.1";
  }

  open(): undefined {
    return undefined;
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#events.draining();
    if (this.#phase === "head" && !this.#head.begun) this.#linger();
  }

  abort(failure: Failure): void {
    if (this.#ended) return;
    this.#failure = failure;
    this.#destroy();
    this.#tell(failure);
    this.#end();
  }

  receive(bytes: Uint8Array): void {
    if (this.#parsing || !this.#held.empty) {
      this.#held.push(bytes);
      return;
    }
    this.#parse(bytes);
    this.#advance();
  }

  receiveEnd(): void {
    this.#peerEnded = true;
    switch (this.#phase) {
      case "head":
        this.#linger();
        break;
      case "body":
        this.#cut("closed", "The visitor closed the connection within the body of its request.");
        break;
      case "waiting":
        // A half-closed visitor may still want its answer; `tick` judges.
        if (this.#request?.webSocketKey === undefined) this.#deadlines.restart();
        else this.#cut("closed", "The visitor closed the connection before its WebSocket was accepted.");
        break;
      case "tunnel":
        this.#deliver(EMPTY, true);
        this.#settle();
        break;
      case "lingering":
      case "closed":
        break;
    }
  }

  transportClosed(): void {
    this.#phase = "closed";
    this.#tell({ by: this.#peer, code: "closed", message: `The connection of the ${this.#peer} was closed.` });
    this.#end();
  }

  drained(): void {
    this.#deadlines.progress();
    const exchange = this.#exchange;
    if (exchange !== undefined && this.#answering.writer.waiting)
      this.#written(exchange, this.#answering.writer.drained());
  }

  tick(now: number): void {
    if (this.#phase === "closed") return;
    const outbox = this.#transport.outbox;
    if (this.#deadlines.stalled(now, outbox)) {
      this.#abandon("timeout", `The visitor took no data for ${this.#limits.stallMs / 1000} s.`);
      return;
    }
    const elapsed = this.#deadlines.elapsed(now, outbox.blocked || this.#isBodyHalted());
    if (this.#phase === "head") {
      if (this.#head.begun) {
        if (elapsed >= this.#limits.headMs) this.#refuse(HEAD_TOO_SLOW);
      } else if (elapsed >= (this.#requests === 0 ? this.#limits.silentMs : this.#limits.idleMs)) {
        this.#linger();
      }
    } else if (this.#phase === "body") {
      if (elapsed >= this.#limits.bodyMs) this.#bodyFailed("timeout", BODY_TOO_SLOW);
    } else if (this.#phase === "waiting") {
      if (this.#peerEnded && elapsed >= this.#limits.halfClosedMs) {
        this.#abandon("cancelled", "The visitor closed the connection before its answer was complete.");
      }
    } else if (this.#phase === "lingering" && elapsed >= this.#limits.lingerMs) {
      this.#phase = "closed";
      this.#transport.close();
    }
  }

  // ---- What comes

  #parse(bytes: Uint8Array): void {
    this.#parsing = true;
    let at = 0;
    while (at < bytes.length) {
      switch (this.#phase) {
        case "head":
          at = this.#readHead(bytes, at);
          break;
        case "body":
          at = this.#readBody(bytes, at);
          break;
        case "waiting":
          this.#held.unshift(at === 0 ? bytes : bytes.subarray(at));
          at = bytes.length;
          break;
        case "tunnel":
          this.#deliver(at === 0 ? bytes : bytes.subarray(at), false);
          at = bytes.length;
          break;
        case "lingering":
          this.#discard(bytes.length - at);
          at = bytes.length;
          break;
        case "closed":
          at = bytes.length;
          break;
      }
    }
    this.#parsing = false;
  }

  /** Goes on with what was held. A loop, not a recursion: answers may come from within. */
  #advance(): void {
    if (this.#parsing) return;
    while (!this.#held.empty && this.#phase !== "waiting") {
      const bytes = this.#held.shift();
      this.#parse(bytes);
      this.#intake.consume(bytes.length);
    }
    if (this.#peerEnded && this.#phase === "head") this.#linger();
  }

  #readHead(bytes: Uint8Array, at: number): number {
    const head = this.#head;
    const begun = head.begun;
    const end = head.read(bytes, at);
    if (begun !== head.begun) this.#deadlines.restart();
    if (head.state === "failed") {
      // Who asked in HTTP/1 before understands an answer in it.
      if (head.problem?.foreign === true && this.#requests === 0) this.#linger();
      else this.#refuse(head.problem ?? HEAD_TOO_SLOW);
    } else if (head.state === "done") {
      const request = this.#interpreter.interpret(head);
      head.start();
      if ("reason" in request) this.#refuse(request);
      else this.#opened(request);
    }
    return end;
  }

  #opened(request: RequestHead): void {
    const framing = request.framing;
    this.#requests++;
    this.#request = request;
    this.#unconsumed = 0;
    this.#answering.start(request);
    this.#body.start(framing.kind === "unknown" ? "none" : framing.kind, framing.length);
    const complete = this.#body.state === "done";
    this.#enter(complete ? "waiting" : "body");
    const exchange = new Exchange(this, this.#early);
    this.#exchange = exchange;
    const ended = complete && request.webSocketKey === undefined;
    const events = this.#events.streamOpened(exchange, request.fields, ended);
    exchange.events = events;
    this.#early.tell(events);
  }

  #readBody(bytes: Uint8Array, at: number): number {
    const body = this.#body;
    this.#deadlines.restart();
    const end = body.read(bytes, at);
    if (body.state === "failed") {
      this.#bodyFailed("malformed", { status: 400, reason: body.reason });
      return end;
    }
    const data = body.data;
    const complete = body.state === "done";
    if (complete) this.#enter("waiting");
    if (data !== undefined) this.#deliver(data, complete);
    else if (complete) {
      const trailers = body.trailers;
      if (trailers.length > 0) this.#exchange?.events.trailersReceived(trailers);
      else this.#exchange?.events.dataReceived(EMPTY, true);
    }
    if (complete) this.#settle();
    return end;
  }

  #bodyFailed(code: FailureCode, problem: Problem): void {
    const failure: Failure = { by: this.#peer, code, message: problem.reason };
    if (this.#answering.done) this.#linger();
    else if (this.#answering.answered) this.#destroy();
    else this.#refuse(problem);
    this.#tell(failure);
  }

  /** Nothing of the body is due: its length is not known, we do not read, or the visitor may wait for a 100. */
  #isBodyHalted(): boolean {
    if (this.#phase !== "body") return false;
    const known = this.#request?.framing.kind === "length";
    return !known || this.#intake.paused || this.#answering.awaitsContinue(this.#request);
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

  sendHead(exchange: Exchange, fields: Fields, end: boolean): void {
    const request = this.#request;
    if (exchange !== this.#exchange || request === undefined || this.#answering.answered) return;
    if (this.#peerEnded) this.#deadlines.restart();
    const circumstances = { incomplete: this.#phase === "body", draining: this.#draining };
    switch (this.#answering.head(request, fields, end, circumstances)) {
      case "interim":
        return;
      case "switched":
        this.#enter("tunnel");
        this.#head.forget();
        this.#request = { ...request, fields: [] };
        if (end) this.#written(exchange, this.#answering.end());
        this.#advance();
        return;
      case "final":
        if (end) this.#written(exchange, this.#answering.end());
        return;
      case "unwritable":
        this.#abandon("malformed", "The head of the answer cannot be written as HTTP/1.", this.#party);
        return;
      case "contradiction":
        this.#abandon("malformed", CONTRADICTION, this.#party);
    }
  }

  sendData(exchange: Exchange, bytes: Uint8Array, end: boolean): void {
    if (exchange !== this.#exchange || !this.#answering.answered) return;
    if (this.#peerEnded) this.#deadlines.restart();
    this.#written(exchange, this.#answering.writer.send(bytes, end));
  }

  sendTrailers(exchange: Exchange, fields: Fields): void {
    if (exchange !== this.#exchange || !this.#answering.answered) return;
    const writable = writableTrailers(fields);
    if (writable === undefined) this.#abandon("malformed", "The trailers cannot be written as HTTP/1.", this.#party);
    else this.#written(exchange, this.#answering.writer.trailers(writable));
  }

  reset(exchange: Exchange, _failure: Failure): void {
    if (exchange.events === this.#early) this.#early.forget();
    if (exchange !== this.#exchange) return;
    this.#release();
    // A complete answer stays one; only the rest of the request is unwanted.
    if (this.#answering.done && this.#phase !== "tunnel") this.#linger();
    else this.#destroy();
  }

  #written(exchange: Exchange, sent: number): void {
    if (this.#answering.writer.state === "failed") {
      this.#abandon("malformed", CONTRADICTION, this.#party);
      return;
    }
    const done = this.#answering.writer.state === "done" && !this.#answering.done;
    if (done) this.#answering.done = true;
    if (sent > 0) exchange.events.dataSent(sent);
    if (done && exchange === this.#exchange) this.#answerEnded(exchange);
  }

  #answerEnded(exchange: Exchange): void {
    if (this.#phase === "tunnel") {
      this.#transport.endWriting();
      this.#settle();
    } else if (this.#phase === "body" && this.#answering.close) {
      // RFC 9112 section 9.6: the visitor was told; what it still sends is not wanted.
      this.#refuseRest(exchange);
    } else {
      this.#settle();
    }
  }

  // ---- What ends

  /** Ends the exchange if both directions are complete. */
  #settle(): void {
    if (this.#exchange === undefined || !this.#answering.done) return;
    if (this.#phase === "tunnel") {
      // Both have sent FIN: the transport ends by itself when ours has gone out.
      if (this.#peerEnded) {
        this.#release();
        this.#enter("lingering");
      }
    } else if (this.#phase === "waiting") {
      // The end of a request for a WebSocket was never reported, and never will be.
      const refused = this.#request?.webSocketKey === undefined ? undefined : this.#exchange;
      if (refused !== undefined) {
        this.#refuseRest(refused);
        return;
      }
      this.#release();
      if (this.#answering.close || this.#draining) this.#linger();
      else {
        this.#enter("head");
        this.#advance();
      }
    }
  }

  #refuseRest(exchange: Exchange): void {
    this.#release();
    this.#linger();
    const message = "The answer was complete before the request was.";
    exchange.events.resetReceived({ by: this.#party, code: "unneeded", message });
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#deadlines.restart();
  }

  #release(): void {
    const unconsumed = this.#unconsumed;
    this.#exchange = undefined;
    this.#request = undefined;
    this.#unconsumed = 0;
    this.#answering.writer.stop();
    this.#intake.consume(unconsumed);
  }

  /** Reports the end of the exchange, if one is open. */
  #tell(failure: Failure): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#release();
    exchange.events.resetReceived(failure);
  }

  /** The exchange cannot go on, and the visitor must see that it is cut. */
  #abandon(code: FailureCode, message: string, by: Party = this.#peer): void {
    this.#destroy();
    this.#tell({ by, code, message });
  }

  /** The visitor ended in mid-request. An answer that was complete before is still delivered. */
  #cut(code: FailureCode, message: string): void {
    if (this.#answering.done) this.#linger();
    else this.#destroy();
    this.#tell({ by: this.#peer, code, message });
  }

  #refuse(problem: Problem): void {
    writeRefusal(this.#transport.outbox, problem);
    this.#linger();
  }

  /** RFC 9112 section 9.6: half-close, then read on until the visitor closes too. */
  #linger(): void {
    if (this.#phase === "lingering" || this.#phase === "closed") return;
    this.#enter("lingering");
    const held = this.#held.clear();
    this.#transport.endWriting();
    this.#discard(held);
  }

  #discard(bytes: number): void {
    this.#lingered += bytes;
    if (this.#lingered <= this.#limits.lingerBytes) return;
    this.#phase = "closed";
    this.#transport.close();
  }

  #destroy(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#held.clear();
    this.#transport.destroy();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.ended(this.#failure);
  }
}

const CONTRADICTION = "The Content-Length of the answer contradicts its body.";
const BODY_TOO_SLOW: Problem = { status: 408, reason: "The body of the request stopped coming." };
const HEAD_TOO_SLOW: Problem = { status: 408, reason: "The head of the request took too long." };
