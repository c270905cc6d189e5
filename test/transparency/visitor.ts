import net from "node:net";
import { within } from "../support/time.ts";
import type { End } from "./end.ts";
import { openByHttp2 } from "./http2-wire.ts";
import { TcpEnd, headFields, readHead } from "./tcp-end.ts";

export interface Handshake {
  readonly extensions?: string | undefined;
  readonly subprotocol?: string | undefined;
}

export interface Opened {
  readonly end: End;
  readonly status: number;
  /** Fields of the answer that mean the same in both versions of HTTP, sorted. */
  readonly fields: readonly string[];
}

/** How a visitor opens a WebSocket. */
export type Way = (port: number, path: string, handshake: Handshake) => Promise<Opened>;

/** Only in one version of HTTP (RFC 8441 section 5), or the clock. */
const OF_ONE_VERSION = ["connection", "upgrade", "sec-websocket-accept", "date", "transfer-encoding", "keep-alive"];

function comparable(fields: readonly string[]): string[] {
  return fields.filter((field) => !OF_ONE_VERSION.includes(field.slice(0, field.indexOf(":")))).sort();
}

function handshakeFields({ extensions, subprotocol }: Handshake): (readonly [string, string])[] {
  return [
    ["sec-websocket-version", "13"],
    ["origin", "https://shop.test"],
    ...(extensions === undefined ? [] : [["sec-websocket-extensions", extensions] as const]),
    ...(subprotocol === undefined ? [] : [["sec-websocket-protocol", subprotocol] as const]),
  ];
}

export const byUpgrade: Way = async (port, path, handshake) => {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...handshakeFields(handshake).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  const { head, rest } = await within(5000, "the answer to the Upgrade", readHead(socket));
  return {
    end: new TcpEnd(socket, rest),
    status: Number(head.split(" ")[1]),
    fields: comparable(headFields(head)),
  };
};

export const byConnect: Way = async (port, path, handshake) => {
  const end = await openByHttp2(port, path, handshakeFields(handshake));
  // 200 here is what 101 is there (RFC 8441 section 5).
  return {
    end,
    status: end.status === 200 ? 101 : end.status,
    fields: comparable(end.fields.map(([name, value]) => `${name}: ${value}`)),
  };
};
