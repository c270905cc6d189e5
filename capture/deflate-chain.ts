import type { Side } from "../wire/stream.ts";
import { joinPayload } from "../wire/websocket/message.ts";
import type { Exchange } from "./exchange.ts";
import { inflateMessage } from "./inflate.ts";
import type { DeflatedMessage } from "./inflate.ts";
import { fieldValue } from "./media.ts";

/** Windows kept for each side, 32 KiB each: from one of them on, messages are inflated anew when an older one is asked for. */
const MAX_CHECKPOINTS = 16;
/** Messages inflated before others get a turn: a few milliseconds. */
const TURN = 100;
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

/**
 * Inflates the messages of one side. With context takeover a message needs all before it; their windows are kept at a
 * few places so that looking at a stream in any order stays cheap.
 */
export class DeflateChain {
  readonly #exchange: Exchange;
  readonly #side: Side;
  #checkpoints: Checkpoint[] = [];
  #spacing = 64;
  /** Behind the message inflated last: looking at one after another inflates each once. */
  #latest: Checkpoint | undefined;
  /** The message at which the chain broke: it and what follows cannot be inflated. */
  #brokenAt = Infinity;
  #brokenWhy = "";

  constructor(exchange: Exchange, side: Side) {
    this.#exchange = exchange;
    this.#side = side;
  }

  /** The compressed message with this index, which is of this side and complete. */
  async inflate(index: number, payload: Uint8Array): Promise<DeflatedMessage> {
    const parameters = deflateParameters(this.#exchange, this.#side);
    if (parameters === undefined) return broken("It is marked as compressed, but no compression was agreed.");
    if (!parameters.contextTakeover) return inflateMessage(payload, EMPTY);
    const from = this.#nearest(index);
    let window: Uint8Array = from?.window ?? EMPTY;
    let done = 0;
    for (let at = (from?.behind ?? -1) + 1; at < index; at++) {
      if (at >= this.#brokenAt) return broken(this.#brokenWhy);
      const record = this.#exchange.messages.get(at);
      if (record === undefined)
        return this.#break(at, "An earlier message, to which this one refers, is no longer in the capture.");
      if (record.from !== this.#side || !record.compressed) continue;
      const { bytes, complete } = this.#exchange.log(this.#side).read(record.start, record.end);
      if (!complete)
        return this.#break(at, "An earlier message, to which this one refers, is not, or not all, in the capture.");
      const result = inflateMessage(joinPayload(bytes, false), window);
      if (result.window === undefined)
        return this.#break(at, "An earlier message, to which this one refers, cannot be inflated.");
      window = result.window;
      this.#note(at, window);
      if (++done % TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const result = inflateMessage(payload, window);
    if (result.window !== undefined) this.#note(index, result.window);
    return result;
  }

  #break(at: number, why: string): DeflatedMessage {
    if (at < this.#brokenAt) {
      this.#brokenAt = at;
      this.#brokenWhy = why;
    }
    return broken(why);
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
