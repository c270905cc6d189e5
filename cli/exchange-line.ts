import type { ExchangeRecord } from "../capture/options.ts";
import { grpcStatusName } from "../wire/grpc/status.ts";

/** A path is cut here: a line of a terminal is 80 to 200 characters wide. */
const MAX_PATH = 100;

/** C0 but LF, DEL and C1; marks, separators and isolates that change the direction or the line. */
const UNPRINTABLE = /[^\P{Cc}\n]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * Text from outside, fit for a terminal: control characters (C0, C1, DEL) and those that change the direction of writing
 * are shown as their number, so that no visitor can move the cursor, colour or hide anything.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function oneLine(text: string): string {
  return printable(text).replaceAll("\n", "\\u000a");
}

/** One line for one exchange: time, protocol, what was asked, how it ended, how long it took, messages. */
export function exchangeLine(record: ExchangeRecord): string {
  const time = new Date(record.startedAt).toTimeString().slice(0, 8);
  const path = record.path.length > MAX_PATH ? `${record.path.slice(0, MAX_PATH)}…` : record.path;
  const asked = record.protocol === "grpc" ? path.replace(/^\//, "") : `${record.method} ${path}`;
  const messages = record.messages.length > 1 ? `  ${record.messages.length} messages` : "";
  const line = `${time}  ${record.protocol.padEnd(9)} ${asked}  ${outcome(record)}  ${duration(record.durationMs)}${messages}`;
  return oneLine(line);
}

function outcome(record: ExchangeRecord): string {
  if (record.grpcStatus !== undefined) {
    const name = grpcStatusName(record.grpcStatus);
    // grpc-js says "OK" with an OK.
    return record.grpcMessage === undefined || record.grpcMessage === "" || record.grpcMessage === name
      ? name
      : `${name} (${record.grpcMessage})`;
  }
  if (record.failure !== undefined) return `${record.failure.code} by ${record.failure.by}`;
  return record.status === null ? "–" : String(record.status);
}

function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.floor(milliseconds / 60_000)} min ${Math.round((milliseconds % 60_000) / 1000)} s`;
}
