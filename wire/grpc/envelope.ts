/**
 * The length-prefixed messages of gRPC ("Length-Prefixed-Message" of PROTOCOL-HTTP2.md), gRPC-Web and Connect: one octet
 * of flags, four of length, then that many octets.
 *
 * The reader looks at the five octets only and counts the rest, so it costs the same for a message of 4 octets and of
 * 4 GiB; it allocates nothing from the prefix.
 */
export const ENVELOPE_PREFIX = 5;

/** Flag of all three: the message is compressed with the encoding the head names. */
export const COMPRESSED = 0x01;
/** Connect: the last envelope of a stream, JSON with error and metadata. */
export const CONNECT_END = 0x02;
/** gRPC-Web: the last envelope holds the trailers as HTTP/1 header lines. */
export const WEB_TRAILERS = 0x80;

/** Which flag bits may be set. Anything else is no envelope: "404 page not found" would read as 808 722 544 octets. */
export const ENVELOPE_FLAGS = {
  grpc: COMPRESSED,
  "grpc-web": COMPRESSED | WEB_TRAILERS,
  connect: COMPRESSED | CONNECT_END,
} as const;

export interface EnvelopeEvents {
  /** A prefix is complete. `offset`: of the prefix's first octet in the stream; `length`: octets that follow the prefix. */
  started(flags: number, length: number, offset: number): void;
  /** The last octet of the envelope passed. */
  completed(): void;
  /** These octets are no envelopes; nothing more is reported. One sentence for people. */
  invalid(problem: string): void;
}

export class EnvelopeReader {
  readonly #events: EnvelopeEvents;
  readonly #allowed: number;
  #position = 0;
  #prefixOctets = 0;
  #flags = 0;
  #length = 0;
  /** Octets of the present message still to come. */
  #remaining = 0;
  #invalid = false;

  constructor(allowedFlags: number, events: EnvelopeEvents) {
    this.#allowed = allowedFlags;
    this.#events = events;
  }

  /** Octets seen so far. */
  get position(): number {
    return this.#position;
  }

  /** No envelope is cut here: the stream may end in order. */
  get atBoundary(): boolean {
    return !this.#invalid && this.#prefixOctets === 0;
  }

  receive(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && !this.#invalid) {
      if (this.#prefixOctets < ENVELOPE_PREFIX) {
        const octet = bytes[at++] ?? 0;
        this.#position++;
        if (this.#prefixOctets === 0) {
          this.#flags = octet;
          this.#length = 0;
          if ((octet & ~this.#allowed) !== 0) {
            this.#invalid = true;
            this.#events.invalid(
              `Not a message envelope: its first octet is 0x${octet.toString(16).padStart(2, "0")}.`,
            );
            return;
          }
        } else this.#length = this.#length * 256 + octet;
        if (++this.#prefixOctets < ENVELOPE_PREFIX) continue;
        this.#remaining = this.#length;
        this.#events.started(this.#flags, this.#length, this.#position - ENVELOPE_PREFIX);
      } else {
        const taken = Math.min(this.#remaining, bytes.length - at);
        at += taken;
        this.#position += taken;
        this.#remaining -= taken;
      }
      if (this.#remaining === 0) {
        this.#prefixOctets = 0;
        this.#events.completed();
      }
    }
  }
}
