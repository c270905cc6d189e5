import type { Random } from "./random.ts";

/** Longest input: what is worth finding shows in less, and most runs are to be fast. */
const MAX_BYTES = 4096;
/** A few are long, so that what grows with the square of its input is noticed. */
const LONG_BYTES = 64 * 1024;

const INTERESTING = [0, 1, 2, 9, 10, 13, 16, 32, 58, 63, 64, 100, 125, 126, 127, 128, 129, 192, 200, 254, 255];

export function splice(input: Uint8Array, from: number, to: number, piece: Uint8Array): Uint8Array {
  const result = new Uint8Array(input.length - (to - from) + piece.length);
  result.set(input.subarray(0, from));
  result.set(piece, from);
  result.set(input.subarray(to), from + piece.length);
  return result;
}

/** Changes `input` at a few places, without knowing what it means. */
export function mutate(
  input: Uint8Array,
  other: Uint8Array,
  dictionary: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  let result: Uint8Array = input.slice();
  for (let count = 1 + random.below(4); count > 0; count--) result = once(result, other, dictionary, random);
  if (random.once(1000)) result = repeated(result, random, LONG_BYTES);
  return result.length > LONG_BYTES ? result.subarray(0, LONG_BYTES) : result;
}

function once(input: Uint8Array, other: Uint8Array, dictionary: readonly Uint8Array[], random: Random): Uint8Array {
  const at = random.below(input.length + 1);
  const to = Math.min(input.length, at + 1 + random.below(random.once(4) ? 64 : 4));
  switch (random.below(9)) {
    case 0: {
      if (at < input.length) input[at] = (input[at] ?? 0) ^ (1 << random.below(8));
      return input;
    }
    case 1: {
      if (at < input.length) input[at] = random.once(2) ? random.below(256) : random.pick(INTERESTING);
      return input;
    }
    case 2: {
      if (at < input.length) input[at] = (input[at] ?? 0) + random.below(9) - 4;
      return input;
    }
    case 3:
      return splice(input, at, to, new Uint8Array(0));
    case 4:
      return splice(input, at, at, input.slice(at, to));
    case 5:
      return splice(input, at, at, Uint8Array.of(random.below(256)));
    case 6: {
      const from = random.below(other.length + 1);
      return bounded(splice(input, at, at, other.slice(from, from + random.below(200))));
    }
    case 7:
      return random.once(8) ? bounded(repeated(input, random, MAX_BYTES)) : input;
    default: {
      if (dictionary.length === 0) return input;
      return bounded(splice(input, at, random.once(2) ? at : to, random.pick(dictionary)));
    }
  }
}

/** A short piece of `input` again and again. */
function repeated(input: Uint8Array, random: Random, limit: number): Uint8Array {
  const at = random.below(input.length + 1);
  const piece = input.slice(at, at + 1 + random.below(40));
  const times = Math.floor(random.below(limit) / Math.max(1, piece.length));
  const many = new Uint8Array(piece.length * times);
  for (let index = 0; index < times; index++) many.set(piece, index * piece.length);
  return splice(input, at, at, many);
}

function bounded(input: Uint8Array): Uint8Array {
  return input.length > MAX_BYTES ? input.subarray(0, MAX_BYTES) : input;
}
