/**
 * The wire level of Protocol Buffers (protobuf.dev/programming-guides/encoding): tags, varints, fixed-size values and
 * lengths. No schema here.
 */
export const WIRE = { varint: 0, fixed64: 1, lengthDelimited: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;

/** 2^29 - 1 (the specification's highest field number). */
export const MAX_FIELD_NUMBER = 536_870_911;

/** These octets are not what they were read as. The message is for people and holds no payload. */
export class WireError extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.name = "WireError";
    this.offset = offset;
  }
}

/**
 * A cursor over one message. Reading methods throw `WireError`, and nothing else, when the octets do not fit: callers
 * catch it once, around the whole message.
 */
export class WireReader {
  readonly bytes: Uint8Array;
  position: number;
  readonly end: number;
  /** The last varint or fixed64 read, as two unsigned halves: a BigInt for each value would be most of the cost. */
  low = 0;
  high = 0;
  /** The last tag read. */
  fieldNumber = 0;
  wireType = 0;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  get atEnd(): boolean {
    return this.position >= this.end;
  }

  tag(): void {
    const start = this.position;
    this.varint();
    this.wireType = this.low & 7;
    this.fieldNumber = this.low >>> 3;
    if (this.high !== 0 || this.fieldNumber === 0)
      throw new WireError(`Field number out of range at offset ${start}.`, start);
    if (this.wireType > 5) throw new WireError(`Wire type ${this.wireType} at offset ${start} does not exist.`, start);
  }

  /** At most 10 octets; bits above 64 are dropped, as all implementations do. */
  varint(): void {
    const start = this.position;
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      if (this.position >= this.end) throw new WireError(`A varint is cut at offset ${start}.`, start);
      const octet = this.bytes[this.position++] ?? 0;
      const bits = octet & 0x7f;
      const shift = index * 7;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else if (shift < 64) high |= bits << (shift - 32);
      if (octet < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw new WireError(`A varint at offset ${start} is longer than 10 octets.`, start);
  }

  fixed32(): void {
    this.#need(4);
    this.low = this.#littleEndian();
    this.high = 0;
  }

  fixed64(): void {
    this.#need(8);
    this.low = this.#littleEndian();
    this.high = this.#littleEndian();
  }

  /** The length of a length-delimited field, checked against the end. The position is then at its content. */
  length(): number {
    const start = this.position;
    this.varint();
    if (this.high !== 0 || this.low > this.end - this.position) {
      throw new WireError(`A field at offset ${start} is longer than its message.`, start);
    }
    return this.low;
  }

  /** Passes over the value of the tag just read; groups are passed over whole, `depth` levels at most. */
  skip(depth = 100): void {
    switch (this.wireType) {
      case WIRE.varint:
        this.varint();
        break;
      case WIRE.fixed64:
        this.fixed64();
        break;
      case WIRE.fixed32:
        this.fixed32();
        break;
      case WIRE.lengthDelimited: {
        const length = this.length();
        this.position += length;
        break;
      }
      case WIRE.startGroup:
        this.#skipGroup(this.fieldNumber, depth);
        break;
      default:
        throw new WireError(`A group ends at offset ${this.position} that did not begin.`, this.position);
    }
  }

  #skipGroup(number: number, depth: number): void {
    if (depth <= 0) throw new WireError(`Groups are nested too deep at offset ${this.position}.`, this.position);
    for (;;) {
      this.tag();
      if (this.wireType === WIRE.endGroup) {
        if (this.fieldNumber !== number)
          throw new WireError(`Group ${number} ends as another at offset ${this.position}.`, this.position);
        return;
      }
      this.skip(depth - 1);
    }
  }

  #need(count: number): void {
    if (this.end - this.position < count)
      throw new WireError(`A value is cut at offset ${this.position}.`, this.position);
  }

  #littleEndian(): number {
    const at = this.position;
    this.position += 4;
    const { bytes } = this;
    return (
      ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>>
      0
    );
  }
}

export function unsigned64(low: number, high: number): string {
  return high === 0 ? String(low) : ((BigInt(high) << 32n) | BigInt(low)).toString();
}

export function signed64(low: number, high: number): string {
  return high < 0x8000_0000 ? unsigned64(low, high) : BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low)).toString();
}

export function zigzag64(low: number, high: number): string {
  const value = (BigInt(high) << 32n) | BigInt(low);
  return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n)).toString();
}

export function zigzag32(low: number): number {
  return (low >>> 1) ^ -(low & 1);
}

const scratch = new DataView(new ArrayBuffer(8));

export function float64(low: number, high: number): number {
  scratch.setUint32(0, low, true);
  scratch.setUint32(4, high, true);
  return scratch.getFloat64(0, true);
}

export function float32(low: number): number {
  scratch.setUint32(0, low, true);
  return scratch.getFloat32(0, true);
}
