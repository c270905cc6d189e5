import type { Fields } from "../stream.ts";
import type { Outbox } from "../outbox.ts";
import { planAnswer, statusOf, writableFields, writeAnswer, writeInterim, writeSwitch } from "./answer.ts";
import { EMPTY } from "./octets.ts";
import type { RequestHead } from "./request.ts";
import { BodyWriter } from "./write.ts";

/** What became of a head. `unwritable` and `contradiction`: nothing was written. */
export type HeadOutcome = "interim" | "switched" | "final" | "unwritable" | "contradiction";

/** What the connection knows when a head is sent. */
export interface Circumstances {
  /** The request's body is not complete. */
  readonly incomplete: boolean;
  /** No further request is wanted. */
  readonly draining: boolean;
}

/** The answering direction of one exchange after another: heads, then the body through its writer. */
export class Answering {
  /** The final head was written. */
  answered = false;
  /** All of the answer was handed over. */
  done = false;
  /** The connection ends with this exchange. */
  close = false;
  readonly writer: BodyWriter;

  readonly #outbox: Outbox;
  readonly #acceptKey: (key: string) => string;
  /** A 100 was sent. */
  #continued = false;

  constructor(outbox: Outbox, acceptKey: (key: string) => string) {
    this.writer = new BodyWriter(outbox);
    this.#outbox = outbox;
    this.#acceptKey = acceptKey;
  }

  start(request: RequestHead): void {
    this.answered = false;
    this.done = false;
    this.close = !request.persistent;
    this.#continued = false;
  }

  /** The visitor may wait for a 100 before he sends the body. */
  awaitsContinue(request: RequestHead | undefined): boolean {
    return request?.expectsContinue === true && !this.#continued && !this.answered;
  }

  head(request: RequestHead, fields: Fields, end: boolean, circumstances: Circumstances): HeadOutcome {
    const status = statusOf(fields);
    const writable = writableFields(fields);
    if (status === undefined || status === 101 || writable === undefined) return "unwritable";
    const outbox = this.#outbox;
    if (status < 200) {
      if (status === 100) this.#continued = true;
      // RFC 9110 section 15.2: never to an HTTP/1.0 client.
      if (request.minor === 1) writeInterim(outbox, status, writable);
      return "interim";
    }
    if (request.webSocketKey !== undefined && status < 300) {
      this.answered = true;
      writeSwitch(outbox, writable, this.#acceptKey(request.webSocketKey));
      this.writer.start("raw", 0);
      return "switched";
    }
    const plan = planAnswer(request, status, writable, end);
    if (plan === undefined) return "contradiction";
    this.answered = true;
    if (circumstances.draining || plan.kind === "close" || this.#ambiguous(request, status, circumstances.incomplete)) {
      this.close = true;
    }
    writeAnswer(outbox, status, plan, request.minor, this.close);
    this.writer.start(plan.kind, plan.length);
    return "final";
  }

  /** Ends an answer that ended with its head. */
  end(): number {
    return this.writer.send(EMPTY, true);
  }

  /** Whether an answer with `status` leaves it open what the visitor's next octets are, so that no further request can be read. */
  #ambiguous(request: RequestHead, status: number, incomplete: boolean): boolean {
    // RFC 9931: what follows a refused Upgrade may be meant for the other protocol.
    if (request.webSocketKey !== undefined) return true;
    if (!incomplete) return false;
    // RFC 9110 section 10.1.1: without a 100 the visitor may leave the body out. An error or redirection: it will give up.
    return status >= 300 || (request.expectsContinue && !this.#continued);
  }
}
