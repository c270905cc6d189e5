import { promisify } from "node:util";
import zlib from "node:zlib";
import { MESSAGE_CAP } from "./limits.ts";

/** Octets that a payload may have after decompression: as many as are captured of a message that is not compressed. */
export const MAX_INFLATED = MESSAGE_CAP;
/** Above 64 KiB of output, more than this many octets from one is a bomb: deflate reaches 1032 with nothing but zeros. */
const MAX_RATIO = 1000;
const RATIO_FROM = 64 * 1024;
/**
 * Payloads up to this size are decompressed at once: a stream, or a thread for it, costs more than the work. Deflate makes
 * 4 MiB of them at most, a few milliseconds.
 */
const AT_ONCE = 4096;

export interface Inflated {
  readonly bytes: Uint8Array;
  /** All of it; else the beginning, and `problem` says why. */
  readonly complete: boolean;
  readonly problem?: string;
}

/** Whether `decompress` knows this encoding. */
export function isKnownEncoding(encoding: string): boolean {
  return /^(x-)?gzip$|^deflate$|^br$|^identity$/.test(encoding);
}

/**
 * Decompresses as much as bounds allow; what was read before an error is given, too. Never rejects. `partial`: the input
 * is cut, which is then no error.
 */
export function decompress(encoding: string, bytes: Uint8Array, partial: boolean): Promise<Inflated> {
  if (encoding === "identity") return Promise.resolve({ bytes, complete: true });
  if (!isKnownEncoding(encoding)) {
    return Promise.resolve({
      bytes,
      complete: false,
      problem: `The encoding "${encoding.slice(0, 40)}" is not known here.`,
    });
  }
  if (bytes.length === 0) return Promise.resolve({ bytes, complete: true });
  const small = bytes.length <= AT_ONCE ? gunzipped(encoding, bytes) : undefined;
  if (small !== undefined) return Promise.resolve({ bytes: small, complete: true });
  const limit = Math.min(MAX_INFLATED, Math.max(RATIO_FROM, bytes.length * MAX_RATIO));
  return new Promise((resolve) => {
    const stream = decompressor(encoding, bytes);
    const parts: Buffer[] = [];
    let total = 0;
    const finish = (complete: boolean, problem?: string): void => {
      stream.destroy();
      resolve({ bytes: Buffer.concat(parts), complete, ...(problem === undefined ? {} : { problem }) });
    };
    stream.on("data", (part: Buffer) => {
      const room = limit - total;
      total += part.length;
      parts.push(part.length > room ? part.subarray(0, room) : part);
      if (part.length > room)
        finish(false, `It has more than ${limit} octets after decompression; the first ${limit} are shown.`);
    });
    stream.on("end", () => finish(true));
    stream.on("error", (error: NodeJS.ErrnoException) => {
      const cut = error.code === "Z_BUF_ERROR" || error.message.includes("unexpected end");
      if (partial && cut) finish(false);
      else finish(false, `The ${encoding} data is damaged.`);
    });
    stream.end(bytes);
  });
}

/** What most messages of a stream are: small, gzip and whole. Undefined for all others, which are looked at more closely. */
function gunzipped(encoding: string, bytes: Uint8Array): Uint8Array | undefined {
  if (!encoding.endsWith("gzip")) return undefined;
  try {
    return zlib.gunzipSync(bytes, { maxOutputLength: RATIO_FROM });
  } catch {
    return undefined;
  }
}

function decompressor(
  encoding: string,
  bytes: Uint8Array,
): zlib.Gunzip | zlib.Inflate | zlib.InflateRaw | zlib.BrotliDecompress {
  if (encoding === "br") return zlib.createBrotliDecompress();
  if (encoding === "deflate") {
    // RFC 9110 section 8.4.1.2 means zlib's format; some senders send raw deflate data instead.
    const zlibFormat = ((bytes[0] ?? 0) & 0x0f) === 8 && (((bytes[0] ?? 0) << 8) + (bytes[1] ?? 0)) % 31 === 0;
    return zlibFormat ? zlib.createInflate() : zlib.createInflateRaw();
  }
  return zlib.createGunzip();
}

/** What deflate may refer back to. */
const WINDOW = 32 * 1024;
/** RFC 7692 section 7.2.2: what a sender took off the end of each message. */
const TAIL = Uint8Array.of(0x00, 0x00, 0xff, 0xff);
/** Octets of one inflated message: its end may be needed for the next one, so it is read to its end up to here. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** Octets that are skipped in one go: deflate makes 1032 of one at most, so that they never inflate to `MAX_MESSAGE`. */
export const SKIP_BYTES = 15 * 1024;

export interface DeflatedMessage extends Inflated {
  /** The last 32 KiB of all that was sent so far, for the next message; undefined when the chain is broken here. */
  readonly window: Uint8Array | undefined;
}

interface Engine {
  readonly buffer: Uint8Array;
  /** Octets of input that were read: fewer than there were when a final block ended the data. */
  readonly engine: { readonly bytesWritten: number };
}

/** With `info: true`; Node's types leave the answer's form out. */
const inflateRaw = promisify(zlib.inflateRaw) as unknown as (
  input: Uint8Array,
  options: zlib.ZlibOptions,
) => Promise<Engine>;

function optionsFor(window: Uint8Array): zlib.ZlibOptions {
  return {
    finishFlush: zlib.constants.Z_SYNC_FLUSH,
    maxOutputLength: MAX_MESSAGE,
    info: true,
    ...(window.length === 0 ? {} : { dictionary: window }),
  };
}

/**
 * One message of permessage-deflate. `window` is what came before it (empty at the start, and without context takeover).
 * Every message ends at an octet, so that its window is all that the next one needs. Never rejects.
 */
export async function inflateMessage(payload: Uint8Array, window: Uint8Array): Promise<DeflatedMessage> {
  const input = Buffer.concat([payload, TAIL]);
  let output: Uint8Array;
  try {
    const options = optionsFor(window);
    const small = input.length <= AT_ONCE;
    output = (small ? (zlib.inflateRawSync(input, options) as unknown as Engine) : await inflateRaw(input, options))
      .buffer;
  } catch (error) {
    const tooLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    const problem = tooLarge
      ? `It has more than ${MAX_MESSAGE} octets after decompression.`
      : "Its permessage-deflate data is damaged.";
    return { bytes: new Uint8Array(0), complete: false, problem, window: undefined };
  }
  const next = lastOf(window, output);
  if (output.length <= MAX_INFLATED) return { bytes: output, complete: true, window: next };
  const problem = `It has ${output.length} octets after decompression; the first ${MAX_INFLATED} are shown.`;
  return { bytes: output.subarray(0, MAX_INFLATED), complete: false, problem, window: next };
}

/**
 * The window behind several messages that nobody wants to see, `SKIP_BYTES` of them at most: a hundred times cheaper than
 * one after another, for which zlib has to be set up each time. Undefined when they have to be taken one by one: something
 * is damaged, or a final block (RFC 7692 section 7.2.3.4) hides what follows it.
 */
export async function skipMessages(
  payloads: readonly Uint8Array[],
  window: Uint8Array,
): Promise<Uint8Array | undefined> {
  const input = Buffer.concat(payloads.flatMap((payload) => [payload, TAIL]));
  try {
    const { buffer, engine } = await inflateRaw(input, optionsFor(window));
    return engine.bytesWritten === input.length ? lastOf(window, buffer) : undefined;
  } catch {
    return undefined;
  }
}

/** The window, moved on by what was inflated. A copy, so that nothing larger stays alive. */
function lastOf(window: Uint8Array, output: Uint8Array): Uint8Array {
  const next = new Uint8Array(Math.min(WINDOW, window.length + output.length));
  const added = output.subarray(-WINDOW);
  next.set(added, next.length - added.length);
  const kept = next.length - added.length;
  if (kept > 0) next.set(window.subarray(window.length - kept));
  return next;
}
