import fc from "fast-check";

/** Messages of HTTP/1 as text (latin-1): mostly right, wrong at a place or two, with what attacks are made of. */
const REQUESTS = [
  "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "GET /a?b=c%20d HTTP/1.1\r\nHost: a.test:8080\r\nAccept: */*\r\nX: \xe4\r\n\r\n",
  "POST /b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
  "POST /c HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n",
  "PUT /d HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0A\r\n0123456789\r\n00\r\n\r\n",
  "HEAD /e HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n",
  "GET /f HTTP/1.0\r\n\r\n",
  "POST /g HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
  "GET /h HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
  "POST /i HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nxy",
  "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
  "DELETE /j HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
];

const ANSWERS = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "HTTP/1.1 200 OK\r\n\r\nuntil the end",
  "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end",
  "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n",
  "HTTP/1.1 404 \r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
  "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc",
  "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
];

const PIECES = [
  ...[
    "\r\n",
    "\n",
    "\r",
    "\r\r\n",
    "\n\n",
    "\r\n\r\n",
    " ",
    "\t",
    "\0",
    ":",
    ",",
    ";",
    "\x0b",
    "\x0c",
    "\x7f",
    "\xff",
    "\x80",
  ],
  ...["0", "5", "00", "-1", "+5", "0x5", "5 ", " 5", "5,5", "1e1", "ffffffffffffffff", "10000000000000000", "a", "G"],
  ...["chunked", "Chunked", "chunked, chunked", "gzip, chunked", "identity", "xchunked", "chunked;q=1", "\x0bchunked"],
  ...[
    "Content-Length: 3\r\n",
    "Content-Length: 0\r\n",
    "content-length:5\r\n",
    "Content-Length : 5\r\n",
    "Content-Length:\r\n",
  ],
  ...[
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
  ],
  ...[
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer\x00-Encoding: chunked\r\n",
    "X: y\r\n z\r\n",
    " X: y\r\n",
  ],
  ...[
    "Host: b.test\r\n",
    "Host:\r\n",
    "Host: u@a.test\r\n",
    "Host: a.test, b.test\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
  ],
  ...[
    "Connection: content-length\r\n",
    "Expect: 100-continue\r\n",
    "Expect: x\r\n",
    "TE: trailers\r\n",
    "Trailer: t\r\n",
    "X\r\n",
    ": y\r\n",
    "X:\r\n",
  ],
  ...[
    " HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/1.2",
    "HTTP/2.0",
    "HTTP/0.9",
    "http/1.1",
    "HTTP/1.10",
    "HTTP/1,1",
    "/",
    "//",
    "http://a.test/",
    "http://b.test/",
  ],
  ...[
    "*",
    "#x",
    "\\",
    '"',
    "<",
    "%zz",
    "{}",
    "GET",
    "G@T",
    "get",
    "CONNECT",
    "PRI",
    "SOURCE",
    "M-SEARCH",
    "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
  ],
  ...[
    "200",
    "099",
    "1000",
    "2xx",
    "101",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    ";x",
    ';x="y"',
    "; x = y",
    ";\r",
    ";\n",
    "t: u\r\n",
    "Content-Length: 9",
  ],
];

interface Change {
  readonly at: number;
  readonly remove: number;
  readonly piece: string;
}

const change: fc.Arbitrary<Change> = fc.record({
  /** As a share, so that shrinking the message keeps the place. */
  at: fc.nat(9999),
  remove: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.integer({ min: 1, max: 12 }) }),
  piece: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...PIECES) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }).map((octet) => String.fromCharCode(octet)) },
    { weight: 1, arbitrary: fc.constant("") },
  ),
});

/** Changes are made at line ends and around them more often than elsewhere: there framing is decided. */
function apply(text: string, changes: readonly Change[]): string {
  let result = text;
  for (const { at, remove, piece } of changes) {
    const lines = [...result.matchAll(/\r\n/g)].map(({ index }) => index + (at % 2) * 2);
    const place = at % 3 === 0 ? lines[at % Math.max(1, lines.length)] : undefined;
    const from = place ?? Math.floor((at / 10_000) * (result.length + 1));
    result = result.slice(0, from) + piece + result.slice(from + remove);
  }
  return result;
}

function mutated(messages: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...messages), fc.array(change, { maxLength: 3 }))
    .map(([text, changes]) => apply(text, changes));
}

/** One to three requests; the first is mutated, what follows it may be. */
export const requests: fc.Arbitrary<string> = fc
  .tuple(mutated(REQUESTS), fc.array(fc.oneof(fc.constantFrom(...REQUESTS), mutated(REQUESTS)), { maxLength: 2 }))
  .map(([first, more]) => first + more.join(""));

export const answers: fc.Arbitrary<string> = fc
  .tuple(mutated(ANSWERS), fc.option(fc.constantFrom(...ANSWERS), { nil: "", freq: 4 }))
  .map(([first, more]) => first + more);
