import assert from "node:assert/strict";
import http from "node:http";
import { describe, test } from "node:test";
import fc from "fast-check";
import { answers, requests } from "../../test/support/http1-generator.ts";
import { NodeServer, parseAnswer } from "../../test/support/http1-oracle.ts";
import type { OracleMessage, Verdict } from "../../test/support/http1-oracle.ts";
import { ClientRig, NotingTransport, acceptKey, answer, request } from "../../test/support/http1.ts";
import type { Failure, Fields, Stream, StreamEvents } from "../stream.ts";
import { Http1Client } from "./client.ts";
import { Http1Server } from "./server.ts";

/** What one of our ends made of the same octets. */
class Reading implements StreamEvents {
  readonly messages: OracleMessage[] = [];
  refused: string | undefined;
  /** Told when a message is complete. */
  completed: () => void = () => undefined;
  #present: OracleMessage | undefined;

  get open(): string | undefined {
    return this.#present?.start;
  }

  begin(start: string, fields: Fields, end: boolean): void {
    this.#present = { start, fields: pairs(fields), body: "", trailers: [] };
    if (end) this.#complete();
  }
  headReceived(fields: Fields, end: boolean): void {
    const status = fields[0]?.value ?? "";
    if (status.startsWith("1")) this.messages.push({ start: status, fields: pairs(fields), body: "", trailers: [] });
    else this.begin(status, fields, end);
  }
  dataReceived(bytes: Uint8Array, end: boolean): void {
    if (this.#present !== undefined) this.#present.body += Buffer.from(bytes).toString("latin1");
    if (end) this.#complete();
  }
  trailersReceived(fields: Fields): void {
    if (this.#present !== undefined) this.#present.trailers = pairs(fields);
    this.#complete();
  }
  resetReceived(failure: Failure): void {
    this.refused ??= failure.message;
  }
  dataSent(): void {}

  #complete(): void {
    if (this.#present !== undefined) this.messages.push(this.#present);
    this.#present = undefined;
    this.completed();
  }
}

function pairs(fields: Fields): [string, string][] {
  return fields.filter(({ name }) => !name.startsWith(":")).map(({ name, value }) => [name, value]);
}

function cutAt(text: string, cuts: readonly number[], receive: (bytes: Uint8Array) => void): void {
  let from = 0;
  for (const cut of [...cuts.map((cut) => cut % (text.length + 1)).sort((one, other) => one - other), text.length]) {
    if (cut > from) receive(new Uint8Array(Buffer.from(text.slice(from, cut), "latin1")));
    from = Math.max(from, cut);
  }
}

/** Our server, which answers each request when it is complete. */
function readRequests(text: string, cuts: readonly number[]): Verdict {
  const transport = new NotingTransport([]);
  const reading = new Reading();
  const ended = { inOrder: false };
  const server = new Http1Server({
    transport,
    events: {
      streamOpened(stream: Stream, fields: Fields, end: boolean) {
        const value = (name: string): string => fields.find((field) => field.name === name)?.value ?? "";
        reading.completed = () => stream.sendHead(answer(200), true);
        reading.begin(`${value(":method")} ${value(":path")}`, fields, end);
        return reading;
      },
      capacityChanged() {},
      draining() {},
      ended() {},
    },
    scheme: "http",
    acceptKey,
    peer: "visitor",
    party: "relay",
  });
  transport.endWriting = () => {
    ended.inOrder = true;
  };
  cutAt(text, cuts, (bytes) => server.receive(bytes));
  const reason = /HTTP\/1\.1 [45]\d\d [\s\S]*\r\n\r\n([^\r\n]+)\n$/.exec(transport.written)?.[1];
  return { messages: reading.messages, open: reading.open, refused: reason ?? (ended.inOrder ? "closed" : undefined) };
}

/** Behind the final answer nothing can come: how a client says so is its own affair. */
function finalOnly({ messages, open, refused }: Verdict): Verdict {
  const complete = messages.some(({ start }) => !start.startsWith("1"));
  return { messages, open, refused: complete ? undefined : refused };
}

/** Our client, which has sent one request without content. */
function readAnswer(method: string, text: string, end: boolean, cuts: readonly number[]): Verdict {
  const rig = new ClientRig();
  const reading = new Reading();
  const client: Http1Client = rig.client;
  client.open(request(method, "/"), true, reading);
  cutAt(text, cuts, (bytes) => client.receive(bytes));
  if (end) client.receiveEnd();
  return finalOnly({ messages: reading.messages, open: reading.open, refused: reading.refused });
}

interface Difference {
  readonly section: string;
  /** A message that shows it. */
  readonly example: string;
}

const GET = "GET / HTTP/1.1\r\nHost: a.test\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";

/** Where we refuse what llhttp takes, by our reason. */
const STRICTER: Readonly<Record<string, Difference>> = {
  "The request line is malformed.": {
    section: "RFC 9112 section 3: the version is no option; llhttp still speaks HTTP/0.9.",
    example: "GET /\r\n\r\n",
  },
  "A line of the head does not end with CR LF.": {
    section: "RFC 9112 section 2.2: a bare LF may be taken, and need not; llhttp takes it in HTTP/0.9.",
    example: "GET /\n\r\n",
  },
  "The message begins with empty lines.": {
    section: "RFC 9112 section 2.2: one is to be ignored, before a request.",
    example: `\r\n\r\n${GET}\r\n`,
  },
  "A request needs exactly one Host.": {
    section: "RFC 9112 section 3.2: 400 for more than one.",
    example: `${GET}Host: a.test\r\n\r\n`,
  },
  "Host is not a name or address with an optional port.": {
    section: "RFC 9112 section 3.2: 400 for an invalid value.",
    example: "GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n",
  },
  "The request target and Host name different hosts.": {
    section: "RFC 9112 section 3.2.2: they must be the same.",
    example: "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
  },
  "The request target is not a path.": {
    section: "RFC 9112 section 3.2: what is no form of a target is invalid.",
    example: "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
  },
  "Transfer-Encoding is not exactly chunked.": {
    section: "RFC 9112 section 6.1: chunked, once and last.",
    example: "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
  },
  "The only transfer coding understood is chunked.": {
    section: "RFC 9112 section 6.1: 501.",
    example: `${POST.replace("chunked", "gzip, chunked")}0\r\n\r\n`,
  },
  "Transfer-Encoding is not allowed in HTTP/1.0.": {
    section: "RFC 9112 section 6.1: faulty framing.",
    example: `${POST.replace("1.1", "1.0")}0\r\n\r\n`,
  },
  "Content-Length is not one decimal number.": {
    section: "RFC 9110 section 8.6: 16 digits, what a number holds exactly.",
    example: `${GET}Content-Length: 000000000000000000\r\n\r\n`,
  },
  "A chunk extension is malformed.": {
    section: "RFC 9112 section 7.1.1: each has a name.",
    example: `${POST}1;;x\r\na\r\n0\r\n\r\n`,
  },
  "The trailers hold a field that frames or routes.": {
    section: "RFC 9110 section 6.5.1: must not be sent.",
    example: `${POST}0\r\nHost: b.test\r\n\r\n`,
  },
  "Only HTTP/1.0 and HTTP/1.1 are spoken here.": {
    section: "RFC 9112 section 2.3, RFC 9110 section 2.5: an answer of another version is none for us.",
    example: "HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
  },
  "An answer that cannot have a body announces one.": {
    section: "RFC 9112 section 6.3, RFC 9110 section 8.6: none in a 1xx or 204.",
    example: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
  },
  "The answer is 101, but no upgrade was asked for.": {
    section: "RFC 9110 section 7.8: a server switches only to what the request named.",
    example: "HTTP/1.1 101 Switching Protocols\r\n\r\n",
  },
  "The status line is malformed.": {
    section: "RFC 9112 section 4: three digits from 100 on, and a space before the reason.",
    example: "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
  },
};

/** Where llhttp refuses what RFC 9112 allows: by its code, and what came next on our side. */
const LLHTTP_IS_WRONG: readonly (Difference & {
  readonly code: string;
  readonly applies: (next: string | undefined, ours: Verdict, text: string) => boolean;
})[] = [
  {
    code: "HPE_INVALID_METHOD",
    section: "RFC 9110 section 9.1: methods are extensible. llhttp knows a list.",
    example: "BREW / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    applies: (next) => next !== undefined && !http.METHODS.includes(next.split(" ")[0] ?? ""),
  },
  {
    code: "HPE_INVALID_URL",
    section:
      "Our choice, see IS_TARGET: RFC 3986 has no octets above 0x7f, but they frame nothing, and services take them.",
    example: "GET /\xfc HTTP/1.1\r\nHost: a.test\r\n\r\n",
    applies: (next) => next !== undefined && /[\x80-\xff]/.test(next),
  },
  {
    code: "HPE_INVALID_TRANSFER_ENCODING",
    section:
      "RFC 9112 section 5: white space around a value is no part of it. llhttp does not take a tab behind chunked.",
    example: `${POST.replace("chunked", "chunked\t")}0\r\n\r\n`,
    applies: (_next, _ours, text) => /chunked *\t[ \t]*\r\n/i.test(text),
  },
  {
    code: "HPE_CLOSED_CONNECTION",
    section: "RFC 9112 section 9.6: it is the final answer with which a server closes. llhttp closes after a 1xx, too.",
    example: "HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    applies: (_next, { messages }) => messages.some(({ start }) => start.startsWith("1")),
  },
];

/** Fields that we do not pass on, or in another form. */
const OWN = new Set([
  ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "upgrade", "host", "http2-settings"],
]);

/** The same but for what belongs to the connection. */
function sameMessage(ours: OracleMessage, theirs: OracleMessage): void {
  assert.equal(ours.body, theirs.body, "content");
  assert.deepEqual(ours.trailers, theirs.trailers, "trailers");
  const [method, target = ""] = theirs.start.split(" ");
  assert.equal(ours.start.split(" ")[0], method);
  if (target.startsWith("/") || target === "*") assert.equal(ours.start, theirs.start);
  const came = theirs.fields.filter(([name]) => !OWN.has(name));
  for (const [name, value] of ours.fields.filter(([own]) => !OWN.has(own))) {
    // Leading zeros of a length are not passed on.
    const found = came.findIndex((other) => other[0] === name && (other[1] === value || name === "content-length"));
    assert.ok(found >= 0, `${name}: ${value} is not what came`);
    came.splice(0, found + 1);
  }
}

function isLlhttpWrong(ours: Verdict, theirs: Verdict, text: string): boolean {
  const next = ours.messages[theirs.messages.length]?.start ?? ours.open;
  return LLHTTP_IS_WRONG.some(({ code, applies }) => code === theirs.refused && applies(next, ours, text));
}

/** @param goingOn what we make of the octets when a line end and an empty line follow. */
function compare(text: string, ours: Verdict, theirs: Verdict, goingOn: () => Verdict): void {
  const wrong = isLlhttpWrong(ours, theirs, text);
  // What llhttp took before is compared all the same.
  const count = wrong ? theirs.messages.length : ours.messages.length;
  ours.messages.slice(0, count).forEach((message, index) => {
    const other = theirs.messages[index];
    assert.ok(other !== undefined, `we take what llhttp refuses: ${theirs.refused ?? "it waits for more"}`);
    sameMessage(message, other);
  });
  if (wrong) return;
  const even =
    ours.messages.length === theirs.messages.length && (ours.open === undefined) === (theirs.open === undefined);
  if (ours.refused === undefined) {
    assert.ok(even, "we do not see a message, or its end, where llhttp does");
    // Node's server closes behind some answers that persist; that is not its parser's doing.
    if (theirs.refused === undefined || theirs.refused === "closed") return;
    // We judge a line of a head or of trailers when it ends: until then nobody has heard of it.
    const later = goingOn();
    if (isLlhttpWrong(later, theirs, text)) return;
    const refused = later.refused !== undefined && later.messages.length === ours.messages.length;
    assert.ok(refused, `we wait where llhttp refuses: ${theirs.refused}`);
  } else if (!even || (theirs.refused === undefined && ours.refused !== "closed")) {
    const reason = ours.refused.replace("Service: ", "");
    assert.ok(STRICTER[reason] !== undefined, `stricter for a reason that is not listed: ${reason}`);
  }
}

/** More of them, each time others, to look for differences that are not listed. */
const RUNS = process.env["ORACLE_RUNS"];
const parameters = RUNS === undefined ? { numRuns: 2000, seed: 1 } : { numRuns: Number(RUNS) };
const cuts = fc.array(fc.nat(400), { maxLength: 4 });

async function both(text: string): Promise<{ ours: Verdict; theirs: Verdict }> {
  if (text.startsWith("HTTP/"))
    return { ours: readAnswer("GET", text, true, []), theirs: finalOnly(await parseAnswer("GET", text, true)) };
  return { ours: readRequests(text, []), theirs: await new NodeServer().parse(text) };
}

describe("llhttp, strict, as oracle", () => {
  for (const [reason, { section, example }] of Object.entries(STRICTER)) {
    test(`stricter: ${reason} ${section}`, async () => {
      const { ours, theirs } = await both(example);
      assert.equal(ours.refused?.replace("Service: ", ""), reason);
      assert.ok(theirs.messages.length > 0 && theirs.messages.length > ours.messages.length, theirs.refused);
    });
  }

  for (const { code, section, example } of LLHTTP_IS_WRONG) {
    test(`${code}: ${section}`, async () => {
      const { ours, theirs } = await both(example);
      assert.equal(theirs.refused, code);
      assert.ok(ours.messages.length > theirs.messages.length, ours.refused);
    });
  }

  test("requests: never taken when it refuses, never ended elsewhere, the same however they are cut", async () => {
    const oracle = new NodeServer();
    await fc.assert(
      fc.asyncProperty(requests, cuts, async (text, at) => {
        const ours = readRequests(text, []);
        assert.deepEqual(readRequests(text, at), ours);
        compare(text, ours, await oracle.parse(text), () => readRequests(`${text}\r\n\r\n`, []));
      }),
      parameters,
    );
  });

  test("answers: the same", async () => {
    await fc.assert(
      fc.asyncProperty(answers, cuts, fc.constantFrom("GET", "HEAD"), fc.boolean(), async (text, at, method, end) => {
        const ours = readAnswer(method, text, end, []);
        assert.deepEqual(readAnswer(method, text, end, at), ours);
        const theirs = finalOnly(await parseAnswer(method, text, end));
        compare(text, ours, theirs, () => readAnswer(method, `${text}\r\n\r\n`, false, []));
      }),
      parameters,
    );
  });
});
