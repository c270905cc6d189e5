/**
 * Reads the JSON of the control stream. What a peer says is copied, known field by known field, into new objects:
 * nothing else of it (`__proto__`, huge extras) survives. Undefined: not a message of this protocol.
 */
import type { AgentMessage, RefusalCode, RelayMessage, ShareGrant, ShareKind, ShareRequest } from "./protocol.ts";
import { MAX_SHARES_PER_SESSION } from "./protocol.ts";

type Json = Readonly<Record<string, unknown>>;

/** Longer than any name, URL or secret of this protocol; a sentence for people fits as well. */
const MAX_TEXT = 2048;

const REFUSALS: readonly RefusalCode[] = [
  "protocol",
  "version",
  "unauthorized",
  "name-taken",
  "name-invalid",
  "limit",
  "unsupported",
  "draining",
  "internal",
];

export function readAgentMessage(value: unknown): AgentMessage | undefined {
  if (!isObject(value)) return undefined;
  switch (value["type"]) {
    case "hello": {
      const version = value["version"];
      const agent = readText(value["agent"]);
      const shares = readList(value["shares"], readShareRequest);
      const token = readOptionalText(value["token"]);
      const instance = readOptionalInstance(value["instance"]);
      if (!isInteger(version, 0, 1_000_000) || agent === undefined || shares === undefined) return undefined;
      if (token === null || instance === null) return undefined;
      return {
        type: "hello",
        version,
        agent,
        shares,
        ...(token === undefined ? {} : { token }),
        ...(instance === undefined ? {} : { instance }),
      };
    }
    case "share": {
      const share = readShareRequest(value["share"]);
      return share === undefined ? undefined : { type: "share", share };
    }
    case "unshare": {
      const id = readId(value["id"]);
      return id === undefined ? undefined : { type: "unshare", id };
    }
    case "draining":
      return { type: "draining" };
    default:
      return undefined;
  }
}

export function readRelayMessage(value: unknown): RelayMessage | undefined {
  if (!isObject(value)) return undefined;
  switch (value["type"]) {
    case "welcome": {
      const version = value["version"];
      const relay = readText(value["relay"]);
      const shares = readList(value["shares"], readShareGrant);
      const links = value["links"];
      if (!isInteger(version, 0, 1_000_000) || relay === undefined || shares === undefined) return undefined;
      if (links !== undefined && !isInteger(links, 1, 1_000)) return undefined;
      return { type: "welcome", version, relay, shares, ...(links === undefined ? {} : { links }) };
    }
    case "refused": {
      const code = REFUSALS.find((known) => known === value["code"]);
      const message = readText(value["message"]);
      const id = value["id"] === undefined ? undefined : readId(value["id"]);
      if (message === undefined || (value["id"] !== undefined && id === undefined)) return undefined;
      // A code of a later version still is a refusal.
      return { type: "refused", code: code ?? "internal", message, ...(id === undefined ? {} : { id }) };
    }
    case "shared": {
      const share = readShareGrant(value["share"]);
      return share === undefined ? undefined : { type: "shared", share };
    }
    case "unshared": {
      const id = readId(value["id"]);
      return id === undefined ? undefined : { type: "unshared", id };
    }
    case "draining":
      return { type: "draining" };
    default:
      return undefined;
  }
}

function readShareRequest(value: unknown): ShareRequest | undefined {
  if (!isObject(value)) return undefined;
  const id = readId(value["id"]);
  const kind = readKind(value["kind"]);
  const port = value["port"];
  const name = readOptionalText(value["name"]);
  const secret = readOptionalText(value["secret"]);
  const publicPort = readOptionalPort(value["publicPort"]);
  const reach = value["reach"];
  if (id === undefined || kind === undefined || !isInteger(port, 1, 65_535)) return undefined;
  if (name === null || secret === null || publicPort === null) return undefined;
  if (reach !== undefined && reach !== "loopback" && reach !== "lan") return undefined;
  return {
    id,
    kind,
    port,
    ...(name === undefined ? {} : { name }),
    ...(secret === undefined ? {} : { secret }),
    ...(publicPort === undefined ? {} : { publicPort }),
    ...(reach === undefined ? {} : { reach }),
  };
}

function readShareGrant(value: unknown): ShareGrant | undefined {
  if (!isObject(value)) return undefined;
  const id = readId(value["id"]);
  const kind = readKind(value["kind"]);
  const name = readText(value["name"]);
  const url = readText(value["url"]);
  const alternativeUrls = readList(value["alternativeUrls"], readText);
  const secret = readText(value["secret"]);
  const publicPort = readOptionalPort(value["publicPort"]);
  if (id === undefined || kind === undefined || name === undefined || url === undefined) return undefined;
  if (alternativeUrls === undefined || secret === undefined || publicPort === null) return undefined;
  return { id, kind, name, url, alternativeUrls, secret, ...(publicPort === undefined ? {} : { publicPort }) };
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isInteger(value: unknown, from: number, to: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= from && value <= to;
}

function readId(value: unknown): string | undefined {
  return typeof value === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(value) ? value : undefined;
}

function readKind(value: unknown): ShareKind | undefined {
  return value === "http" || value === "tcp" ? value : undefined;
}

function readText(value: unknown): string | undefined {
  return typeof value === "string" && value.length <= MAX_TEXT ? value : undefined;
}

/** Undefined: not there. Null: there, and wrong. */
function readOptionalText(value: unknown): string | undefined | null {
  return value === undefined ? undefined : (readText(value) ?? null);
}

function readOptionalInstance(value: unknown): string | undefined | null {
  if (value === undefined) return undefined;
  return typeof value === "string" && /^[A-Za-z0-9_-]{22,64}$/.test(value) ? value : null;
}

function readOptionalPort(value: unknown): number | undefined | null {
  if (value === undefined) return undefined;
  return isInteger(value, 1, 65_535) ? value : null;
}

function readList<T>(value: unknown, read: (item: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_SHARES_PER_SESSION) return undefined;
  const items: T[] = [];
  for (const item of value as readonly unknown[]) {
    const one = read(item);
    if (one === undefined) return undefined;
    items.push(one);
  }
  return items;
}
