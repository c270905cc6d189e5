import type { Random } from "./random.ts";

/** An entry point of `wire/` or `capture/`, with what must hold for any octets given to it. */
export interface Target {
  readonly name: string;
  /** Where its code is, below the root: only this counts as covered or not. */
  readonly code: readonly string[];
  /** What the corpus begins with. The first octet of an input chooses the circumstances, the rest is what a peer sends. */
  readonly seeds: readonly Uint8Array[];
  /** Pieces worth inserting. */
  readonly dictionary: readonly Uint8Array[];
  /**
   * Feeds `input` in pieces that end at `cuts` (ascending), and throws what is wrong. Returns what came of it, a line an
   * event: it must be the same however the input is cut.
   */
  run(input: Uint8Array, cuts: readonly number[]): readonly string[];
  /** A mutation that knows the format, where blind ones would mostly hit its framing. */
  mutate?(input: Uint8Array, random: Random): Uint8Array;
}

/** What a target promises does not hold. */
export class BrokenPromiseError extends Error {
  override readonly name = "BrokenPromiseError";
}

export function promise(holds: boolean, what: string): asserts holds {
  if (!holds) throw new BrokenPromiseError(what);
}

/** Hands out `input` from `from` on in pieces that end at `cuts`, each an array of its own, as a socket reads them. */
export function feed(
  input: Uint8Array,
  from: number,
  cuts: readonly number[],
  receive: (bytes: Uint8Array) => void,
): void {
  let at = from;
  for (const cut of [...cuts, input.length]) {
    if (cut > at) receive(input.slice(at, cut));
    at = Math.max(at, cut);
  }
}

export function octets(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** `mode`, then the octets of `text` (latin-1). */
export function seed(mode: number, text: string | Uint8Array): Uint8Array {
  const rest = typeof text === "string" ? octets(text) : text;
  const input = new Uint8Array(1 + rest.length);
  input[0] = mode;
  input.set(rest, 1);
  return input;
}
