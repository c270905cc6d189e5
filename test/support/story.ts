import http from "node:http";
import { HpackDecoder } from "../../wire/http2/hpack/decoder.ts";
import { DATA, END_STREAM, HEADERS, RST_STREAM, RawPeer, block, frame } from "./frames.ts";
import type { Shared } from "./path.ts";
import { data, rst } from "./raw-service.ts";
import { within } from "./time.ts";

const CANCEL = 8;

/** A visitor's request under way. */
export interface Visit {
  /** How it ended and what came of it: `103`, `200`, `body abc`, `trailers a=b`, then `end`, `cut` or `reset 8`. */
  readonly story: Promise<readonly string[]>;
  write(bytes: Uint8Array | string): void;
  end(): void;
  /** The visitor goes away. */
  leave(): void;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The request goes on: `write` and `end` follow. */
  readonly open?: boolean;
}

/** Sends a request to a share. */
export type Ask = (shared: Shared, target: string, asked?: Asked) => Promise<Visit> | Visit;

const shown = (body: Buffer): string => (body.length === 0 ? [] : [`body ${body.toString("latin1")}`]).join("");
const lines = (...all: readonly string[]): string[] => all.filter((line) => line !== "");

/** By Node's client, which rejects an answer that is cut. */
export const overHttp1 = (
  shared: Shared,
  target: string,
  { method = "GET", headers = {}, open = false }: Asked = {},
): Visit => {
  const { hostname: host, port } = new URL(shared.url);
  const request = http.request({ host, port, method, path: target, headers, agent: false });
  if (open) request.flushHeaders();
  else request.end();
  const story = new Promise<readonly string[]>((resolve) => {
    const told: string[] = [];
    request.on("information", ({ statusCode }) => told.push(String(statusCode)));
    request.on("error", () => resolve([...told, "cut"]));
    request.on("response", (response) => {
      told.push(String(response.statusCode));
      const chunks: Buffer[] = [];
      const body = (): string => shown(Buffer.concat(chunks));
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      // Node gives up what it has not handed on yet, so how much of the body came before is not told.
      response.on("error", () => resolve([...told, "cut"]));
      response.on("end", () => {
        const trailers = Object.entries(response.trailers).map(([name, value]) => `${name}=${value ?? ""}`);
        const trailer = trailers.length === 0 ? "" : `trailers ${trailers.join(" ")}`;
        resolve(lines(...told, body(), trailer, "end"));
      });
    });
  });
  return {
    story: within(8000, `the answer for ${target}`, story),
    write: (bytes) => void request.write(bytes),
    end: () => void request.end(),
    leave: () => void request.destroy(),
  };
};

/** By raw frames, which show every code. */
export const overHttp2: Ask = async (shared, target, { method = "GET", headers = {}, open = false } = {}) => {
  const peer = await RawPeer.connect(Number(new URL(shared.url).port));
  const fields: (readonly [string, string])[] = [
    [":method", method],
    [":scheme", "http"],
    [":path", target],
    [":authority", shared.address],
    ...Object.entries(headers),
  ];
  peer.send(frame(HEADERS, open ? 0x4 : 0x5, 1, block(fields)));
  const decoder = new HpackDecoder(4096);
  const told: string[] = [];
  let content = Buffer.alloc(0);
  const flush = (): void => {
    if (content.length > 0) told.push(shown(content));
    content = Buffer.alloc(0);
  };
  let over = false;
  peer.onFrame = ({ type, flags, stream, payload }) => {
    if (stream !== 1 || over) return;
    if (type === HEADERS) {
      flush();
      let status: string | undefined;
      const others: string[] = [];
      decoder.decode(payload, 0, payload.length, {
        field: ({ name, value }) => {
          if (name === ":status") status = value;
          else others.push(`${name}=${value}`);
        },
      });
      told.push(status ?? `trailers ${others.join(" ")}`);
    } else if (type === DATA) content = Buffer.concat([content, payload]);
    else if (type === RST_STREAM) {
      flush();
      told.push(`reset ${new DataView(payload.buffer, payload.byteOffset).getUint32(0)}`);
      over = true;
    }
    if ((type === HEADERS || type === DATA) && (flags & END_STREAM) !== 0) {
      flush();
      told.push("end");
      over = true;
    }
  };
  const story = peer
    .until(() => over, 8000)
    .then(() => {
      peer.destroy();
      return over ? told : [...told, "cut"];
    });
  return {
    story,
    write: (bytes) => peer.send(data(1, bytes)),
    end: () => peer.send(data(1, "", true)),
    leave: () => peer.send(rst(1, CANCEL)),
  };
};
