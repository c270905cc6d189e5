import type { Exchange } from "./exchange.ts";
import type { Inflated } from "./inflate.ts";
import type { MessageRecord } from "./message-log.ts";
import type { RecordedMessage } from "./options.ts";
import { Pace } from "./pace.ts";
import { inflatePayload, readPayload } from "./payload.ts";
import { RECORD_CHARACTERS } from "./reader.ts";
import type { MessageReader } from "./reader.ts";
import type { TypedBytes } from "./schemas.ts";

/** Messages in one record: 100 MB of objects and one line of 20 MB, when they are small. Of a longer stream, the first ones. */
export const MAX_RECORD_MESSAGES = 100_000;
/**
 * Octets of decompressed messages in one record: as many as one exchange may hold without compression, so that only what
 * is compressed, perhaps a thousand times, is left out.
 */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024;
/** Messages decoded in one job: what the worker does in a few milliseconds, so that who looks at another waits no longer. */
export const JOB_MESSAGES = 256;
const JOB_BYTES = 64 * 1024;

export interface RecordedMessages {
  readonly messages: readonly RecordedMessage[];
  /** Messages of the exchange that are not among them. */
  readonly left: number;
}

/** All messages of an exchange, decoded, as far as bounds allow and they are still `wanted`. */
export async function recordedMessages(
  exchange: Exchange,
  reader: MessageReader,
  showSecrets: boolean,
  wanted: () => boolean,
): Promise<RecordedMessages> {
  const messages: RecordedMessage[] = [];
  const pace = new Pace();
  const { total } = exchange.messages;
  let job = new Job();
  let octets = 0;
  let taken = 0;
  for (let index = exchange.messages.first; index < total && taken < MAX_RECORD_MESSAGES && wanted(); index++) {
    await pace.rest();
    const record = exchange.messages.get(index);
    if (record === undefined) continue;
    const draft = await draftOf(exchange, record, reader, showSecrets);
    octets += draft.octets;
    if (octets > MAX_RECORD_BYTES && taken > 0) break;
    taken++;
    if (job.full(draft)) {
      await job.finish(reader, messages);
      job = new Job();
    }
    job.add(draft);
  }
  if (wanted()) await job.finish(reader, messages);
  return { messages, left: total - messages.length };
}

export async function recordedMessage(
  exchange: Exchange,
  record: MessageRecord,
  reader: MessageReader,
  showSecrets: boolean,
): Promise<RecordedMessage> {
  const draft = await draftOf(exchange, record, reader, showSecrets);
  if (draft.typed === undefined) return draft.message;
  const [value] = await reader.values([draft.typed]);
  return withValue(draft, value ?? null);
}

/** A message that is ready, or lacks only what the worker makes of its octets. */
interface Draft {
  readonly message: RecordedMessage;
  readonly typed?: TypedBytes;
  /** Decompressed octets. */
  readonly octets: number;
}

/** Messages in order, of which those with a type are decoded together. */
class Job {
  readonly #drafts: Draft[] = [];
  #octets = 0;

  full(next: Draft): boolean {
    return this.#drafts.length >= JOB_MESSAGES || (this.#drafts.length > 0 && this.#octets + next.octets > JOB_BYTES);
  }

  add(draft: Draft): void {
    this.#drafts.push(draft);
    this.#octets += draft.octets;
  }

  async finish(reader: MessageReader, into: RecordedMessage[]): Promise<void> {
    const values = await reader.values(this.#drafts.flatMap(({ typed }) => typed ?? []));
    let next = 0;
    for (const draft of this.#drafts)
      into.push(draft.typed === undefined ? draft.message : withValue(draft, values[next++] ?? null));
  }
}

function withValue({ message, typed }: Draft, value: { readonly json: unknown } | null): RecordedMessage {
  if (typed === undefined) return message;
  return value === null ? raw(message, typed.bytes) : { ...message, type: typed.type, value: value.json };
}

function raw(message: RecordedMessage, bytes: Uint8Array): RecordedMessage {
  return { ...message, base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64") };
}

async function draftOf(
  exchange: Exchange,
  record: MessageRecord,
  reader: MessageReader,
  showSecrets: boolean,
): Promise<Draft> {
  const payload = readPayload(exchange, record);
  const ordinary =
    record.kind === "grpc" || record.kind === "body" || record.kind === "text" || record.kind === "binary";
  const base = {
    from: record.from,
    at: record.at,
    size: record.size,
    compressed: payload.compression !== undefined,
    ...(ordinary ? {} : { kind: record.kind }),
    ...(payload.complete ? {} : { dropped: true as const }),
  };
  if (payload.state === "dropped") return { message: base, octets: 0 };
  const inflated = await inflatePayload(exchange, payload);
  const { bytes, complete } = inflated;
  const octets = bytes.length;
  const schema = await reader.schemaOf(exchange, record);
  if (schema?.type !== undefined && complete) return { message: base, typed: { bytes, type: schema.type }, octets };
  if (schema !== undefined) return { message: raw(base, bytes), octets };
  return { message: { ...base, ...contentOf(exchange, record, inflated, reader, showSecrets) }, octets };
}

/** What is not protobuf: one of `value`, `text` and `base64`. */
function contentOf(
  exchange: Exchange,
  record: MessageRecord,
  inflated: Inflated,
  reader: MessageReader,
  showSecrets: boolean,
): Pick<RecordedMessage, "value" | "text" | "base64"> {
  const decoded = reader.content(exchange, record, inflated, { maxText: RECORD_CHARACTERS, showSecrets });
  const flawed = record.problem !== undefined || inflated.problem !== undefined;
  switch (decoded.view) {
    case "json":
      return { value: decoded.json };
    case "text":
      if (record.kind === "text" || !(flawed || decoded.problem !== undefined)) return { text: decoded.text };
      break;
    case "form":
      return {
        text: decoded.fields
          .map(({ name, value }) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
          .join("&"),
      };
    case "close":
      return { value: { code: decoded.code, reason: decoded.reason } };
    default:
  }
  const { bytes } = inflated;
  return { base64: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64") };
}
