import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Outbox } from "../outbox.ts";
import type { Field } from "../stream.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { FrameReader } from "./reader.ts";
import type { FrameSink } from "./reader.ts";
import { FrameWriter } from "./writer.ts";

/** What was written, or read. DATA is joined: in which parts it comes is no matter. */
class Log implements FrameSink {
  readonly lines: string[] = [];
  readonly #decoder = new HpackDecoder(4096);
  #data = "";

  dataBegan(stream: number, length: number): void {
    this.#data = `data ${stream} ${length} `;
  }
  dataPart(bytes: Uint8Array, end: boolean): void {
    if (this.#data !== "") this.lines.push(this.#data);
    this.#data = "";
    const last = this.lines.length - 1;
    this.lines[last] = `${this.lines[last] ?? ""}${Buffer.from(bytes).toString("hex")}${end ? " end" : ""}`;
  }
  dataPadding(): void {
    this.lines.push("padding");
  }
  blockReceived(stream: number, end: boolean, own: boolean, bytes: Uint8Array, from: number, to: number): void {
    const fields: Field[] = [];
    this.#decoder.decode(bytes, from, to, { field: (field) => fields.push(field) });
    this.head(stream, fields, end);
    assert.equal(own, false);
  }
  head(stream: number, fields: readonly Field[], end: boolean): void {
    this.lines.push(`head ${stream} ${fields.map(({ name, value }) => `${name}=${value}`).join()}${end ? " end" : ""}`);
  }
  priorityReceived(): void {
    this.lines.push("priority");
  }
  resetReceived(stream: number, code: number): void {
    this.lines.push(`reset ${stream} ${code}`);
  }
  settingsReceived(bytes: Uint8Array, from: number, to: number): void {
    // The first frame must be one, and is empty here.
    if (to > from) this.lines.push(`settings ${Buffer.from(bytes.slice(from, to)).toString("hex")}`);
  }
  settingsAcknowledged(): void {
    this.lines.push("acknowledged");
  }
  pingReceived(bytes: Uint8Array, from: number): void {
    this.lines.push(`ping ${Buffer.from(bytes.slice(from, from + 8)).toString("hex")}`);
  }
  pingAcknowledged(bytes: Uint8Array, from: number): void {
    this.lines.push(`pong ${Buffer.from(bytes.slice(from, from + 8)).toString("hex")}`);
  }
  goawayReceived(lastStream: number, code: number): void {
    this.lines.push(`goaway ${lastStream} ${code}`);
  }
  windowUpdateReceived(stream: number, increment: number): void {
    this.lines.push(`grant ${stream} ${increment}`);
  }
  unknownReceived(): void {
    this.lines.push("unknown");
  }
  violated(_code: number, reason: string): void {
    this.lines.push(`violated: ${reason}`);
  }
}

type Step = (writer: FrameWriter, log: Log) => void;

const stream = fc.integer({ min: 1, max: 0x7fffffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const uint31 = fc.integer({ min: 0, max: 0x7fffffff });
const token = fc.stringMatching(/^[a-z0-9-]{1,20}$/);
const value = fc.oneof(
  fc.stringMatching(/^[!-~]{0,40}$/),
  fc.integer({ min: 3000, max: 40_000 }).map((size) => "v".repeat(size)),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(stream, fc.uint8Array({ maxLength: 5000 }), fc.boolean()).map(([id, bytes, end]): Step => (writer, log) => {
    writer.data(id, bytes, end);
    if (bytes.length === 0 && !end) return;
    log.lines.push(`data ${id} ${bytes.length} ${Buffer.from(bytes).toString("hex")}${end ? " end" : ""}`);
  }),
  fc
    .tuple(stream, fc.array(fc.record({ name: token, value }), { minLength: 1, maxLength: 6 }), fc.boolean())
    .map(([id, fields, end]): Step => (writer, log) => {
      assert.equal(writer.headers(id, fields, end), "sent");
      log.head(id, fields, end);
    }),
  fc.tuple(stream, uint32).map(([id, code]): Step => (writer, log) => {
    writer.reset(id, code);
    log.resetReceived(id, code);
  }),
  fc.tuple(uint31, uint31).map(([id, by]): Step => (writer, log) => {
    writer.windowUpdate(id, by);
    log.windowUpdateReceived(id, by);
  }),
  fc.tuple(uint31, uint32, fc.string({ maxLength: 300 })).map(([last, code, reason]): Step => (writer, log) => {
    writer.goaway(last, code, reason);
    log.goawayReceived(last, code);
  }),
  fc.tuple(fc.uint8Array({ minLength: 8, maxLength: 8 }), fc.boolean()).map(([bytes, ack]): Step => (writer, log) => {
    writer.ping(bytes, 0, ack);
    if (ack) log.pingAcknowledged(bytes, 0);
    else log.pingReceived(bytes, 0);
  }),
  fc.array(fc.tuple(fc.nat(0xffff), uint32), { minLength: 1, maxLength: 8 }).map((entries): Step => (writer, log) => {
    writer.settings(entries);
    const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, "0");
    log.lines.push(`settings ${entries.map(([id, one]) => hex(id, 4) + hex(one, 8)).join("")}`);
  }),
  fc.constant<Step>((writer, log) => {
    writer.settingsAck();
    log.settingsAcknowledged();
  }),
);

test("what is written is read, frame by frame, however it is cut", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 20_000 })), (steps, sizes) => {
      const outbox = new Outbox(() => undefined);
      const writer = new FrameWriter(outbox);
      writer.settings([]);
      const written = new Log();
      for (const one of steps) one(writer, written);
      const bytes = Buffer.concat(outbox.take());
      const read = new Log();
      const reader = new FrameReader(read, {
        expectPreface: false,
        maxFrameSize: 16_384,
        maxBlockBytes: 1_000_000,
        maxContinuations: 100,
      });
      let at = 0;
      for (const size of [...sizes, bytes.length]) {
        reader.receive(Uint8Array.prototype.slice.call(bytes, at, at + size));
        at += size;
      }
      assert.deepEqual(read.lines, written.lines);
    }),
    { numRuns: 300 },
  );
});
