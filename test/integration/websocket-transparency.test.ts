/**
 * WebSockets pass as they are: each conversation is led directly, through relay and agent over HTTP/1.1, and over HTTP/2
 * (RFC 8441), and what both ends received, and how it ended, must be the same octet by octet. The capture is on.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { RawVisitor } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path } from "../support/path.ts";
import { CASES } from "../transparency/cases.ts";
import type { Seen } from "../transparency/end.ts";
import type { Case } from "../transparency/cases.ts";
import { converse, echo, stepsOf } from "../transparency/conversation.ts";
import type { Step } from "../transparency/conversation.ts";
import { BINARY, CLOSE, CONTINUATION, PING, TEXT, closePayload, encode } from "../transparency/frame.ts";
import { startEchoService, startRecordingHttp2Service, startRecordingService } from "../transparency/services.ts";
import type { EchoService, RecordingService } from "../transparency/services.ts";
import { byConnect, byUpgrade } from "../transparency/visitor.ts";
import type { Handshake, Way } from "../transparency/visitor.ts";

let path: Path;
let recording: RecordingService;
let recording2: RecordingService;
let echoing: EchoService;
let recording2Port: number;
let recordingPort: number;
let echoPort: number;
let next = 0;

before(async () => {
  recording = await startRecordingService();
  recording2 = await startRecordingHttp2Service();
  echoing = await startEchoService();
  path = await startPath();
  recordingPort = portOf((await path.share(recording.port)).url);
  recording2Port = portOf((await path.share(recording2.port)).url);
  echoPort = portOf((await path.share(echoing.port)).url);
});

after(async () => {
  await path.close();
  recording.close();
  recording2.close();
  echoing.close();
});

function portOf(url: string): number {
  return Number(new URL(url).port);
}

/** A path of its own for each WebSocket, by which both of its ends are found. */
function newPath(): string {
  return `/case/${next++}`;
}

/** Runs `lead` directly and through the path in both versions of HTTP: nothing may differ. Returns what was the same. */
async function same<O>(
  direct: number,
  shared: number,
  lead: (way: Way, port: number, path: string) => Promise<O>,
  directly = byUpgrade,
): Promise<O> {
  const expected = await lead(directly, direct, newPath());
  assert.deepEqual(await lead(byUpgrade, shared, newPath()), expected, "HTTP/1.1");
  assert.deepEqual(await lead(byConnect, shared, newPath()), expected, "HTTP/2");
  return expected;
}

/** The same with the service that speaks only HTTP/2. */
const recorded2 = (steps: readonly Step[], handshake: Handshake = {}): ReturnType<typeof converse> =>
  same(
    recording2.port,
    recording2Port,
    (way, port, at) => converse(recording2, way, port, at, handshake, steps),
    byConnect,
  );

const recorded = (steps: readonly Step[], handshake: Handshake = {}): ReturnType<typeof converse> =>
  same(recording.port, recordingPort, (way, port, at) => converse(recording, way, port, at, handshake, steps));

for (const group of new Set(CASES.map((one) => one.group)))
  describe(`${group}: what passes is what was sent`, () => {
    for (const one of CASES.filter((other) => other.group === group))
      test(one.name, async () => {
        const { status, visitor, service } = await recorded(stepsOf(one), { extensions: one.extensions });
        assert.equal(status, 101);
        assert.deepEqual([visitor.ending, service.ending], ["end", "end"]);
      });
  });

for (const group of new Set(CASES.map((one) => one.group)))
  describe(`${group}: and to a service over HTTP/2`, () => {
    for (const one of CASES.filter((other) => other.group === group))
      test(one.name, async () => {
        const { status, visitor, service } = await recorded2(stepsOf(one), { extensions: one.extensions });
        assert.equal(status, 101);
        assert.deepEqual([visitor.ending, service.ending], ["end", "end"]);
      });
  });

/** What is said to a service that ends the conversation itself. */
function said(one: Case): Buffer {
  const close = { opcode: CLOSE, payload: closePayload(1000, "done") };
  return encode(one.open === true ? [...one.frames, close] : one.frames, "visitor");
}

for (const group of new Set(CASES.map((one) => one.group)))
  describe(`${group}: ws answers as it does directly`, () => {
    for (const one of CASES.filter((other) => other.group === group))
      test(one.name, async () => {
        const bytes = said(one);
        const { status, visitor } = await same(echoing.port, echoPort, (way, port, at) =>
          echo(echoing, way, port, at, one, bytes),
        );
        assert.equal(status, 101);
        assert.notEqual(visitor.octets, "");
      });
  });

const hello = (side: "visitor" | "service"): Buffer => encode([{ opcode: TEXT, payload: `from ${side}` }], side);
const V = hello("visitor");
const S = hello("service");
const endings: readonly (readonly [name: string, steps: readonly Step[], visitor: string, service: string])[] = [
  ["FIN by the visitor, then by the service", [{ finish: "visitor" }, { finish: "service" }], "end", "end"],
  ["FIN by the service, then by the visitor", [{ finish: "service" }, { finish: "visitor" }], "end", "end"],
  [
    "FIN behind the last octets",
    [
      { finish: "visitor", after: V },
      { finish: "service", after: S },
    ],
    "end",
    "end",
  ],
  [
    "the service goes on after the visitor's FIN",
    [{ visitor: V }, { finish: "visitor" }, { service: S }, { service: S }, { finish: "service" }],
    "end",
    "end",
  ],
  [
    "the visitor goes on after the service's FIN",
    [{ service: S }, { finish: "service" }, { visitor: V }, { visitor: V }, { finish: "visitor" }],
    "end",
    "end",
  ],
  ["RST by the visitor", [{ visitor: V, service: S }, { reset: "visitor" }], "-", "reset"],
  ["RST by the service", [{ visitor: V, service: S }, { reset: "service" }], "reset", "-"],
  ["RST by the visitor before any octet", [{ reset: "visitor" }], "-", "reset"],
  ["RST by the service before any octet", [{ reset: "service" }], "reset", "-"],
  ["RST by the visitor behind the last octets", [{ service: S }, { reset: "visitor", after: V }], "-", "reset"],
  ["RST by the service behind the last octets", [{ visitor: V }, { reset: "service", after: S }], "reset", "-"],
  ["RST by the visitor after the service's FIN", [{ finish: "service" }, { reset: "visitor" }], "-", "reset"],
  ["RST by the service after the visitor's FIN", [{ finish: "visitor" }, { reset: "service" }], "reset", "-"],
  ["a close frame, and no FIN", [{ visitor: encode([{ opcode: CLOSE }], "visitor") }], "open", "open"],
  [
    "RST by the service behind a close frame",
    [{ reset: "service", after: encode([{ opcode: CLOSE, payload: closePayload(1011, "sorry") }], "service") }],
    "reset",
    "-",
  ],
];

for (const version of ["HTTP/1.1", "HTTP/2"])
  describe(`how it ends, service over ${version}`, () => {
    for (const [name, steps, visitor, service] of endings)
      test(name, async () => {
        const [recorder, port, directly] =
          version === "HTTP/2" ? [recording2, recording2Port, byConnect] : [recording, recordingPort, byUpgrade];
        const lead = async (way: Way, to: number, at: string): Promise<Record<string, unknown>> => {
          const outcome = await converse(recorder, way, to, at, {}, steps);
          // What whoever resets may still learn himself is nothing that passed.
          return {
            visitor: visitor === "-" ? outcome.visitor.octets : outcome.visitor,
            service: service === "-" ? outcome.service.octets : outcome.service,
          };
        };
        const outcome = await same(recorder.port, port, lead, directly);
        if (visitor !== "-") assert.equal((outcome["visitor"] as Seen).ending, visitor);
        if (service !== "-") assert.equal((outcome["service"] as Seen).ending, service);
      });
  });

describe("the handshake", () => {
  const handshakes: readonly (readonly [name: string, handshake: Handshake])[] = [
    ["nothing offered", {}],
    ["sub-protocols", { subprotocol: "shop.json.v1, shop.protobuf.v1" }],
    ["a token as a sub-protocol", { subprotocol: "bearer.c2VjcmV0, v1" }],
    ["an extension with parameters", { extensions: "permessage-deflate; client_max_window_bits=10" }],
    ["extensions nobody knows", { extensions: 'x-first; a="b c", x-second;q=1' }],
    ["both", { extensions: "permessage-deflate", subprotocol: "chat" }],
  ];
  for (const [name, handshake] of handshakes)
    test(`${name}: offer and choice arrive unchanged`, async () => {
      const lead = async (way: Way, port: number, at: string): Promise<unknown> => {
        const [{ end, status, fields }, accepted] = await Promise.all([
          way(port, at, handshake),
          recording.accepted(at),
        ]);
        end.close();
        accepted.end.close();
        return { status, fields, asked: accepted.fields.filter((field) => field.startsWith("sec-websocket-")).sort() };
      };
      const { fields } = (await same(recording.port, recordingPort, lead)) as { fields: readonly string[] };
      assert.deepEqual(fields, [
        ...(handshake.extensions === undefined ? [] : [`sec-websocket-extensions: ${handshake.extensions}`]),
        ...(handshake.subprotocol === undefined ? [] : [`sec-websocket-protocol: ${handshake.subprotocol}`]),
      ]);
    });

  for (const status of [400, 401, 403, 404, 426, 429, 500, 503])
    test(`refused with ${status}: a plain answer`, async () => {
      const lead = async (way: Way, port: number): Promise<unknown> => {
        const { end, status: got, fields } = await way(port, `/refused/${status}`, {});
        await end.receivedSize(18);
        end.close();
        return { got, fields, body: end.octets.toString() };
      };
      assert.deepEqual(await same(recording.port, recordingPort, lead), {
        got: status,
        fields: ["content-length: 18", "x-reason: test"],
        body: "no WebSocket here\n",
      });
    });

  test("frames sent before the answer arrive, in order and once", async () => {
    const frames = encode([{ opcode: TEXT, payload: "early" }, { opcode: PING }], "visitor");
    for (const port of [recording.port, recordingPort]) {
      const at = newPath();
      const head = [
        `GET ${at} HTTP/1.1`,
        "Host: a",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ];
      const visitor = await RawVisitor.connect(`127.0.0.1:${port}`);
      visitor.send(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), frames]));
      const { end } = await recording.accepted(at);
      await end.receivedSize(frames.length);
      assert.deepEqual(end.octets, frames);
      visitor.close();
      end.close();
    }
  });
});

describe("the capture, beside it", () => {
  /** `from kind content`, as the inspector has them. */
  const messagesOf = async (at: string): Promise<readonly string[]> => {
    const record = await path.record((one) => one.path === at);
    assert.equal(record.protocol, "websocket");
    return record.messages.map(({ from, kind, text, base64, value }) =>
      [from, kind ?? "message", text ?? base64 ?? JSON.stringify(value)].join(" "),
    );
  };

  const table: readonly (readonly [name: string, steps: readonly Step[], messages: readonly string[]])[] = [
    [
      "text, binary, JSON, ping",
      [
        { visitor: encode([{ opcode: TEXT, payload: "grün" }], "visitor") },
        { service: encode([{ opcode: BINARY, payload: Buffer.from([1, 2, 255]) }], "service") },
        { visitor: encode([{ opcode: TEXT, payload: '{"lamp":"on"}' }], "visitor") },
        { service: encode([{ opcode: PING, payload: "there?" }], "service") },
      ],
      ["visitor message grün", "service message AQL/", 'visitor message {"lamp":"on"}', "service ping there?"],
    ],
    [
      "fragments, and close codes of both sides",
      [
        {
          visitor: encode(
            [
              { opcode: TEXT, fin: false, payload: "in " },
              { opcode: CONTINUATION, payload: "two" },
            ],
            "visitor",
          ),
        },
        { service: encode([{ opcode: CLOSE, payload: closePayload(4001, "enough") }], "service") },
        { visitor: encode([{ opcode: CLOSE }], "visitor") },
      ],
      [
        "visitor message in two",
        'service close {"code":4001,"reason":"enough"}',
        // RFC 6455 section 7.1.5: no code was given.
        'visitor close {"code":1005,"reason":""}',
      ],
    ],
    [
      "what is wrong is shown as it came, and what follows is still read",
      [
        {
          visitor: encode(
            [
              { opcode: TEXT, rsv: 2, payload: "reserved" },
              { opcode: 3, payload: "unknown" },
              { opcode: TEXT, payload: "fine" },
            ],
            "visitor",
          ),
        },
      ],
      [
        "visitor message reserved",
        `visitor message ${Buffer.from("unknown").toString("base64")}`,
        "visitor message fine",
      ],
    ],
  ];
  for (const [name, steps, messages] of table)
    for (const way of [byUpgrade, byConnect])
      test(`${name}; ${way === byUpgrade ? "HTTP/1.1" : "HTTP/2"}`, async () => {
        const at = newPath();
        await converse(recording, way, recordingPort, at, {}, [...steps, { finish: "visitor" }, { finish: "service" }]);
        assert.deepEqual(await messagesOf(at), messages);
      });
});
