/** Messages in one exchange of those kinds that have messages. */
export const MESSAGES = 16;

/** `octets` whose every octet has its place: the period is a prime, so that shifted, lost or doubled blocks show. */
export function expected(octets: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: octets }, (_, index) => 32 + (index % 89)));
}

/** Reads what should be the beginning of a known text. */
export class Checker {
  octets = 0;
  wrong: string | undefined;
  readonly #expected: Buffer;

  constructor(whole: Buffer) {
    this.#expected = whole;
  }

  get complete(): boolean {
    return this.wrong === undefined && this.octets === this.#expected.length;
  }

  read(chunk: Uint8Array): void {
    const right = this.#expected.subarray(this.octets, this.octets + chunk.length);
    if (!right.equals(chunk)) this.wrong ??= `octets from ${this.octets} on are not as sent`;
    this.octets += chunk.length;
  }
}
