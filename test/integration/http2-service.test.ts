/**
 * What a service over HTTP/2 may do, right and wrong, made of raw frames: what a visitor over either version of HTTP learns
 * of it at the other end of relay and agent. A cut is never an end, and one exchange never harms another.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { DATA, GOAWAY, HEADERS, PING, block, frame, join, settings, uint32 } from "../support/frames.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { data, goaway, head, rst, startRawService, windowUpdate } from "../support/raw-service.ts";
import type { RawRequest, RawService, RawServiceOptions } from "../support/raw-service.ts";
import { overHttp1, overHttp2 } from "../support/story.ts";
import type { Ask } from "../support/story.ts";

const NO_ERROR = 0;
const PROTOCOL = 1;
const INTERNAL = 2;
const REFUSED = 7;
const CANCEL = 8;
const CALM = 11;
const HEADER_TABLE = 1;
const MAX_CONCURRENT = 3;
const INITIAL_WINDOW = 4;
const MAX_FRAME = 5;
const END_STREAM = 1;

let path: Path;

before(async () => {
  path = await startPath();
});

after(() => path.close());

async function share(
  t: TestContext,
  options: RawServiceOptions = {},
): Promise<{ service: RawService; shared: Shared }> {
  const service = await startRawService(options);
  const shared = await path.share(service.port);
  t.after(async () => {
    await path.agent.unshare(shared.info.id);
    service.close();
  });
  return { service, shared };
}

const VISITORS: readonly (readonly [string, Ask])[] = [
  ["HTTP/1.1", overHttp1],
  ["HTTP/2", overHttp2],
];

/** The same for a visitor over either version. */
function both(name: string, run: (t: TestContext, ask: Ask, version: "HTTP/1.1" | "HTTP/2") => Promise<void>): void {
  for (const [version, ask] of VISITORS)
    test(`${name}; visitor over ${version}`, (t) => run(t, ask, version as "HTTP/2"));
}

/** After whatever it was: the share goes on. */
async function stillServes(service: RawService, shared: Shared): Promise<void> {
  const visit = overHttp1(shared, "/after");
  (await service.request("/after")).answer("after");
  assert.deepEqual(await visit.story, ["200", "body after", "end"]);
}

/** The page that tells of a failure, without its text. */
const failed = (story: readonly string[]): readonly string[] =>
  story.map((line) => (line.includes("This answer is from Portlight") ? "page" : line));

const OK = [[":status", "200"]] as const;

describe("answers", () => {
  const table: readonly (readonly [
    name: string,
    frames: (stream: number) => readonly Uint8Array[],
    http1: readonly string[],
    http2: readonly string[],
  ])[] = [
    ["whole", (id) => [head(id, OK), data(id, "abc", true)], ["200", "body abc", "end"], ["200", "body abc", "end"]],
    ["trailers only", (id) => [head(id, [...OK, ["x", "y"]], true)], ["200", "end"], ["200", "end"]],
    [
      "trailers",
      (id) => [head(id, OK), data(id, "abc"), head(id, [["grpc-status", "0"]], true)],
      ["200", "body abc", "trailers grpc-status=0", "end"],
      ["200", "body abc", "trailers grpc-status=0", "end"],
    ],
    [
      "padding, empty frames, one octet a frame",
      (id) => [
        head(id, OK),
        frame(DATA, 0x8, id, [3, 97, 0, 0, 0]),
        data(id, ""),
        data(id, "b"),
        data(id, "c"),
        data(id, "", true),
      ],
      ["200", "body abc", "end"],
      ["200", "body abc", "end"],
    ],
    [
      "interim heads",
      (id) => [head(id, [[":status", "103"]]), head(id, [[":status", "103"]]), head(id, OK), data(id, "abc", true)],
      ["103", "103", "200", "body abc", "end"],
      ["103", "103", "200", "body abc", "end"],
    ],
    [
      "a head in three frames",
      (id) => {
        const whole = block([...OK, ["x", "y".repeat(100)]]);
        return [
          frame(HEADERS, END_STREAM, id, whole.subarray(0, 10)),
          frame(0x9, 0, id, whole.subarray(10, 50)),
          frame(0x9, 0x4, id, whole.subarray(50)),
        ];
      },
      ["200", "end"],
      ["200", "end"],
    ],
  ];
  for (const [name, frames, http1, http2] of table)
    both(name, async (t, ask, version) => {
      const { service, shared } = await share(t);
      const visit = await ask(shared, "/");
      const request = await service.request("/");
      request.send(...frames(request.stream));
      assert.deepEqual(await visit.story, version === "HTTP/1.1" ? http1 : http2);
    });
});

describe("an answer that is wrong is an error for the visitor, never an end, and nobody else's", () => {
  const page = ["502", "page", "end"];
  const broken = (how: string): readonly [readonly string[], readonly string[]] => [
    ["200", "cut"],
    ["200", "body abc", how],
  ];
  const bare: readonly [readonly string[], readonly string[]] = [
    ["200", "cut"],
    ["200", `reset ${PROTOCOL}`],
  ];
  const wrong = (fields: readonly (readonly [string, string])[]) => (id: number) => [head(id, fields, true)];
  const mid =
    (...frames: ((id: number) => Uint8Array)[]) =>
    (id: number) => [head(id, OK), data(id, "abc"), ...frames.map((make) => make(id))];
  const table: readonly (readonly [
    name: string,
    frames: (stream: number) => readonly Uint8Array[],
    stories: readonly [http1: readonly string[], http2: readonly string[]],
  ])[] = [
    [":status that is none", wrong([[":status", "abc"]]), [page, page]],
    [":status missing", wrong([["x", "y"]]), [page, page]],
    [":status 101", wrong([[":status", "101"]]), [page, page]],
    ["connection", wrong([...OK, ["connection", "close"]]), [page, page]],
    ["transfer-encoding", wrong([...OK, ["transfer-encoding", "chunked"]]), [page, page]],
    ["upper case", wrong([...OK, ["X-Name", "a"]]), [page, page]],
    ["a line break in a value", wrong([...OK, ["x", "a\r\nset-cookie: b"]]), [page, page]],
    ["two content-lengths", wrong([...OK, ["content-length", "1"], ["content-length", "2"]]), [page, page]],
    ["content-length and nothing", wrong([...OK, ["content-length", "4"]]), [page, page]],
    ["DATA before the head", (id) => [data(id, "abc", true)], [page, page]],
    ["an interim head that ends", (id) => [head(id, [[":status", "103"]], true)], [page, page]],
    [
      "interim heads without end",
      (id) => Array.from({ length: 65 }, () => head(id, [[":status", "102"]])),
      [
        [...Array.from({ length: 64 }, () => "102"), "503", "page", "end"],
        [...Array.from({ length: 64 }, () => "102"), "503", "page", "end"],
      ],
    ],
    [
      "less than content-length",
      (id) => [head(id, [...OK, ["content-length", "4"]]), data(id, "abc", true)],
      // What came before the frame that is wrong may have been handed on; the visitor sees that one octet is missing.
      bare,
    ],
    [
      "more than content-length",
      (id) => [head(id, [...OK, ["content-length", "4"]]), data(id, "abc"), data(id, "de", true)],
      broken(`reset ${PROTOCOL}`),
    ],
    ["a second head", mid((id) => head(id, OK)), broken(`reset ${PROTOCOL}`)],
    ["trailers that do not end", mid((id) => head(id, [["x", "y"]])), broken(`reset ${PROTOCOL}`)],
    ["a pseudo-field in trailers", mid((id) => head(id, [...OK], true)), broken(`reset ${PROTOCOL}`)],
    ["RST_STREAM", mid((id) => rst(id, INTERNAL)), broken(`reset ${INTERNAL}`)],
    ["RST_STREAM CANCEL", mid((id) => rst(id, CANCEL)), broken(`reset ${CANCEL}`)],
    // NO_ERROR would look like an end to some.
    ["RST_STREAM NO_ERROR in the middle", mid((id) => rst(id, NO_ERROR)), broken(`reset ${INTERNAL}`)],
  ];
  for (const [name, frames, [http1, http2]] of table)
    both(name, async (t, ask, version) => {
      const { service, shared } = await share(t);
      const witness = await overHttp2(shared, "/witness");
      const beside = await service.request("/witness");
      beside.send(head(beside.stream, OK), data(beside.stream, "be"));
      const visit = await ask(shared, "/");
      const request = await service.request("/");
      request.send(...frames(request.stream));
      assert.deepEqual(failed(await visit.story), version === "HTTP/1.1" ? http1 : http2);
      beside.send(data(beside.stream, "fore", true));
      assert.deepEqual(await witness.story, ["200", "body before", "end"]);
      await stillServes(service, shared);
    });

  const fatal: readonly (readonly [name: string, frames: (id: number) => readonly Uint8Array[]])[] = [
    ["PUSH_PROMISE", (id) => [frame(0x5, 0x4, id, join(uint32(2), block(OK)))]],
    ["DATA on a stream nobody opened", () => [data(99, "x")]],
    ["HEADERS on a stream of its own", () => [head(2, OK)]],
    ["a block that cannot be decoded", (id) => [frame(HEADERS, 0x4, id, [0xff, 0xff, 0xff, 0xff, 0xff, 0x0f])]],
    ["a frame above our size", (id) => [frame(DATA, 0, id, new Uint8Array(70_000))]],
    ["an invalid setting", () => [settings([MAX_FRAME, 5])]],
    ["GOAWAY with an error, then FIN", () => [goaway(99, CALM)]],
    ["FIN", () => []],
  ];
  for (const [name, frames] of fatal)
    both(`${name}: the connection is over, the share is not`, async (t, ask, version) => {
      const { service, shared } = await share(t);
      // POST: nothing is sent twice.
      const silent = await ask(shared, "/silent", { method: "POST" });
      const visit = await ask(shared, "/", { method: "POST" });
      await service.request("/silent");
      const request = await service.request("/");
      request.send(head(request.stream, OK), data(request.stream, "abc"));
      // So that it is there before the end.
      request.send(...frames(request.stream));
      if (name.endsWith("FIN")) request.connection.end();
      const story = await visit.story;
      assert.equal(story.at(0), "200");
      assert.match(story.at(-1) ?? "", version === "HTTP/1.1" ? /^cut$/ : /^reset \d+$/);
      assert.deepEqual(failed(await silent.story), page);
      await stillServes(service, shared);
    });

  both("frames on a stream that has ended harm nobody", async (t, ask) => {
    const { service, shared } = await share(t);
    const [first, second] = [await ask(shared, "/first"), await ask(shared, "/second")];
    const [one, two] = [await service.request("/first"), await service.request("/second")];
    one.answer("first");
    assert.deepEqual(await first.story, ["200", "body first", "end"]);
    one.send(data(one.stream, "late"), windowUpdate(one.stream, 10), rst(one.stream, CANCEL));
    two.answer("second");
    assert.deepEqual(await second.story, ["200", "body second", "end"]);
    assert.equal(service.connections.items.length, 1);
  });
});

describe("nothing was processed", () => {
  both("REFUSED_STREAM once: the request is sent again, with or without a safe method", async (t, ask) => {
    for (const method of ["GET", "POST"]) {
      const { service, shared } = await share(t);
      const visit = await ask(shared, "/", { method });
      const first = await service.request("/");
      first.send(rst(first.stream, REFUSED));
      const again = await service.requests.next(5000, "the request again", (one) => one.stream > first.stream);
      again.answer("at last");
      assert.deepEqual(await visit.story, ["200", "body at last", "end"]);
    }
  });

  both("REFUSED_STREAM each time: the visitor is told that he may come again", async (t, ask, version) => {
    const serve = (request: RawRequest): void => request.send(rst(request.stream, REFUSED));
    const { service, shared } = await share(t, { serve });
    const visit = await ask(shared, "/");
    const story = failed(await visit.story);
    assert.deepEqual(story, version === "HTTP/1.1" ? ["503", "page", "end"] : [`reset ${REFUSED}`]);
    assert.equal(service.requests.items.length, 3);
  });

  both("REFUSED_STREAM for an upload: not sent again, since part of it is gone", async (t, ask, version) => {
    const { service, shared } = await share(t);
    const visit = await ask(shared, "/", { method: "POST", open: true });
    visit.write("abc");
    const request = await service.request("/");
    await request.contentSize(3);
    request.send(rst(request.stream, REFUSED));
    const story = failed(await visit.story);
    assert.deepEqual(story, version === "HTTP/1.1" ? ["503", "page", "end"] : [`reset ${REFUSED}`]);
    await stillServes(service, shared);
  });

  both("GOAWAY: what it names is finished there, the rest is sent on a new connection", async (t, ask) => {
    const { service, shared } = await share(t);
    const visits = [];
    const requests: RawRequest[] = [];
    for (const target of ["/0", "/1", "/2", "/3"]) {
      visits.push(await ask(shared, target, { method: "POST" }));
      requests.push(await service.request(target));
    }
    const [one, two] = requests;
    assert.ok(one !== undefined && two !== undefined);
    one.send(goaway(0x7fffffff));
    one.send(goaway(two.stream));
    for (const target of ["/2", "/3"]) {
      const again = await service.requests.next(5000, target, (other) => other.path === target && other.index === 1);
      again.answer(`again ${target}`);
    }
    one.answer("there");
    two.answer("there");
    const stories = await Promise.all(visits.map(({ story }) => story));
    const bodies = stories.map(([, body, end]) => `${body ?? ""} ${end ?? ""}`);
    assert.deepEqual(bodies, ["body there end", "body there end", "body again /2 end", "body again /3 end"]);
    const last = await ask(shared, "/4");
    const request = await service.request("/4");
    assert.equal(request.index, 1);
    request.answer("new");
    assert.deepEqual(await last.story, ["200", "body new", "end"]);
  });

  both("GOAWAY of an idle connection: the next request finds another", async (t, ask) => {
    const { service, shared } = await share(t);
    for (let index = 0; index < 3; index++) {
      const visit = await ask(shared, `/${index}`);
      const request = await service.request(`/${index}`);
      assert.equal(request.index, index);
      request.answer("ok");
      assert.deepEqual(await visit.story, ["200", "body ok", "end"]);
      request.send(goaway(request.stream));
      await request.connection.until((frames) => frames.some(({ type }) => type === GOAWAY));
    }
  });
});

describe("how many streams", () => {
  both("MAX_CONCURRENT_STREAMS of 1: all are served, never two at once on a connection", async (t, ask) => {
    const busy = new Set<number>();
    const twice: number[] = [];
    const serve = (request: RawRequest): void => {
      if (busy.has(request.index)) twice.push(request.index);
      busy.add(request.index);
      setImmediate(() => {
        busy.delete(request.index);
        request.answer(request.path);
      });
    };
    const { service, shared } = await share(t, { settings: [[MAX_CONCURRENT, 1]], serve });
    const visits = await Promise.all(Array.from({ length: 30 }, async (_, index) => ask(shared, `/${index}`)));
    const stories = await Promise.all(visits.map(({ story }) => story));
    assert.deepEqual(
      stories,
      stories.map((_, index) => ["200", `body /${index}`, "end"]),
    );
    assert.deepEqual(twice, []);
    assert.ok(service.connections.items.length > 1);
  });

  both("MAX_CONCURRENT_STREAMS of 0, raised later: requests wait, and no connections pile up", async (t, ask) => {
    const { service, shared } = await share(t, { settings: [[MAX_CONCURRENT, 0]] });
    const visits = [await ask(shared, "/0"), await ask(shared, "/1"), await ask(shared, "/2")];
    const connection = await service.connections.next(5000, "a connection");
    // Twenty times there and back: had more been dialled, they would be here.
    for (let turn = 0; turn < 20; turn++) {
      connection.send(frame(PING, 0, 0, [0, 0, 0, 0, 0, 0, 0, turn]));
      await connection.until((frames) => frames.filter(({ type }) => type === PING).length > turn);
    }
    assert.equal(service.connections.items.length, 1);
    assert.equal(service.requests.items.length, 0);
    connection.send(settings([MAX_CONCURRENT, 10]));
    for (const index of [0, 1, 2]) (await service.request(`/${index}`)).answer("now");
    for (const visit of visits) assert.deepEqual(await visit.story, ["200", "body now", "end"]);
  });
});

describe("connections that cannot be had", () => {
  for (const further of ["silent", "closed"] as const)
    both(`one stream on the only connection, all others ${further}: one after the other`, async (t, ask) => {
      const { service, shared } = await share(t, { settings: [[MAX_CONCURRENT, 1]], further });
      const first = await ask(shared, "/0");
      const request = await service.request("/0");
      const visits = [first];
      for (const target of ["/1", "/2", "/3"]) visits.push(await ask(shared, target));
      request.answer("ok");
      // In whatever order they reached the agent: each has its turn.
      for (let count = 2; count <= 4; count++) {
        const [, ...served] = await service.requests.count(count, 5000, "requests");
        served.at(-1)?.answer("ok");
      }
      for (const visit of visits) assert.deepEqual(await visit.story, ["200", "body ok", "end"]);
      assert.equal(service.connections.items.length, 1);
    });

  both("GOAWAY with the first SETTINGS: told at once, and not dialled for ever", async (t, ask) => {
    const { service, shared } = await share(t, { greeting: [goaway(0)] });
    for (let visits = 1; visits <= 3; visits++) {
      const visit = await ask(shared, "/");
      const story = failed(await visit.story);
      assert.deepEqual(story, ["503", "page", "end"]);
      assert.ok(service.connections.items.length <= 2 * visits + 1, `${service.connections.items.length} connections`);
    }
  });
});

describe("windows and settings", () => {
  for (const window of [0, 1])
    both(`INITIAL_WINDOW_SIZE of ${window}: an upload arrives as it is granted`, async (t, ask) => {
      const { service, shared } = await share(t, { settings: [[INITIAL_WINDOW, window]] });
      const visit = await ask(shared, "/", { method: "POST", open: true });
      visit.write("0123456789");
      visit.end();
      const request = await service.request("/");
      for (let size = window; size <= 10; size++) {
        await request.contentSize(size);
        assert.equal(request.content.toString(), "0123456789".slice(0, size));
        request.send(windowUpdate(request.stream, 1));
      }
      await request.ended();
      request.answer("all");
      assert.deepEqual(await visit.story, ["200", "body all", "end"]);
    });

  both("SETTINGS in the middle of an upload: every octet once, in order", async (t, ask) => {
    const { service, shared } = await share(t, { settings: [[INITIAL_WINDOW, 1000]] });
    const visit = await ask(shared, "/", { method: "POST", open: true });
    const content = randomBytes(60_000);
    visit.write(content.subarray(0, 16_000));
    const request = await service.request("/");
    const { stream } = request;
    await request.contentSize(1000);
    // Below what is under way: -500, so 500 are owed.
    request.send(settings([INITIAL_WINDOW, 500]));
    request.send(windowUpdate(stream, 500));
    request.send(windowUpdate(stream, 1));
    await request.contentSize(1001);
    assert.equal(request.content.length, 1001);
    request.send(settings([INITIAL_WINDOW, 20_000], [MAX_FRAME, 30_000]));
    for (let at = 16_000; at < content.length; at += 11_000) visit.write(content.subarray(at, at + 11_000));
    visit.end();
    await request.contentSize(16_000);
    request.send(settings([MAX_FRAME, 16_384], [HEADER_TABLE, 0]), windowUpdate(stream, 100_000));
    await request.ended();
    assert.equal(request.content.length, content.length);
    const hash = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
    assert.equal(hash(request.content), hash(content));
    request.answer("all");
    assert.deepEqual(await visit.story, ["200", "body all", "end"]);
  });

  both("HEADER_TABLE_SIZE 0 and back: the service reads every head", async (t, ask) => {
    const { service, shared } = await share(t);
    const headers = { "user-agent": "Kestrel/1", "x-twice": "the same", accept: "text/plain" };
    for (const [index, sizes] of [[], [0], [0, 4096], [], [50], [4096], []].entries()) {
      for (const size of sizes) service.connections.items[0]?.send(settings([HEADER_TABLE, size]));
      const visit = await ask(shared, `/${index}`, { headers });
      const request = await service.request(`/${index}`);
      assert.equal(request.index, 0);
      for (const [name, value] of Object.entries(headers)) assert.equal(request.fields[name], value);
      request.answer("read");
      assert.deepEqual(await visit.story, ["200", "body read", "end"]);
    }
  });
});

describe("who answers early, late or never", () => {
  for (const [name, code] of [
    ["and RST_STREAM NO_ERROR", NO_ERROR],
    ["and nothing more", undefined],
  ] as const)
    both(`a whole answer before the request has ended, ${name}`, async (t, ask) => {
      const { service, shared } = await share(t);
      const visit = await ask(shared, "/", { method: "POST", open: true });
      visit.write("abc");
      const request = await service.request("/");
      await request.contentSize(3);
      request.answer("too large", "413");
      if (code !== undefined) request.send(rst(request.stream, code));
      assert.deepEqual((await visit.story).slice(0, 3), ["413", "body too large", "end"]);
      visit.leave();
      await stillServes(service, shared);
      assert.equal(service.connections.items.length, 1);
    });

  both("an early head, then the rest of the request, then the rest of the answer", async (t, ask) => {
    const { service, shared } = await share(t);
    const visit = await ask(shared, "/", { method: "POST", open: true });
    const request = await service.request("/");
    request.send(head(request.stream, OK), data(request.stream, "first "));
    visit.write("upload");
    await request.contentSize(6);
    visit.end();
    await request.ended();
    request.send(data(request.stream, "last", true));
    assert.deepEqual(await visit.story, ["200", "body first last", "end"]);
  });

  both("never: the visitor's cancel is passed on, and the others go on", async (t, ask) => {
    const { service, shared } = await share(t);
    const other = await ask(shared, "/other");
    const beside = await service.request("/other");
    for (const open of [false, true]) {
      const target = `/never/${String(open)}`;
      const silent = await ask(shared, target, open ? { method: "POST", open } : {});
      const request = await service.request(target);
      silent.leave();
      assert.equal(await request.reset(), CANCEL);
      // It did not know yet.
      request.answer("late");
    }
    beside.answer("beside");
    assert.deepEqual(await other.story, ["200", "body beside", "end"]);
    assert.equal(service.connections.items.length, 1);
  });
});
