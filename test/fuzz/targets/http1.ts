import { Http1Client } from "../../../wire/http1/client.ts";
import { Http1Server } from "../../../wire/http1/server.ts";
import type { Fields } from "../../../wire/stream.ts";
import type { HttpConnectionEvents } from "../../../wire/transport.ts";
import { NotingTransport, acceptKey, answer, request } from "../../support/http1.ts";
import type { Target } from "../target.ts";
import { feed, octets, promise, seed } from "../target.ts";
import { Witness, showFields } from "../witness.ts";

const HELLO = octets("hello");
const SHARED = ["body", "exchange", "head", "intake", "names", "octets", "summary", "upgrade", "write"].map(
  (name) => `wire/http1/${name}.ts`,
);
const SERVER = ["answer", "answering", "deadlines", "held", "reasons", "request", "server"].map(
  (name) => `wire/http1/${name}.ts`,
);
const CLIENT = ["ask", "client", "response"].map((name) => `wire/http1/${name}.ts`);
const DICTIONARY = [
  ...[
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "\0",
    ":",
    ",",
    ";",
    "0",
    "5",
    "0\r\n\r\n",
    "\r\n\r\n",
    "chunked",
    "\xff",
    "\x7f",
    "+",
    "-1",
  ],
  ...[
    "Content-Length: 3\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
  ],
  ...[
    "Host: a.test\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, x\r\n",
    "Connection: upgrade\r\n",
    "Upgrade: websocket\r\n",
  ],
  ...["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Sec-WebSocket-Version: 13\r\n", "Expect: 100-continue\r\n"],
  ...["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "TE: trailers\r\n", "Keep-Alive: 5\r\n"],
  ...[
    "GET / HTTP/1.1\r\n",
    "HEAD / HTTP/1.0\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "CONNECT a.test:1 HTTP/1.1\r\n",
    "http://a.test/",
  ],
  ...[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 304 \r\n",
    "HTTP/1.1 204 No Content\r\n",
  ],
  ...["HTTP/1.1 101 Switching Protocols\r\n", "5\r\nhello\r\n", "3;x=y\r\nabc\r\n", "fffffffffffff", "x: y\r\n"],
].map(octets);

/** Everything about a connection that must not depend on cuts; when it pauses reading does. */
function comparable(log: readonly string[], without: RegExp): string[] {
  return log.filter((line) => !without.test(line));
}

/** The heads in what was written, then all of it. */
function written(transport: NotingTransport, input: Uint8Array): string[] {
  const text = transport.written;
  promise(text.length <= 64 * input.length + 1024, `${text.length} octets written for ${input.length}`);
  return [...(text.match(/HTTP\/1\.1 \d{3}/g) ?? []).map((head) => `wrote ${head}`), `octets ${text}`];
}

/** How a visitor's requests are answered. The lowest three bits of the mode choose. */
const ANSWERS: readonly ((witness: Witness, fields: Fields) => void)[] = [
  (witness) => witness.head(answer(200), true),
  (witness) => {
    witness.head(answer(200), false);
    witness.send(HELLO, false);
    witness.send(HELLO, true);
  },
  (witness) => {
    witness.head(answer(200, ["content-length", "5"]), false);
    witness.send(HELLO, true);
  },
  (witness) => {
    witness.head(answer(103), false);
    witness.head(answer(200), false);
    witness.sendTrailers([{ name: "t", value: "u" }]);
  },
  (witness, fields) => {
    witness.echo = fields[0]?.value === "CONNECT";
    witness.head(answer(200), false);
  },
  (witness) => witness.reset({ by: "service", code: "closed", message: "test" }),
  (witness) => {
    // Fails at once; who gives it up then must not be told afterwards.
    witness.head(answer(200, ["content-length", "5"]), true);
    witness.reset({ by: "service", code: "closed", message: "test" });
  },
  () => undefined,
];
/** Requests are answered when all of the input was given. */
const LATER = 8;
const CONSUME = 16;
const HALF_CLOSE = 32;
/** The transport takes nothing while the input comes, and everything afterwards. */
const BLOCKED = 64;
/** Behind the input: time passes, and no more requests are wanted. */
const LEAVE = 128;

export const http1Server: Target = {
  name: "http1-server",
  code: [...SHARED, ...SERVER],
  dictionary: DICTIONARY,
  seeds: [
    ...[0, 1, 2, 3, 4, 9, 12, 6, 5, 7].map((mode) =>
      seed(
        mode | CONSUME | HALF_CLOSE,
        "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nX: y\r\n\r\nhelloGET /b?c HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
      ),
    ),
    seed(
      1,
      "POST /b HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n",
    ),
    seed(48, "GET /d HTTP/1.0\r\n\r\nGET /d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    seed(1, "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"),
    ...[LEAVE, BLOCKED | 1, LEAVE | LATER | 7].map((mode) => seed(mode, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")),
    ...[4, 12, 6].map((mode) =>
      seed(
        mode,
        "GET /w HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85mask",
      ),
    ),
  ],
  run(input, cuts) {
    const mode = input[0] ?? 0;
    const lines: string[] = [];
    const transport = new NotingTransport(lines);
    const witnesses: { readonly witness: Witness; readonly fields: Fields }[] = [];
    const respond = ANSWERS[mode & 7] ?? (() => undefined);
    let ended = 0;
    const events: HttpConnectionEvents = {
      streamOpened(stream, fields, end) {
        promise(ended === 0, "a stream opened after the end");
        const witness = new Witness(String(witnesses.length), lines, false, end);
        witness.stream = stream;
        witness.consume = (mode & CONSUME) !== 0;
        witnesses.push({ witness, fields });
        lines.push(`opened ${showFields(fields)}${end ? " END" : ""}`);
        if ((mode & LATER) === 0) respond(witness, fields);
        return witness;
      },
      capacityChanged() {},
      draining() {},
      ended(failure) {
        ended++;
        lines.push(`ended ${failure?.code ?? "in order"}`);
      },
    };
    const server = new Http1Server({ transport, events, scheme: "http", acceptKey, peer: "visitor", party: "relay" });
    transport.outbox.blocked = (mode & BLOCKED) !== 0;
    feed(input, 1, cuts, (bytes) => server.receive(bytes));
    transport.outbox.blocked = false;
    server.drained();
    if ((mode & LATER) !== 0) {
      // An answer lets the next request be read.
      for (const { witness, fields } of witnesses) respond(witness, fields);
    }
    if ((mode & LEAVE) !== 0) {
      for (const now of [0, 1000, 4000]) server.tick(now);
      server.drain();
    }
    if ((mode & HALF_CLOSE) !== 0) server.receiveEnd();
    for (const now of [5000, 60_000]) server.tick(now);
    server.transportClosed();
    promise(ended === 1 && server.openStreams === 0, `ended ${ended} times with ${server.openStreams} streams`);
    for (const { witness } of witnesses) witness.finish();
    return [...comparable(lines, /^(?:pause|resume)$/), ...written(transport, input)];
  },
};

const WEBSOCKET: Fields = [
  { name: ":method", value: "CONNECT" },
  { name: ":protocol", value: "websocket" },
  ...request("GET", "/w").slice(1),
];

/** What is asked of a service. The lowest three bits of the mode choose. */
const REQUESTS: readonly ((witness: Witness, open: (fields: Fields, end: boolean) => void) => void)[] = [
  (_witness, open) => open(request("GET", "/"), true),
  (_witness, open) => open(request("HEAD", "/"), true),
  (witness, open) => {
    open(request("POST", "/", ["content-length", "5"]), false);
    witness.send(HELLO, true);
  },
  (_witness, open) => open(request("POST", "/"), false),
  (witness, open) => {
    open(WEBSOCKET, false);
    witness.send(HELLO, false);
    witness.echo = true;
  },
  (witness, open) => {
    open(request("POST", "/", ["te", "trailers"]), false);
    witness.sendTrailers([{ name: "t", value: "u" }]);
  },
  (_witness, open) => open(WEBSOCKET, true),
  (witness, open) => {
    open(request("PUT", "/"), false);
    witness.send(HELLO, false);
  },
];

export const http1Client: Target = {
  name: "http1-client",
  code: [...SHARED, ...CLIENT],
  dictionary: DICTIONARY,
  seeds: [
    ...[0, 1, 2, 3, 5, 7].map((mode) =>
      seed(mode | CONSUME | HALF_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"),
    ),
    seed(0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n"),
    seed(
      2,
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    ),
    seed(32, "HTTP/1.0 200 OK\r\n\r\nuntil the end"),
    ...[LEAVE, BLOCKED | 2, BLOCKED | 7, LATER | 3].map((mode) =>
      seed(mode, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ),
    ...[4, 6].map((mode) =>
      seed(
        mode | HALF_CLOSE,
        "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05hello",
      ),
    ),
  ],
  run(input, cuts) {
    const mode = input[0] ?? 0;
    const lines: string[] = [];
    const transport = new NotingTransport(lines);
    const witness = new Witness("0", lines, true, false);
    witness.consume = (mode & CONSUME) !== 0;
    let ended = 0;
    const client = new Http1Client({
      transport,
      events: {
        streamOpened: () => witness,
        capacityChanged() {},
        draining() {},
        ended() {
          ended++;
        },
      },
      acceptKey,
      randomKey: () => "dGhlIHNhbXBsZSBub25jZQ==",
      peer: "service",
      party: "agent",
    });
    transport.outbox.blocked = (mode & BLOCKED) !== 0;
    REQUESTS[mode & 7]?.(witness, (fields, end) => {
      witness.stream = client.open(fields, end, witness);
      if (end) witness.send(new Uint8Array(0), true);
    });
    feed(input, 1, cuts, (bytes) => client.receive(bytes));
    transport.outbox.blocked = false;
    client.drained();
    if ((mode & LEAVE) !== 0) client.drain();
    if ((mode & LATER) !== 0) client.writingFailed();
    if ((mode & HALF_CLOSE) !== 0) client.receiveEnd();
    client.transportClosed();
    promise(ended === 1 && client.openStreams === 0, `ended ${ended} times with ${client.openStreams} streams`);
    witness.finish();
    // Whether octets behind a complete answer are seen before the connection is given back is a matter of cuts.
    return [...comparable(lines, /^(?:pause|resume|close|destroy)$/), ...written(transport, input)];
  },
};
