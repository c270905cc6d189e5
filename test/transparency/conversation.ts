import type { Side } from "../../wire/stream.ts";
import { encode } from "./frame.ts";
import type { Case } from "./cases.ts";
import type { End, Seen } from "./end.ts";
import type { EchoService, RecordingService } from "./services.ts";
import type { Handshake, Way } from "./visitor.ts";

/** What happens next. The following step waits until the other end has seen it, octets and ending. */
export type Step =
  /** Both at once when both are given. */
  | { readonly visitor?: Uint8Array; readonly service?: Uint8Array; readonly chop?: number | undefined }
  | { readonly finish: Side; readonly after?: Uint8Array }
  | { readonly reset: Side; readonly after?: Uint8Array };

/** All that both ends can know of a conversation. */
export interface Outcome {
  readonly status: number;
  readonly answer: readonly string[];
  readonly visitor: Seen;
  readonly service: Seen;
}

function writeTo(end: End, bytes: Uint8Array, chop = bytes.length): void {
  for (let at = 0; at < bytes.length; at += chop) end.write(bytes.subarray(at, at + chop));
}

/** Leads a conversation through `port`, between a visitor and the recording service. */
export async function converse(
  service: RecordingService,
  way: Way,
  port: number,
  path: string,
  handshake: Handshake,
  steps: readonly Step[],
): Promise<Outcome> {
  const [opened, accepted] = await Promise.all([way(port, path, handshake), service.accepted(path)]);
  const ends: Readonly<Record<Side, End>> = { visitor: opened.end, service: accepted.end };
  /** What each end is to have received in all. */
  const due = { visitor: 0, service: 0 };
  try {
    for (const step of steps) await take(step, ends, due);
    return {
      status: opened.status,
      answer: opened.fields,
      visitor: ends.visitor.seen,
      service: ends.service.seen,
    };
  } finally {
    ends.visitor.close();
    ends.service.close();
  }
}

async function take(step: Step, ends: Readonly<Record<Side, End>>, due: Record<Side, number>): Promise<void> {
  if ("finish" in step || "reset" in step) {
    const by = "finish" in step ? step.finish : step.reset;
    const other = by === "visitor" ? "service" : "visitor";
    due[other] += step.after?.length ?? 0;
    if ("finish" in step) ends[by].finish(step.after);
    else ends[by].reset(step.after);
    await ends[other].ended();
    return;
  }
  const { visitor, service, chop } = step;
  if (visitor !== undefined) writeTo(ends.visitor, visitor, chop);
  if (service !== undefined) writeTo(ends.service, service, chop);
  due.service += visitor?.length ?? 0;
  due.visitor += service?.length ?? 0;
  await Promise.all([ends.visitor.receivedSize(due.visitor), ends.service.receivedSize(due.service)]);
}

/** A case as a conversation with the recording service: each side says it, then both at once, then both end in order. */
export function stepsOf({ frames, chop }: Case): Step[] {
  const visitor = encode(frames, "visitor");
  const service = encode(frames, "service");
  return [
    { visitor, chop },
    { service, chop },
    { visitor, service, chop },
    { finish: "visitor" },
    { finish: "service" },
  ];
}

/** What a visitor hears from the service that understands frames, and what that service was told. */
export interface EchoOutcome {
  readonly status: number;
  readonly answer: readonly string[];
  readonly visitor: Seen;
  readonly service: readonly string[];
}

/** The visitor says everything and listens until the service ends the connection. */
export async function echo(
  service: EchoService,
  way: Way,
  port: number,
  path: string,
  { extensions, chop }: Case,
  said: Uint8Array,
): Promise<EchoOutcome> {
  const { end, status, fields } = await way(port, path, { extensions });
  try {
    writeTo(end, said, chop);
    await end.ended();
    end.finish();
    return { status, answer: fields, visitor: end.seen, service: await service.account(path) };
  } finally {
    end.close();
  }
}
