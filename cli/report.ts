import type { ExchangeRecord } from "../capture/options.ts";
import type { ShareInfo } from "../agent/options.ts";
import { exchangeLine, printable } from "./exchange-line.ts";
import type { LineWriter } from "./line-writer.ts";

/** What a command tells the user, or the program that reads its output. */
export interface Report {
  /** The share is reachable for the first time. */
  shared(share: ShareInfo): void;
  inspector(url: string): void;
  /** A relay listens. */
  listening(publicUrl: string, tunnelUrl: string): void;
  /** Everything is up. */
  ready(): void;
  /** The state of a share, or the reason why it is not online, changed. */
  changed(share: ShareInfo): void;
  exchange(record: ExchangeRecord): void;
  /** A sentence for people. */
  note(message: string): void;
}

/**
 * One JSON object a line on `out` (a stable format: fields and types are added, never changed); sentences for people go
 * to `messages`. Types: `shared`, `inspector`, `listening`, `state`, `exchange`, `dropped`.
 */
export function jsonReport(out: LineWriter, messages: LineWriter): Report {
  const print = (value: object, important: boolean): void => out.write(JSON.stringify(value), important);
  return {
    shared: ({ port, name, url, alternativeUrls, kind }) =>
      print({ type: "shared", port, name, url, alternativeUrls, kind }, true),
    inspector: (url) => print({ type: "inspector", url }, true),
    listening: (publicUrl, tunnel) => print({ type: "listening", public: publicUrl, tunnel }, true),
    ready: () => undefined,
    changed: ({ port, name, url, state, problem }) =>
      print({ type: "state", port, name, url, state, ...(problem === undefined ? {} : { problem }) }, true),
    exchange: (record) => print(record, false),
    note: (message) => messages.write(printable(message), true),
  };
}

/** What `jsonReport` prints where lines were dropped because the reader was too slow. */
export const droppedLine = (count: number): string => JSON.stringify({ type: "dropped", records: count });

/** Calm lines for a terminal: addresses first, then a line for each exchange. */
export function humanReport(out: LineWriter, messages: LineWriter, version: string): Report {
  const say = (line: string): void => out.write(line, true);
  say(`Portlight ${version}\n`);
  return {
    shared({ port, kind, url, alternativeUrls, reach }) {
      say(`  ${`port ${port}`.padEnd(12)} ${printable(url)}`);
      for (const alternative of alternativeUrls) say(`  ${"".padEnd(12)} ${printable(alternative)}`);
      if (reach === "public") say(`  ${"".padEnd(12)} Whoever has this URL can reach port ${port}.`);
      if (reach === "lan") say(`  ${"".padEnd(12)} ${describeLan(port, alternativeUrls)}`);
      if (kind === "tcp") say(`  ${"".padEnd(12)} TCP: bytes are passed on as they are.`);
    },
    inspector: (url) => say(`  ${"inspector".padEnd(12)} ${url}`),
    listening(publicUrl, tunnelUrl) {
      say(`  ${"visitors".padEnd(12)} ${publicUrl}`);
      say(`  ${"agents".padEnd(12)} ${tunnelUrl}`);
    },
    ready: () => say("\nCtrl+C stops it.\n"),
    changed: (share) => messages.write(printable(describeChange(share)), true),
    exchange: (record) => out.write(exchangeLine(record)),
    note: (message) => messages.write(printable(message), true),
  };
}

function describeLan(port: number, urls: readonly string[]): string {
  const lan = urls.find((url) => !/:\/\/(127\.|localhost|\[::1\]|[^/:]+\.localhost)/.test(url));
  if (lan === undefined) return `No address in a local network was found: only this machine can reach port ${port}.`;
  return `Everybody in your local network can reach port ${port} at ${printable(lan)}. Other URLs: this machine only.`;
}

function describeChange({ port, state, relayUrl, problem }: ShareInfo): string {
  const reason = problem === undefined ? "" : ` ${problem.message.replace(/\.?$/, ".")}`;
  switch (state) {
    case "online":
      return `Port ${port} is reachable.`;
    case "connecting":
      return `Port ${port}: no connection to the relay ${relayUrl} yet; trying until there is one.${reason}`;
    case "reconnecting":
      return `Port ${port} is not reachable at the moment: no connection to the relay ${relayUrl}; trying again.${reason}`;
    case "refused":
      return `Port ${port} is no longer shared: the relay refused it.${reason}`;
  }
}
