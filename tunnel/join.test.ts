import assert from "node:assert/strict";
import { test } from "node:test";
import type { Failure } from "../wire/stream.ts";
import { RecordingStream, fields } from "../test/support/recording-stream.ts";
import { MAX_EARLY_BYTES } from "./early.ts";
import { Join } from "./join.ts";
import type { JoinObserver, JoinOptions } from "./join.ts";

const GET = fields(":method: GET\n:scheme: http\n:authority: a\n:path: /");
const OK = fields(":status: 200");
const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");

function setUp(options: Partial<JoinOptions> = {}, ended = false) {
  const log: string[] = [];
  const visitor = new RecordingStream("visitor", log);
  const service = new RecordingStream("service", log);
  const observer: JoinObserver = {
    headReceived: (_fields, end) => log.push(`tap head${end ? " END" : ""}`),
    dataReceived: (side, data, end) => log.push(`tap ${side} ${data.length}${end ? " END" : ""}`),
    trailersReceived: (side) => log.push(`tap ${side} trailers`),
    ended: () => log.push("tap ended"),
    failed: (failure) => log.push(`tap failed ${failure.by} ${failure.code}`),
  };
  const join = new Join(visitor, GET, ended, {
    party: "relay",
    observer,
    onClosed: (failure) => log.push(`closed ${failure?.code ?? "in order"}`),
    ...options,
  });
  visitor.events = join.visitorEvents;
  const connect = (): boolean =>
    join.connect((events) => {
      service.events = events;
      return service;
    });
  const take = (): string[] => log.splice(0);
  return { join, visitor, service, connect, take };
}

const failure = (code: Failure["code"], by: Failure["by"] = "service", http2Code?: number): Failure => ({
  by,
  code,
  message: "what happened",
  ...(http2Code === undefined ? {} : { http2Code }),
});

test("a whole exchange passes in order, and credit goes hop by hop", () => {
  const { visitor, service, connect, take } = setUp();
  assert.ok(connect());
  visitor.events.dataReceived(bytes("abc"), false);
  assert.deepEqual(take(), ["tap visitor 3", "service < data abc"]);
  service.events.dataSent(3);
  assert.deepEqual(take(), ["visitor < consume 3"]);
  visitor.events.dataReceived(bytes(""), true);
  assert.deepEqual(take(), ["tap visitor 0 END", "service < data  END"]);
  service.events.headReceived(fields(":status: 103\nlink: x"), false);
  service.events.headReceived(fields(":status: 200\nconnection: x-y\nx-y: 1\nkeep-alive: 5\nportlight-x: 1"), false);
  assert.deepEqual(take(), ["tap head", "visitor < head :status=103 link=x", "tap head", "visitor < head :status=200"]);
  service.events.dataReceived(bytes("hello"), false);
  service.events.trailersReceived(fields("grpc-status: 0\nportlight-hops: 3"));
  assert.deepEqual(take(), [
    "tap service 5",
    "visitor < data hello",
    "tap service trailers",
    "visitor < trailers grpc-status=0",
  ]);
  visitor.events.dataSent(5);
  assert.deepEqual(take(), ["service < consume 5", "tap ended", "closed in order"]);
  visitor.events.resetReceived(failure("cancelled", "visitor"));
  assert.deepEqual(take(), []);
});

test("either half may close first", () => {
  for (const first of ["visitor", "service"] as const) {
    const { visitor, service, connect, take } = setUp();
    connect();
    if (first === "visitor") visitor.events.dataReceived(bytes(""), true);
    service.events.headReceived(OK, true);
    if (first === "service") visitor.events.dataReceived(bytes(""), true);
    assert.equal(take().at(-1), "closed in order", first);
  }
});

test("what comes before the service is connected waits, in order, and is not consumed", () => {
  const cases: { name: string; send: (v: RecordingStream) => void; expected: string[] }[] = [
    { name: "nothing", send: () => undefined, expected: [] },
    {
      name: "data",
      send: (v) => {
        v.events.dataReceived(bytes("a"), false);
        v.events.dataReceived(bytes("b"), false);
      },
      expected: ["service < data a", "service < data b"],
    },
    {
      name: "data and end",
      send: (v) => v.events.dataReceived(bytes("a"), true),
      expected: ["service < data a END"],
    },
    {
      name: "an end of its own",
      send: (v) => {
        v.events.dataReceived(bytes("a"), false);
        v.events.dataReceived(bytes(""), true);
      },
      expected: ["service < data a END"],
    },
    {
      name: "only an end",
      send: (v) => v.events.dataReceived(bytes(""), true),
      expected: ["service < data  END"],
    },
    {
      name: "trailers",
      send: (v) => {
        v.events.dataReceived(bytes("a"), false);
        v.events.trailersReceived(fields("x: 1"));
      },
      expected: ["service < data a", "service < trailers x=1"],
    },
  ];
  for (const { name, send, expected } of cases) {
    const { visitor, connect, take } = setUp();
    send(visitor);
    assert.ok(
      take().every((line) => line.startsWith("tap")),
      name,
    );
    assert.ok(connect());
    assert.deepEqual(take(), expected, name);
  }
});

test("what arrives while the early data is handed over keeps its place", () => {
  const { join, visitor, service, take } = setUp();
  visitor.events.dataReceived(bytes("1"), false);
  visitor.events.dataReceived(bytes("2"), false);
  const sendData = service.sendData.bind(service);
  let more = ["3", "4"];
  service.sendData = (data, end) => {
    sendData(data, end);
    const next = more.shift();
    if (next !== undefined) visitor.events.dataReceived(bytes(next), more.length === 0);
  };
  join.connect((events) => {
    service.events = events;
    return service;
  });
  more = [];
  assert.deepEqual(
    take().filter((line) => line.startsWith("service")),
    ["service < data 1", "service < data 2", "service < data 3", "service < data 4 END"],
  );
});

test("early data has a bound", () => {
  const { visitor, connect, take } = setUp();
  visitor.events.dataReceived(new Uint8Array(MAX_EARLY_BYTES), false);
  take();
  visitor.events.dataReceived(bytes("x"), false);
  const lines = take();
  assert.match(lines[2] ?? "", /^visitor < head :status=503/);
  assert.equal(lines[1], `visitor < consume ${MAX_EARLY_BYTES + 1}`);
  assert.equal(connect(), false);
});

test("a cut is never an end: a reset of one side resets the other with the same code", () => {
  const { visitor, service, connect, take } = setUp();
  connect();
  service.events.headReceived(OK, false);
  service.events.dataReceived(bytes("half"), false);
  take();
  service.events.resetReceived(failure("closed"));
  assert.deepEqual(take(), ["visitor < reset service closed", "tap failed service closed", "closed closed"]);

  const other = setUp();
  other.connect();
  other.visitor.events.resetReceived(failure("cancelled", "visitor", 8));
  assert.deepEqual(other.take(), [
    "service < reset visitor cancelled 8",
    "tap failed visitor cancelled",
    "closed cancelled",
  ]);
  service.events.dataReceived(bytes("late"), true);
  visitor.events.dataReceived(bytes("late"), true);
  assert.deepEqual(take(), []);
});

test("codes that would lie after a head are replaced", () => {
  for (const code of ["refused", "unneeded"] as const) {
    const { service, connect, take } = setUp();
    connect();
    service.events.headReceived(OK, false);
    take();
    service.events.resetReceived(failure(code, "service", code === "refused" ? 7 : 0));
    assert.equal(take()[0], "visitor < reset service closed", code);
  }
});

test("a service that ends before it answers becomes a page, or its RST_STREAM code where the visitor can see one", () => {
  const cases: { options: Partial<JoinOptions>; failure: Failure; expected: RegExp }[] = [
    { options: {}, failure: failure("closed"), expected: /^visitor < head :status=502 / },
    { options: {}, failure: failure("cancelled", "service", 8), expected: /^visitor < head :status=502 / },
    {
      options: { passResets: true },
      failure: failure("cancelled", "service", 8),
      expected: /^visitor < reset service cancelled 8$/,
    },
    {
      options: { party: "agent" },
      failure: failure("refused", "service", 7),
      expected: /^visitor < reset service refused 7$/,
    },
    {
      options: { passResets: true },
      failure: failure("unneeded", "service", 0),
      expected: /^visitor < head :status=502 /,
    },
    { options: { passResets: true }, failure: failure("closed", "agent"), expected: /^visitor < head :status=502 / },
    { options: { raw: true }, failure: failure("closed", "agent"), expected: /^visitor < reset agent closed$/ },
  ];
  for (const { options, failure: cause, expected } of cases) {
    const { service, connect, take } = setUp(options, true);
    connect();
    service.events.resetReceived(cause);
    assert.match(take()[0] ?? "", expected);
  }
});

test("a complete answer leaves before the rest of the request is refused", async () => {
  const { visitor, service, connect, take } = setUp();
  connect();
  visitor.events.dataReceived(bytes("upload"), false);
  service.events.headReceived(fields(":status: 413"), false);
  service.events.dataReceived(bytes("too large"), true);
  take();
  service.events.resetReceived(failure("unneeded", "service", 0));
  assert.deepEqual(take(), ["visitor < consume 6"], "what the service will never take is credited");
  visitor.events.dataReceived(bytes("more"), false);
  assert.deepEqual(take(), ["tap visitor 4", "visitor < consume 4"]);
  visitor.events.dataSent(9);
  assert.deepEqual(take(), ["tap ended", "closed in order"]);
  await Promise.resolve();
  assert.deepEqual(take(), ["visitor < reset service unneeded 0"]);
});

test("a failure of ours answers once, and refuses the rest of the request afterwards", async () => {
  const { join, visitor, take } = setUp();
  visitor.events.dataReceived(bytes("early"), false);
  take();
  join.fail(failure("unreachable", "agent"));
  const lines = take();
  assert.equal(lines[0], "visitor < consume 5");
  assert.match(lines[1] ?? "", /^visitor < head :status=502 /);
  const size = (lines[2] ?? "").replace("visitor < data ", "").replace(" END", "").length;
  visitor.events.dataSent(size);
  assert.deepEqual(take(), ["tap failed agent unreachable", "closed unreachable"]);
  await Promise.resolve();
  assert.deepEqual(take(), ["visitor < reset relay unneeded"]);
  join.fail(failure("unreachable", "agent"));
  assert.deepEqual(take(), []);
});

test("a stream that takes its data synchronously is counted right", () => {
  const { join, visitor, take } = setUp({}, true);
  visitor.sendData = (data) => visitor.events.dataSent(data.length);
  join.fail(failure("unreachable", "agent"));
  assert.deepEqual(take().slice(1), ["tap failed agent unreachable", "closed unreachable"]);
});

test("failing after the head is a reset of both", () => {
  const { join, service, connect, take } = setUp();
  connect();
  service.events.headReceived(OK, false);
  take();
  join.fail(failure("timeout", "relay"));
  assert.deepEqual(take(), [
    "service < reset relay timeout",
    "visitor < reset relay timeout",
    "tap failed relay timeout",
    "closed timeout",
  ]);
});

test("a visitor who leaves before the service is connected", () => {
  const { visitor, connect, take } = setUp();
  visitor.events.resetReceived(failure("cancelled", "visitor"));
  assert.deepEqual(take(), ["tap failed visitor cancelled", "closed cancelled"]);
  assert.equal(connect(), false);
});

test("a visitor who has the whole answer and gives up his upload was served", () => {
  const { visitor, service, connect, take } = setUp();
  connect();
  service.events.headReceived(OK, true);
  take();
  visitor.events.resetReceived(failure("cancelled", "visitor", 8));
  assert.deepEqual(take(), ["service < reset visitor cancelled 8", "tap ended", "closed in order"]);
});

test("a TCP visitor is never answered with a page", () => {
  const { service, connect, take } = setUp({ raw: true });
  connect();
  service.events.headReceived(fields(":status: 502"), false);
  assert.deepEqual(take(), [
    "tap head",
    "service < reset service unreachable",
    "visitor < reset service unreachable",
    "tap failed service unreachable",
    "closed unreachable",
  ]);
});
