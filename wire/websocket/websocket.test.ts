import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FrameReader } from "./frame.ts";
import { isCloseCode, joinPayload, MessageReader, readClosePayload } from "./message.ts";

interface FrameParts {
  readonly opcode: number;
  readonly fin?: boolean;
  readonly rsv?: number;
  readonly mask?: string;
  readonly payload?: Uint8Array | string;
}

function frame({ opcode, fin = true, rsv = 0, mask, payload = "" }: FrameParts): Buffer {
  const body = Buffer.from(payload);
  const head: number[] = [(fin ? 0x80 : 0) | rsv | opcode];
  const flag = mask === undefined ? 0 : 0x80;
  if (body.length < 126) head.push(flag | body.length);
  else if (body.length < 65_536) head.push(flag | 126, body.length >> 8, body.length & 255);
  else
    head.push(
      flag | 127,
      0,
      0,
      0,
      0,
      body.length >>> 24,
      (body.length >> 16) & 255,
      (body.length >> 8) & 255,
      body.length & 255,
    );
  if (mask === undefined) return Buffer.concat([Buffer.from(head), body]);
  const key = Buffer.from(mask, "hex");
  return Buffer.concat([Buffer.from(head), key, body.map((octet, index) => octet ^ (key[index & 3] ?? 0))]);
}

const MASK = "37fa213d";

function transcript(options: { masked: boolean; compression: boolean }, pieces: readonly Uint8Array[]): string[] {
  const events: string[] = [];
  const reader = new MessageReader(options, {
    messageStarted: (kind, compressed, offset) => events.push(`${kind}${compressed ? " compressed" : ""} at ${offset}`),
    messageCompleted: (end, size, problem) =>
      events.push(`message of ${size} to ${end}${problem === undefined ? "" : `: ${problem}`}`),
    control: (kind, offset, end, size, problem) =>
      events.push(`${kind} of ${size} ${offset}-${end}${problem === undefined ? "" : `: ${problem}`}`),
    lost: (problem) => events.push(problem),
  });
  for (const piece of pieces) reader.receive(piece);
  events.push(reader.atBoundary ? "boundary" : "cut");
  return events;
}

const VISITOR = { masked: true, compression: false };
const SERVICE = { masked: false, compression: false };
const COMPRESSING = { masked: false, compression: true };

const CASES: readonly {
  name: string;
  options: { masked: boolean; compression: boolean };
  bytes: Buffer;
  events: readonly string[];
}[] = [
  {
    name: "the masked Hello of RFC 6455",
    options: VISITOR,
    bytes: Buffer.from("818537fa213d7f9f4d5158", "hex"),
    events: ["text at 0", "message of 5 to 11", "boundary"],
  },
  {
    name: "fragments with a ping in between",
    options: SERVICE,
    bytes: Buffer.concat([
      frame({ opcode: 1, fin: false, payload: "Hel" }),
      frame({ opcode: 9, payload: "x" }),
      frame({ opcode: 0, payload: "lo" }),
    ]),
    events: ["text at 0", "ping of 1 5-8", "message of 5 to 12", "boundary"],
  },
  {
    name: "an empty message",
    options: SERVICE,
    bytes: frame({ opcode: 2 }),
    events: ["binary at 0", "message of 0 to 2", "boundary"],
  },
  {
    name: "a 16-bit length",
    options: SERVICE,
    bytes: frame({ opcode: 2, payload: Buffer.alloc(126) }),
    events: ["binary at 0", "message of 126 to 130", "boundary"],
  },
  {
    name: "a compressed message",
    options: COMPRESSING,
    bytes: frame({ opcode: 1, rsv: 0x40, payload: "ab" }),
    events: ["text compressed at 0", "message of 2 to 4", "boundary"],
  },
  {
    name: "a close",
    options: SERVICE,
    bytes: frame({ opcode: 8, payload: Buffer.from("03e8", "hex") }),
    events: ["close of 2 0-4", "boundary"],
  },
  {
    name: "a cut frame",
    options: SERVICE,
    bytes: frame({ opcode: 1, payload: "abc" }).subarray(0, 4),
    events: ["text at 0", "cut"],
  },
  {
    name: "a length of 2^63",
    options: SERVICE,
    bytes: Buffer.from("827f8000000000000000", "hex"),
    events: ["A frame has a length above 2^53 octets: the rest cannot be read.", "cut"],
  },
  {
    name: "a length of 2^53 - 1",
    options: SERVICE,
    bytes: Buffer.from("827f001fffffffffffff00", "hex"),
    events: ["binary at 0", "cut"],
  },
  {
    name: "RSV1 without an extension",
    options: SERVICE,
    bytes: frame({ opcode: 1, rsv: 0x40 }),
    events: ["text compressed at 0", "message of 0 to 2: A frame sets RSV1 where no extension allows it.", "boundary"],
  },
  {
    name: "RSV2",
    options: COMPRESSING,
    bytes: frame({ opcode: 1, rsv: 0x20 }),
    events: ["text at 0", "message of 0 to 2: A frame sets RSV2 or RSV3, which no extension defines.", "boundary"],
  },
  {
    name: "a fragmented ping",
    options: SERVICE,
    bytes: frame({ opcode: 9, fin: false }),
    events: ["ping of 0 0-2: A control frame is fragmented.", "boundary"],
  },
  {
    name: "a long pong",
    options: SERVICE,
    bytes: frame({ opcode: 10, payload: Buffer.alloc(126) }),
    events: ["pong of 126 0-130: A control frame is longer than 125 octets.", "boundary"],
  },
  {
    name: "an unmasked frame of the visitor",
    options: VISITOR,
    bytes: frame({ opcode: 1 }),
    events: ["text at 0", "message of 0 to 2: A frame from the visitor is not masked.", "boundary"],
  },
  {
    name: "a masked frame of the service",
    options: SERVICE,
    bytes: frame({ opcode: 1, mask: MASK }),
    events: ["text at 0", "message of 0 to 6: A frame from the service is masked.", "boundary"],
  },
  {
    name: "a lonely continuation",
    options: SERVICE,
    bytes: frame({ opcode: 0 }),
    events: ["binary at 0", "message of 0 to 2: A continuation frame continues no message.", "boundary"],
  },
  {
    name: "a message inside a message",
    options: SERVICE,
    bytes: Buffer.concat([frame({ opcode: 1, fin: false, payload: "a" }), frame({ opcode: 2, payload: "b" })]),
    events: [
      "text at 0",
      "message of 1 to 3: The message was not finished before the next one began.",
      "binary at 3",
      "message of 1 to 6",
      "boundary",
    ],
  },
  {
    name: "a reserved opcode",
    options: SERVICE,
    bytes: frame({ opcode: 11 }),
    events: ["ping of 0 0-2: Opcode 11 is reserved.", "boundary"],
  },
];

describe("WebSocket messages", () => {
  for (const { name, options, bytes, events } of CASES) {
    it(`reads ${name} at every split`, () => {
      assert.deepEqual(transcript(options, [bytes]), events);
      for (let split = 0; split <= bytes.length; split++) {
        assert.deepEqual(
          transcript(options, [bytes.subarray(0, split), bytes.subarray(split)]),
          events,
          `split at ${split}`,
        );
      }
    });
  }

  it("joins fragments, removes masks and leaves control frames out", () => {
    const bytes = Buffer.concat([
      frame({ opcode: 1, fin: false, payload: "Hel", mask: MASK }),
      frame({ opcode: 9, payload: "ping", mask: "01020304" }),
      frame({ opcode: 0, payload: "lo, world", mask: "0a0b0c0d" }),
    ]);
    const before = bytes.toString("hex");
    assert.equal(Buffer.from(joinPayload(bytes, false)).toString(), "Hello, world");
    assert.equal(bytes.toString("hex"), before, "the captured octets are not changed");
  });

  it("never throws, whatever comes, and reads the same at any split", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), fc.boolean(), (bytes, split, masked) => {
        const options = { masked, compression: true };
        assert.deepEqual(
          transcript(options, [bytes.subarray(0, split), bytes.subarray(split)]),
          transcript(options, [bytes]),
        );
        joinPayload(bytes, masked);
        readClosePayload(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it("gives payload octets with their place", () => {
    const seen: string[] = [];
    const reader = new FrameReader({
      frameStarted: () => {},
      payload: (bytes, position) => seen.push(`${Buffer.from(bytes).toString()}@${position}`),
      frameCompleted: () => {},
      lost: () => {},
    });
    reader.receive(Buffer.from("8105616263", "hex"));
    reader.receive(Buffer.from("6465", "hex"));
    assert.deepEqual(seen, ["abc@0", "de@3"]);
  });

  const CLOSES: readonly (readonly [string, number, string, boolean])[] = [
    ["", 1005, "", false],
    ["03", 1005, "", true],
    ["03e8", 1000, "", false],
    ["03e9627965", 1001, "bye", false],
    ["03ed", 1005, "", true],
    ["0bb8c3a9", 3000, "é", false],
    ["03e8ff", 1000, "", true],
    ["03e7", 999, "", true],
  ];
  for (const [hex, code, reason, flawed] of CLOSES) {
    it(`reads the close payload ${hex || "of nothing"}`, () => {
      const close = readClosePayload(Buffer.from(hex, "hex"));
      assert.deepEqual([close.code, close.reason, close.problem !== undefined], [code, reason, flawed]);
    });
  }

  it("knows the close codes", () => {
    for (const code of [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999])
      assert.equal(isCloseCode(code), true, String(code));
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
      assert.equal(isCloseCode(code), false, String(code));
  });
});
