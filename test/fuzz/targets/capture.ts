import { readEvent, readContent } from "../../../capture/content.ts";
import { readTyped } from "../../../capture/decoder/typed.ts";
import { MisfitError } from "../../../capture/decoder/scalar-reader.ts";
import type { MessageRecord } from "../../../capture/message-log.ts";
import { loadSchema } from "../../../capture/schema/load.ts";
import { Store } from "../../../capture/store.ts";
import { WireError } from "../../../wire/protobuf/reader.ts";
import type { Field, Side } from "../../../wire/stream.ts";
import { join } from "../../support/frames.ts";
import type { Target } from "../target.ts";
import { feed, octets, promise, seed } from "../target.ts";

function fields(text: string): Field[] {
  return text.split(" | ").map((line) => {
    const colon = line.indexOf(": ", 1);
    return { name: line.slice(0, colon), value: line.slice(colon + 2) };
  });
}

interface Kind {
  readonly request: readonly Field[];
  readonly response: readonly Field[];
}

const KINDS: readonly Kind[] = [
  [":method: POST | :path: /p.S/M | content-type: application/grpc", ":status: 200 | content-type: application/grpc"],
  [
    ":method: POST | :path: /p.S/M | content-type: application/grpc-web",
    ":status: 200 | content-type: application/grpc-web",
  ],
  [
    ":method: POST | :path: /p.S/M | content-type: application/grpc-web-text",
    ":status: 200 | content-type: application/grpc-web-text",
  ],
  [
    ":method: POST | :path: /p.S/M | content-type: application/connect+json",
    ":status: 200 | content-type: application/connect+json",
  ],
  [":method: POST | :path: /p.S/M | content-type: application/proto", ":status: 404 | content-type: application/json"],
  [":method: CONNECT | :protocol: websocket | :path: /ws", ":status: 200"],
  [
    ":method: CONNECT | :protocol: websocket | :path: /ws",
    ":status: 200 | sec-websocket-extensions: permessage-deflate",
  ],
  [":method: GET | :path: /events", ":status: 200 | content-type: text/event-stream"],
  [":method: GET | :path: /x", ":status: 200 | content-type: application/json"],
  [":method: CONNECT | :authority: a:1", ":status: 200"],
].map(([request = "", response = ""]) => ({ request: fields(request), response: fields(response) }));

/** The octets come from the service, not from the visitor. */
const SERVICE = 16;
const FAIL = 32;

function showRecord(record: MessageRecord): string {
  const { kind, from, start, end, size, compressed, partial, problem } = record;
  return `${kind} ${from} ${start}-${end} ${size} ${compressed} ${partial} ${problem ?? ""}`;
}

export const tracks: Target = {
  name: "capture",
  code: [
    "capture/track.ts",
    "capture/recorder.ts",
    "capture/message-log.ts",
    "capture/byte-log.ts",
    "capture/content.ts",
  ],
  dictionary: [
    ...[
      "\0\0\0\0\x05hello",
      "\x80\0\0\0\x0egrpc-status:5\r",
      '\x02\0\0\0\x1f{"error":{"code":"not_found"}}',
      "AAAAAAA=",
      "==",
    ],
    ...[
      "\x81\x05hello",
      "\x01\x03abc",
      "\x80\x03def",
      "\x88\x02\x03\xe8",
      "\x89\0",
      "data: x\n\n",
      "\r\n\r\n",
      ": c\r\r",
      "event: e\n",
      "id",
      "\n",
    ],
  ].map(octets),
  seeds: [
    seed(16, "\0\0\0\0\x05hello\x01\0\0\0\0"),
    seed(17, "\0\0\0\0\x02ab\x80\0\0\0\x0egrpc-status:5\r"),
    seed(18, "AAAAAAJhYg==gAAAAA5ncnBjLXN0YXR1czowDQ=="),
    seed(19, '\0\0\0\0\x02{}\x02\0\0\0\x1e{"error":{"code":"not_found"}}'),
    seed(20, '{"code":"not_found","message":"x"}'),
    seed(5, "\x81\x85mask\x05\x04\x1f\x07\x02\x88\x82mask\x6e\x89"),
    seed(21, "\x81\x05hello\x01\x03Hel\x89\x01x\x80\x02lo\x88\x05\x03\xe8bye"),
    seed(22, "\xc1\x03abc\x82\x7e\0\x04data"),
    seed(23, 'data: 1\n\nevent: e\r\ndata: {"a":1}\r\n\r\n: c\r\rid: 3\n'),
    seed(24, '{"a": [1, 2]}'),
    seed(25, "raw"),
    seed(32, "\0\0\0\0\x05hel"),
  ],
  run(input, cuts) {
    const mode = input[0] ?? 0;
    const side: Side = (mode & SERVICE) !== 0 ? "service" : "visitor";
    const kind = KINDS[(mode & 15) % KINDS.length];
    promise(kind !== undefined, "no kind");
    const errors: string[] = [];
    const log = {
      trace() {},
      debug() {},
      info() {},
      warn: (text: string) => void errors.push(text),
      error: (text: string) => void errors.push(text),
    };
    const store = new Store({ log, maxBytes: 64 * 1024 * 1024, maxExchanges: 10 });
    const tap = store.opened({ id: "s", port: 1, name: "n" }, kind.request, side === "service");
    tap.headReceived(kind.response, false);
    feed(input, 1, cuts, (bytes) => tap.dataReceived(side, bytes, false));
    if ((mode & FAIL) === 0) tap.ended();
    else tap.failed({ by: "service", code: "closed", message: "test" });
    promise(errors.length === 0, errors.join(" "));
    const [exchange] = store.all();
    promise(exchange !== undefined, "nothing was recorded");
    const bytes = exchange.log(side);
    const lines = [
      `state ${exchange.state} ${exchange.grpcStatus ?? ""} ${exchange.close?.code ?? ""} ${exchange.visitorMessages} ${exchange.serviceMessages}`,
    ];
    for (let index = exchange.messages.first; index < exchange.messages.total; index++) {
      const record = exchange.messages.get(index);
      promise(record !== undefined, `no message ${index}`);
      promise(
        record.start <= record.end || record.completedAt === 0,
        `a message from ${record.start} to ${record.end}`,
      );
      lines.push(showRecord(record));
      const octetsOf = bytes.read(record.start, Math.min(record.end, bytes.position)).bytes;
      if (record.kind === "event") lines.push(`event ${JSON.stringify(readEvent(octetsOf))}`);
      readContent(octetsOf, { contentType: undefined, complete: true, maxText: 1000, showSecrets: false });
    }
    const kept = bytes.read(0, bytes.position);
    promise(kept.complete, "not all octets are kept");
    lines.push(`kept ${Buffer.from(kept.bytes).toString("latin1")}`);
    store.clear();
    promise(store.state.bytes === 0, `${store.state.bytes} octets are not given back`);
    return lines;
  },
};

const { universe } = await loadSchema({ workspaceFolders: [], protoRoots: [] });
const TYPES = [
  "google.protobuf.Struct",
  "google.protobuf.FileDescriptorProto",
  "google.rpc.Status",
  "google.protobuf.Any",
  "google.protobuf.Timestamp",
];

export const typed: Target = {
  name: "typed",
  code: [
    "capture/decoder/typed.ts",
    "capture/decoder/scalar-reader.ts",
    "capture/decoder/scalars.ts",
    "capture/decoder/json.ts",
    "capture/decoder/value.ts",
    "capture/decoder/wire-nodes.ts",
    "wire/protobuf/",
  ],
  dictionary: [
    ...[
      "\x08\x96\x01",
      "\x12\x07testing",
      "\x0a\x09\x0a\x01a\x12\x04\x1a\x02hi",
      "\x1a\x02\x08\x01",
      "\x09\0\0\0\0\0\0\xf0\x3f",
      "\x20\x01",
      "\x32\0",
      "\x0b\x0c",
    ],
    ...["\x0a\x27type.googleapis.com/google.rpc.Status", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"],
  ].map(octets),
  seeds: [
    seed(
      0,
      "\x0a\x09\x0a\x01a\x12\x04\x1a\x02hi\x0a\x0e\x0a\x01b\x12\x09\x11\0\0\0\0\0\0\xf0\x3f\x0a\x07\x0a\x01c\x12\x02\x20\x01",
    ),
    seed(1, "\x0a\x07a.proto\x12\x01p\x22\x0c\x0a\x01M\x12\x07\x0a\x01f\x18\x01\x28\x05"),
    seed(2, join(octets("\x08\x05\x12\x02no\x1a\x2d\x0a\x27type.googleapis.com/google.rpc.Status\x12\x02\x08\x05"))),
    seed(3, "\x0a\x27type.googleapis.com/google.rpc.Status\x12\x02\x08\x05"),
    seed(4, "\x08\x80\xa8\xd6\xb9\x07\x10\x01"),
  ],
  run(input, cuts) {
    const message = universe.message(TYPES[(input[0] ?? 0) % TYPES.length] ?? "");
    promise(message !== undefined, "no such type");
    const shift = cuts[0] ?? 0;
    const bytes = join(new Uint8Array(shift), input.subarray(1)).subarray(shift);
    try {
      const reading = readTyped(bytes, message, (name) => universe.message(name), {
        elements: 1000,
        characters: 20_000,
      });
      const json = JSON.stringify(reading.json);
      promise(json.length <= 300_000, `${json.length} characters of JSON`);
      return [`json ${json}`, `notes ${reading.notes.length} ${reading.hasUnknownFields} ${reading.truncated}`];
    } catch (error) {
      if (!(error instanceof WireError) && !(error instanceof MisfitError)) throw error;
      return [`problem ${error.message}`];
    }
  },
};
