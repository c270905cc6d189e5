import type { Failure, Fields, Party, Side, Stream, StreamEvents } from "../wire/stream.ts";
import { EarlyRequest, MAX_EARLY_BYTES } from "./early.ts";
import { respond } from "./failure.ts";
import { responseFields, statusOf, trailerFields } from "./fields.ts";

/** Told what passes, in order: the request head is known to whoever made the join. The shape of the capture's tap. */
export interface JoinObserver {
  /** A response head as the service sent it (`:status` 1xx are interim). */
  headReceived(fields: Fields, end: boolean): void;
  dataReceived(side: Side, bytes: Uint8Array, end: boolean): void;
  trailersReceived(side: Side, fields: Fields): void;
  /** Both directions ended in order and all of it was handed on. */
  ended(): void;
  /** The exchange was cut, or answered by us instead of the service. */
  failed(failure: Failure): void;
}

export interface JoinOptions {
  readonly party: Party;
  readonly observer?: JoinObserver;
  /** Once, when the exchange is over. Undefined: in order. */
  readonly onClosed?: (failure: Failure | undefined, join: Join) => void;
  /**
   * Whether the visitor's protocol can show him an RST_STREAM code of the service (HTTP/2). Then a service that resets
   * before it answers is passed on as it is; otherwise the visitor gets a 502. Default: true for the agent, whose
   * visitor is the tunnel.
   */
  readonly passResets?: boolean;
  /** The visitor is a bare TCP connection: a failure is a reset, never a page. */
  readonly raw?: boolean;
}

/**
 * Connects the visitor's stream of one exchange with the service's: heads, data, trailers, both half-closes, resets and
 * credit, hop by hop. It looks at no payload and holds no data of its own once connected.
 *
 * The one rule: a cut is never an end. An end is passed on only when the peer sent one; everything else that stops a
 * stream becomes a reset of the other.
 *
 * Credit: octets count as consumed on one side when the other side's stream has handed them to its transport, so what
 * is queued anywhere is bounded by the windows that we announced.
 */
export class Join {
  /** To be set as the events of the visitor's stream. */
  readonly visitorEvents: StreamEvents;
  /** Given to `open` by `connect`. A service without heads of its own (TCP) is answered for through these. */
  readonly serviceEvents: StreamEvents;

  readonly #visitor: Stream;
  /** Until the answer's head is out: a WebSocket may be open for days, and needs it no more. */
  #request: Fields;
  readonly #options: JoinOptions;
  readonly #observer: JoinObserver | undefined;
  #service: Stream | undefined;

  /** What the visitor sent before `connect`. */
  #early: EarlyRequest | undefined;

  #requestEnded: boolean;
  #responseEnded = false;
  #headSent = false;
  /** Given to the visitor's stream and not yet reported as sent. */
  #towardsVisitor = 0;
  #towardsService = 0;
  #closed = false;
  /** The service's stream is over although the exchange is not: what the visitor still sends is thrown away. */
  #serviceGone = false;
  /** How the visitor's stream is to be reset once all of the answer has left. */
  #resetAfter: Failure | undefined;
  /** What `ended`/`failed` will say then. */
  #verdict: Failure | undefined;

  /**
   * @param visitor the stream on which `fields` arrived.
   * @param fields the request head as it came: `fail` reads from it which dialect to answer in.
   * @param ended whether the request ended with its head.
   */
  constructor(visitor: Stream, fields: Fields, ended: boolean, options: JoinOptions) {
    this.#visitor = visitor;
    this.#request = fields;
    this.#requestEnded = ended;
    this.#options = options;
    this.#observer = options.observer;
    this.visitorEvents = new VisitorEvents(this);
    this.serviceEvents = new ServiceEvents(this);
  }

  /** The exchange is over: `onClosed` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** A final response head went to the visitor. */
  get answered(): boolean {
    return this.#headSent;
  }

  /**
   * Opens the service's stream and lets flow what waited. `open` sends the request head (with `end` as the constructor
   * was told) and must use the events it is given. False when `open` could not, or the exchange is over already; in the
   * first case the caller tries elsewhere or calls `fail`.
   */
  connect(open: (events: StreamEvents) => Stream | undefined): boolean {
    if (this.#isOver() || this.#service !== undefined) return false;
    const service = open(this.serviceEvents);
    if (service === undefined) return false;
    this.#sendEarly(service);
    if (this.#isOver()) {
      if (!this.#serviceGone)
        service.reset({ by: this.#options.party, code: "cancelled", message: "The exchange is over" });
      return true;
    }
    this.#service = service;
    if (this.#requestEnded) this.#settle();
    return true;
  }

  /** Ends the exchange from our side: an answer from the failure table when none was begun, else a reset. */
  fail(failure: Failure): void {
    if (this.#closed || this.#resetAfter !== undefined) return;
    if (!this.#serviceGone) this.#service?.reset(failure);
    this.#serviceGone = true;
    this.#failVisitor(failure);
  }

  // Called by the two event objects. Not private only because they are classes of their own: two small objects with
  // methods on a prototype cost less than ten closures per exchange.

  /** @internal */
  visitorData(bytes: Uint8Array, end: boolean): void {
    if (this.#closed) return;
    if (end) this.#requestEnded = true;
    this.#observer?.dataReceived("visitor", bytes, end);
    if (this.#serviceGone) {
      if (bytes.length > 0) this.#visitor.consume(bytes.length);
      return;
    }
    const service = this.#service;
    if (service === undefined) {
      this.#earlyData(bytes, end);
      return;
    }
    this.#towardsService += bytes.length;
    service.sendData(bytes, end);
    if (end) this.#settle();
  }

  /** @internal */
  visitorTrailers(fields: Fields): void {
    if (this.#closed) return;
    this.#requestEnded = true;
    this.#observer?.trailersReceived("visitor", fields);
    if (this.#serviceGone) return;
    const trailers = trailerFields(fields);
    if (this.#service === undefined) {
      (this.#early ??= new EarlyRequest()).addTrailers(trailers);
      return;
    }
    this.#service.sendTrailers(trailers);
    this.#settle();
  }

  /** @internal */
  visitorReset(failure: Failure): void {
    if (this.#closed) return;
    const complete = this.#responseEnded && this.#towardsVisitor === 0;
    if (!this.#serviceGone) this.#service?.reset(failure);
    this.#serviceGone = true;
    // Who has the whole answer and gives up the rest of his request was served.
    this.#close(this.#verdict ?? (complete ? undefined : failure));
  }

  /** @internal */
  visitorSent(bytes: number): void {
    if (this.#closed) return;
    this.#towardsVisitor -= bytes;
    if (!this.#serviceGone) this.#service?.consume(bytes);
    if (this.#responseEnded && this.#towardsVisitor === 0) this.#answerLeft();
  }

  /** @internal */
  serviceHead(fields: Fields, end: boolean): void {
    if (this.#closed || this.#serviceGone || this.#headSent) return;
    this.#observer?.headReceived(fields, end);
    const status = statusOf(fields);
    if (status >= 200) {
      if (this.#options.raw === true && status > 299) {
        this.fail({
          by: "service",
          code: "unreachable",
          message: `The agent could not connect to the service (${status})`,
        });
        return;
      }
      this.#headSent = true;
      this.#request = NO_FIELDS;
      if (end) this.#responseEnded = true;
    }
    this.#visitor.sendHead(responseFields(fields), end && status >= 200);
    if (end) this.#settle();
  }

  /** @internal */
  serviceData(bytes: Uint8Array, end: boolean): void {
    if (this.#closed || this.#serviceGone) return;
    if (end) this.#responseEnded = true;
    this.#observer?.dataReceived("service", bytes, end);
    this.#towardsVisitor += bytes.length;
    this.#visitor.sendData(bytes, end);
    if (end) this.#settle();
  }

  /** @internal */
  serviceTrailers(fields: Fields): void {
    if (this.#closed || this.#serviceGone) return;
    this.#responseEnded = true;
    this.#observer?.trailersReceived("service", fields);
    this.#visitor.sendTrailers(trailerFields(fields));
    this.#settle();
  }

  /** @internal */
  serviceReset(failure: Failure): void {
    if (this.#closed || this.#serviceGone) return;
    this.#serviceGone = true;
    if (!this.#responseEnded) {
      this.#failVisitor(failure);
      return;
    }
    // The answer is complete, only the rest of the request is not wanted: the answer must leave before the reset.
    this.#resetAfter = failure;
    this.#verdict = failure.code === "unneeded" ? undefined : failure;
    this.#returnCredit();
    if (this.#towardsVisitor === 0) this.#answerLeft();
  }

  /** @internal */
  serviceSent(bytes: number): void {
    if (this.#closed || this.#serviceGone) return;
    this.#towardsService -= bytes;
    this.#visitor.consume(bytes);
    this.#settle();
  }

  /** While this runs `#service` is not set, so what arrives in between queues up behind what waits. */
  #sendEarly(service: Stream): void {
    const early = this.#early;
    if (early === undefined) return;
    const sending = (bytes: number): void => {
      this.#towardsService += bytes;
    };
    while (!this.#isOver() && early.sendNext(service, sending));
    if (!this.#isOver()) early.sendEnd(service);
    this.#early = undefined;
  }

  /** Nothing more goes to the service. */
  #isOver(): boolean {
    return this.#closed || this.#serviceGone || this.#resetAfter !== undefined;
  }

  #earlyData(bytes: Uint8Array, end: boolean): void {
    if ((this.#early ??= new EarlyRequest()).add(bytes, end)) return;
    const message = `More than ${MAX_EARLY_BYTES} octets of the request arrived before the service was connected`;
    this.fail({ by: "visitor", code: "limit", message });
  }

  /** The visitor learns of a failure before the answer was complete. */
  #failVisitor(failure: Failure): void {
    const { raw, party } = this.#options;
    const passResets = this.#options.passResets ?? party === "agent";
    if (raw === true || this.#headSent) {
      this.#visitor.reset(this.#headSent ? midway(failure) : failure);
      this.#close(failure);
      return;
    }
    if (failure.http2Code !== undefined && passResets && failure.code !== "unneeded") {
      this.#visitor.reset(failure);
      this.#close(failure);
      return;
    }
    this.#headSent = true;
    this.#responseEnded = true;
    this.#verdict = failure;
    this.#resetAfter = { by: party, code: "unneeded", message: "The request was answered before it ended" };
    this.#returnCredit();
    // Not in one expression: while it responds, the stream may already report octets as sent.
    const size = respond(this.#visitor, this.#request, failure);
    this.#towardsVisitor += size;
    if (this.#towardsVisitor === 0) this.#answerLeft();
  }

  /** What waits, or was given to a stream that is gone, will never be reported as sent: the visitor's connection gets its credit back. */
  #returnCredit(): void {
    const owed = (this.#early?.bytes ?? 0) + this.#towardsService;
    this.#early = undefined;
    this.#towardsService = 0;
    if (owed > 0) this.#visitor.consume(owed);
  }

  /** All of a complete answer has been handed to the visitor's transport. */
  #answerLeft(): void {
    const failure = this.#resetAfter;
    if (failure === undefined) {
      this.#settle();
      return;
    }
    if (this.#closed) return;
    this.#close(this.#verdict);
    if (this.#requestEnded) return;
    // Not here: this is called while the stream hands over its last octets, and its end may be the next thing it does.
    queueMicrotask(() => this.#visitor.reset(failure));
  }

  #settle(): void {
    if (!this.#requestEnded || !this.#responseEnded) return;
    if (this.#towardsVisitor === 0 && this.#towardsService === 0 && this.#resetAfter === undefined)
      this.#close(undefined);
  }

  #close(failure: Failure | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#early = undefined;
    if (failure === undefined) this.#observer?.ended();
    else this.#observer?.failed(failure);
    this.#options.onClosed?.(failure, this);
  }
}

const NO_FIELDS: Fields = [];

/** After a head, "nothing was processed" and "the rest is not needed" would both be lies that a peer may act on. */
function midway(failure: Failure): Failure {
  if (failure.code !== "refused" && failure.code !== "unneeded") return failure;
  return { by: failure.by, code: "closed", message: failure.message };
}

class VisitorEvents implements StreamEvents {
  readonly #join: Join;
  constructor(join: Join) {
    this.#join = join;
  }
  headReceived(): void {
    // The request head is what the join was made with.
  }
  dataReceived(bytes: Uint8Array, end: boolean): void {
    this.#join.visitorData(bytes, end);
  }
  trailersReceived(fields: Fields): void {
    this.#join.visitorTrailers(fields);
  }
  resetReceived(failure: Failure): void {
    this.#join.visitorReset(failure);
  }
  dataSent(bytes: number): void {
    this.#join.visitorSent(bytes);
  }
}

class ServiceEvents implements StreamEvents {
  readonly #join: Join;
  constructor(join: Join) {
    this.#join = join;
  }
  headReceived(fields: Fields, end: boolean): void {
    this.#join.serviceHead(fields, end);
  }
  dataReceived(bytes: Uint8Array, end: boolean): void {
    this.#join.serviceData(bytes, end);
  }
  trailersReceived(fields: Fields): void {
    this.#join.serviceTrailers(fields);
  }
  resetReceived(failure: Failure): void {
    this.#join.serviceReset(failure);
  }
  dataSent(bytes: number): void {
    this.#join.serviceSent(bytes);
  }
}
