import { CLIENT_PREFACE, END_HEADERS, END_STREAM, frame, HEADERS, settings } from "./frames.ts";

/** Requests of HTTP/1.1 that no server may accept, and the status they are answered with (0: any refusal). */
export const HTTP1_ATTACKS: readonly (readonly [what: string, text: string, status: number])[] = [
  ["a head of 200 KB", `GET / HTTP/1.1\r\nHost: a\r\nX-Big: ${"x".repeat(200_000)}\r\n\r\n`, 431],
  ["2 000 fields", `GET / HTTP/1.1\r\nHost: a\r\n${"X-A: 1\r\n".repeat(2000)}\r\n`, 431],
  ["two lengths", "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400],
  [
    "length and chunks",
    "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  ],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n", 400],
  ["a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n", 400],
  ["a bare LF in the head", "GET / HTTP/1.1\nHost: a\n\n", 400],
  ["NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX-A: \0\r\n\r\n", 400],
  ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400],
  ["no host in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", 400],
  ["rubbish", "\x16\x03\x01rubbish\r\n\r\n", 0],
  ["an unknown coding", "POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 0],
];

/** GET http / of authority "a", by static indexes and one literal. */
const GET = Buffer.from([0x82, 0x86, 0x84, 0x01, 0x01, 0x61]);
const many = (count: number, make: (index: number) => Uint8Array): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));

const http2Attacks: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ["a frame larger than announced", frame(0, 0, 1, Buffer.alloc(20_000))],
  ["DATA on stream 0", frame(0, 0, 0, Buffer.alloc(4))],
  ["an even stream", frame(1, 5, 2, GET)],
  ["HEADERS that HPACK cannot read", frame(1, 5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))],
  ["CONTINUATION without HEADERS", frame(9, 4, 1, GET)],
  ["a window that overflows", frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff]))],
  [
    "1 000 CONTINUATIONs",
    Buffer.concat([frame(1, 1, 1, GET), many(1000, () => frame(9, 0, 1, Buffer.from([0x00, 0x01, 0x61, 0x01, 0x62])))]),
  ],
  ["20 000 PINGs", many(20_000, () => frame(6, 0, 0, Buffer.alloc(8)))],
  ["20 000 SETTINGS", many(20_000, () => settings())],
  [
    "5 000 requests, each reset at once",
    many(5000, (index) =>
      Buffer.concat([frame(1, 5, 2 * index + 1, GET), frame(3, 0, 2 * index + 1, Buffer.from([0, 0, 0, 8]))]),
    ),
  ],
  [
    "5 000 requests with an empty window update",
    many(5000, (index) =>
      Buffer.concat([frame(1, 5, 2 * index + 1, GET), frame(8, 0, 2 * index + 1, Buffer.alloc(4))]),
    ),
  ],
];

/** Connections of HTTP/2 that must end with GOAWAY: preface, SETTINGS, and then this. */
export const HTTP2_ATTACKS = http2Attacks.map(
  ([what, bytes]) => [what, Buffer.concat([CLIENT_PREFACE, settings(), bytes])] as const,
);

/** One field of 4 000 octets, then 3 000 references to it: 12 MB decoded out of 7 KB. */
export const HEADER_BOMB = Buffer.concat([
  ...[CLIENT_PREFACE, settings()],
  frame(
    HEADERS,
    END_STREAM | END_HEADERS,
    1,
    Buffer.concat([
      GET,
      Buffer.from([0x40, 0x01, 0x62, 0x7f, 0xa1, 0x1e]),
      Buffer.alloc(4000, "b"),
      Buffer.alloc(3000, 0xbe),
    ]),
  ),
]);
