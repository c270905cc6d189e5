import type { Side } from "../wire/stream.ts";
import { joinPayload } from "../wire/websocket/message.ts";
import type { Exchange } from "./exchange.ts";
import { inflateMessage, SKIP_BYTES, skipMessages } from "./inflate.ts";
import type { DeflatedMessage } from "./inflate.ts";
import { fieldValue } from "./media.ts";
import { Pace } from "./pace.ts";

/** Windows kept for each side, 32 KiB each: from one of them on, messages are skipped again when an older one is asked for. */
const MAX_CHECKPOINTS = 16;
/** Sides of exchanges whose windows are kept: those looked at last, 8 MiB in all. For others one begins at the start. */
const MAX_CHAINS = 16;
/** Messages skipped in one go: short ones, of which more would hold up who asks for the next page. */
const SKIP_MESSAGES = 1000;
const EMPTY = new Uint8Array(0);

/** What was agreed for one direction (RFC 7692 section 7.1). */
export interface DeflateParameters {
  /** Each message may refer to those before it. */
  readonly contextTakeover: boolean;
}

/** Undefined when permessage-deflate is not in force. */
export function deflateParameters(exchange: Exchange, side: Side): DeflateParameters | undefined {
  const extensions = fieldValue(exchange.response ?? [], "sec-websocket-extensions") ?? "";
  const offer = extensions.split(",").find((item) => /^\s*permessage-deflate\s*(;|$)/i.test(item));
  if (offer === undefined) return undefined;
  const role = side === "visitor" ? "client" : "server";
  return { contextTakeover: !new RegExp(`;\\s*${role}_no_context_takeover`, "i").test(offer) };
}

interface Checkpoint {
  /** Index of the message behind which it was taken. */
  readonly behind: number;
  readonly window: Uint8Array;
}

/** The chains that keep windows, in order of use. */
const recent = new Set<DeflateChain>();

/**
 * Inflates the messages of one side. With context takeover a message needs all before it; their windows are kept at a
 * few places so that looking at a stream in any order stays cheap.
 */
export class DeflateChain {
  readonly #exchange: Exchange;
  readonly #side: Side;
  readonly #pace = new Pace();
  #checkpoints: Checkpoint[] = [];
  #spacing = 64;
  /** Behind the message inflated last: looking at one after another inflates each once. */
  #latest: Checkpoint | undefined;
  /** The message at which the chain broke: it and what follows cannot be inflated. */
  #brokenAt = Infinity;
  #brokenWhy = "";
  /** What is asked for at the same time is done in order, so that each message continues where the one before ended. */
  #queue: Promise<unknown> = Promise.resolve();
  #skips = 0;

  constructor(exchange: Exchange, side: Side) {
    this.#exchange = exchange;
    this.#side = side;
  }

  /** How often messages were skipped in one go, for tests. */
  get skips(): number {
    return this.#skips;
  }

  /** The compressed message with this index, which is of this side and complete. Never rejects. */
  inflate(index: number, payload: Uint8Array): Promise<DeflatedMessage> {
    const parameters = deflateParameters(this.#exchange, this.#side);
    if (parameters === undefined)
      return Promise.resolve(broken("It is marked as compressed, but no compression was agreed."));
    if (!parameters.contextTakeover) return inflateMessage(payload, EMPTY);
    const result = this.#queue.then(() => this.#inflate(index, payload));
    this.#queue = result;
    return result;
  }

  async #inflate(index: number, payload: Uint8Array): Promise<DeflatedMessage> {
    this.#use();
    const from = this.#nearest(index);
    const window = await this.#windowBefore(index, (from?.behind ?? -1) + 1, from?.window ?? EMPTY);
    if (window === undefined) return broken(this.#brokenWhy);
    await this.#pace.rest();
    const result = await inflateMessage(payload, window);
    if (result.window !== undefined) this.#note(index, result.window);
    return result;
  }

  /** Skips the messages of this side from `at` on until `index`. Undefined: the chain is broken before it. */
  async #windowBefore(index: number, at: number, before: Uint8Array): Promise<Uint8Array | undefined> {
    let window: Uint8Array | undefined = before;
    for (let next = at; next < index && window !== undefined;) {
      const run: { index: number; payload: Uint8Array }[] = [];
      for (let octets = 0; next < index && octets < SKIP_BYTES && run.length < SKIP_MESSAGES; next++) {
        if (next >= this.#brokenAt) return undefined;
        const record = this.#exchange.messages.get(next);
        if (record === undefined)
          return this.#break(next, "An earlier message, to which this one refers, is no longer in the capture.");
        if (record.from !== this.#side || !record.compressed) continue;
        // What does not fit any more begins the next run.
        octets += record.end - record.start;
        if (octets > SKIP_BYTES && run.length > 0) break;
        const { bytes, complete } = this.#exchange.log(this.#side).read(record.start, record.end);
        if (!complete)
          return this.#break(next, "An earlier message, to which this one refers, is not, or not all, in the capture.");
        run.push({ index: next, payload: joinPayload(bytes, false) });
      }
      window = await this.#skip(run, window);
      await this.#pace.rest();
    }
    return window;
  }

  async #skip(
    run: readonly { index: number; payload: Uint8Array }[],
    before: Uint8Array,
  ): Promise<Uint8Array | undefined> {
    const last = run.at(-1);
    if (last === undefined) return before;
    this.#skips++;
    const skipped =
      run.length === 1
        ? undefined
        : await skipMessages(
            run.map(({ payload }) => payload),
            before,
          );
    if (skipped !== undefined) {
      this.#note(last.index, skipped);
      return skipped;
    }
    let window = before;
    for (const { index, payload } of run) {
      const result = await inflateMessage(payload, window);
      if (result.window === undefined)
        return this.#break(index, "An earlier message, to which this one refers, cannot be inflated.");
      window = result.window;
      this.#note(index, window);
      await this.#pace.rest();
    }
    return window;
  }

  #break(at: number, why: string): Uint8Array | undefined {
    if (at < this.#brokenAt) {
      this.#brokenAt = at;
      this.#brokenWhy = why;
    }
    return undefined;
  }

  /** Marks this chain as used, and lets the one that was not for the longest time forget its windows. */
  #use(): void {
    recent.delete(this);
    recent.add(this);
    const [oldest] = recent;
    if (recent.size <= MAX_CHAINS || oldest === undefined) return;
    recent.delete(oldest);
    oldest.#checkpoints = [];
    oldest.#latest = undefined;
    oldest.#spacing = 64;
  }

  /** The last window before the message, wherever it is kept. */
  #nearest(index: number): Checkpoint | undefined {
    const kept = this.#checkpoints.findLast(({ behind }) => behind < index);
    const latest = this.#latest;
    return latest !== undefined && latest.behind < index && latest.behind > (kept?.behind ?? -1) ? latest : kept;
  }

  #note(behind: number, window: Uint8Array): void {
    this.#latest = { behind, window };
    const last = this.#checkpoints.at(-1);
    if (last !== undefined && behind < last.behind + this.#spacing) return;
    this.#checkpoints.push({ behind, window });
    if (this.#checkpoints.length <= MAX_CHECKPOINTS) return;
    this.#checkpoints = this.#checkpoints.filter((_checkpoint, index) => index % 2 === 0);
    this.#spacing *= 2;
  }
}

function broken(problem: string): DeflatedMessage {
  return { bytes: EMPTY, complete: false, problem, window: undefined };
}
