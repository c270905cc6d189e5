import type { Field, Fields } from "../stream.ts";
import type { HeadReader, Problem } from "./head.ts";
import type { Summary } from "./summary.ts";

/**
 * WebSocket between HTTP/1 (RFC 6455: `GET` with `Upgrade`, answered 101) and the form it has everywhere else in here
 * (RFC 8441: `CONNECT` with `:protocol websocket`, answered 200). Nothing else is ever upgraded, h2c least of all.
 */
export const WEBSOCKET: Field = { name: ":protocol", value: "websocket" };

/** 16 octets in base64. The last of the 22 digits carries 4 bits; which of its others are set is not checked, as no server does. */
const KEY_PATTERN = /^[A-Za-z0-9+/]{22}==$/;

export function isWebSocketKey(key: string): boolean {
  return KEY_PATTERN.test(key);
}

/** The key of a valid WebSocket handshake (RFC 6455 section 4.2.1), undefined for any other request. */
export function webSocketKey(head: HeadReader, summary: Summary): string | Problem | undefined {
  if (!summary.upgradeNamed || !summary.upgrades.includes("websocket")) return undefined;
  if (head.method !== "GET" || head.minor === 0) return undefined;
  // What follows would be read as a body by one and as frames by another.
  if (summary.contentLengths > 0 || summary.transferEncodings > 0) return UPGRADE_WITH_BODY;
  let key: string | undefined;
  let version: string | undefined;
  for (const field of summary.fields) {
    if (field.name === "sec-websocket-key") {
      if (key !== undefined) return BAD_KEY;
      key = field.value;
    } else if (field.name === "sec-websocket-version") {
      if (version !== undefined) return BAD_VERSION;
      version = field.value;
    }
  }
  if (version !== "13") return BAD_VERSION;
  return key !== undefined && isWebSocketKey(key) ? key : BAD_KEY;
}

/** Fields that only HTTP/1 handshakes have; RFC 8441 section 5.1. */
export function withoutHandshake(fields: Fields, from: number): Field[] {
  return fields.filter(
    (field, index) => index >= from && field.name !== "sec-websocket-key" && field.name !== "sec-websocket-accept",
  );
}

/** Whether the head of a 101 answers our handshake (RFC 6455 section 4.1). */
export function acceptsWebSocket(summary: Summary, accept: string): boolean {
  const values = summary.fields.filter((field) => field.name === "sec-websocket-accept");
  return (
    summary.upgradeNamed &&
    summary.upgrades.length === 1 &&
    summary.upgrades[0] === "websocket" &&
    values.length === 1 &&
    values[0]?.value === accept
  );
}

const UPGRADE_WITH_BODY: Problem = { status: 400, reason: "A WebSocket handshake cannot have a body." };
const BAD_KEY: Problem = { status: 400, reason: "Sec-WebSocket-Key is not one value of 16 octets in base64." };
const BAD_VERSION: Problem = { status: 426, reason: "Only version 13 of WebSocket is spoken here." };
