import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Pipe } from "../../test/support/pipe.ts";
import { acceptKey, answer, randomKey, request, showFields } from "../../test/support/http1.ts";
import type { Field, Fields, Stream, StreamEvents } from "../stream.ts";
import { Http1Client } from "./client.ts";
import { Http1Server } from "./server.ts";

/** One direction of an exchange: its content in the pieces in which it is given, then an end or trailers. */
interface Half {
  readonly pieces: readonly Uint8Array[];
  readonly announced: boolean;
  readonly trailers: Fields;
  readonly fields: Fields;
}

const field: fc.Arbitrary<Field> = fc.record({
  name: fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^_`|~-]{1,12}$/),
  // Neither begins nor ends with white space; any octet of a value otherwise.
  value: fc.stringMatching(/^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]{0,30}[!-~\x80-\xff])?)?$/),
});

const half: fc.Arbitrary<Half> = fc.record({
  pieces: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
  announced: fc.boolean(),
  trailers: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(field, { minLength: 1, maxLength: 3 })),
  fields: fc.array(field, { maxLength: 5 }),
});

const exchange = fc.record({
  method: fc.constantFrom("GET", "POST", "PUT", "DELETE", "BREW"),
  path: fc.stringMatching(/^\/[!"$-~\x80-\xff]{0,60}$/),
  ask: half,
  reply: half,
  status: fc.constantFrom(200, 201, 404, 500),
  hints: fc.nat(2),
});

function sized({ pieces, announced, trailers, fields }: Half): Fields {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  return announced && trailers.length === 0 ? [...fields, { name: "content-length", value: String(length) }] : fields;
}

function give(stream: Stream | undefined, { pieces, announced, trailers }: Half): void {
  for (const piece of pieces) if (piece.length > 0) stream?.sendData(piece, false);
  if (trailers.length > 0 && !announced) stream?.sendTrailers(trailers);
  else stream?.sendData(new Uint8Array(0), true);
}

/** Content and trailers as they should arrive; what framing adds or drops is left out. */
function told({ pieces, announced, trailers, fields }: Half): string {
  const content = Buffer.concat(pieces).toString("hex");
  return `${showFields(fields)} ${content} ${announced ? "" : showFields(trailers)} END`;
}

class Listener implements StreamEvents {
  readonly log: string[];
  stream: Stream | undefined;
  /** Called at the end of what it hears. */
  ended: () => void = () => undefined;
  #text: string;
  #content = "";

  constructor(log: string[], head: Fields) {
    this.log = log;
    this.#text = own(head);
  }

  headReceived(fields: Fields, end: boolean): void {
    if (fields[0]?.value.startsWith("1") === true) this.log.push(`hint ${own(fields)}`);
    else this.#text = `${fields[0]?.value ?? ""} ${own(fields)}`;
    if (end) this.#end("");
  }
  dataReceived(bytes: Uint8Array, end: boolean): void {
    this.#content += Buffer.from(bytes).toString("hex");
    this.stream?.consume(bytes.length);
    if (end) this.#end("");
  }
  trailersReceived(fields: Fields): void {
    this.#end(showFields(fields));
  }
  resetReceived(): void {
    this.log.push("reset");
  }
  dataSent(): void {}

  #end(trailers: string): void {
    this.log.push(`${this.#text} ${this.#content} ${trailers} END`);
    this.ended();
  }
}

function own(fields: Fields): string {
  return showFields(fields.filter(({ name }) => name.startsWith("x-")));
}

test("exchanges of any heads, content and trailers, one after another on one connection, in any slices", () => {
  fc.assert(
    fc.property(fc.array(exchange, { maxLength: 4 }), fc.integer({ min: 1, max: 400 }), (exchanges, slice) => {
      const pipe = new Pipe({ slice });
      const arrived: string[] = [];
      const answered: string[] = [];
      let next = 0;
      const made: { client?: Http1Client } = {};
      pipe.attach(
        (transport) =>
          (made.client = new Http1Client({
            transport,
            events: { streamOpened: () => new Listener([], []), capacityChanged() {}, draining() {}, ended() {} },
            acceptKey,
            randomKey,
            peer: "service",
            party: "agent",
          })),
        (transport) =>
          new Http1Server({
            transport,
            events: {
              streamOpened(stream, fields, end) {
                const { reply, status, hints } = exchanges[next++] ?? assert.fail("a request too many");
                const listener = new Listener(arrived, fields);
                listener.stream = stream;
                arrived.push(`${fields[0]?.value ?? ""} ${fields.find(({ name }) => name === ":path")?.value ?? ""}`);
                listener.ended = () => {
                  for (let count = hints; count > 0; count--) stream.sendHead(answer(103, ["x-hint", "1"]), false);
                  stream.sendHead([...answer(status), ...sized(reply)], false);
                  give(stream, reply);
                };
                if (end) listener.dataReceived(new Uint8Array(0), true);
                return listener;
              },
              capacityChanged() {},
              draining() {},
              ended() {},
            },
            scheme: "http",
            acceptKey,
            peer: "visitor",
            party: "relay",
          }),
      );
      const { client } = made;
      const expected: string[] = [];
      const replies: string[] = [];
      for (const { method, path, ask, reply, status, hints } of exchanges) {
        const listener = new Listener(answered, []);
        const stream = client?.open([...request(method, path), ...sized(ask)], false, listener);
        listener.stream = stream;
        give(stream, ask);
        pipe.run();
        expected.push(`${method} ${path}`, told(ask));
        replies.push(...Array.from({ length: hints }, () => "hint x-hint=1"), `${status} ${told(reply)}`);
      }
      assert.deepEqual(arrived, expected);
      assert.deepEqual(answered, replies);
    }),
    { numRuns: 300 },
  );
});
