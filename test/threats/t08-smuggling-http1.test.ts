/**
 * T-8: the same for smuggler's payloads on HTTP/1: 134 ways to write a Transfer-Encoding that one of two parsers overlooks,
 * each as CL.TE and as TE.CL, and what else two parsers disagree about. A recording service behind the agent, once of
 * HTTP/1 and once of HTTP/2, sees what the visitor got answers for, in that order, and nothing else.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { RawVisitor } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { startRecordingService } from "../support/recording-service.ts";
import type { RecordingService } from "../support/recording-service.ts";

/** Octets that some parser skips, or takes for the end of a line. */
const OCTETS = [0x01, 0x04, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1f, 0x20, 0x7f, 0xa0, 0xff];

const SHAPES: readonly (readonly [what: string, line: (octet: string) => string])[] = [
  ["before the name", (octet) => `${octet}Transfer-Encoding: chunked`],
  ["behind the name", (octet) => `Transfer-Encoding${octet}: chunked`],
  ["before the value", (octet) => `Transfer-Encoding:${octet}chunked`],
  ["behind the value", (octet) => `Transfer-Encoding: chunked${octet}`],
  ["instead of a line end before it", (octet) => `X: X${octet}Transfer-Encoding: chunked`],
  ["instead of a line end behind it", (octet) => `Transfer-Encoding: chunked${octet}X: X`],
  ["behind a CR before it", (octet) => `X: X\r${octet}Transfer-Encoding: chunked`],
  ["behind a CR behind it", (octet) => `Transfer-Encoding: chunked\r${octet}X: X`],
  ["before an LF before it", (octet) => `X: X${octet}\nTransfer-Encoding: chunked`],
  ["before an LF behind it", (octet) => `Transfer-Encoding: chunked${octet}\nX: X`],
];

const hex = (octet: number): string => `0x${octet.toString(16).padStart(2, "0")}`;

/** Lines beside a Content-Length. */
const LINES: readonly (readonly [what: string, line: string])[] = [
  ...SHAPES.flatMap(([what, line]) =>
    OCTETS.map((octet) => [`${hex(octet)} ${what}`, line(String.fromCharCode(octet))] as const),
  ),
  ["folded name", "Transfer-Encoding\r\n : chunked"],
  ["folded value", "Transfer-Encoding:\r\n chunked"],
  ["two spaces", "Transfer-Encoding:  chunked"],
  ["none", "Transfer-Encoding:chunked"],
  ["plain", "Transfer-Encoding: chunked"],
  ["upper case", "TRANSFER-ENCODING: CHUNKED"],
  ["quoted", 'Transfer-Encoding: "chunked"'],
  ["identity", "Transfer-Encoding: identity"],
  ["identity first", "Transfer-Encoding: identity, chunked"],
  ["identity last", "Transfer-Encoding: chunked, identity"],
  ["twice in one", "Transfer-Encoding: chunked, chunked"],
  ["twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"],
  ["twice, the second unknown", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x"],
  ["twice, the first unknown", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked"],
  ["xchunked", "Transfer-Encoding: xchunked"],
  ["chunkedx", "Transfer-Encoding: chunkedx"],
  ["parameter", "Transfer-Encoding: chunked;q=1"],
  ["comma before", "Transfer-Encoding: , chunked"],
  ["comma behind", "Transfer-Encoding: chunked,"],
  ["empty", "Transfer-Encoding:"],
  ["underscore", "Transfer_Encoding: chunked"],
  ["hop by Connection", "Connection: Content-Length\r\nTransfer-Encoding: chunked"],
  ["taken out by Connection", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked"],
  ["Connection takes the length out", "Connection: close, Content-Length"],
  ["K of Kelvin", "Transfer-Encoding: chun\xe2\x84\xaaed"],
  ["long s", "Tran\xc5\xbffer-Encoding: chunked"],
  ["another length", "Content-Length: 3"],
  ["the length again", "Content-Length: LENGTH"],
  ["a length list", "Content-Length: LENGTH, LENGTH"],
  ["a signed length", "Content-Length: +3"],
  ["a negative length", "Content-Length: -3"],
  ["a length in hexadecimal", "Content-Length: 0x3"],
  ["an empty length", "Content-Length:"],
  ["a length with a space", "Content-Length: 1 2"],
  ["a length behind a space", "Content-Length : 3"],
  ["a length with a fraction", "Content-Length: 3.0"],
  ["a length beyond 2^64", "Content-Length: 18446744073709551619"],
  ["a name that is empty", ": chunked"],
  ["no colon", "Transfer-Encoding chunked"],
];

/** What follows the head: to who counts octets it is all body (CL.TE), or the beginning of it (TE.CL). */
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n";
const BODIES: readonly (readonly [what: string, body: string, length: number])[] = [
  ["CL.TE", `0\r\n\r\n${SMUGGLED}X: `, 0],
  ["TE.CL", `${(SMUGGLED.length + 2).toString(16)}\r\n${SMUGGLED}\r\n\r\n0\r\n\r\n`, 4],
];

/** Whole requests that are read in more than one way. The service sees at most the first, as it was meant. */
const CHUNKED = "POST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const OTHERS: readonly (readonly [what: string, text: string])[] = [
  ...[
    "+5",
    "0x5",
    "0_5",
    " 5",
    "5 ",
    "\t5",
    "-5",
    "5\x0b",
    "",
    "g",
    "5;\n",
    "00000000000000005",
    "ffffffffffffffff5",
  ].map((size) => [`chunk size ${JSON.stringify(size)}`, `${CHUNKED}${size}\r\nhello\r\n0\r\n\r\n`] as const),
  ["chunk size ended by LF", `${CHUNKED}5\nhello\r\n0\r\n\r\n`],
  ["chunk size ended by CR", `${CHUNKED}5\rhello\r\n0\r\n\r\n`],
  ["chunk ended by LF", `${CHUNKED}5\r\nhello\n0\r\n\r\n`],
  ["chunk longer than said", `${CHUNKED}5\r\nhello!\r\n0\r\n\r\n`],
  ["chunk ended by two other octets", `${CHUNKED}5\r\nhelloXX0\r\n\r\n`],
  ["last chunk ended by LF", `${CHUNKED}5\r\nhello\r\n0\n\n`],
  ["a bare LF in a chunk extension", `${CHUNKED}5;a\nhello\r\n0\r\n\r\n`],
  ["NUL in a chunk extension", `${CHUNKED}5;\0\r\nhello\r\n0\r\n\r\n`],
  ["5 000 octets of chunk extension", `${CHUNKED}5;${"x".repeat(5000)}\r\nhello\r\n0\r\n\r\n`],
  ["Content-Length as a trailer", `${CHUNKED}5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n`],
  ["Transfer-Encoding as a trailer", `${CHUNKED}5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ["a folded trailer", `${CHUNKED}5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n`],
  ["Transfer-Encoding in HTTP/1.0", `${CHUNKED.replace("1.1", "1.0")}5\r\nhello\r\n0\r\n\r\n`],
  ["a length in HTTP/0.9", "GET /one\r\n\r\n"],
  ["HTTP/2.0 in a line", "GET /one HTTP/2.0\r\nHost: a\r\n\r\n"],
  ["HTTP/1.2", "GET /one HTTP/1.2\r\nHost: a\r\n\r\n"],
  ["two spaces in the request line", "GET  /one HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a tab in the request line", "GET\t/one HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a space behind the version", "GET /one HTTP/1.1 \r\nHost: a\r\n\r\n"],
  ["a second version", "GET /one HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a line folded into the request line", "GET /one HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n"],
  ["a CR in the target", "GET /one\rX HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["LF as all line ends", "GET /one HTTP/1.1\nHost: a\n\nGET /smuggled HTTP/1.1\nHost: a\n\n"],
  ["CR X ends the head", "GET /one HTTP/1.1\r\nHost: a\r\n\rX: GET /smuggled HTTP/1.1\r\n\r\n"],
  ["CR CR LF", "GET /one HTTP/1.1\r\r\nHost: a\r\r\n\r\r\n"],
  [
    "Upgrade with a body",
    `${CHUNKED.replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")}5\r\nhello\r\n0\r\n\r\n`,
  ],
  ["GET with a body", "GET /one HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"],
  [
    "Expect and a body at once",
    "POST /one HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
  ],
  [
    "Expect of something else",
    "POST /one HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue, x\r\nContent-Length: 5\r\n\r\nhello",
  ],
];

/** Each answer on a connection, cut by its own length: what it was an answer to, or its status when the relay gave it. */
function answers(text: string): string[] {
  const found: string[] = [];
  let rest = text;
  while (rest !== "") {
    const head = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(rest);
    assert.ok(head !== null, `no answer: ${JSON.stringify(rest.slice(0, 200))}`);
    const status = Number(head[1]);
    const length = Number(/^content-length: (\d+)/im.exec(head[0])?.[1] ?? 0);
    const chunks = /^([0-9a-f]+)\r\n/.exec(rest.slice(head[0].length));
    const chunked = /^transfer-encoding: chunked/im.test(head[0]) && chunks !== null;
    const from = head[0].length + (chunked ? chunks[0].length : 0);
    const size = chunked ? Number.parseInt(chunks[1] ?? "", 16) : length;
    const body = rest.slice(from, from + size);
    rest = rest.slice(from + size + (chunked ? "\r\n0\r\n\r\n".length : 0));
    if (status >= 200) found.push(body.startsWith("seen:") ? body.slice(5) : String(status));
  }
  return found;
}

let path: Path;

before(async () => {
  path = await startPath({ capture: false });
});
after(() => path.close());

for (const version of [1, 2] as const)
  describe(`a service of HTTP/${version}`, () => {
    let service: RecordingService;
    let shared: Shared;

    before(async () => {
      service = await startRecordingService(version);
      shared = await path.share(service.port);
    });
    after(async () => {
      await service.close();
      // Not all of them are wrong, and what is refused does no harm easily.
      const forwarded = service.requests.items.filter(({ target, cut }) => target === "/one" && !cut).length;
      assert.ok(forwarded >= 16, `only ${forwarded} were forwarded`);
    });

    /** Sends `text` and then a plain request; judges what came back and what the service saw. */
    async function judge(what: string, text: string, smuggles: boolean): Promise<void> {
      const begun = service.requests.items.length;
      const visitor = await RawVisitor.connect(shared.address);
      visitor.send(text);
      visitor.send("GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      visitor.socket.end();
      const got = answers(await visitor.rest());
      visitor.close();
      const seen = service.requests.items.slice(begun);
      const whole = seen.filter(({ cut }) => !cut).map(({ target }) => target);
      const answered = got.filter((one) => one.startsWith("/"));
      assert.deepEqual(whole, answered, `${what}: ${JSON.stringify(seen)}`);
      assert.ok(seen.length - whole.length <= 1, what);
      if (!smuggles) assert.ok(!whole.includes("/smuggled"), what);
      for (const { fields } of seen) {
        const names = fields.map(([name]) => name);
        const framing = names.filter((name) => name === "content-length" || name === "transfer-encoding");
        assert.ok(framing.length <= 1, what);
        for (const name of names)
          assert.match(
            name,
            /^(?:host|x|connection|te|expect|transfer_encoding|x-forwarded-\w+|portlight-hops|content-length|transfer-encoding)$/,
            what,
          );
      }
      assert.deepEqual(service.doubts, [], what);
      // Whatever was left on the connections of the agent would be in front of this.
      const witness = await RawVisitor.connect(shared.address);
      witness.send("GET /witness HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      assert.deepEqual(answers(await witness.rest()), ["/witness"], what);
      witness.close();
    }

    for (const [kind, body, length] of BODIES)
      test(`${LINES.length} lines beside a length, ${kind}`, async () => {
        assert.ok(LINES.length >= 134);
        const size = String(length === 0 ? body.length : length);
        for (const [what, line] of LINES) {
          const head = `POST /one HTTP/1.1\r\nHost: a\r\n${line.replaceAll("LENGTH", size)}\r\nContent-Length: ${size}\r\n\r\n`;
          // With the length obeyed, what follows four octets is the visitor's own next request.
          await judge(`${what}, ${kind}`, head + body, kind === "TE.CL");
        }
      });

    test(`${OTHERS.length} other requests that are read in more than one way`, async () => {
      for (const [what, text] of OTHERS) await judge(what, text, false);
    });
  });
