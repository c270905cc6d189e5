/**
 * T-8: the same for the response direction: a service that answers with what can be read in more than one way. The visitor
 * gets a 502, a visible cut, or exactly the answer; and the next visitor gets his own answer, never a rest of this one.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DATA, END_HEADERS, END_STREAM, HEADERS, block, frame } from "../support/frames.ts";
import { request, request2 } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { startRecordingService, text1 } from "../support/recording-service.ts";
import type { RawAnswer, RecordingService } from "../support/recording-service.ts";

/** `502`: the head was not passed on. `cut`: it was, and the visitor sees that the rest is missing. Else the body. */
type Expected = "502" | "cut" | `whole ${string}`;

const OK = "HTTP/1.1 200 OK\r\n";
const SECOND = text1(200, "not yours");
const close = (bytes: string | Uint8Array): RawAnswer => ({ bytes, close: true });
const length = (value: string): string => `${OK}Content-Length: ${value}\r\n\r\nhello`;
const coding = (lines: string): string => `${OK}${lines}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`;
const chunks = (text: string): string => `${OK}Transfer-Encoding: chunked\r\n\r\n${text}`;
const line = (text: string): string => `${OK}${text}\r\nContent-Length: 5\r\n\r\nhello`;

const HTTP1: readonly (readonly [what: string, answer: RawAnswer, expected: Expected])[] = [
  ["an answer as it should be", length("5"), "whole hello"],
  ["two lengths", line("Content-Length: 6"), "502"],
  ["twice the same length", line("Content-Length: 5"), "502"],
  ["a length list", length("5, 5"), "502"],
  ["a signed length", length("+5"), "502"],
  ["a negative length", length("-5"), "502"],
  ["a length in hexadecimal", length("0x5"), "502"],
  ["an empty length", length(""), "502"],
  ["two numbers", length("5 5"), "502"],
  ["a length beyond 2^64", length("18446744073709551621"), "502"],
  ["a length and chunks", coding("Content-Length: 5\r\nTransfer-Encoding: chunked"), "502"],
  ["chunks and a length", coding("Transfer-Encoding: chunked\r\nContent-Length: 30"), "502"],
  ["an unknown coding", coding("Transfer-Encoding: xchunked"), "502"],
  ["chunked that is not last", coding("Transfer-Encoding: chunked, identity"), "502"],
  ["chunked twice", coding("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), "502"],
  ["a vertical tab before chunked", coding("Transfer-Encoding:\x0bchunked"), "502"],
  ["a no-break space before chunked", coding("Transfer-Encoding: \xa0chunked"), "502"],
  ["a space before the colon", coding("Transfer-Encoding : chunked"), "502"],
  ["chunks in HTTP/1.0", coding("Transfer-Encoding: chunked").replace("1.1", "1.0"), "502"],
  ["a folded line", line("X: a\r\n b"), "502"],
  ["a bare LF as line end", line("X: a\nY: b"), "502"],
  ["a bare CR in a value", line("X: a\rY: b"), "502"],
  ["NUL in a value", line("X: a\0b"), "502"],
  ["an escape in a value", line("X: \x1b[2J"), "502"],
  ["an empty name", line(": a"), "502"],
  ["a space in a name", line("X Y: a"), "502"],
  ["no colon", line("X"), "502"],
  ["only LF", length("5").replaceAll("\r\n", "\n"), "502"],
  ["an empty line before", `\r\n${length("5")}`, "502"],
  ["octets before", `hello${length("5")}`, "502"],
  ["two digits of status", length("5").replace("200", "20"), "502"],
  ["four digits of status", length("5").replace("200", "2000"), "502"],
  ["status 099", length("5").replace("200", "099"), "502"],
  ["two spaces in the status line", length("5").replace(" 200", "  200"), "502"],
  ["HTTP/2.0", length("5").replace("1.1", "2.0"), "502"],
  ["another protocol", length("5").replace("HTTP/1.1", "ICY"), "502"],
  [
    "a 101 that nobody asked for",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "502",
  ],
  ["interim heads without end", "HTTP/1.1 102 Processing\r\n\r\n".repeat(100), "502"],
  ["a 100 with a body", `HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello${length("5")}`, "502"],
  ["a 204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "502"],
  ["a 204 in chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "502"],
  ["a 204, then octets", `HTTP/1.1 204 No Content\r\n\r\n${SECOND}`, "whole "],
  [
    "a 304 with the length of something, then octets",
    `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n${SECOND}`,
    "whole ",
  ],
  ["octets behind the end", `${length("5")}!`, "whole hello"],
  ["a second answer behind the first", `${length("5")}${SECOND}`, "whole hello"],
  ["a second answer behind the last chunk", `${chunks("5\r\nhello\r\n0\r\n\r\n")}${SECOND}`, "whole hello"],
  ["a longer chunk than said", chunks("5\r\nhello!\r\n0\r\n\r\n"), "cut"],
  ["a chunk size with a sign", chunks("5\r\nhello\r\n+5\r\nhello\r\n0\r\n\r\n"), "cut"],
  ["a chunk size in words", chunks("5\r\nhello\r\nfive\r\n"), "cut"],
  ["a chunk size of 17 digits", chunks("5\r\nhello\r\n10000000000000005\r\nhello\r\n"), "cut"],
  ["a chunk size ended by LF", chunks("5\r\nhello\r\n5\nhello\r\n0\r\n\r\n"), "cut"],
  ["a last chunk ended by LF", chunks("5\r\nhello\r\n0\n\n"), "cut"],
  ["a length as a trailer", chunks("5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"), "cut"],
  ["a bare CR in a trailer", chunks("5\r\nhello\r\n0\r\nX: a\rY: b\r\n\r\n"), "cut"],
  ["fewer octets than said", close(length("6")), "cut"],
  ["no last chunk", close(chunks("5\r\nhello\r\n")), "cut"],
  ["half a last chunk", close(chunks("5\r\nhello\r\n0\r\n")), "cut"],
  ["half a head", close(`${OK}Content-Le`), "502"],
  ["nothing", close(""), "502"],
  ["until the end of the connection", close(`${OK}\r\nhello`), "whole hello"],
];

type Pair = readonly [string, string];
const head = (fields: readonly Pair[], flags = 0) => ({ fields, flags });
const hello = (fields: readonly Pair[]) => [head(fields), "hello"] as const;
type Part = ReturnType<typeof head> | string;

/** Parts in order; the last ends the stream. */
const HTTP2: readonly (readonly [what: string, parts: readonly Part[], expected: Expected])[] = [
  ["an answer as it should be", hello([[":status", "200"]]), "whole hello"],
  [
    "CR LF in a value",
    hello([
      [":status", "200"],
      ["x", "a\r\nset-cookie: b"],
    ]),
    "502",
  ],
  [
    "LF in a value",
    hello([
      [":status", "200"],
      ["x", "a\nb"],
    ]),
    "502",
  ],
  [
    "CR in a value",
    hello([
      [":status", "200"],
      ["x", "a\rb"],
    ]),
    "502",
  ],
  [
    "NUL in a value",
    hello([
      [":status", "200"],
      ["x", "a\0b"],
    ]),
    "502",
  ],
  [
    "a space before a value",
    hello([
      [":status", "200"],
      ["x", " a"],
    ]),
    "502",
  ],
  [
    "CR LF in a name",
    hello([
      [":status", "200"],
      ["x\r\ny", "a"],
    ]),
    "502",
  ],
  [
    "a colon in a name",
    hello([
      [":status", "200"],
      ["x:y", "a"],
    ]),
    "502",
  ],
  [
    "upper case in a name",
    hello([
      [":status", "200"],
      ["X", "a"],
    ]),
    "502",
  ],
  [
    "an empty name",
    hello([
      [":status", "200"],
      ["", "a"],
    ]),
    "502",
  ],
  [
    "transfer-encoding",
    hello([
      [":status", "200"],
      ["transfer-encoding", "chunked"],
    ]),
    "502",
  ],
  [
    "connection",
    hello([
      [":status", "200"],
      ["connection", "close"],
    ]),
    "502",
  ],
  [
    "upgrade",
    hello([
      [":status", "200"],
      ["upgrade", "h2c"],
    ]),
    "502",
  ],
  ["no status", hello([["x", "a"]]), "502"],
  [
    "two statuses",
    hello([
      [":status", "200"],
      [":status", "204"],
    ]),
    "502",
  ],
  ["a status of two digits", hello([[":status", "20"]]), "502"],
  ["a status with CR LF", hello([[":status", "200\r\nx: a"]]), "502"],
  ["101", hello([[":status", "101"]]), "502"],
  [
    "a status behind a field",
    hello([
      ["x", "a"],
      [":status", "200"],
    ]),
    "502",
  ],
  [
    "a path in an answer",
    hello([
      [":status", "200"],
      [":path", "/"],
    ]),
    "502",
  ],
  [
    "two lengths",
    hello([
      [":status", "200"],
      ["content-length", "5"],
      ["content-length", "5"],
    ]),
    "502",
  ],
  [
    "a length list",
    hello([
      [":status", "200"],
      ["content-length", "5, 5"],
    ]),
    "502",
  ],
  [
    "a signed length",
    hello([
      [":status", "200"],
      ["content-length", "+5"],
    ]),
    "502",
  ],
  [
    "more octets than said",
    hello([
      [":status", "200"],
      ["content-length", "4"],
    ]),
    "cut",
  ],
  [
    "fewer octets than said",
    hello([
      [":status", "200"],
      ["content-length", "6"],
    ]),
    "cut",
  ],
  ["a pseudo-field in trailers", [...hello([[":status", "200"]]), head([[":status", "200"]])], "cut"],
  ["a length in trailers", [...hello([[":status", "200"]]), head([["content-length", "5"]])], "cut"],
  ["CR LF in trailers", [...hello([[":status", "200"]]), head([["x", "a\r\nb"]])], "cut"],
  ["trailers that do not end", [...hello([[":status", "200"]]), head([["x", "a"]], -END_STREAM), "more"], "cut"],
  ["data before the head", ["hello", head([[":status", "200"]])], "502"],
];

function frames(stream: number, parts: readonly Part[]): Uint8Array {
  return Buffer.concat(
    parts.map((part, index) => {
      const end = index === parts.length - 1 ? END_STREAM : 0;
      return typeof part === "string"
        ? frame(DATA, end, stream, part)
        : frame(HEADERS, part.flags < 0 ? END_HEADERS : END_HEADERS | end, stream, block(part.fields));
    }),
  );
}

let path: Path;

before(async () => {
  path = await startPath({ capture: false });
});
after(() => path.close());

describe("both versions of visitors", () => {
  for (const version of [1, 2] as const)
    test(`a service of HTTP/${version}: ${version === 1 ? HTTP1.length : HTTP2.length} answers`, async () => {
      const service = await startRecordingService(version);
      const shared = await path.share(service.port);
      const plain = service.answer;
      let bad: (stream: number) => RawAnswer = () => undefined;
      service.answer = (seen, stream) => (seen.target.startsWith("/bad") ? bad(stream) : plain(seen, stream));
      try {
        // By now it is known what the service speaks.
        assert.equal((await request(shared.address, "/first")).body, "seen:/first");
        const table = version === 1 ? HTTP1 : HTTP2;
        for (const [what, answer, expected] of table) {
          bad = (stream) =>
            Array.isArray(answer)
              ? { bytes: frames(stream, answer as readonly Part[]), close: false }
              : (answer as RawAnswer);
          for (const send of [request, request2]) {
            const say = `${what}, ${send.name}`;
            // A POST, since a GET on a connection that breaks would be sent again.
            const got = await send(shared.address, "/bad", { method: "POST", body: "x" }).then(
              ({ status, body }) => (status === 502 ? "502" : `whole ${body}`),
              () => "cut",
            );
            // A service of HTTP/2 that resets is passed on as a reset; one that is malformed before its head is a 502.
            assert.equal(got, expected, say);
            const next = await Promise.all(["/a", "/b"].map((target) => send(shared.address, target)));
            assert.deepEqual(
              next.map(({ body }) => body),
              ["seen:/a", "seen:/b"],
              `after ${say}`,
            );
          }
        }
        assert.deepEqual(service.doubts, []);
      } finally {
        await service.close();
      }
    });
});

test("HEAD answered with a body: the head arrives, and the body is nobody's answer", async () => {
  const service = await startRecordingService(1);
  const shared: Shared = await path.share(service.port);
  const plain = service.answer;
  service.answer = (seen, stream) => (seen.method === "HEAD" ? SECOND : plain(seen, stream));
  try {
    for (const send of [request, request2])
      for (let round = 0; round < 5; round++) {
        const answer = await send(shared.address, "/", { method: "HEAD" });
        assert.deepEqual([answer.status, answer.body], [200, ""]);
        assert.equal((await send(shared.address, "/own")).body, "seen:/own");
      }
  } finally {
    await service.close();
  }
});

test("an answer before its request, on a connection that is idle, is nobody's answer", async () => {
  const service: RecordingService = await startRecordingService(1);
  const shared = await path.share(service.port);
  try {
    for (let round = 0; round < 10; round++) {
      assert.equal((await request(shared.address, `/${round}`)).body, `seen:/${round}`);
      const used = service.connections[service.requests.items.at(-1)?.connection ?? -1];
      assert.ok(used !== undefined);
      const gone = new Promise((resolve) => used.once("close", resolve));
      used.write(SECOND, "latin1");
      // At once and after the agent has read it.
      if (round % 2 === 0) await gone;
      assert.equal((await request(shared.address, "/own")).body, "seen:/own");
    }
  } finally {
    await service.close();
  }
});

test("an answer before the end of its request does not become the answer of the next", async () => {
  const service = await startRecordingService(1);
  const shared = await path.share(service.port);
  try {
    service.answer = ({ target }) =>
      target === "/split" ? `${OK}Content-Length: 5\r\n\r\nhello` : text1(200, `seen:${target}`);
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        request(shared.address, index % 2 === 0 ? "/split" : `/${index}`, {
          method: "POST",
          body: "x".repeat(index * 100),
        }),
      ),
    );
    results.forEach(({ body }, index) => assert.equal(body, index % 2 === 0 ? "hello" : `seen:/${index}`));
    assert.deepEqual(service.doubts, []);
  } finally {
    await service.close();
  }
});
