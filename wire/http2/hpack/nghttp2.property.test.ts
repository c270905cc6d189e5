import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import { Duplex } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import {
  CLIENT_PREFACE,
  FrameParser,
  HEADERS,
  SETTINGS,
  SETTINGS_ACK,
  frame,
  settings,
} from "../../../test/support/frames.ts";
import type { Field } from "../../stream.ts";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";

/** The other end of a connection in memory: what it is sent is parsed into frames. */
class Wire extends Duplex {
  readonly #parser = new FrameParser();
  onFrame: (type: number, flags: number, stream: number, payload: Uint8Array) => void = () => undefined;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    for (const { type, flags, stream, payload } of this.#parser.push(chunk)) this.onFrame(type, flags, stream, payload);
    done();
  }
}

const name = fc.oneof(
  fc.constantFrom("accept", "user-agent", "x-a", "x-b", "cookie", "authorization", "cache-control"),
  fc.stringMatching(/^x-[a-z]{1,8}$/),
);
const value = fc.oneof(
  fc.constantFrom("", "1", "gzip, deflate", "no-cache", "a long value that is worth an entry of the table"),
  fc.stringMatching(/^[!-~]{1,30}$/),
  fc.integer({ min: 200, max: 900 }).map((length) => "v".repeat(length)),
);
const fields = fc.array(
  fc
    .tuple(name, value, fc.boolean())
    .map(([own, text, never]): Field =>
      never ? { name: own, value: text, neverIndexed: true } : { name: own, value: text },
    ),
  { maxLength: 8 },
);

/** A table size for the peer's encoder or ours, or a head. */
const step = fc.oneof(
  { weight: 3, arbitrary: fields },
  { weight: 1, arbitrary: fc.oneof(fc.constantFrom(0, 31, 64, 100, 4096), fc.nat(9000)) },
);

const START: readonly Field[] = [
  { name: ":method", value: "GET" },
  { name: ":scheme", value: "http" },
  { name: ":authority", value: "a.test" },
  { name: ":path", value: "/" },
];

function pairs(list: readonly Field[]): string[] {
  return list.filter((one) => !one.name.startsWith(":")).map((one) => `${one.name}: ${one.value}`);
}

function ofRaw(raw: readonly string[]): string[] {
  return raw.flatMap((one, index) =>
    index % 2 === 0 && !one.startsWith(":") ? [`${one}: ${raw[index + 1] ?? ""}`] : [],
  );
}

test("nghttp2 decodes what our encoder writes, and ours what nghttp2 writes, with tables resized in mid-stream", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const wire = new Wire();
      const server = http2.createServer({ settings: { maxConcurrentStreams: 1000 } });
      const arrived: string[][] = [];
      // Each request is answered with its own fields.
      server.on("stream", (stream, _headers, _flags, raw: string[]) => {
        const own = ofRaw(raw);
        arrived.push(own);
        const answer = own.filter((line) => line.startsWith("x-")).map((line) => line.split(": "));
        stream.respond(Object.fromEntries([[":status", "200"], ...answer]) as http2.OutgoingHttpHeaders, {
          endStream: true,
        });
      });
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(4096);
      const answers: string[][] = [];
      let waiting: (() => void) | undefined;
      let failure: unknown;
      wire.onFrame = (type, flags, _stream, payload) => {
        if (type === SETTINGS && (flags & 1) !== 0) {
          // Ours has been taken note of: the limit holds for what comes from now on.
          const limit = limits.shift();
          if (limit !== undefined) decoder.setLimit(limit);
        } else if (type === SETTINGS) {
          for (let at = 0; at < payload.length; at += 6) {
            if (Buffer.from(payload).readUInt16BE(at) === 1)
              encoder.setCapacity(Buffer.from(payload).readUInt32BE(at + 2));
          }
          wire.push(SETTINGS_ACK);
        } else if (type === HEADERS) {
          const list: Field[] = [];
          try {
            decoder.decode(payload, 0, payload.length, { field: (one) => list.push(one) });
          } catch (error) {
            failure = error;
          }
          answers.push(pairs(list).filter((line) => !line.startsWith("date:")));
        } else if (type === 7) failure = new Error(`GOAWAY ${Buffer.from(payload).toString("latin1")}`);
        waiting?.();
      };
      const until = async (condition: () => boolean): Promise<void> => {
        while (!condition() && failure === undefined) await new Promise<void>((resolve) => (waiting = resolve));
        if (failure !== undefined) throw failure as Error;
      };
      const limits: number[] = [];
      const opened = once(server, "session");
      server.emit("connection", wire);
      wire.push(Buffer.concat([CLIENT_PREFACE, settings()]));
      const [session] = (await opened) as [http2.ServerHttp2Session];
      const expected: string[][] = [];
      for (const one of steps) {
        if (typeof one === "number") {
          // Both directions at once: nghttp2's encoder is given the size by us, ours by nghttp2.
          limits.push(one);
          wire.push(settings([1, one]));
          await new Promise<void>((resolve) => {
            session.settings({ headerTableSize: one }, () => resolve());
          });
          await until(() => limits.length === 0);
          continue;
        }
        const head = [...START, ...one];
        const target = new Uint8Array(encoder.bound(head));
        const end = encoder.encode(head, target, 0);
        wire.push(frame(HEADERS, 5, expected.length * 2 + 1, target.subarray(0, end)));
        expected.push(pairs(one));
        await until(() => answers.length === expected.length);
      }
      wire.destroy();
      assert.deepEqual(arrived, expected);
      const echoed = expected.map((lines) =>
        [
          ...new Map(
            lines.filter((line) => line.startsWith("x-")).map((line) => line.split(": ") as [string, string]),
          ).entries(),
        ].map((pair) => pair.join(": ")),
      );
      assert.deepEqual(answers, echoed);
    }),
    { numRuns: 60 },
  );
});
