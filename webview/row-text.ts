import { closeCodeText, closeCodeTone } from "./close-code.ts";
import { formatCount, formatDuration, formatSize, shortName } from "./format.ts";
import type { Row } from "./list-model.ts";
import { visibleText } from "./visible.ts";

/** How a state looks: each tone has an icon of its own, so that none is told by colour alone. */
export type Tone = "good" | "bad" | "warning" | "open" | "quiet";

export interface StatusText {
  readonly tone: Tone;
  /** Name of a codicon. */
  readonly icon: string;
  readonly text: string;
}

const ICONS: Readonly<Record<Tone, string>> = {
  good: "check",
  bad: "error",
  warning: "warning",
  open: "sync",
  quiet: "circle-slash",
};

const PROTOCOLS: Readonly<Record<Row["protocol"], string>> = {
  grpc: "gRPC",
  "grpc-web": "gRPC-Web",
  connect: "Connect",
  http: "HTTP",
  sse: "SSE",
  websocket: "WS",
  tcp: "TCP",
};

export function protocolName(protocol: Row["protocol"]): string {
  return PROTOCOLS[protocol];
}

export function statusOf(row: Row): StatusText {
  const code = closeCode(row);
  const tone = code === undefined || row.state !== "ended" ? toneOf(row) : closeCodeTone(code);
  const waiting = row.headAt === undefined ? "waiting" : "open";
  const text =
    code !== undefined
      ? closeCodeText(code)
      : row.statusText === "" || isOpenWebSocket(row)
        ? { open: waiting, ended: "ended", cancelled: "cancelled", failed: "failed" }[row.state]
        : row.statusText;
  return { tone, icon: ICONS[tone], text: visibleText(text) };
}

/** The code with which a WebSocket was closed: until then its status is that of the handshake. */
function closeCode({ protocol, statusText }: Row): number | undefined {
  return protocol === "websocket" && /^[1-4]\d{3}$/.test(statusText) ? Number(statusText) : undefined;
}

/** 101 says only that the handshake is done. */
function isOpenWebSocket({ protocol, state, statusText }: Row): boolean {
  return protocol === "websocket" && state === "open" && statusText === "101";
}

function toneOf(row: Row): Tone {
  if (row.state === "failed") return "bad";
  if (row.state === "cancelled") return "quiet";
  if (row.grpcStatus !== undefined && row.grpcStatus !== 0) return row.grpcStatus === 1 ? "quiet" : "bad";
  if (row.status !== undefined && row.status >= 500) return "bad";
  if (row.status !== undefined && row.status >= 400) return "warning";
  return row.state === "open" ? "open" : "good";
}

/** The name in two parts: what tells rows apart, and what they have in common. */
export function nameOf(row: Row): { readonly main: string; readonly rest: string; readonly full: string } {
  if (row.rpc !== undefined) {
    const full = visibleText(`${row.rpc.service}/${row.rpc.method}`);
    return { main: visibleText(row.rpc.method), rest: visibleText(shortName(row.rpc.service)), full };
  }
  if (row.protocol === "tcp")
    return { main: "TCP connection", rest: `port ${row.share.port}`, full: `TCP connection to port ${row.share.port}` };
  const path = visibleText(row.path);
  const method = row.protocol === "websocket" ? "" : visibleText(row.method);
  return { main: path, rest: method, full: `${method} ${visibleText(row.authority)}${path}`.trim() };
}

/** Milliseconds from the first head to the end, or to now. */
export function durationOf(row: Row, now: number): number {
  return Math.max(0, (row.endedAt ?? Math.max(now, row.lastActivityAt)) - row.startedAt);
}

export function sizeOf(row: Row): string {
  return formatSize(row.visitorBytes + row.serviceBytes);
}

/** One sentence for a screen reader, in the order of the columns. */
export function describe(row: Row, now: number): string {
  const { full } = nameOf(row);
  const messages = `${formatCount(row.visitorMessages)} messages from the visitor, ${formatCount(row.serviceMessages)} from the service`;
  return `${protocolName(row.protocol)} ${full}, ${statusOf(row).text}, ${messages}, ${sizeOf(row)}, ${formatDuration(durationOf(row, now))}`;
}
