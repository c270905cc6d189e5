/**
 * Writes `value` with a prefix of `bits` bits (RFC 7541 section 5.1), the rest of the first octet being `flags`.
 * Returns the offset behind it: at most six octets for values below 2^31.
 */
export function writeInteger(target: Uint8Array, at: number, bits: number, flags: number, value: number): number {
  const full = (1 << bits) - 1;
  if (value < full) {
    target[at] = flags | value;
    return at + 1;
  }
  target[at++] = flags | full;
  let rest = value - full;
  while (rest >= 128) {
    target[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}
