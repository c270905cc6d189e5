import type { ExchangeTap } from "../capture/tap.ts";
import { statusOf, valueOf } from "../tunnel/fields.ts";
import type { Join, JoinObserver } from "../tunnel/join.ts";
import type { Failure, Fields, Side, Stream, StreamEvents } from "../wire/stream.ts";
import { keepHost, rewriteRequest, rewriteResponse } from "./rewrite.ts";
import type { Wants } from "./services/choice.ts";
import type { ServiceConnection } from "./services/connection.ts";
import type { Waiter } from "./services/service.ts";
import type { Share } from "./share.ts";

/** RFC 9110 section 9.2.2: sent twice they do what they do once. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** A connection just closed by the service, then one that it closes while we dial: after that it is the service's answer. */
const MAX_ATTEMPTS = 3;

const NO_FIELDS: Fields = [];

/** Counts what passes, tells the tap, and takes the exchange off its share when it is over. */
export class ExchangeObserver implements JoinObserver {
  /** Set as soon as there is one. */
  join: Join | undefined;
  readonly #share: Share;
  readonly #tap: ExchangeTap | undefined;
  readonly #counted: () => void;

  constructor(share: Share, tap: ExchangeTap | undefined, counted: () => void) {
    this.#share = share;
    this.#tap = tap;
    this.#counted = counted;
  }

  headReceived(fields: Fields, end: boolean): void {
    this.#tap?.headReceived(fields, end);
  }

  dataReceived(side: Side, bytes: Uint8Array, end: boolean): void {
    if (side === "visitor") this.#share.visitorBytes += bytes.length;
    else this.#share.serviceBytes += bytes.length;
    this.#counted();
    this.#tap?.dataReceived(side, bytes, end);
  }

  trailersReceived(side: Side, fields: Fields): void {
    this.#tap?.trailersReceived(side, fields);
  }

  ended(): void {
    this.#tap?.ended();
    this.#over();
  }

  failed(failure: Failure): void {
    this.#tap?.failed(byVisitor(failure));
    this.#over();
  }

  #over(): void {
    if (this.join !== undefined) this.#share.joins.delete(this.join);
    if (this.#share.joins.size === 0) this.#share.idle();
    this.#counted();
  }
}

/** A stream of the tunnel that is cancelled was cancelled by whom it was opened for; the relay only passed it on. */
function byVisitor(failure: Failure): Failure {
  if (failure.by !== "relay" || failure.code !== "cancelled") return failure;
  return { ...failure, by: "visitor", message: "The visitor gave up the request" };
}

/**
 * One exchange on its way to the service: waits for a connection, writes the head as the service wants it, and listens
 * to the service until the final head is there. From then on the join hears the service directly.
 *
 * Until then it also stands between the join and the service's stream, so that a request without a body can be sent
 * again when the connection turns out to be closed, without the join knowing.
 */
export class ServiceExchange implements Waiter, StreamEvents, Stream {
  readonly wants: Wants;
  readonly repeatable: boolean;
  events: StreamEvents;
  readonly #share: Share;
  readonly #join: Join;
  #fields: Fields;
  readonly #ended: boolean;
  readonly #idempotent: boolean;
  #stream: Stream | undefined;
  #connection: ServiceConnection | undefined;
  #attempts = 0;
  /** The service was heard: the request is not sent again. */
  #heard = false;
  #over = false;

  /** @param fields the visitor's head as the relay sent it. */
  constructor(share: Share, join: Join, fields: Fields, ended: boolean, wants: Wants) {
    this.#share = share;
    this.#join = join;
    this.#fields = fields;
    this.#ended = ended;
    this.wants = wants;
    this.events = join.serviceEvents;
    this.#idempotent = IDEMPOTENT.has(valueOf(fields, ":method") ?? "");
    this.repeatable = ended && this.#idempotent;
  }

  get abandoned(): boolean {
    return this.#over || this.#join.closed;
  }

  connected(connection: ServiceConnection): boolean {
    if (this.abandoned) return false;
    this.#connection = connection;
    this.#attempts += 1;
    const fields = this.#head(connection);
    if (this.#attempts > 1) {
      this.#stream = connection.open(fields, true, this);
      return this.#stream !== undefined;
    }
    const open = (): Stream | undefined => {
      this.#stream = connection.open(fields, this.#ended, this);
      if (this.#stream === undefined) return undefined;
      return this.#ended ? this : this.#stream;
    };
    if (this.#join.connect(open)) return true;
    this.#attempts -= 1;
    return false;
  }

  failed(failure: Failure): void {
    this.#over = true;
    this.#join.fail(failure);
  }

  #head(connection: ServiceConnection): Fields {
    const origin = this.#share.origin(connection.tls);
    return this.#share.options.keepHost === true
      ? keepHost(this.#fields, origin)
      : rewriteRequest(this.#fields, origin);
  }

  // What the service's stream reports, up to its final head.

  headReceived(fields: Fields, end: boolean): void {
    this.#heard = true;
    if (statusOf(fields) < 200) {
      this.events.headReceived(fields, end);
      return;
    }
    this.#share.service.confirmed(this.#connection);
    if (this.#stream !== undefined) this.#stream.events = this.events;
    const { host, options } = this.#share;
    const rewritten = options.keepHost === true ? fields : rewriteResponse(fields, host, options.port, this.#fields);
    this.#fields = NO_FIELDS;
    this.events.headReceived(rewritten, end);
  }

  dataReceived(bytes: Uint8Array, end: boolean): void {
    this.events.dataReceived(bytes, end);
  }

  trailersReceived(fields: Fields): void {
    this.events.trailersReceived(fields);
  }

  resetReceived(failure: Failure): void {
    this.#stream = undefined;
    if (this.#mayRepeat(failure)) {
      this.#share.service.acquire(this);
      return;
    }
    // A service that now speaks something else fails in these ways.
    if (!this.#heard && (failure.code === "closed" || failure.code === "malformed")) this.#share.service.forget();
    this.events.resetReceived(failure);
  }

  dataSent(bytes: number): void {
    this.events.dataSent(bytes);
  }

  /** RFC 9110 section 9.2.2, RFC 9113 section 8.7: never what the service may have acted upon. */
  #mayRepeat(failure: Failure): boolean {
    if (this.#heard || !this.#ended || this.abandoned || this.#attempts >= MAX_ATTEMPTS) return false;
    if (failure.by !== "service") return false;
    if (failure.code === "refused") return true;
    // A connection that was never used is not stale: the service closed it because of this request.
    return failure.code === "closed" && this.#idempotent && (this.#connection?.exchanges ?? 0) > 1;
  }

  // What the join does with the stream of a request that has ended with its head.

  sendHead(): void {
    // The head went out when the stream was opened.
  }

  sendData(): void {
    // The request has no body.
  }

  sendTrailers(): void {
    // The request has no body.
  }

  reset(failure: Failure): void {
    this.#over = true;
    this.#stream?.reset(failure);
  }

  consume(bytes: number): void {
    this.#stream?.consume(bytes);
  }
}
