import { CLIENT_PREFACE, CONTINUATION, DATA, FRAME_HEAD, HEADERS } from "../../../wire/http2/frame.ts";
import { HeadCollector, HeadTooLargeError } from "../../../wire/http2/head.ts";
import type { FieldSink } from "../../../wire/http2/hpack/decoder.ts";
import { HpackDecoder, HpackError } from "../../../wire/http2/hpack/decoder.ts";
import { HpackEncoder } from "../../../wire/http2/hpack/encoder.ts";
import type { Field, Fields } from "../../../wire/stream.ts";
import {
  POST as RAW_POST,
  REQUEST,
  SETTINGS_ACK,
  block,
  frame,
  headers,
  join,
  settings,
  uint32,
} from "../../support/frames.ts";
import { GET, Lone, OK, POST } from "../../support/http2.ts";
import { mutate, splice } from "../mutate.ts";
import type { Random } from "../random.ts";
import type { Target } from "../target.ts";
import { feed, octets, promise, seed } from "../target.ts";
import { Witness, showFields } from "../witness.ts";

const CODE = ["wire/http2/", "wire/outbox.ts"];
const ANSWER = block([[":status", "200"]]);
const MUCH = new Uint8Array(100_000);
const SOME = new Uint8Array(100);
const TRAILERS: Fields = [{ name: "t", value: "u" }];

/** Octets a stream of ours may be asked to send, so that what is written can be bounded. */
const OWN_BYTES = 101_000;

/** How a request is answered. The lowest three bits of the mode choose. */
const ANSWERS: readonly ((witness: Witness) => void)[] = [
  (witness) => {
    witness.head(OK, false);
    witness.send(SOME, true);
  },
  (witness) => {
    witness.head(OK, false);
    witness.send(SOME, false);
    witness.sendTrailers(TRAILERS);
  },
  (witness) => {
    witness.head(OK, false);
    witness.send(MUCH, true);
  },
  (witness) => witness.reset({ by: "service", code: "cancelled", message: "test" }),
  (witness) => {
    witness.head(OK, true);
    witness.reset({ by: "service", code: "unneeded", message: "test" });
  },
  (witness) => {
    witness.head([{ name: ":status", value: "103" }], false);
    witness.head(OK, true);
  },
  (witness) => witness.head(OK, false),
  () => undefined,
];
const LATER = 8;
/** All that comes is consumed at once, else nothing. */
const CONSUME = 16;
/** Small windows, announced and acknowledged, so that they can be overrun. */
const SMALL = 32;
/** The input begins with the preface, or what is to pass for it. */
const RAW = 64;
const DRAIN = 128;

function run(role: "client" | "server", input: Uint8Array, cuts: readonly number[]): readonly string[] {
  const mode = input[0] ?? 0;
  const lines: string[] = [];
  const witnesses: Witness[] = [];
  const respond = ANSWERS[mode & 7] ?? (() => undefined);
  let ended = 0;
  // When a window is granted again depends on how DATA comes: with small windows, nothing is consumed.
  const consume = (mode & CONSUME) !== 0 && (mode & SMALL) === 0;
  const raw = (mode & RAW) !== 0;
  const lone = new Lone(
    role,
    {
      ...((mode & SMALL) === 0
        ? {}
        : { settings: { initialWindowSize: 64, headerTableSize: 128, maxHeaderListSize: 512 } }),
      events: {
        streamOpened(stream, fields, end) {
          promise(ended === 0, "a stream opened after the end");
          const witness = new Witness(String(witnesses.length), lines, false, end);
          witness.stream = stream;
          witness.consume = consume;
          witnesses.push(witness);
          lines.push(`opened ${showFields(fields)}${end ? " END" : ""}`);
          if ((mode & LATER) === 0) respond(witness);
          return witness;
        },
        capacityChanged() {},
        draining: () => void lines.push("draining"),
        ended(failure) {
          ended++;
          lines.push(`ended ${failure?.code ?? "in order"} ${failure?.message ?? ""}`);
        },
        pingAnswered: () => void lines.push("ping answered"),
      },
    },
    !raw,
  );
  const { connection } = lone;
  lone.sent();
  if (role === "client") {
    const ask = (fields: Fields, end: boolean): Witness => {
      const witness = new Witness(String(witnesses.length), lines, true, false);
      witness.consume = consume;
      witness.stream = connection.open(fields, end, witness);
      if (end) witness.send(new Uint8Array(0), true);
      witnesses.push(witness);
      return witness;
    };
    ask(GET, true);
    ask([{ name: ":method", value: "HEAD" }, ...GET.slice(1)], true);
    ask(POST, false).send(MUCH, (mode & LATER) !== 0);
    ask(POST, false).sendTrailers(TRAILERS);
  }
  feed(input, 1, cuts, (bytes) => connection.receive(bytes));
  if (role === "server" && (mode & LATER) !== 0) for (const witness of witnesses) respond(witness);
  if ((mode & DRAIN) !== 0) connection.drain();
  const sent = lone.sent();
  const size = sent.reduce((sum, line) => sum + Number(/^DATA .* (\d+)$/.exec(line)?.[1] ?? 100), 0);
  promise(size <= 1000 + 30 * input.length + OWN_BYTES * witnesses.length, `${size} octets sent`);
  connection.tick(0);
  connection.tick(1000);
  connection.transportClosed();
  promise(ended === 1 && connection.openStreams === 0, `ended ${ended} times with ${connection.openStreams} streams`);
  for (const witness of witnesses) witness.finish();
  return [...lines, ...(consume ? sent.filter((line) => !line.startsWith("WINDOW_UPDATE")) : sent)];
}

const literal = (name: string, value: string): Uint8Array => block([[name, value]]);

const DICTIONARY = [
  CLIENT_PREFACE,
  settings(),
  SETTINGS_ACK,
  settings([4, 0]),
  settings([4, 0x7fffffff]),
  settings([1, 0], [6, 100], [3, 1]),
  headers(1),
  headers(3, RAW_POST, 0),
  frame(HEADERS, 4, 1, ANSWER),
  frame(HEADERS, 5, 3, ANSWER),
  frame(HEADERS, 0, 1, ANSWER),
  frame(CONTINUATION, 4, 1, literal("x", "y")),
  frame(HEADERS, 0x2d, 5, join(Uint8Array.of(1, 0, 0, 0, 0, 16), block(REQUEST), Uint8Array.of(0))),
  frame(DATA, 1, 1, "hello"),
  frame(DATA, 8, 3, Uint8Array.of(2, 65, 66, 0, 0)),
  frame(3, 0, 1, uint32(8)),
  frame(3, 0, 3, uint32(0)),
  frame(6, 0, 0, new Uint8Array(8)),
  frame(7, 0, 0, new Uint8Array(8)),
  frame(7, 0, 0, join(uint32(3), uint32(0))),
  frame(8, 0, 0, uint32(100)),
  frame(8, 0, 1, uint32(0x7fffffff)),
  frame(2, 0, 1, Uint8Array.of(0, 0, 0, 1, 1)),
  literal("content-length", "5"),
  literal("te", "trailers"),
  literal(":protocol", "websocket"),
  literal("host", "example.test"),
  literal("transfer-encoding", "chunked"),
  Uint8Array.of(0x3f, 0xe1, 0x1f),
  Uint8Array.of(0x20),
];

/** Cuts into frames, as far as their lengths allow; what is left over is the last. */
function frames(input: Uint8Array, from: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = from; at < input.length;) {
    const length = ((input[at] ?? 0) << 16) | ((input[at + 1] ?? 0) << 8) | (input[at + 2] ?? 0);
    const end = Math.min(input.length, at + FRAME_HEAD + length);
    found.push(input.slice(at, end));
    at = end;
  }
  return found;
}

/** Mutates whole frames, and payloads with their length put right. */
function mutateFrames(input: Uint8Array, random: Random): Uint8Array {
  const head = ((input[0] ?? 0) & RAW) !== 0 && random.once(2) ? 1 + CLIENT_PREFACE.length : 1;
  const list = frames(input, head);
  for (let count = 1 + random.below(3); count > 0; count--) {
    const at = random.below(list.length + 1);
    const one = list[at];
    const kind = random.below(8);
    if (one === undefined || one.length < FRAME_HEAD || kind === 0) list.splice(at, 0, random.pick(DICTIONARY).slice());
    else if (kind === 1) list.splice(at, 1);
    else if (kind === 2) list.splice(random.below(list.length + 1), 0, one.slice());
    else if (kind === 3) one[4] = random.once(2) ? random.below(64) : (one[4] ?? 0) ^ (1 << random.below(8));
    else if (kind === 4) one.set(uint32(random.below(random.once(8) ? 1 << 30 : 10)), 5);
    else if (kind === 5) one[3] = random.below(11);
    else list[at] = withPayload(one, random);
  }
  const result = join(input.subarray(0, head), ...list);
  if (random.once(10)) result[0] = random.below(256);
  return result.length > 4096 ? result.subarray(0, 4096) : result;
}

function withPayload(one: Uint8Array, random: Random): Uint8Array {
  const payload = mutate(one.subarray(FRAME_HEAD), one, DICTIONARY, random).subarray(0, 20_000);
  const result = splice(one, FRAME_HEAD, one.length, payload);
  result[0] = payload.length >>> 16;
  result[1] = payload.length >>> 8;
  result[2] = payload.length;
  return result;
}

const CONVERSATION = [
  settings([4, 50]),
  headers(1, RAW_POST, 0),
  frame(DATA, 0, 1, "hello"),
  frame(DATA, 9, 1, Uint8Array.of(2, 65, 66, 0, 0)),
  headers(3),
  frame(8, 0, 3, uint32(1000)),
  frame(6, 0, 0, new Uint8Array(8)),
  frame(3, 0, 3, uint32(8)),
];

export const http2Server: Target = {
  name: "http2-server",
  code: CODE,
  dictionary: DICTIONARY,
  mutate: mutateFrames,
  seeds: [
    ...[0, 1, 2, 3, 4, 5, 6, 8, 17, 34, 130].map((mode) => seed(mode, join(...CONVERSATION))),
    seed(RAW, join(CLIENT_PREFACE, settings(), SETTINGS_ACK, headers(1), frame(7, 0, 0, new Uint8Array(8)))),
    seed(0, join(frame(HEADERS, 1, 1, block(REQUEST.slice(0, 2))), frame(CONTINUATION, 4, 1, block(REQUEST.slice(2))))),
    seed(16, headers(1, [[":method", "CONNECT"], [":protocol", "websocket"], ...REQUEST.slice(1)], 0)),
  ],
  run: (input, cuts) => run("server", input, cuts),
};

export const http2Client: Target = {
  name: "http2-client",
  code: CODE,
  dictionary: DICTIONARY,
  mutate: mutateFrames,
  seeds: [
    ...[0, 8, 16, 32, 128].map((mode) =>
      seed(
        mode,
        join(
          settings([4, 70_000]),
          frame(8, 0, 0, uint32(1000)),
          frame(HEADERS, 4, 1, block([[":status", "103"]])),
          frame(HEADERS, 4, 1, ANSWER),
          frame(DATA, 0, 1, "hello"),
          frame(HEADERS, 5, 1, literal("t", "u")),
          frame(HEADERS, 5, 3, ANSWER),
          frame(HEADERS, 5, 5, ANSWER),
          frame(3, 0, 5, uint32(0)),
          frame(7, 0, 0, join(uint32(5), uint32(0))),
        ),
      ),
    ),
    seed(RAW, join(settings([3, 1], [8, 1]), SETTINGS_ACK)),
  ],
  run: (input, cuts) => run("client", input, cuts),
};

const TABLES = [4096, 0, 100, 65_536];

/** The input is a row of blocks, each behind an octet of length; a length of 255 changes the limit instead. */
export const hpack: Target = {
  name: "hpack",
  code: ["wire/http2/hpack/", "wire/http2/head.ts", "wire/http2/classify.ts"],
  dictionary: [
    ...DICTIONARY.slice(-7),
    Uint8Array.of(0xbe),
    Uint8Array.of(0x82, 0x86, 0x84),
    octets("\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"),
  ],
  seeds: [0, 1, 2, 3].map((mode) => {
    const blocks = [
      octets("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"),
      octets("\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf"),
      octets("\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf"),
      octets("\x20\x3f\x45\x10\x08password\x06secret\x0f\x2f\x01a"),
    ];
    return seed(mode, join(...blocks.flatMap((one) => [Uint8Array.of(one.length), one]), Uint8Array.of(255, 1)));
  }),
  run(input, cuts) {
    const lines: string[] = [];
    const decoder = new HpackDecoder(TABLES[(input[0] ?? 0) & 3] ?? 4096);
    const head = new HeadCollector(2048, {
      headerFields: 20,
      headerValueBytes: 1000,
      pathBytes: 500,
      headerBytesHard: 8192,
    });
    const encoder = new HpackEncoder();
    const mirror = new HpackDecoder(4096);
    // There is no cut within a block; where it lies in its chunk must not matter either.
    const shift = cuts[0] ?? 0;
    for (let at = 1; at < input.length;) {
      const length = input[at++] ?? 0;
      if (length === 255) {
        decoder.setLimit((input[at++] ?? 0) * 16);
        continue;
      }
      const end = Math.min(input.length, at + length);
      const bytes = join(new Uint8Array(shift), input.subarray(at, end), Uint8Array.of(0x82));
      at = end;
      const fields: Field[] = [];
      const sink: FieldSink = {
        field(field, kind) {
          fields.push(field);
          head.field(field, kind);
        },
      };
      head.begin((["request", "response", "trailers"] as const)[length % 3] ?? "request");
      try {
        decoder.decode(bytes, shift, bytes.length - 1, sink);
      } catch (error) {
        if (!(error instanceof HpackError) && !(error instanceof HeadTooLargeError)) throw error;
        lines.push(`refused ${error.message}`);
        break;
      }
      head.finish(true);
      const kept = head.fields.reduce((sum, { name, value }) => sum + name.length + value.length + 32, 0);
      promise(kept <= 2048, "more kept than the limits allow");
      lines.push(
        `block ${showFields(fields)}`,
        `problem ${head.malformed ?? "none"}${head.tooLarge ? ", too large" : ""}`,
      );
      if (head.malformed === undefined && !head.tooLarge) sameAgain(encoder, mirror, fields);
    }
    return lines;
  },
};

/** What is a valid head comes out of our own encoder and decoder as it went in. */
function sameAgain(encoder: HpackEncoder, mirror: HpackDecoder, fields: Fields): void {
  const target = new Uint8Array(encoder.bound(fields));
  const end = encoder.encode(fields, target, 0);
  promise(!encoder.invalid && end <= target.length, "a valid head cannot be encoded");
  const again: Field[] = [];
  mirror.decode(target, 0, end, { field: (field) => void again.push(field) });
  promise(showFields(again) === showFields(fields), `encoded ${showFields(fields)}, decoded ${showFields(again)}`);
}
