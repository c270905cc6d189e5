import { Base64Reader } from "../../../wire/grpc/base64.ts";
import { ENVELOPE_FLAGS, ENVELOPE_PREFIX, EnvelopeReader } from "../../../wire/grpc/envelope.ts";
import { decodeGrpcMessage } from "../../../wire/grpc/percent.ts";
import { parseGrpcStatus, parseGrpcTimeout } from "../../../wire/grpc/status.ts";
import { WireError, WireReader } from "../../../wire/protobuf/reader.ts";
import { readTree } from "../../../wire/protobuf/tree.ts";
import type { WireNode } from "../../../wire/protobuf/tree.ts";
import { decodeUtf8 } from "../../../wire/utf8.ts";
import { MessageReader, joinPayload, readClosePayload } from "../../../wire/websocket/message.ts";
import { join } from "../../support/frames.ts";
import type { Target } from "../target.ts";
import { feed, octets, promise, seed } from "../target.ts";

const PROTOBUF_DICTIONARY = [
  "\x08\x96\x01",
  "\x12\x07testing",
  "\x1a\x03\x08\x96\x01",
  "\x23\x08\x01\x24",
  "\x0d\0\0\0\0",
  "\x09\0\0\0\0\0\0\0\0",
  "\x12\0",
  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
  "\xf8\xff\xff\xff\x0f",
  "\x7f",
  "\xe2\x82\xac",
  "\xed\xa0\x80",
].map(octets);

export const websocket: Target = {
  name: "websocket",
  code: ["wire/websocket/", "wire/utf8.ts"],
  dictionary: [
    ...[
      "\x81\x05hello",
      "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
      "\x01\x03abc",
      "\x80\x03def",
      "\x89\x00",
      "\x8a\x01x",
    ],
    ...[
      "\x88\x02\x03\xe8",
      "\x88\x00",
      "\x82\x7e\x00\x7e",
      "\x82\x7f\0\0\0\0\0\x01\0\0",
      "\xc1\x05",
      "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
  ].map(octets),
  seeds: [
    seed(0, "\x81\x05hello\x01\x03Hel\x89\x01x\x80\x02lo\x88\x05\x03\xe8bye"),
    seed(1, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x82\x80mask"),
    seed(2, "\xc1\x03abc\x82\x7e\x00\x04data"),
    seed(3, "\x82\xff\0\0\0\0\0\0\0\x03maskabc"),
  ],
  run(input, cuts) {
    const mode = input[0] ?? 0;
    const stream = input.subarray(1);
    const lines: string[] = [];
    const note = (line: string): void => {
      promise(!lost, `an event after the end of reading: ${line}`);
      lines.push(line);
    };
    let lost = false;
    let open: number | undefined;
    let last = 0;
    const piece = (start: number, end: number, size: number, control: boolean): Uint8Array => {
      promise(start < end && end <= stream.length && end >= last, `a message from ${start} to ${end} after ${last}`);
      last = end;
      const payload = joinPayload(stream.subarray(start, end), control);
      promise(payload.length === size, `a payload of ${payload.length} octets, not ${size}`);
      return payload;
    };
    const reader = new MessageReader(
      { masked: (mode & 1) !== 0, compression: (mode & 2) !== 0 },
      {
        messageStarted(kind, compressed, offset) {
          promise(open === undefined, "a message within a message");
          open = offset;
          note(`started ${kind} ${compressed} ${offset}`);
        },
        messageCompleted(end, size, problem) {
          promise(open !== undefined, "the end of a message that did not begin");
          const payload = piece(open, end, size, false);
          open = undefined;
          note(`completed ${end} ${size} ${decodeUtf8(payload) ?? "-"}`);
          note(`problem ${problem ?? "none"}`);
        },
        control(kind, offset, end, size, problem) {
          const payload = piece(offset, end, size, true);
          const close = kind === "close" ? readClosePayload(payload) : undefined;
          note(`${kind} ${offset} ${end} ${size} ${close?.reason ?? ""}`);
          note(`problem ${problem ?? "none"} ${close?.problem ?? ""}`);
        },
        lost(problem) {
          note(`problem ${problem}`);
          lost = true;
        },
      },
    );
    feed(input, 1, cuts, (bytes) => reader.receive(bytes));
    lines.push(reader.atBoundary ? "boundary" : "within");
    readClosePayload(stream);
    return lines;
  },
};

const KINDS = ["grpc", "grpc-web", "connect"] as const;

export const grpc: Target = {
  name: "grpc",
  code: ["wire/grpc/"],
  dictionary: [
    "\0\0\0\0\x05hello",
    "\x01\0\0\0\0",
    "\x80\0\0\0\x0egrpc-status:0\r",
    "\x02\0\0\0\x02{}",
    "AAAAAAA=",
    "==",
    "%e2%82%ac",
    "%",
    "\0\xff\xff\xff\xff",
  ].map(octets),
  seeds: [
    seed(0, "\0\0\0\0\x05hello\x01\0\0\0\0\0\0\0\0\x01x"),
    seed(1, "\0\0\0\0\x02ab\x80\0\0\0\x0dgrpc-status:0"),
    seed(2, "\0\0\0\0\x02ab\x02\0\0\0\x02{}"),
    seed(5, "AAAAAAJhYg==gAAAAA1ncnBjLXN0YXR1czow"),
    seed(8, "%e2%82%ac 5 100m"),
  ],
  run(input, cuts) {
    const mode = input[0] ?? 0;
    if ((mode & 8) !== 0) {
      const text = Buffer.from(input.subarray(1)).toString("latin1");
      const message = decodeGrpcMessage(text);
      promise(message.length <= text.length, "a message longer than its encoding");
      return [`message ${message}`, `numbers ${parseGrpcStatus(text) ?? "-"} ${parseGrpcTimeout(text) ?? "-"}`];
    }
    const lines: string[] = [];
    const base64 = (mode & 4) === 0 ? undefined : new Base64Reader();
    let began = -1;
    let expected = 0;
    const seen = { invalid: false, passed: 0 };
    const reader = new EnvelopeReader(ENVELOPE_FLAGS[KINDS[mode & 3] ?? "grpc"], {
      started(flags, length, offset) {
        promise(began < 0 && !seen.invalid && offset === expected, `an envelope at ${offset}, expected at ${expected}`);
        began = offset;
        expected = offset + ENVELOPE_PREFIX + length;
        lines.push(`started ${flags} ${length} ${offset}`);
      },
      completed() {
        promise(began >= 0 && !seen.invalid, "the end of an envelope that did not begin");
        began = -1;
        lines.push("completed");
      },
      invalid(problem) {
        promise(began < 0 && !seen.invalid, "invalid within an envelope, or twice");
        seen.invalid = true;
        lines.push(`problem ${problem}`);
      },
    });
    feed(input, 1, cuts, (bytes) => {
      const decoded = base64?.receive(bytes) ?? bytes;
      seen.passed += decoded.length;
      reader.receive(decoded);
    });
    promise(seen.invalid || reader.position === seen.passed, `${reader.position} octets seen of ${seen.passed}`);
    return [...lines, `${reader.atBoundary ? "boundary" : "within"} ${base64?.invalid ?? ""}`];
  },
};

/** Elements of the tree; each lies within its parent, behind the one before it. */
function count(nodes: readonly WireNode[], from: number, to: number, lines: string[]): number {
  let at = from;
  let total = 0;
  for (const node of nodes) {
    promise(node.offset >= at && node.offset + node.length <= to, `a field at ${node.offset}, from ${at} to ${to}`);
    at = node.offset + node.length;
    promise(node.contentStart >= node.offset && node.contentEnd <= at, "content outside of its field");
    lines.push(`${node.wire} ${node.number} ${node.length} ${node.guess ?? ""} ${node.low} ${node.high}`);
    total += 1 + (node.children === undefined ? 0 : count(node.children, node.contentStart, node.contentEnd, lines));
  }
  return total;
}

export const protobuf: Target = {
  name: "protobuf",
  code: ["wire/protobuf/", "wire/utf8.ts"],
  dictionary: PROTOBUF_DICTIONARY,
  seeds: [
    seed(0, join(...PROTOBUF_DICTIONARY.slice(0, 7))),
    seed(1, "\x08\x96\x01\x12\x07testing"),
    seed(2, "\x0b\x13\x1b\x1c\x14\x0c"),
    seed(0, "\x0a\x06\x0a\x04\x0a\x02\x0a\x00"),
  ],
  run(input, cuts) {
    const limits = (input[0] ?? 0) & 1 ? { elements: 20, depth: 4 } : { elements: 10_000, depth: 100 };
    // A message is not read in pieces; where it lies in its array must not matter.
    const shift = cuts[0] ?? 0;
    const whole = join(new Uint8Array(shift), input.subarray(1));
    const bytes = whole.subarray(shift);
    const tree = readTree(bytes, limits);
    const lines: string[] = [];
    const elements = count(tree.nodes, 0, bytes.length, lines);
    promise(elements <= limits.elements, `${elements} elements`);
    lines.push(`problem ${tree.problem ?? "none"} ${tree.truncated}`);
    const reader = new WireReader(whole, shift);
    try {
      while (!reader.atEnd) {
        reader.tag();
        reader.skip();
      }
      // Groups deeper than the limit are all that a walk takes and the tree does not.
      promise(tree.problem === undefined || limits.depth < 100, `walked to its end, but: ${tree.problem ?? ""}`);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      promise(reader.position <= whole.length, "read beyond the end");
    }
    return lines;
  },
};
