import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { page } from "./page.ts";

export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** The request has `Expect: 100-continue`, and nothing was sent yet. */
  readonly continueAsked: boolean;
}

export type Route = (call: Call) => void;

const products = [
  { sku: "lamp-7", title: "Nordlicht", price: { currency: "EUR", amount: 49.9 } },
  { sku: "lens-2", title: "Fresnel ⌀ 120", price: { currency: "EUR", amount: 12 } },
];

/** `/upload` refuses more than this at once when `?limit=` says so. */
const TOO_LARGE = "The upload is larger than the limit.\n";

/** 64 KiB of a repeating pattern whose period (251, a prime) shows shifted, lost or doubled blocks. */
const PATTERN = Buffer.from(Uint8Array.from({ length: 251 * 256 }, (_, index) => index % 251));

/** The octets `[start, end)` of the endless pattern that `/download` serves. */
export function pattern(start: number, end: number): Buffer {
  const offset = start % 251;
  return PATTERN.subarray(offset, offset + Math.min(end - start, 65_536 - 251 * 4));
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
  response.end(`${JSON.stringify(value)}\n`);
}

function count(url: URL, name: string, preset: number): number {
  const value = Number(url.searchParams.get(name) ?? preset);
  return Number.isSafeInteger(value) && value >= 0 ? value : preset;
}

/** Writes `[start, end)` of the pattern as fast as the visitor takes it. */
function send(response: ServerResponse, start: number, end: number): void {
  let position = start;
  const write = (): void => {
    while (position < end && !response.destroyed) {
      const block = pattern(position, end);
      position += block.length;
      if (position < end && !response.write(block)) {
        response.once("drain", write);
        return;
      }
      if (position >= end) response.end(block);
    }
    if (start === end) response.end();
  };
  write();
}

/** `bytes=a-b`, `bytes=a-`, `bytes=-n` as `[start, end)`; undefined: not a range we serve (RFC 9110 section 14.1.2). */
function range(header: string | undefined, size: number): readonly [number, number] | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (match === null) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "") return last === "" ? undefined : [Math.max(0, size - Number(last)), size];
  return [Number(first), last === "" ? size : Math.min(size, Number(last) + 1)];
}

/** Each is named by the first segment of the path. */
export const routes: Readonly<Record<string, Route>> = {
  "": ({ response }) => {
    response.writeHead(200, {
      "content-type": "text/html; charset=utf-8",
      "set-cookie": ["a=1; Path=/", "b=2; HttpOnly"],
    });
    response.end(page);
  },

  /** `/api/products`, `/api/products/SKU`. */
  api: ({ request, response, url }) => {
    const [, , , sku] = url.pathname.split("/");
    if (request.method === "DELETE") {
      response.writeHead(204).end();
      return;
    }
    const found = sku === undefined ? products : products.find((product) => product.sku === sku);
    if (found === undefined) json(response, 404, { error: `No product ${sku ?? ""}` });
    else json(response, 200, found);
  },

  /** What the service saw, as JSON: for looking at what a proxy changes. */
  inspect: ({ request, response }) => {
    request.resume();
    request.on("end", () => {
      json(response, 200, {
        method: request.method,
        path: request.url,
        httpVersion: request.httpVersion,
        headers: request.rawHeaders,
        trailers: request.rawTrailers,
      });
    });
  },

  /** Server-sent events: `?count=` (0: endless) `&interval=` ms. */
  events: ({ response, url }) => {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write("retry: 1000\n\n");
    const total = count(url, "count", 0);
    let sequence = 0;
    const tick = (): void => {
      response.write(
        `id: ${sequence}\nevent: message\ndata: {"sequence":${sequence},"lamp":"${sequence % 2 === 0 ? "on" : "off"}"}\n\n`,
      );
      sequence++;
      if (sequence === total) {
        clearInterval(timer);
        response.end();
      }
    };
    const timer = setInterval(tick, Math.max(5, count(url, "interval", 1000)));
    response.on("close", () => clearInterval(timer));
    tick();
  },

  /** A chunked answer with trailers. */
  chunked: ({ response }) => {
    response.writeHead(200, { "content-type": "text/plain", trailer: "x-checksum, x-parts" });
    for (const part of ["first ", "second ", "third"]) response.write(part);
    response.addTrailers({ "x-checksum": "sha256-abc", "x-parts": "3" });
    response.end();
  },

  /** Counts and hashes what is uploaded. `?limit=N`: answers 413 at once when more comes, without reading the rest. */
  upload: ({ request, response, url, continueAsked }) => {
    const limit = count(url, "limit", Number.MAX_SAFE_INTEGER);
    if (Number(request.headers["content-length"] ?? 0) > limit) {
      response.writeHead(413, { "content-type": "text/plain", connection: "close" });
      response.end(TOO_LARGE);
      return;
    }
    if (continueAsked) response.writeContinue();
    const hash = createHash("sha256");
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limit && !response.headersSent) {
        response.writeHead(413, { "content-type": "text/plain", connection: "close" });
        response.end(TOO_LARGE);
        request.pause();
        return;
      }
      hash.update(chunk);
    });
    request.on("end", () => {
      if (!response.headersSent) json(response, 200, { bytes, sha256: hash.digest("hex"), trailers: request.trailers });
    });
  },

  /** `/download?bytes=N`: N octets of the pattern, with ranges; `&chunked=1`: without a content-length. */
  download: ({ request, response, url }) => {
    const size = count(url, "bytes", 1024);
    const fields = { "content-type": "application/octet-stream", "accept-ranges": "bytes", etag: `"pattern-${size}"` };
    if (request.headers["if-none-match"] === fields.etag) {
      response.writeHead(304, { etag: fields.etag }).end();
      return;
    }
    const wanted = range(request.headers.range, size);
    if (wanted !== undefined && (wanted[0] >= size || wanted[0] >= wanted[1])) {
      response.writeHead(416, { "content-range": `bytes */${size}` }).end();
      return;
    }
    const [start, end] = wanted ?? [0, size];
    const length = url.searchParams.has("chunked") ? {} : { "content-length": end - start };
    if (wanted === undefined) response.writeHead(200, { ...fields, ...length });
    else response.writeHead(206, { ...fields, ...length, "content-range": `bytes ${start}-${end - 1}/${size}` });
    if (request.method === "HEAD") response.end();
    else send(response, start, end);
  },

  /** `/status/404`: that status and no body to speak of. */
  status: ({ response, url }) => {
    const status = Number(url.pathname.split("/")[2]);
    const valid = Number.isInteger(status) && status >= 200 && status <= 599;
    response.writeHead(valid ? status : 400).end();
  },

  redirect: ({ response }) => {
    response.writeHead(302, { location: "/api/products" }).end();
  },

  /** 103 Early Hints, then the answer. */
  hints: ({ response }) => {
    response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" }, () => {
      json(response, 200, { hinted: true });
    });
  },

  /** `/delay?ms=N` */
  delay: ({ response, url }) => {
    const timer = setTimeout(() => json(response, 200, { waited: true }), count(url, "ms", 1000));
    response.on("close", () => clearTimeout(timer));
  },

  /** Breaks the connection in the middle of the body: a service that crashes. `?chunked=1`: without a content-length. */
  crash: ({ response, url }) => {
    response.writeHead(200, url.searchParams.has("chunked") ? {} : { "content-length": 100_000 });
    response.write(pattern(0, 50_000), () => response.socket?.resetAndDestroy());
  },
};
