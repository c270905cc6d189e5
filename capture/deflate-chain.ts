import type { Side } from "../wire/stream.ts";
import { joinPayload } from "../wire/websocket/message.ts";
import type { Exchange } from "./exchange.ts";
import { inflateMessage, SKIP_BYTES, skipMessages } from "./inflate.ts";
import type { DeflatedMessage } from "./inflate.ts";
import { FOLLOW_BYTES } from "./limits.ts";
import { fieldValue } from "./media.ts";
import { Pace } from "./pace.ts";

/** Windows kept for each side, 32 KiB each: from one of them on, messages are skipped again when an older one is asked for. */
const MAX_CHECKPOINTS = 16;
/** Messages between two windows at least. */
const LEAST_SPACING = 64;
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
  /** Behind the message inflated last: looking at one after another inflates each once. */
  #latest: Checkpoint | undefined;
  /** The message at which the chain broke: it and what follows cannot be inflated. */
  #brokenAt = Infinity;
  /** What is asked for at the same time is done in order, so that each message continues where the one before ended. */
  #queue: Promise<unknown> = Promise.resolve();
  #skips = 0;
  #parameters: DeflateParameters | undefined;
  #following = false;

  constructor(exchange: Exchange, side: Side) {
    this.#exchange = exchange;
    this.#side = side;
  }

  /** How often messages were skipped in one go, for tests. */
  get skips(): number {
    return this.#skips;
  }

  /** Resolves when all that was asked for until now is done. */
  get idle(): Promise<unknown> {
    return this.#queue;
  }

  /** Read once: the answer's head does not change. */
  #agreed(): DeflateParameters | undefined {
    if (this.#exchange.response === undefined) return undefined;
    return (this.#parameters ??= deflateParameters(this.#exchange, this.#side));
  }

  /** Keeps a window behind what passed until now, so that what follows can be inflated without it. */
  follow(): void {
    // Behind already: when this one is done, the next call catches up.
    if (this.#following || this.#agreed()?.contextTakeover !== true) return;
    this.#following = true;
    this.#queue = this.#queue.then(() => this.#follow());
  }

  async #follow(): Promise<void> {
    const [first] = this.#checkpoints;
    if (first !== undefined && !this.#leadsOn(first)) this.#checkpoints.shift();
    const { total } = this.#exchange.messages;
    const from = this.#nearest(total);
    await this.#reach(total, from);
    this.#following = false;
  }

  /** The message behind it is still there: without it, the window is of no use. */
  #leadsOn({ behind }: Checkpoint): boolean {
    const { messages } = this.#exchange;
    for (let at = behind + 1; at < messages.total; at++) {
      const record = messages.get(at);
      if (record === undefined) return false;
      if (record.from === this.#side && record.compressed)
        return this.#exchange.log(this.#side).has(record.start, record.end);
    }
    return true;
  }

  /** The compressed message with this index, which is of this side and complete. Never rejects. */
  inflate(index: number, payload: Uint8Array): Promise<DeflatedMessage> {
    const parameters = this.#agreed();
    if (parameters === undefined)
      return Promise.resolve(broken("It is marked as compressed, but no compression was agreed."));
    if (!parameters.contextTakeover) return inflateMessage(payload, EMPTY);
    const result = this.#queue.then(() => this.#inflate(index, payload));
    this.#queue = result;
    return result;
  }

  async #inflate(index: number, payload: Uint8Array): Promise<DeflatedMessage> {
    this.#use();
    const window = await this.#reach(index, this.#nearest(index));
    if (typeof window === "string") return broken(window);
    await this.#pace.rest();
    const result = await inflateMessage(payload, window);
    if (result.window !== undefined) this.#note(index, result.window);
    return result;
  }

  /** The window before the message `index`, from that of an earlier one on; or why there is none. */
  async #reach(index: number, from: Checkpoint | undefined): Promise<Uint8Array | string> {
    let window: Uint8Array | string = from?.window ?? EMPTY;
    for (let next = (from?.behind ?? -1) + 1; next < index && typeof window !== "string";) {
      const run: { index: number; payload: Uint8Array }[] = [];
      for (let octets = 0; next < index && octets < SKIP_BYTES && run.length < SKIP_MESSAGES; next++) {
        const found = this.#payloadAt(next);
        if (found === undefined) continue;
        if (typeof found === "string") {
          // What comes before it is still noted.
          if (run.length === 0) return found;
          break;
        }
        // What does not fit any more begins the next run.
        octets += found.length;
        if (octets > SKIP_BYTES && run.length > 0) break;
        run.push({ index: next, payload: found });
      }
      window = await this.#skip(run, window);
      await this.#pace.rest();
    }
    return window;
  }

  /** Undefined: it is none of this chain. Text: it cannot be had, and why. */
  #payloadAt(index: number): Uint8Array | string | undefined {
    if (index >= this.#brokenAt) return "An earlier message, to which this one refers, cannot be inflated.";
    const record = this.#exchange.messages.get(index);
    if (record === undefined) return "An earlier message, to which this one refers, is no longer in the capture.";
    if (record.from !== this.#side || !record.compressed) return undefined;
    if (record.completedAt === 0) return "An earlier message, to which this one refers, is not complete.";
    const { bytes, complete } = this.#exchange.log(this.#side).read(record.start, record.end);
    if (!complete) return "An earlier message, to which this one refers, is not, or not all, in the capture.";
    return joinPayload(bytes, false);
  }

  async #skip(
    run: readonly { readonly index: number; readonly payload: Uint8Array }[],
    before: Uint8Array,
  ): Promise<Uint8Array | string> {
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
      if (result.window === undefined) {
        this.#brokenAt = Math.min(this.#brokenAt, index);
        return "An earlier message, to which this one refers, cannot be inflated.";
      }
      window = result.window;
      this.#note(index, window);
      await this.#pace.rest();
    }
    return window;
  }

  /** Marks this chain as used, and lets the one that was not for the longest time forget its windows. */
  #use(): void {
    recent.delete(this);
    recent.add(this);
    const [oldest] = recent;
    if (recent.size <= MAX_CHAINS || oldest === undefined) return;
    recent.delete(oldest);
    oldest.#forget();
  }

  /** Of a stream whose beginning may be gone, some windows stay: without any, nothing of it could be inflated. */
  #forget(): void {
    const long = this.#exchange.log(this.#side).position >= FOLLOW_BYTES && !this.#exchange.removed;
    this.#checkpoints = long ? this.#checkpoints.filter((_checkpoint, index) => index % 4 === 0) : [];
    this.#latest = undefined;
  }

  /** The last window before the message, wherever it is kept. */
  #nearest(index: number): Checkpoint | undefined {
    const kept = this.#checkpoints.findLast(({ behind }) => behind < index);
    const latest = this.#latest;
    return latest !== undefined && latest.behind < index && latest.behind > (kept?.behind ?? -1) ? latest : kept;
  }

  #note(behind: number, window: Uint8Array): void {
    this.#latest = { behind, window };
    const [first] = this.#checkpoints;
    const last = this.#checkpoints.at(-1);
    if (first !== undefined && last !== undefined) {
      const spacing = Math.max(LEAST_SPACING, (behind - first.behind) / MAX_CHECKPOINTS);
      if (behind < last.behind + spacing) return;
    }
    this.#checkpoints.push({ behind, window });
    if (this.#checkpoints.length <= MAX_CHECKPOINTS) return;
    this.#checkpoints = this.#checkpoints.filter((_checkpoint, index) => index % 2 === 0);
  }
}

function broken(problem: string): DeflatedMessage {
  return { bytes: EMPTY, complete: false, problem, window: undefined };
}
