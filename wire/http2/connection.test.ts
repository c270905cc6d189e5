import assert from "node:assert/strict";
import { test } from "node:test";
import {
  SETTINGS_ACK,
  block,
  frame,
  headers,
  settings,
  uint32,
  POST as RAW_POST,
  REQUEST,
} from "../../test/support/frames.ts";
import { GET, Lone, OK, POST, Recorder, pair, text } from "../../test/support/http2.ts";
import type { Failure, Stream } from "../stream.ts";
import type { Http2Events } from "./options.ts";
import { TUNNEL_AGENT, TUNNEL_RELAY } from "./profiles.ts";

for (const slice of [1, 2, 3, 5, 7, 16, 1000, 100_000]) {
  test(`an exchange with content and trailers both ways, ${slice} octets at a time`, () => {
    const { pipe, open, requests, client, server } = pair({ slice });
    const events = open([...POST, { name: "x-a", value: "b" }], false);
    events.stream?.sendData(new Uint8Array(1000).fill(7), false);
    pipe.run();
    const [request] = requests;
    assert.ok(request !== undefined);
    assert.equal(text(request.fields), ":method=POST :scheme=http :authority=example.test :path=/ x-a=b");
    assert.equal(request.end, false);
    assert.equal(request.events.bytes, 1000);
    events.stream?.sendTrailers([{ name: "x-end", value: "1" }]);
    request.stream.sendHead(
      [
        { name: ":status", value: "103" },
        { name: "link", value: "</a>" },
      ],
      false,
    );
    request.stream.sendHead(OK, false);
    request.stream.sendData(new Uint8Array(50_000).fill(9), false);
    request.stream.sendTrailers([{ name: "grpc-status", value: "0" }]);
    pipe.run();
    assert.equal(request.events.log.at(-1), "trailers x-end=1");
    assert.deepEqual(
      [events.log[0], events.log[1], events.log.at(-1)],
      ["head :status=103 link=</a>", "head :status=200", "trailers grpc-status=0"],
    );
    assert.equal(events.bytes, 50_000);
    assert.ok(events.data.every((part) => part.every((octet) => octet === 9)));
    assert.equal(request.events.sent, 50_000);
    assert.equal(events.sent, 1000);
    assert.deepEqual([client.openStreams, server.openStreams], [0, 0]);
  });
}

const CANCELLED: Failure = { by: "visitor", code: "cancelled", message: "" };
const status = (code: string): Uint8Array => block([[":status", code]]);
const answer = (stream: number, code = "200", flags = 0x4): Uint8Array => frame(1, flags, stream, status(code));

test("the profiles of both ends of a tunnel carry large frames", () => {
  const { pipe, open, requests } = pair({ client: TUNNEL_RELAY, server: TUNNEL_AGENT });
  const events = open(GET, true);
  pipe.run();
  requests[0]?.stream.sendHead(OK, false);
  requests[0]?.stream.sendData(new Uint8Array(200_000), true);
  pipe.run();
  assert.deepEqual(events.log, ["head :status=200", "data 65536", "data 65536", "data 65536", "data 3392 end"]);
});

test("a client waits for SETTINGS before it trusts the peer's limits", () => {
  const lone = new Lone("client", {}, false);
  assert.deepEqual(lone.sent(), ["SETTINGS", "WINDOW_UPDATE 0 by 8323073"]);
  assert.equal(lone.connection.capacity, 100);
  assert.equal(lone.connection.extendedConnect, false);
  assert.equal(lone.connection.settingsReceived, false);
  assert.deepEqual(lone.feed(settings([3, 2], [8, 1])), ["SETTINGS ack"]);
  assert.deepEqual([lone.connection.capacity, lone.connection.extendedConnect], [2, true]);
  const events = lone.open();
  lone.open();
  assert.equal(lone.connection.capacity, 0);
  assert.equal(lone.connection.open(GET, true, events), undefined);
  lone.log.length = 0;
  lone.feed(answer(1, "200", 0x5));
  assert.deepEqual(lone.log, ["capacity"]);
  assert.equal(lone.connection.capacity, 1);
});

test("resets carry their code both ways", () => {
  const cases: [Failure, number, string][] = [
    [CANCELLED, 8, "cancelled"],
    [{ by: "service", code: "closed", message: "" }, 2, "closed"],
    [{ by: "visitor", code: "closed", message: "" }, 8, "cancelled"],
    [{ by: "service", code: "refused", message: "" }, 7, "refused"],
    [{ by: "service", code: "malformed", message: "" }, 1, "malformed"],
    [{ by: "service", code: "cancelled", message: "", http2Code: 0x2a }, 0x2a, "closed"],
    [{ by: "service", code: "limit", message: "" }, 11, "limit"],
    // NO_ERROR in mid-answer would look like an end to some; gRPC takes it for INTERNAL, as it takes INTERNAL_ERROR.
    [{ by: "service", code: "unneeded", message: "" }, 2, "closed"],
    [{ by: "service", code: "cancelled", message: "", http2Code: 0 }, 2, "closed"],
  ];
  for (const [failure, http2Code, code] of cases) {
    const { pipe, open, requests, server, client } = pair();
    const events = open(GET, true);
    pipe.run();
    requests[0]?.stream.reset(failure);
    requests[0]?.stream.reset(failure);
    requests[0]?.stream.sendHead(OK, true);
    pipe.run();
    assert.deepEqual(events.log, [`reset service ${code}`]);
    assert.equal(events.failure?.http2Code, http2Code);
    assert.deepEqual([server.openStreams, client.openStreams], [0, 0]);
  }
});

test("NO_ERROR after a complete answer: the rest of the request is unneeded", () => {
  const { pipe, open, requests, server } = pair();
  const events = open(POST, false);
  pipe.run();
  requests[0]?.stream.sendHead(OK, false);
  requests[0]?.stream.sendData(new Uint8Array(10), true);
  requests[0]?.stream.reset({ by: "service", code: "unneeded", message: "" });
  pipe.run();
  assert.deepEqual(events.log, ["head :status=200", "data 10 end", "reset service unneeded"]);
  assert.equal(events.failure?.http2Code, 0);
  assert.equal(server.openStreams, 0);
});

test("unneeded while the answer still waits for its window: the answer is sent to its end first", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 5]), headers(1, RAW_POST, 0));
  const { stream } = lone.stream(0);
  stream.sendHead(OK, false);
  stream.sendData(new Uint8Array(12), true);
  stream.reset({ by: "service", code: "unneeded", message: "" });
  assert.deepEqual(lone.sent(), ["HEADERS 1", "DATA 1 5"]);
  assert.deepEqual(lone.feed(frame(0, 0, 1, "more"), frame(8, 0, 1, [...uint32(100)])), [
    "DATA 1 end 7",
    "RST_STREAM 1 code 0",
  ]);
  assert.deepEqual(lone.stream(0).log, []);
  assert.equal(lone.connection.openStreams, 0);
});

test("a cut is never an end", () => {
  for (const how of ["cut", "fin"] as const) {
    const { pipe, open, requests, log, client } = pair();
    const complete = open(GET, true);
    const half = open(GET, true);
    pipe.run();
    requests[0]?.stream.sendHead(OK, true);
    requests[1]?.stream.sendHead(OK, false);
    requests[1]?.stream.sendData(new Uint8Array(5), false);
    pipe.run();
    if (how === "cut") pipe.cut();
    else client.receiveEnd();
    pipe.run();
    assert.deepEqual(complete.log, ["head :status=200 end"]);
    assert.deepEqual(half.log, ["head :status=200", "data 5", "reset service closed"]);
    assert.deepEqual(requests[1]?.events.log, ["reset visitor closed"]);
    assert.ok(log.includes("client ended service closed"));
    assert.ok(log.includes("server ended visitor closed"));
    client.transportClosed();
    assert.equal(log.filter((line) => line.startsWith("client ended")).length, 1);
  }
});

test("a server drains in two steps, and finishes what is open", () => {
  const { pipe, open, requests, log, server, client } = pair();
  const first = open(GET, true);
  pipe.run();
  server.drain();
  // Opened before the client could know.
  const second = open(GET, true);
  pipe.run();
  assert.equal(client.capacity, 0);
  assert.equal(client.open(GET, true, first), undefined);
  assert.deepEqual(log.slice(1), ["server draining", "client draining"]);
  for (const { stream } of requests) stream.sendHead(OK, true);
  pipe.run();
  assert.deepEqual([first.log, second.log], [["head :status=200 end"], ["head :status=200 end"]]);
  assert.deepEqual(log.slice(3).sort(), ["client ended in order", "server ended in order"]);
  assert.deepEqual([pipe.left.gone, pipe.right.gone], [true, true]);
});

test("a client drains: nothing new, then GOAWAY", () => {
  const { pipe, open, requests, log, client } = pair();
  const events = open(GET, true);
  client.drain();
  assert.equal(client.capacity, 0);
  pipe.run();
  requests[0]?.stream.sendHead(OK, true);
  pipe.run();
  assert.deepEqual(events.log, ["head :status=200 end"]);
  assert.deepEqual(log.slice(1), [
    "client draining",
    "client ended in order",
    "server draining",
    "server ended in order",
  ]);
});

test("GOAWAY: streams above its last one are refused, the others go on", () => {
  const lone = new Lone("client");
  const [one, two] = [lone.open(), lone.open()];
  lone.feed(frame(7, 0, 0, [0, 0, 0, 1, 0, 0, 0, 0]));
  assert.deepEqual([one.log, two.log], [[], ["reset service refused"]]);
  assert.deepEqual(lone.log, ["draining"]);
  lone.feed(answer(1, "200", 0x5));
  assert.deepEqual(one.log, ["head :status=200 end"]);
  assert.deepEqual(lone.log, ["draining", "ended in order"]);
});

test("GOAWAY with an error is how the connection ended", () => {
  const lone = new Lone("client");
  lone.feed(frame(7, 0, 0, [0, 0, 0, 0, 0, 0, 0, 11]));
  assert.deepEqual(lone.log, ["draining", "ended service limit"]);
});

test("abort tells streams, peer and owner", () => {
  const { pipe, open, requests, log, server } = pair();
  const events = open(GET, true);
  pipe.run();
  server.abort({ by: "relay", code: "limit", message: "" });
  pipe.run();
  assert.deepEqual(requests[0]?.events.log, ["reset relay limit"]);
  // Stream by stream it is a connection that broke; why it did is told once.
  assert.deepEqual(events.log, ["reset service closed"]);
  assert.deepEqual(log.slice(1), ["server ended relay limit", "client draining", "client ended service limit"]);
});

test("PING: one at a time", () => {
  const { pipe, log, client } = pair();
  assert.equal(client.ping(), true);
  assert.equal(client.ping(), false);
  pipe.run();
  assert.equal(log.at(-1), "client ping");
  assert.equal(client.ping(), true);
});

const badAnswers: [string, Uint8Array[]][] = [
  ["no :status", [frame(1, 0x5, 1, block([["x", "y"]]))]],
  ["101", [answer(1, "101")]],
  ["not a number", [answer(1, "2x0")]],
  ["four digits", [answer(1, "2000")]],
  ["interim head that ends the stream", [answer(1, "103", 0x5)]],
  [
    "pseudo-field of a request",
    [
      frame(
        1,
        0x5,
        1,
        block([
          [":status", "200"],
          [":path", "/"],
        ]),
      ),
    ],
  ],
  [
    "connection-specific field",
    [
      frame(
        1,
        0x5,
        1,
        block([
          [":status", "200"],
          ["connection", "close"],
        ]),
      ),
    ],
  ],
  [
    "response splitting",
    [
      frame(
        1,
        0x5,
        1,
        block([
          [":status", "200"],
          ["x", "a\r\nset-cookie: b"],
        ]),
      ),
    ],
  ],
  ["DATA before the head", [frame(0, 1, 1, "a")]],
  [
    "less than content-length",
    [
      frame(
        1,
        0x4,
        1,
        block([
          [":status", "200"],
          ["content-length", "2"],
        ]),
      ),
      frame(0, 1, 1, "a"),
    ],
  ],
  [
    "more than content-length",
    [
      frame(
        1,
        0x4,
        1,
        block([
          [":status", "200"],
          ["content-length", "2"],
        ]),
      ),
      frame(0, 1, 1, "abc"),
    ],
  ],
  ["content in 204", [answer(1, "204"), frame(0, 1, 1, "a")]],
  ["content in 304", [answer(1, "304"), frame(0, 1, 1, "a")]],
  ["second head", [answer(1), answer(1)]],
  ["trailers with a pseudo-field", [answer(1), frame(1, 0x5, 1, block([[":status", "200"]]))]],
];
for (const [name, frames] of badAnswers) {
  test(`a malformed answer is never passed on: ${name}`, () => {
    const lone = new Lone("client");
    const events = lone.open();
    lone.sent();
    const sent = lone.feed(...frames);
    assert.equal(events.log.at(-1), "reset service malformed");
    assert.ok(!events.ended);
    assert.deepEqual(sent, ["RST_STREAM 1 code 1"]);
    // Only this stream: the connection is everybody's.
    assert.deepEqual(lone.log, []);
    const next = lone.open();
    lone.feed(answer(3, "200", 0x5));
    assert.deepEqual(next.log, ["head :status=200 end"]);
  });
}

test("answers without content may carry a content-length", () => {
  for (const [method, code] of [
    ["HEAD", "200"],
    ["GET", "304"],
  ] as const) {
    const lone = new Lone("client");
    const events = lone.open([{ name: ":method", value: method }, ...GET.slice(1)]);
    lone.feed(
      frame(
        1,
        0x5,
        1,
        block([
          [":status", code],
          ["content-length", "5"],
        ]),
      ),
    );
    assert.equal(events.log[0], `head :status=${code} content-length=5 end`);
  }
});

test("a head too large is answered with 431, far too large ends the connection", () => {
  const settingsOf = { settings: { maxHeaderListSize: 2000 }, limits: { headerBytesHard: 5000, headerFields: 10 } };
  const many = (count: number): (readonly [string, string])[] => [
    ...REQUEST,
    ...Array.from({ length: count }, (): [string, string] => ["x", "y"]),
  ];
  const lone = new Lone("server", settingsOf);
  assert.deepEqual(lone.feed(headers(1, [...REQUEST, ["x", "a".repeat(2000)]])), ["HEADERS 1", "DATA 1 end 61"]);
  assert.deepEqual(lone.feed(headers(3, many(11), 0)), ["HEADERS 3", "DATA 3 end 61", "RST_STREAM 3 code 0"]);
  assert.deepEqual(lone.log, []);
  lone.feed(headers(5, many(10)));
  assert.deepEqual(lone.log, ["opened :method=GET end"]);
  // References to one large entry of the table: cheap to send, and no cheaper to refuse.
  const bomb = [...block(REQUEST), 0x40, 1, 0x78, 0x7f, 0x81, 0x06, ...new Array<number>(896).fill(0x61)];
  assert.deepEqual(lone.feed(frame(1, 0x5, 7, [...bomb, 0xbe])), ["HEADERS 7", "DATA 7 end 61"]);
  assert.deepEqual(lone.feed(frame(1, 0x5, 9, [...block(REQUEST), ...new Array<number>(6).fill(0xbe)])), [
    "GOAWAY last 7 code 11",
  ]);
  assert.deepEqual(lone.log, ["opened :method=GET end", "ended visitor limit"]);
});

test("an invalid head of ours is a reset, and the peer's table stays in step", () => {
  const { pipe, open, requests, client } = pair();
  const bad = open([...GET, { name: "x-a", value: "a\r\nb" }, { name: "user-agent", value: "z" }], true);
  assert.deepEqual(bad.log, ["reset agent internal"]);
  const good = open([...GET, { name: "user-agent", value: "z" }], true);
  pipe.run();
  assert.equal(requests.length, 1);
  assert.equal(text(requests[0]?.fields.slice(-1) ?? []), "user-agent=z");
  requests[0]?.stream.sendHead([...OK, { name: "x", value: "a\n" }], false);
  pipe.run();
  assert.deepEqual(requests[0]?.events.log, ["reset relay internal"]);
  assert.equal(good.log.length, 1);
  assert.equal(client.openStreams, 0);
});

test("a server sends its calls in order or not at all", () => {
  const lone = new Lone("server");
  lone.feed(headers(1), headers(3), headers(5));
  lone.stream(0).stream.sendData(new Uint8Array(1), true);
  lone.stream(1).stream.sendTrailers([]);
  lone.stream(2).stream.sendHead(OK, false);
  lone.stream(2).stream.sendHead(OK, false);
  assert.deepEqual(lone.sent(), ["RST_STREAM 1 code 2", "RST_STREAM 3 code 2", "HEADERS 5", "RST_STREAM 5 code 2"]);
  for (const index of [0, 1, 2]) assert.deepEqual(lone.stream(index).log, ["reset relay internal"]);
});

test("late frames on a stream we reset are ignored, and keep the tables in step", () => {
  const lone = new Lone("client");
  const events = lone.open();
  events.stream?.reset(CANCELLED);
  lone.sent();
  assert.deepEqual(
    lone.feed(
      frame(1, 0x4, 1, [0x88, 0x40, 1, 0x78, 1, 0x79]),
      frame(0, 1, 1, "late"),
      frame(8, 0, 1, [0, 0, 0, 1]),
      frame(3, 0, 1, [0, 0, 0, 0]),
    ),
    [],
  );
  const next = lone.open();
  lone.feed(frame(1, 0x5, 3, [0x88, 0xbe]));
  assert.deepEqual(next.log, ["head :status=200 x=y end"]);
  assert.deepEqual(events.log, []);
});

test("handlers may reset, open and abort from within an event", () => {
  const lone = new Lone("client");
  const one = lone.open();
  const two = lone.open();
  one.onData = () => {
    one.stream?.reset(CANCELLED);
    two.stream?.reset(CANCELLED);
    lone.open();
  };
  lone.sent();
  assert.deepEqual(lone.feed(answer(1), answer(3), frame(0, 0, 1, "a"), frame(0, 1, 1, "b"), frame(0, 1, 3, "c")), [
    "RST_STREAM 1 code 8",
    "RST_STREAM 3 code 8",
    "HEADERS 5 end",
  ]);
  assert.deepEqual(one.log, ["head :status=200", "data 1"]);
  assert.deepEqual(two.log, ["head :status=200"]);
  const three = lone.open();
  three.onData = () => {
    lone.connection.abort({ by: "relay", code: "internal", message: "" });
  };
  lone.feed(answer(7), frame(0, 0, 7, "a"), frame(0, 0, 7, "b"), SETTINGS_ACK);
  assert.deepEqual(three.log, ["head :status=200", "data 1", "reset relay internal"]);
  assert.deepEqual(lone.log, ["ended relay internal"]);
  assert.equal(lone.connection.open(GET, true, three), undefined);
});

test("extended CONNECT passes when it is announced, and never otherwise", () => {
  const websocket = [{ name: ":method", value: "CONNECT" }, { name: ":protocol", value: "websocket" }, ...GET.slice(1)];
  const { pipe, open, requests, client } = pair();
  assert.equal(client.extendedConnect, true);
  const events = open(websocket, false);
  pipe.run();
  requests[0]?.stream.sendHead(OK, false);
  requests[0]?.stream.sendData(new Uint8Array(3), false);
  events.stream?.sendData(new Uint8Array(4), true);
  pipe.run();
  // Half-closed: the answer goes on.
  assert.deepEqual(requests[0]?.events.log, ["data 4 end"]);
  requests[0].stream.sendData(new Uint8Array(5), true);
  pipe.run();
  assert.deepEqual(events.log, ["head :status=200", "data 3", "data 5 end"]);

  const without = pair({ server: { settings: { enableConnectProtocol: false } } });
  assert.equal(without.client.extendedConnect, false);
  const refused = without.open(websocket, false);
  without.pipe.run();
  assert.deepEqual(refused.log, ["reset service malformed"]);
  assert.equal(without.requests.length, 0);
});

test("what a server may not do to a client ends the connection", () => {
  const cases: [string, Uint8Array, number][] = [
    ["push", frame(5, 4, 1, [0, 0, 0, 2, ...status("200")]), 1],
    ["a stream of its own", answer(2), 1],
    ["an answer nobody asked for", answer(3), 1],
    ["ENABLE_PUSH", settings([2, 1]), 1],
    ["ENABLE_CONNECT_PROTOCOL taken back", settings([8, 1], [8, 0]), 1],
    ["a broken block", frame(1, 0x5, 1, [0x80]), 9],
  ];
  for (const [name, bytes, code] of cases) {
    const lone = new Lone("client");
    const events = lone.open();
    lone.sent();
    assert.equal(lone.feed(bytes).at(-1), `GOAWAY last 0 code ${code}`, name);
    assert.deepEqual(events.log, ["reset service malformed"]);
    assert.equal(lone.log.at(-1), "ended service malformed");
  }
});

test("a request whose answer is complete may go on sending", () => {
  const { pipe, open, requests, client, server } = pair();
  const events = open(POST, false);
  pipe.run();
  requests[0]?.stream.sendHead(OK, true);
  pipe.run();
  assert.deepEqual(events.log, ["head :status=200 end"]);
  events.stream?.sendData(new Uint8Array(200_000), true);
  pipe.run();
  assert.equal(requests[0]?.events.bytes, 200_000);
  assert.deepEqual([client.openStreams, server.openStreams], [0, 0]);
});

test("without a limit of the peer the identifiers bound the capacity", () => {
  const lone = new Lone("client");
  assert.equal(lone.connection.capacity, 2 ** 30);
});

test("a visitor's NO_ERROR is a cancellation, and a client never sends one", () => {
  const lone = new Lone("server");
  lone.feed(headers(1), frame(3, 0, 1, uint32(0)));
  assert.deepEqual(lone.stream(0).log, ["reset visitor cancelled"]);
  const client = new Lone("client");
  const complete = client.open(POST, false);
  client.feed(answer(1, "200", 0x5));
  client.sent();
  complete.stream?.reset({ by: "visitor", code: "unneeded", message: "" });
  client.open(GET, true).stream?.reset({ by: "visitor", code: "cancelled", message: "", http2Code: 0 });
  assert.deepEqual(client.sent(), ["RST_STREAM 1 code 8", "HEADERS 3 end", "RST_STREAM 3 code 8"]);
});

test("a request that fails while it is being announced is reported once it has been", () => {
  const bad = new Lone("server", {
    events: announce((stream) => stream.sendHead([...OK, { name: "X", value: "" }], true)),
  });
  assert.deepEqual(bad.feed(headers(1)), ["HEADERS 1 end", "RST_STREAM 1 code 2"]);
  assert.deepEqual(announced.log.splice(0), ["reset relay internal"]);
  const reset = new Lone("server", { events: announce((stream) => stream.reset(CANCELLED)) });
  assert.deepEqual(reset.feed(headers(1)), ["RST_STREAM 1 code 8"]);
  assert.deepEqual(announced.log, []);
  const aborted: Lone = new Lone("server", { events: announce(() => aborted.connection.abort(CANCELLED)) });
  assert.deepEqual(aborted.feed(headers(1), headers(3)), ["GOAWAY last 1 code 8"]);
  assert.deepEqual(announced.log, ["reset visitor cancelled"]);
});

const announced = new Recorder();
function announce(act: (stream: Stream) => void): Http2Events {
  const nothing = (): void => undefined;
  return {
    streamOpened(stream) {
      act(stream);
      return announced;
    },
    capacityChanged: nothing,
    draining: nothing,
    ended: nothing,
    pingAnswered: nothing,
  };
}
