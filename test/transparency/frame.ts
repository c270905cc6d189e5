/** A WebSocket frame to be made, whether RFC 6455 allows it or not. */
export interface FrameSpec {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  readonly fin?: boolean;
  /** The three reserved bits as a number: RSV1 is 4 (compressed), RSV2 2, RSV3 1. */
  readonly rsv?: number;
  /** Against the rule for its side (RFC 6455 section 5.1): a visitor's frame without a mask, a service's with one. */
  readonly wrongMask?: boolean;
  /** Bits of the length, where more are used than needed. */
  readonly lengthBits?: 7 | 16 | 64;
  /** The length that is said, where it is not that of the payload. */
  readonly saidLength?: bigint;
}

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** Fixed, so that what is sent is the same octets each time. */
const MASK = Buffer.from([0x11, 0x22, 0x33, 0x44]);

export function encode(frames: readonly FrameSpec[], side: "visitor" | "service"): Buffer {
  return Buffer.concat(frames.map((spec) => encodeOne(spec, side)));
}

function encodeOne(spec: FrameSpec, side: "visitor" | "service"): Buffer {
  const payload = Buffer.from((spec.payload ?? "") as Uint8Array);
  const said = spec.saidLength ?? BigInt(payload.length);
  const bits = spec.lengthBits ?? (said < 126n ? 7 : said < 65_536n ? 16 : 64);
  const masked = (side === "visitor") !== (spec.wrongMask ?? false);
  const head = Buffer.alloc(2 + (bits === 7 ? 0 : bits / 8));
  head.writeUInt8((spec.fin === false ? 0 : 0x80) | ((spec.rsv ?? 0) << 4) | spec.opcode, 0);
  head.writeUInt8((masked ? 0x80 : 0) | (bits === 7 ? Number(said) : bits === 16 ? 126 : 127), 1);
  if (bits === 16) head.writeUInt16BE(Number(said), 2);
  else if (bits === 64) head.writeBigUInt64BE(said, 2);
  if (!masked) return Buffer.concat([head, payload]);
  for (let index = 0; index < payload.length; index++) payload[index] = (payload[index] ?? 0) ^ (MASK[index & 3] ?? 0);
  return Buffer.concat([head, MASK, payload]);
}

/** A close frame's payload (RFC 6455 section 5.5.1). */
export function closePayload(code: number, reason: Uint8Array | string = ""): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason as Uint8Array)]);
}
