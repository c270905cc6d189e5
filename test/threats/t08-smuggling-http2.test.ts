/**
 * T-8: H2→H1 smuggling and header injection: all 9 fields × 10 byte mutations from raw frames: a recording service behind
 * the agent sees exactly one request per public request or none, and never a header it was not sent.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DATA, END_STREAM, GOAWAY, RawPeer, frame } from "../support/frames.ts";
import { splitAddress } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { headFrames, outcome2 } from "../support/raw-request.ts";
import type { Pair } from "../support/raw-request.ts";
import { startRecordingService } from "../support/recording-service.ts";
import type { RecordingService, SeenRequest } from "../support/recording-service.ts";

const FIELDS = [
  ...["authority", "path", "method", "scheme", "header name", "header value", "content-length", "te", "trailers"],
] as const;
type FieldName = (typeof FIELDS)[number];

/** What is changed: octets put in (alone, and followed by what an attacker wants to be read), or all of it changed. */
const inserted = (octets: string): readonly ((text: string) => string)[] =>
  [
    octets,
    `${octets}x-injected: yes${octets}${octets}GET /smuggled HTTP/1.1${octets}host: a${octets}${octets}`,
  ].flatMap((added) => [
    (text: string) => added + text,
    (text: string) => text.slice(0, 2) + added + text.slice(2),
    (text: string) => text + added,
  ]);

/** Name, variants, and for each field whether it is refused (R), forwarded (F), or refused at its edges only (E). */
type Row = readonly [what: string, variants: readonly ((text: string) => string)[], verdicts: string];

/*                                                             authority path method scheme name value length te trailers */
const MUTATIONS: readonly Row[] = [
  ["CR", inserted("\r"), "RRRRRRRRR"],
  ["LF", inserted("\n"), "RRRRRRRRR"],
  ["CR LF", inserted("\r\n"), "RRRRRRRRR"],
  ["NUL", inserted("\0"), "RRRRRRRRR"],
  ["SP", inserted(" "), "RRRRRERRE"],
  ["HTAB", inserted("\t"), "RRRRRERRE"],
  [
    "a colon",
    [(text) => `:${text}`, (text) => `${text.slice(0, 2)}:${text.slice(2)}`, (text) => `${text}:`],
    "RSRRRFRRF",
  ],
  ["upper case", [(text) => text.toUpperCase()], "FFFFRFFRF"],
  [
    "not ASCII",
    ["\xe9", "\xc3\xa9", "\xe2\x84\xaa", "\xff"].flatMap((octets) => [
      (text: string) => octets + text,
      (text: string) => text + octets,
    ]),
    "RSRRRFRRF",
  ],
  ["64 KiB more", [(text) => text + (text.endsWith("5") ? "5" : "a").repeat(65_536)], "RRRRRRRRR"],
];

const BASE: Readonly<Record<FieldName, string>> = {
  authority: "a.test",
  path: "/case",
  method: "PATCH",
  scheme: "http",
  "header name": "x-sent",
  "header value": "sent",
  "content-length": "5",
  te: "trailers",
  trailers: "after",
};

interface Attack {
  readonly head: readonly Pair[];
  readonly trailers: readonly Pair[];
}

function attack(field: FieldName, changed: string): Attack {
  const is = (name: FieldName): string => (name === field ? changed : BASE[name]);
  return {
    head: [
      [":method", is("method")],
      [":scheme", is("scheme")],
      [":path", is("path")],
      [":authority", is("authority")],
      // With a length, HTTP/1 would have the whole request before its trailers, which it cannot carry then, are judged.
      ...(field === "trailers" ? [] : [["content-length", is("content-length")] as const]),
      ["te", is("te")],
      [is("header name"), is("header value")],
    ],
    trailers: [["x-trailer", is("trailers")]],
  };
}

/** The answer of the service, or else what the relay did instead. */
async function outcome(peer: RawPeer, stream: number): Promise<string> {
  const { status, body, text } = await outcome2(peer, stream);
  return status === 200 ? body : `${status}: ${text}`;
}

let path: Path;

before(async () => {
  path = await startPath({ capture: false });
});
after(() => path.close());

/** What the agent and the relay say beside what the visitor said. */
const OURS = /^(?:host|x-forwarded-(?:for|host|proto)|portlight-hops|connection|transfer-encoding|content-length|te)$/;

function onlySent(seen: SeenRequest, sent: Attack): void {
  for (const [name, value] of [...seen.fields, ...seen.trailers]) {
    if (OURS.test(name)) continue;
    const known = [...sent.head, ...sent.trailers].some(([one, other]) => one === name && other === value);
    assert.ok(known, `a field that was not sent: ${name}: ${JSON.stringify(value.slice(0, 100))}`);
  }
}

for (const version of [1, 2] as const)
  describe(`a service of HTTP/${version}`, () => {
    let service: RecordingService;
    let shared: Shared;

    before(async () => {
      service = await startRecordingService(version);
      shared = await path.share(service.port);
    });
    after(() => service.close());

    async function judge(field: FieldName, what: string, changed: string, verdict: "R" | "F"): Promise<void> {
      const say = `${field}, ${what}: ${JSON.stringify(changed.slice(0, 60))}`;
      const begun = service.requests.items.length;
      const sent = attack(field, changed);
      const peer = await RawPeer.connect(splitAddress(shared.address)[1]);
      peer.send(headFrames(1, sent.head, 0), frame(DATA, 0, 1, "hello"), headFrames(1, sent.trailers, END_STREAM));
      const answer = await outcome(peer, 1);
      // On the same connection when it lives: what was smuggled would be answered first, or seen beside this.
      const again = peer.frames.some(({ type }) => type === GOAWAY) || peer.closed;
      const next = again ? await RawPeer.connect(splitAddress(shared.address)[1]) : peer;
      next.send(
        headFrames(
          3,
          [
            [":method", "GET"],
            [":scheme", "http"],
            [":path", "/after"],
            [":authority", "a"],
          ],
          END_STREAM,
        ),
      );
      assert.match(await outcome(next, 3), /^seen:\/after/, say);
      next.destroy();
      peer.destroy();

      const seen = service.requests.items.slice(begun).filter(({ target }) => target !== "/after");
      assert.ok(seen.length <= 1, `${say}: ${seen.length} requests`);
      const [one] = seen;
      if (verdict === "F") {
        assert.ok(one !== undefined && !one.cut, `${say}: ${answer}`);
        assert.equal(one.body, "hello");
        assert.match(answer, /^seen:/, say);
      } else {
        assert.ok(one === undefined || one.cut, `${say} reached the service whole`);
        assert.doesNotMatch(answer, /^seen:/, say);
        // Only what comes after the head can be found out after the head was forwarded.
        if (field !== "trailers") assert.equal(one, undefined, say);
      }
      if (one !== undefined) onlySent(one, sent);
      assert.deepEqual(service.doubts, [], say);
    }

    for (const [column, field] of FIELDS.entries())
      test(`${field} × 10`, async () => {
        for (const [what, variants, verdicts] of MUTATIONS) {
          const changes = variants.map((variant) => variant(BASE[field]));
          for (const changed of changes) {
            const edge = /^[ \t]|[ \t]$/.test(changed);
            const verdict = verdicts[column];
            // S: refused only where it begins the field.
            const atStart = verdict === "S" && !changed.startsWith(BASE[field].slice(0, 2));
            const refused = verdict === "R" || (verdict === "E" && edge) || atStart;
            await judge(field, what, changed, refused ? "R" : "F");
          }
        }
      });
  });
