import { grpcStatusName } from "../wire/grpc/status.ts";
import type { Row } from "./protocol.ts";
import { reasonPhrase } from "../wire/http1/reasons.ts";

/** A filter longer than this was not typed by a person. */
const MAX_LENGTH = 1000;

/** Says what is wrong in a filter, for people. */
export class FilterError extends Error {
  override readonly name = "FilterError";
}

export type Filter = (row: Row) => boolean;

type Match = (row: Row) => boolean;

const KEYS = ["protocol", "status", "method", "path", "service", "port", "state", "from", "larger", "slower"] as const;
type Key = (typeof KEYS)[number];

const PROTOCOLS = ["grpc", "grpc-web", "connect", "http", "sse", "websocket", "tcp"];
const STATES = ["open", "ended", "cancelled", "failed"];

/**
 * Words that must all match, `-word` excludes, `key:value` looks in one place, `"…"` keeps blanks together.
 * Case does not matter. Throws `FilterError` with what is wrong.
 */
export function parseFilter(text: string): Filter {
  if (text.length > MAX_LENGTH) throw new FilterError(`The filter is longer than ${MAX_LENGTH} characters.`);
  const matches = words(text).map(({ excluded, key, value }) => {
    const match = key === undefined ? wordMatch(value) : keyMatch(key, value);
    return excluded ? (row: Row) => !match(row) : match;
  });
  return (row) => matches.every((match) => match(row));
}

interface Word {
  readonly excluded: boolean;
  readonly key: Key | undefined;
  readonly value: string;
}

function words(text: string): Word[] {
  const found: Word[] = [];
  // A word is a run of quoted pieces and other characters without blanks.
  for (const [raw] of text.matchAll(/(?:"[^"]*"|[^\s"])+|"/g)) {
    if ((raw.match(/"/g)?.length ?? 0) % 2 !== 0) throw new FilterError('A quotation mark (") is not closed.');
    const excluded = raw.startsWith("-") && raw.length > 1;
    const word = excluded ? raw.slice(1) : raw;
    const key = /^([a-z]+):/i.exec(word)?.[1]?.toLowerCase();
    if (key === undefined) found.push({ excluded, key: undefined, value: unquoted(word) });
    else {
      const value = unquoted(word.slice(key.length + 1));
      // `localhost:8080` and `http://…` are words; a word of letters before a colon that is no key, alone, is a mistake.
      if ((KEYS as readonly string[]).includes(key)) found.push({ excluded, key: key as Key, value });
      else if (/^\d+$|^\/\//.test(value)) found.push({ excluded, key: undefined, value: unquoted(word) });
      else
        throw new FilterError(
          `"${key}:" is no key of the filter. Keys are ${KEYS.map((name) => `${name}:`).join(" ")}`,
        );
    }
  }
  return found;
}

function unquoted(text: string): string {
  return text.replaceAll('"', "");
}

function wordMatch(value: string): Match {
  const wanted = value.toLowerCase();
  return (row) =>
    `${row.method}\n${row.authority}\n${row.path}\n${row.statusText}\n${row.status ?? ""}\n${row.protocol}`
      .toLowerCase()
      .includes(wanted);
}

function keyMatch(key: Key, value: string): Match {
  if (value === "") throw new FilterError(`"${key}:" needs a value right behind the colon.`);
  const wanted = value.toLowerCase();
  switch (key) {
    case "protocol":
      return oneOf(key, wanted, PROTOCOLS, (row) => row.protocol);
    case "state":
      return oneOf(key, wanted, STATES, (row) => row.state);
    case "status":
      return statusMatch(wanted);
    case "method":
      return (row) => row.method.toLowerCase() === wanted || row.rpc?.method.toLowerCase() === wanted;
    case "path":
      return (row) => row.path.toLowerCase().includes(wanted);
    case "service":
      return (row) => row.rpc?.service.toLowerCase().includes(wanted) ?? false;
    case "from":
      return (row) => row.share.name.toLowerCase() === wanted || row.share.id.toLowerCase() === wanted;
    case "port": {
      if (!/^\d{1,5}$/.test(value))
        throw new FilterError(`"port:${value}": a port is a number, for example port:8080.`);
      const port = Number(value);
      return (row) => row.share.port === port;
    }
    case "larger": {
      const octets = sizeOf(value);
      return (row) => row.visitorBytes + row.serviceBytes > octets;
    }
    case "slower": {
      const milliseconds = durationOf(value);
      return (row) => (row.endedAt ?? row.lastActivityAt) - row.startedAt > milliseconds;
    }
  }
}

function oneOf(key: Key, wanted: string, values: readonly string[], read: Match | ((row: Row) => string)): Match {
  if (!values.includes(wanted)) throw new FilterError(`"${key}:${wanted}": it is one of ${values.join(", ")}.`);
  return (row) => read(row) === wanted;
}

/** `404`, `5xx`, `NOT_FOUND`, `not found`, or a close code of a WebSocket. */
function statusMatch(wanted: string): Match {
  const family = /^([1-5])xx$/.exec(wanted)?.[1];
  if (family !== undefined) return (row) => row.status !== undefined && Math.floor(row.status / 100) === Number(family);
  if (/^\d+$/.test(wanted)) {
    const number = Number(wanted);
    return (row) => row.status === number || row.grpcStatus === number || row.statusText === wanted;
  }
  const name = wanted.replace(/[\s-]+/g, "_");
  return (row) => {
    if (row.grpcStatus !== undefined && grpcStatusName(row.grpcStatus).toLowerCase() === name) return true;
    if (row.statusText.toLowerCase().replace(/[\s-]+/g, "_") === name) return true;
    // A call's HTTP status is 200 whatever became of it: its name says nothing then.
    return (
      row.grpcStatus === undefined &&
      row.status !== undefined &&
      reasonPhrase(row.status)
        .toLowerCase()
        .replace(/[\s-]+/g, "_") === name
    );
  };
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1024,
  kb: 1024,
  m: 1_048_576,
  mb: 1_048_576,
  g: 1_073_741_824,
  gb: 1_073_741_824,
};
const TIME_UNITS: Readonly<Record<string, number>> = { "": 1, ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 };

function sizeOf(value: string): number {
  return withUnit(
    value,
    SIZE_UNITS,
    `"larger:${value}": a size is a number with b, k, m or g, for example larger:10k.`,
  );
}

function durationOf(value: string): number {
  return withUnit(
    value,
    TIME_UNITS,
    `"slower:${value}": a duration is a number with ms, s, m or h, for example slower:200ms.`,
  );
}

function withUnit(value: string, units: Readonly<Record<string, number>>, problem: string): number {
  const match = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(value);
  const unit = units[match?.[2]?.toLowerCase() ?? "?"];
  if (match === null || unit === undefined) throw new FilterError(problem);
  return Number(match[1]) * unit;
}
