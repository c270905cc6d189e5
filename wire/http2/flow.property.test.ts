import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { frame, settings, uint32 } from "../../test/support/frames.ts";
import { Lone, POST } from "../../test/support/http2.ts";
import type { Recorder } from "../../test/support/http2.ts";

/** What RFC 9113 sections 5.2 and 6.9 let us send, kept by the book beside the connection under test. */
interface Model {
  connection: number;
  initial: number;
  frameSize: number;
  blocked: boolean;
  readonly streams: ModelStream[];
}

interface ModelStream {
  readonly id: number;
  window: number;
  queued: number;
  sent: number;
  /** `end` was given, and sent. */
  ending: boolean;
  ended: boolean;
  over: boolean;
}

interface Real {
  readonly lone: Lone;
  readonly streams: Recorder[];
}

/** Sums up what was sent, holds each frame to what the model allows, and looks whether more could have been. */
function settle(model: Model, { lone, streams }: Real): void {
  for (const line of lone.sent()) {
    const [type, id, ...rest] = line.split(" ");
    if (type !== "DATA") continue;
    const stream = model.streams.find((one) => one.id === Number(id));
    const size = Number(rest.at(-1));
    assert.ok(stream !== undefined && !stream.over && !stream.ended, `${line} on a stream that is over`);
    assert.ok(size <= model.frameSize, `${line}: frames have ${model.frameSize} octets at most`);
    assert.ok(size <= stream.queued, `${line}: only ${stream.queued} are to be sent`);
    model.connection -= size;
    stream.window -= size;
    stream.queued -= size;
    stream.sent += size;
    if (rest[0] === "end") {
      assert.ok(stream.ending && stream.queued === 0, `${line}: an end too early`);
      stream.ended = true;
    }
    if (size === 0) continue;
    assert.ok(model.connection >= 0 && stream.window >= 0, `${line}: beyond a window`);
  }
  model.streams.forEach((stream, index) => {
    assert.equal(streams[index]?.sent ?? 0, stream.sent, `stream ${stream.id} reports what it sent`);
    const free = !model.blocked && model.connection > 0 && stream.window > 0;
    assert.ok(stream.over || stream.queued === 0 || !free, `stream ${stream.id} could send and does not`);
    assert.ok(stream.over || !stream.ending || stream.ended || stream.queued > 0, `stream ${stream.id} does not end`);
  });
}

class Command implements fc.Command<Model, Real> {
  readonly #name: string;
  readonly #apply: (model: Model, real: Real) => void;

  constructor(name: string, apply: (model: Model, real: Real) => void) {
    this.#name = name;
    this.#apply = apply;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, real: Real): void {
    this.#apply(model, real);
    settle(model, real);
  }

  toString(): string {
    return this.#name;
  }
}

const which = fc.nat(3);
const size = fc.oneof(fc.nat(10), fc.integer({ min: 1, max: 100_000 }));

const commands = [
  fc.constant(
    new Command("open", (model, real) => {
      if (model.streams.length === 4) return;
      real.streams.push(real.lone.open(POST, false));
      const id = model.streams.length * 2 + 1;
      const own = { window: model.initial, queued: 0, sent: 0, ending: false, ended: false, over: false };
      model.streams.push({ id, ...own });
    }),
  ),
  fc.tuple(which, size, fc.nat(5)).map(
    ([index, octets, last]) =>
      new Command(`send ${octets} on ${index}${last === 0 ? " end" : ""}`, (model, real) => {
        const stream = model.streams[index];
        // What is sent behind an end is ignored: the model does as well.
        if (stream !== undefined && !stream.over && !stream.ending) {
          stream.queued += octets;
          stream.ending = last === 0;
        }
        real.streams[index]?.stream?.sendData(new Uint8Array(octets), last === 0);
      }),
  ),
  fc.tuple(which, size).map(
    ([index, octets]) =>
      new Command(`grant ${octets} on ${index}`, (model, { lone }) => {
        const stream = model.streams[index];
        if (stream === undefined || octets === 0) return;
        stream.window += octets;
        lone.connection.receive(frame(8, 0, stream.id, uint32(octets)));
      }),
  ),
  size.map(
    (octets) =>
      new Command(`grant ${octets}`, (model, { lone }) => {
        if (octets === 0) return;
        model.connection += octets;
        lone.connection.receive(frame(8, 0, 0, uint32(octets)));
      }),
  ),
  fc.oneof(fc.constant(0), size).map(
    (octets) =>
      new Command(`initial window ${octets}`, (model, { lone }) => {
        for (const stream of model.streams) stream.window += octets - model.initial;
        model.initial = octets;
        lone.connection.receive(settings([4, octets]));
      }),
  ),
  fc.integer({ min: 16_384, max: 70_000 }).map(
    (octets) =>
      new Command(`frames of ${octets}`, (model, { lone }) => {
        // Larger frames hold from the acknowledgement on, and nothing is queued that a smaller one would split.
        model.frameSize = Math.max(octets, model.frameSize);
        lone.connection.receive(settings([5, model.frameSize]));
      }),
  ),
  fc.boolean().map(
    (blocked) =>
      new Command(blocked ? "transport blocks" : "transport drains", (model, { lone }) => {
        model.blocked = blocked;
        lone.transport.outbox.blocked = blocked;
        if (!blocked) lone.connection.drained();
      }),
  ),
  fc.tuple(which, fc.boolean()).map(
    ([index, here]) =>
      new Command(`reset ${index} ${here ? "here" : "there"}`, (model, { lone, streams }) => {
        const stream = model.streams[index];
        if (stream === undefined) return;
        stream.over = true;
        if (here) streams[index]?.stream?.reset({ by: "visitor", code: "cancelled", message: "" });
        else lone.connection.receive(frame(3, 0, stream.id, uint32(8)));
      }),
  ),
];

test("whatever is granted, taken back, blocked and reset: all that may be sent is sent, and no octet more", () => {
  fc.assert(
    fc.property(fc.commands(commands, { maxCommands: 60, size: "max" }), (list) => {
      fc.modelRun(() => {
        const lone = new Lone("client", { limits: { windowUpdatesPerSecond: Infinity, settingsPerSecond: Infinity } });
        const model: Model = { connection: 65_535, initial: 65_535, frameSize: 16_384, blocked: false, streams: [] };
        return { model, real: { lone, streams: [] } };
      }, list);
    }),
    { numRuns: 400 },
  );
});
