/**
 * Base64 in pieces, for `application/grpc-web-text` (PROTOCOL-WEB.md): each flush of the sender may be padded by itself,
 * so padding may come in mid-stream and only ends its own group of four.
 */
export class Base64Reader {
  /** Bits not yet given out, and how many characters of the group of four came. */
  #bits = 0;
  #characters = 0;
  #invalid = false;

  get invalid(): boolean {
    return this.#invalid;
  }

  /** The octets that these characters complete. White space and anything after an invalid character is passed over. */
  receive(characters: Uint8Array): Uint8Array {
    const octets = new Uint8Array(Math.ceil((characters.length + this.#characters) / 4) * 3);
    let length = 0;
    for (const character of characters) {
      if (this.#invalid) break;
      if (character === 0x3d) {
        // A group ends early: what is left of its bits is padding.
        this.#characters = 0;
        this.#bits = 0;
        continue;
      }
      const value = base64Value(character);
      if (value < 0) {
        if (character !== 0x0d && character !== 0x0a && character !== 0x20) this.#invalid = true;
        continue;
      }
      this.#bits = ((this.#bits << 6) | value) & 0xffffff;
      this.#characters = (this.#characters + 1) & 3;
      if (this.#characters === 2) octets[length++] = (this.#bits >> 4) & 0xff;
      else if (this.#characters === 3) octets[length++] = (this.#bits >> 2) & 0xff;
      else if (this.#characters === 0) octets[length++] = this.#bits & 0xff;
    }
    return octets.subarray(0, length);
  }
}

function base64Value(character: number): number {
  if (character >= 0x41 && character <= 0x5a) return character - 0x41;
  if (character >= 0x61 && character <= 0x7a) return character - 0x61 + 26;
  if (character >= 0x30 && character <= 0x39) return character - 0x30 + 52;
  if (character === 0x2b || character === 0x2d) return 62;
  if (character === 0x2f || character === 0x5f) return 63;
  return -1;
}
