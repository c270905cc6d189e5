/**
 * Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. Written out because layer 0 has no
 * `TextDecoder`, and because WebSocket needs the check in pieces (RFC 6455 section 8.1).
 */
export class Utf8Check {
  /** Continuation octets still to come, and the range the next one must be in. */
  #missing = 0;
  #lowest = 0x80;
  #highest = 0xbf;
  #valid = true;

  /** Takes the next octets; false once any octet was wrong. */
  receive(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    for (let position = start; position < end && this.#valid; position++) this.#octet(bytes[position] ?? 0);
    return this.#valid;
  }

  /** Whether everything so far is valid and no character is cut. */
  get complete(): boolean {
    return this.#valid && this.#missing === 0;
  }

  #octet(octet: number): void {
    if (this.#missing > 0) {
      if (octet < this.#lowest || octet > this.#highest) this.#valid = false;
      this.#missing--;
      this.#lowest = 0x80;
      this.#highest = 0xbf;
      return;
    }
    if (octet < 0x80) return;
    if (octet >= 0xc2 && octet <= 0xdf) this.#missing = 1;
    else if (octet >= 0xe0 && octet <= 0xef) {
      this.#missing = 2;
      if (octet === 0xe0) this.#lowest = 0xa0;
      if (octet === 0xed) this.#highest = 0x9f;
    } else if (octet >= 0xf0 && octet <= 0xf4) {
      this.#missing = 3;
      if (octet === 0xf0) this.#lowest = 0x90;
      if (octet === 0xf4) this.#highest = 0x8f;
    } else this.#valid = false;
  }
}

export function isUtf8(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
  const check = new Utf8Check();
  check.receive(bytes, start, end);
  return check.complete;
}

/** Text is joined from pieces of this many UTF-16 units: `String.fromCharCode` takes its arguments from the stack. */
const PIECE_UNITS = 4096;

/** The text of these octets; undefined when they are not strict UTF-8. */
export function decodeUtf8(bytes: Uint8Array, start = 0, end = bytes.length): string | undefined {
  if (!isUtf8(bytes, start, end)) return undefined;
  let text = "";
  let units: number[] = [];
  for (let position = start; position < end;) {
    const octet = bytes[position++] ?? 0;
    let point = octet;
    let following = 0;
    if (octet >= 0xf0) {
      point = octet & 0x07;
      following = 3;
    } else if (octet >= 0xe0) {
      point = octet & 0x0f;
      following = 2;
    } else if (octet >= 0xc0) {
      point = octet & 0x1f;
      following = 1;
    }
    for (; following > 0; following--) point = (point << 6) | ((bytes[position++] ?? 0) & 0x3f);
    if (point > 0xffff) units.push(0xd7c0 + (point >> 10), 0xdc00 + (point & 0x3ff));
    else units.push(point);
    if (units.length >= PIECE_UNITS) {
      text += String.fromCharCode(...units);
      units = [];
    }
  }
  return text + String.fromCharCode(...units);
}
