/**
 * What is said in the conversations: the groups of the Autobahn test suite (github.com/crossbario/autobahn-testsuite),
 * rewritten from their descriptions as tables. Whether RFC 6455 allows a frame plays no part: each must pass as it is.
 */
import { constants, deflateRawSync } from "node:zlib";
import { BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, closePayload } from "./frame.ts";
import type { FrameSpec } from "./frame.ts";

export interface Case {
  /** Autobahn's number of the group, and what it is about. */
  readonly group: string;
  readonly name: string;
  readonly frames: readonly FrameSpec[];
  /** Octets of each write; all at once when not given. */
  readonly chop?: number;
  /** Offered by the visitor; the recording service accepts it as it is. */
  readonly extensions?: string;
  /** No frame of its own ends it: for the service that understands frames a close follows. */
  readonly open?: boolean;
}

const text = (payload: Uint8Array | string, more: Partial<FrameSpec> = {}): FrameSpec => ({
  opcode: TEXT,
  payload,
  ...more,
});
const binary = (payload: Uint8Array | string, more: Partial<FrameSpec> = {}): FrameSpec => ({
  opcode: BINARY,
  payload,
  ...more,
});
const ping = (payload: Uint8Array | string = ""): FrameSpec => ({ opcode: PING, payload });
const pong = (payload: Uint8Array | string = ""): FrameSpec => ({ opcode: PONG, payload });
const close = (payload: Uint8Array | string = closePayload(1000)): FrameSpec => ({ opcode: CLOSE, payload });

/** Octets that compress badly and repeat nowhere, the same each time. */
function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = 0x9e3779b9;
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

/** One message in fragments of `size` octets, with `between` after each but the last. */
function fragments(
  opcode: number,
  payload: Uint8Array,
  size: number,
  between: readonly FrameSpec[] = [],
  rsv = 0,
): FrameSpec[] {
  const frames: FrameSpec[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    const fin = at + size >= payload.length;
    const part = payload.subarray(at, at + size);
    frames.push({ opcode: at === 0 ? opcode : CONTINUATION, payload: part, fin, rsv: at === 0 ? rsv : 0 });
    if (!fin) frames.push(...between);
  }
  return frames;
}

function* framing(): Generator<Case> {
  const group = "1 framing";
  for (const size of [0, 1, 125, 126, 127, 128, 65_535, 65_536]) {
    yield { group, name: `text of ${size} octets`, frames: [text("*".repeat(size))], open: true };
    yield { group, name: `binary of ${size} octets`, frames: [binary(Buffer.alloc(size, 0xfe))], open: true };
  }
  for (const chop of [1, 7, 997])
    yield { group, name: `writes of ${chop} octets`, frames: [text("*".repeat(2000))], chop, open: true };
  for (const [size, bits] of [
    [0, 16],
    [5, 16],
    [5, 64],
    [300, 64],
  ] as const)
    yield {
      group,
      name: `${size} octets with a length of ${bits} bits`,
      frames: [binary(noise(size), { lengthBits: bits })],
      open: true,
    };
  yield { group, name: "mask against the rule", frames: [text("plain", { wrongMask: true })] };
  yield {
    group,
    name: "a length with the highest bit",
    frames: [binary("few", { saidLength: 0xffff_ffff_ffff_ffffn })],
  };
}

function* pings(): Generator<Case> {
  const group = "2 ping and pong";
  for (const [name, payload] of [
    ["nothing", ""],
    ["text", "Hello, world!"],
    ["octets", Buffer.from([0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff])],
    ["125 octets", Buffer.alloc(125, 0xfe)],
  ] as const)
    yield { group, name: `ping with ${name}`, frames: [ping(payload)], open: true };
  yield { group, name: "ping with 126 octets", frames: [ping(Buffer.alloc(126, 0xfe))] };
  yield { group, name: "ping, an octet at a time", frames: [ping(noise(125))], chop: 1, open: true };
  yield { group, name: "pong that nobody asked for", frames: [pong()], open: true };
  yield { group, name: "pong with content", frames: [pong("unsolicited")], open: true };
  yield { group, name: "pong, then ping", frames: [pong("unsolicited"), ping("asked")], open: true };
  const ten = Array.from({ length: 10 }, (_, index) => ping(`payload-${index}`));
  yield { group, name: "ten pings", frames: ten, open: true };
  yield { group, name: "ten pings, an octet at a time", frames: ten, chop: 1, open: true };
}

function* reservedBits(): Generator<Case> {
  const group = "3 reserved bits";
  for (let rsv = 1; rsv <= 7; rsv++) {
    yield { group, name: `text with ${rsv}`, frames: [text("small"), text("Hello", { rsv }), ping()] };
    yield { group, name: `binary with ${rsv}`, frames: [binary("Hello", { rsv })], chop: 1 };
    yield { group, name: `ping with ${rsv}`, frames: [{ ...ping("Hello"), rsv }] };
    yield { group, name: `close with ${rsv}`, frames: [{ ...close(), rsv }] };
  }
}

function* opcodes(): Generator<Case> {
  const group = "4 opcodes";
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    yield { group, name: `${opcode} without content`, frames: [{ opcode }] };
    yield { group, name: `${opcode} with content`, frames: [text("before"), { opcode, payload: "reserved" }, ping()] };
  }
}

function* fragmentation(): Generator<Case> {
  const group = "5 fragmentation";
  const two = fragments(TEXT, Buffer.from("fragment1fragment2"), 9);
  const five = Buffer.from("fragment1fragment2fragment3fragment4fragment5");
  const first: FrameSpec = text("fragment1", { fin: false });
  const last: FrameSpec = { opcode: CONTINUATION, payload: "fragment2" };
  const table: readonly (readonly [string, readonly FrameSpec[], boolean])[] = [
    ["ping in two", [{ ...ping("fragment1"), fin: false }, last], false],
    ["pong in two", [{ ...pong("fragment1"), fin: false }, last], false],
    ["close in two", [{ ...close(closePayload(1000)), fin: false }, last], false],
    ["text in two", two, true],
    ["a ping between", [first, ping("between"), last], true],
    ["a ping and a pong between", [first, ping("a"), pong("b"), last], true],
    ["a continuation of nothing, the last one", [last], false],
    ["a continuation of nothing, not the last", [{ ...last, fin: false }, text("Hello")], false],
    ["a continuation after a whole message", [text("whole"), last], false],
    ["a message within another", [first, text("inner"), last], false],
    ["a binary within a text", [first, binary("inner"), last], false],
    ["five with pings", fragments(TEXT, five, 9, [ping("pongme")]), true],
    ["each octet with an empty ping", fragments(BINARY, five, 1, [ping()]), true],
    ["empty fragments", fragments(TEXT, Buffer.alloc(0), 1), true],
    [
      "three empty ones",
      [text("", { fin: false }), { opcode: CONTINUATION, fin: false }, { opcode: CONTINUATION }],
      true,
    ],
    ["an empty one, then octets", [text("", { fin: false }), { opcode: CONTINUATION, payload: "late" }], true],
    ["never ended, then closed", [first, close()], false],
    ["a thousand of one octet", fragments(BINARY, noise(1000), 1), true],
  ];
  for (const [name, frames, open] of table) {
    yield { group, name, frames, open };
    yield { group, name: `${name}, an octet at a time`, frames, chop: 1, open };
  }
}

/** Of Autobahn's sections 6.1 to 6.23: what is and is not UTF-8 (RFC 3629; Markus Kuhn's stress test). */
const UTF8: readonly (readonly [name: string, hex: string])[] = [
  ["greek", "cebae1bdb9cf83cebcceb5"],
  ["the first of 1 octet", "00"],
  ["the first of 2 octets", "c280"],
  ["the first of 3 octets", "e0a080"],
  ["the first of 4 octets", "f0908080"],
  ["the first of 5 octets", "f888808080"],
  ["the first of 6 octets", "fc8480808080"],
  ["the last of 1 octet", "7f"],
  ["the last of 2 octets", "dfbf"],
  ["the last of 3 octets", "efbfbf"],
  ["the last of 4 octets", "f48fbfbf"],
  ["above the last", "f4908080"],
  ["the last of 5 octets", "fbbfbfbfbf"],
  ["the last of 6 octets", "fdbfbfbfbfbf"],
  ["before the surrogates", "ed9fbf"],
  ["after the surrogates", "ee8080"],
  ["the replacement character", "efbfbd"],
  ["a lone continuation, first", "80"],
  ["a lone continuation, last", "bf"],
  ["six continuations", "80bf80bf80bf"],
  ["a lone start of 2", "c0 20 c1 20 df 20"],
  ["a lone start of 3", "e0 20 ef 20"],
  ["a lone start of 4", "f0 20 f4 20"],
  ["a lone start of 5", "f8 20 fb 20"],
  ["2 without the last", "c3"],
  ["3 without the last", "e080"],
  ["4 without the last", "f09080"],
  ["all of them cut", "c0e080f08080f8808080fc80808080"],
  ["impossible fe", "fe"],
  ["impossible ff", "ff"],
  ["impossible all", "fefeffff"],
  ["overlong slash of 2", "c0af"],
  ["overlong slash of 3", "e080af"],
  ["overlong slash of 4", "f08080af"],
  ["overlong largest of 2", "c1bf"],
  ["overlong largest of 3", "e09fbf"],
  ["overlong zero", "c080"],
  ["overlong zero of 4", "f0808080"],
  ["a high surrogate", "eda080"],
  ["a low surrogate", "edb080"],
  ["a pair of surrogates", "eda080edb080"],
  ["fffe", "efbfbe"],
  ["1fffe", "f09fbfbe"],
  ["10ffff", "f48fbfbf"],
  ["valid, invalid, valid", "cebae1bdb9cf83cebcceb5f4908080656469746564"],
];

function* utf8(): Generator<Case> {
  const group = "6 UTF-8";
  for (const [name, hex] of UTF8) {
    const payload = Buffer.from(hex.replaceAll(" ", ""), "hex");
    yield { group, name, frames: [text(payload)], open: true };
    // A character is cut wherever it can be.
    yield { group, name: `${name}, in fragments of one octet`, frames: fragments(TEXT, payload, 1), open: true };
  }
  const long = Buffer.from("Hello-µ@ßöäüàá-UTF-8!!".repeat(200));
  yield { group, name: "long, an octet at a time", frames: fragments(TEXT, long, 100), chop: 1, open: true };
}

function* closing(): Generator<Case> {
  const group = "7 close";
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 3999, 4000, 4999])
    yield { group, name: `${code}`, frames: [close(closePayload(code, "reason"))] };
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
    yield { group, name: `${code}, which is not allowed`, frames: [close(closePayload(code))] };
  const table: readonly (readonly [string, readonly FrameSpec[]])[] = [
    ["without a code", [close("")]],
    ["half a code", [close(Buffer.from([3]))]],
    ["a reason of 123 octets", [close(closePayload(1000, "*".repeat(123)))]],
    ["a reason of 124 octets", [close(closePayload(1000, "*".repeat(124)))]],
    ["a reason in UTF-8", [close(closePayload(1000, "grün 💡"))]],
    ["a reason that is not UTF-8", [close(closePayload(1000, Buffer.from("cebaf4908080", "hex")))]],
    ["after a message", [text("last words"), close()]],
    ["twice", [close(), close()]],
    ["then a message", [close(), text("after all")]],
    ["then a ping", [close(), ping()]],
    ["within a message", [text("half", { fin: false }), close(), { opcode: CONTINUATION, payload: "late" }]],
    ["after 256 KiB", [text("*".repeat(262_144)), close()]],
  ];
  for (const [name, frames] of table) yield { group, name, frames };
}

function* limits(): Generator<Case> {
  const group = "9 limits";
  const large = noise(262_144);
  for (const size of [65_536, 262_144, 1_048_576])
    yield { group, name: `${size} octets`, frames: [binary(noise(size))], open: true };
  yield { group, name: "1 MiB of text", frames: [text("BAsd7&jh23".repeat(104_858))], open: true };
  for (const size of [64, 256, 1024, 4096, 16_384, 65_536])
    yield { group, name: `256 KiB in frames of ${size}`, frames: fragments(BINARY, large, size), open: true };
  for (const chop of [64, 128, 1024, 2048])
    yield { group, name: `256 KiB in writes of ${chop}`, frames: [binary(large)], chop, open: true };
  for (const size of [0, 16, 256, 4096])
    yield {
      group,
      name: `300 messages of ${size} octets`,
      frames: Array.from({ length: 300 }, () => text("*".repeat(size))),
      open: true,
    };
}

function* fragmenting(): Generator<Case> {
  const payload = Buffer.alloc(65_536, "*");
  yield { group: "10 fragments by size", name: "1300", frames: fragments(TEXT, payload, 1300), open: true };
}

/** permessage-deflate without the empty block at the end (RFC 7692 section 7.2.1). Each message by itself: no context. */
function deflate(payload: Uint8Array): Buffer {
  return deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

function* compression(): Generator<Case> {
  const json = (size: number): Buffer =>
    Buffer.from(
      Array.from({ length: Math.ceil(size / 30) }, (_, index) => `{"sequence":${index},"lamp":"on"}`).join(","),
    ).subarray(0, size);
  const offers = [
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover; server_max_window_bits=9",
    "permessage-deflate; client_no_context_takeover; client_max_window_bits; server_max_window_bits=12",
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits="15"',
    "permessage-deflate; client_no_context_takeover; server_max_window_bits=9, permessage-deflate; client_no_context_takeover",
  ];
  for (const [index, extensions] of offers.entries())
    for (const size of [16, 256, 4096, 65_536])
      yield {
        group: `${index === 0 ? 12 : 13} compression`,
        name: `${size} octets, five times; offer ${index + 1}`,
        frames: Array.from({ length: 5 }, () => text(deflate(json(size)), { rsv: 4 })),
        extensions,
        open: true,
      };
  const [extensions = ""] = offers;
  const group = "12 compression";
  const table: readonly (readonly [string, readonly FrameSpec[], boolean])[] = [
    ["what does not compress", [binary(deflate(noise(20_000)), { rsv: 4 })], true],
    ["in fragments", fragments(TEXT, deflate(json(4096)), 32, [], 4), true],
    ["not compressed although it may be", [text("plain"), text(deflate(json(500)), { rsv: 4 })], true],
    ["an empty message", [text(deflate(Buffer.alloc(0)), { rsv: 4 })], true],
    ["a fragment that says it again", [text("a", { fin: false, rsv: 4 }), { opcode: CONTINUATION, rsv: 4 }], false],
    ["a ping that says it", [{ ...ping("a"), rsv: 4 }], false],
    ["what cannot be inflated", [text(noise(100), { rsv: 4 })], false],
  ];
  for (const [name, frames, open] of table) yield { group, name, frames, extensions, open };
}

export const CASES: readonly Case[] = [
  ...framing(),
  ...pings(),
  ...reservedBits(),
  ...opcodes(),
  ...fragmentation(),
  ...utf8(),
  ...closing(),
  ...limits(),
  ...fragmenting(),
  ...compression(),
];
