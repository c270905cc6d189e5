import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MessageReader, joinPayload } from "./message.ts";
import { unmask } from "./frame.ts";

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.integer({ min: 120, max: 130 }).map((size) => new Uint8Array(size).fill(7)),
  fc.integer({ min: 65_530, max: 65_540 }).map((size) => new Uint8Array(size).fill(9)),
);

interface Planned {
  readonly kind: "text" | "binary";
  readonly fragments: readonly Uint8Array[];
  /** Behind each fragment but the last: a ping, perhaps. */
  readonly pings: readonly (Uint8Array | undefined)[];
}

const planned: fc.Arbitrary<Planned> = fc.record({
  kind: fc.constantFrom("text" as const, "binary" as const),
  fragments: fc.array(payload, { minLength: 1, maxLength: 4 }),
  pings: fc.array(fc.option(fc.uint8Array({ maxLength: 125 }), { nil: undefined }), { minLength: 4, maxLength: 4 }),
});

function frame(opcode: number, fin: boolean, bytes: Uint8Array, mask: Uint8Array | undefined): Buffer {
  const flag = mask === undefined ? 0 : 0x80;
  const head = Buffer.alloc(bytes.length < 126 ? 2 : bytes.length < 65_536 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | opcode;
  if (head.length === 2) head[1] = flag | bytes.length;
  else if (head.length === 4) {
    head[1] = flag | 126;
    head.writeUInt16BE(bytes.length, 2);
  } else {
    head[1] = flag | 127;
    head.writeBigUInt64BE(BigInt(bytes.length), 2);
  }
  if (mask === undefined) return Buffer.concat([head, bytes]);
  const masked = bytes.slice();
  unmask(masked, mask);
  return Buffer.concat([head, mask, masked]);
}

test("messages in any fragments, with pings between, masked or not, at any split: each is found and read", () => {
  fc.assert(
    fc.property(
      fc.array(planned, { maxLength: 4 }),
      fc.option(fc.uint8Array({ minLength: 4, maxLength: 4 }), { nil: undefined }),
      fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 20 }),
      (messages, mask, sizes) => {
        const expected: string[] = [];
        const frames: Buffer[] = [];
        for (const { kind, fragments, pings } of messages) {
          fragments.forEach((fragment, index) => {
            const last = index === fragments.length - 1;
            frames.push(frame(index > 0 ? 0 : kind === "text" ? 1 : 2, last, fragment, mask));
            const ping = last ? undefined : pings[index];
            if (ping === undefined) return;
            frames.push(frame(9, true, ping, mask));
            expected.push(`ping ${Buffer.from(ping).toString("hex")}`);
          });
          expected.push(`${kind} ${Buffer.concat(fragments).toString("hex")}`);
        }
        const bytes = Buffer.concat(frames);
        const found: string[] = [];
        let began = { kind: "", offset: 0 };
        const text = (from: number, to: number, control: boolean): string =>
          Buffer.from(joinPayload(bytes.subarray(from, to), control)).toString("hex");
        const reader = new MessageReader(
          { masked: mask !== undefined, compression: false },
          {
            messageStarted: (kind, _compressed, offset) => (began = { kind, offset }),
            messageCompleted: (end, _size, problem) =>
              found.push(`${problem ?? ""}${began.kind} ${text(began.offset, end, false)}`),
            control: (kind, offset, end, _size, problem) =>
              found.push(`${problem ?? ""}${kind} ${text(offset, end, true)}`),
            lost: (problem) => found.push(problem),
          },
        );
        let at = 0;
        for (const size of [...sizes, bytes.length]) {
          reader.receive(new Uint8Array(bytes.subarray(at, at + size)));
          at += size;
        }
        assert.deepEqual(found, expected);
        assert.equal(reader.atBoundary, true);
      },
    ),
    { numRuns: 300 },
  );
});
