/**
 * The Huffman code of RFC 7541 appendix B. It is canonical: codes of one length are consecutive in the order of their
 * symbols, so the lengths say everything. Symbol 256 is EOS.
 */
// prettier-ignore
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];
const EOS = 256;

const codes = new Uint32Array(LENGTHS.length);
const lengths = Uint8Array.from(LENGTHS);

/**
 * The decoder reads four bits at a time. `transitions[state * 16 + bits]` holds the next state in its low 9 bits, and
 * the symbol that became complete, if any, above. A state is an inner node of the code's tree; there are 256.
 */
const EMITS = 1 << 9;
const FAILS = 1 << 10;
const SYMBOL_SHIFT = 11;
const transitions = new Uint32Array(256 * 16);
/** States in which a string may end: nothing, or at most seven one-bits, of an incomplete code (section 5.2). */
const accepting = new Uint8Array(256);

build();

function build(): void {
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    for (let symbol = 0; symbol <= EOS; symbol++) if (lengths[symbol] === length) codes[symbol] = code++;
    code <<= 1;
  }
  // The tree: child of node n by bit b is children[2n + b]; leaves are -1 - symbol.
  const children: number[] = [0, 0];
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let bit = (lengths[symbol] ?? 0) - 1; bit >= 0; bit--) {
      const slot = 2 * node + (((codes[symbol] ?? 0) >>> bit) & 1);
      if (bit === 0) children[slot] = -1 - symbol;
      else if (children[slot] === 0) {
        children[slot] = children.length / 2;
        children.push(0, 0);
        node = children[slot] ?? 0;
      } else node = children[slot] ?? 0;
    }
  }
  for (let node = 0, ones = 0; ones < 8; ones++) {
    accepting[node] = 1;
    node = children[2 * node + 1] ?? 0;
  }
  for (let state = 0; state < 256; state++) {
    for (let bits = 0; bits < 16; bits++) transitions[state * 16 + bits] = transition(children, state, bits);
  }
}

function transition(children: readonly number[], state: number, bits: number): number {
  let node = state;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const child = children[2 * node + ((bits >>> bit) & 1)] ?? 0;
    if (child >= 0) {
      node = child;
      continue;
    }
    const symbol = -1 - child;
    if (symbol === EOS) return FAILS;
    // The shortest code has five bits: at most one symbol becomes complete within four.
    emitted = EMITS | (symbol << SYMBOL_SHIFT);
    node = 0;
  }
  return emitted | node;
}

/** At most this many octets come out of `size` octets: the shortest code has five bits. */
export function huffmanBound(size: number): number {
  return Math.ceil((size * 8) / 5);
}

/**
 * Decodes `source[from, to)` into `target`, which has room for `huffmanBound` octets. Returns how many, or -1 when the
 * code contains EOS or ends in padding that is not up to seven one-bits.
 */
export function huffmanDecode(source: Uint8Array, from: number, to: number, target: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let at = from; at < to; at++) {
    const octet = source[at] ?? 0;
    let entry = transitions[(state << 4) | (octet >>> 4)] ?? 0;
    if ((entry & (EMITS | FAILS)) !== 0) {
      if ((entry & FAILS) !== 0) return -1;
      target[length++] = entry >>> SYMBOL_SHIFT;
    }
    entry = transitions[((entry & 0x1ff) << 4) | (octet & 15)] ?? 0;
    if ((entry & (EMITS | FAILS)) !== 0) {
      if ((entry & FAILS) !== 0) return -1;
      target[length++] = entry >>> SYMBOL_SHIFT;
    }
    state = entry & 0x1ff;
  }
  return accepting[state] === 1 ? length : -1;
}

/** Octets that `huffmanEncode` would write for `text` (one octet a character). */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let index = 0; index < text.length; index++) bits += lengths[text.charCodeAt(index) & 0xff] ?? 0;
  return (bits + 7) >>> 3;
}

/** Writes `text` at `at`; returns the offset behind it. */
export function huffmanEncode(text: string, target: Uint8Array, at: number): number {
  let pending = 0; // Bits not yet written, at most 7, in the low end.
  let count = 0;
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index) & 0xff;
    const code = codes[symbol] ?? 0;
    let left = lengths[symbol] ?? 0;
    // At most 7 + 24 bits at a time stay within 32.
    if (left > 24) {
      left -= 24;
      pending = (pending << left) | (code >>> 24);
      count += left;
      while (count >= 8) target[at++] = pending >>> (count -= 8);
      pending &= (1 << count) - 1;
      left = 24;
    }
    pending = (pending << left) | (code & ((1 << left) - 1));
    count += left;
    while (count >= 8) target[at++] = pending >>> (count -= 8);
    pending &= (1 << count) - 1;
  }
  if (count > 0) target[at++] = (pending << (8 - count)) | (0xff >>> count);
  return at;
}
