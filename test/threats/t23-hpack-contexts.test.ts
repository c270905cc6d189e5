/** T-23: HPACK context never shared between public connections and tunnel (per-connection codecs); CVE-2024-7246. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { COMPRESSION_ERROR } from "../../wire/http2/errors.ts";
import { HpackDecoder } from "../../wire/http2/hpack/decoder.ts";
import {
  CLIENT_PREFACE,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  HEADERS,
  RST_STREAM,
  RawPeer,
  SETTINGS_ACK,
  frame,
  join,
  latin1,
  settings,
} from "../support/frames.ts";
import { request, splitAddress } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { headFrames } from "../support/raw-request.ts";
import { startRecordingService, text1 } from "../support/recording-service.ts";
import type { RecordingService } from "../support/recording-service.ts";

let path: Path;
/** One speaks HTTP/1, the other HTTP/2: the third hop has a table too. */
let services: readonly RecordingService[];
let shares: readonly Shared[];

/** Answers with what the service was told, under names that an encoder indexes. */
function echo(service: RecordingService, version: 1 | 2): void {
  service.answer = (seen, stream) => {
    const secret = seen.fields.find(([name]) => name === "x-secret")?.[1] ?? "none";
    return version === 1
      ? text1(200, "", `X-Echo: ${secret}`, `Set-Cookie: id=${secret}`)
      : {
          bytes: headFrames(
            stream,
            [
              [":status", "200"],
              ["x-echo", secret],
              ["set-cookie", `id=${secret}`],
            ],
            END_STREAM,
          ),
          close: false,
        };
  };
}

before(async () => {
  path = await startPath({ capture: false });
  services = [await startRecordingService(1), await startRecordingService(2)];
  services.forEach((service, index) => echo(service, index === 0 ? 1 : 2));
  shares = await Promise.all(services.map((service) => path.share(service.port)));
});
after(async () => {
  await path.close();
  for (const service of services) await service.close();
});

/** GET http / of authority "a" by static indexes and a literal that is not indexed. */
const GET = Uint8Array.of(0x82, 0x86, 0x84, 0x01, 0x01, 0x61);
const string = (text: string): Uint8Array => join(Uint8Array.of(text.length), latin1(text));
/** With incremental indexing: both ends are to remember it. */
const indexed = (name: string, value: string): Uint8Array => join(Uint8Array.of(0x40), string(name), string(value));
/** The newest entry of the dynamic table. */
const NEWEST = Uint8Array.of(0xbe);

/** A visitor with a table of its own. */
class Visitor {
  readonly peer: RawPeer;
  readonly #decoder: HpackDecoder;
  #next = 1;
  #read = 0;

  private constructor(peer: RawPeer, tableSize: number) {
    this.peer = peer;
    this.#decoder = new HpackDecoder(tableSize);
    this.#decoder.setLimit(tableSize);
  }

  static async connect(shared: Shared, tableSize = 4096): Promise<Visitor> {
    const peer = await RawPeer.connect(splitAddress(shared.address)[1], { handshake: false });
    peer.send(CLIENT_PREFACE, settings([0x1, tableSize]), SETTINGS_ACK);
    return new Visitor(peer, tableSize);
  }

  /** Fields of the answer and the octets of its block; undefined when there is none. */
  async get(...block: readonly Uint8Array[]): Promise<{ fields: Map<string, string>; octets: string } | undefined> {
    const id = this.#next;
    this.#next += 2;
    this.peer.send(frame(HEADERS, END_HEADERS | END_STREAM, id, join(GET, ...block)));
    const frames = await this.peer.until((all) =>
      all.some(({ type, stream }) => type === GOAWAY || (stream === id && (type === HEADERS || type === RST_STREAM))),
    );
    let found: { fields: Map<string, string>; octets: string } | undefined;
    for (const { type, stream, payload } of frames.slice(this.#read)) {
      if (type !== HEADERS) continue;
      const fields = new Map<string, string>();
      this.#decoder.decode(payload, 0, payload.length, { field: ({ name, value }) => fields.set(name, value) });
      if (stream === id) found = { fields, octets: Buffer.from(payload).toString("hex") };
    }
    this.#read = frames.length;
    return found;
  }
}

test("an entry of one connection is no entry of another: COMPRESSION_ERROR, and nothing is forwarded", async () => {
  for (const [index, shared] of shares.entries()) {
    const first = await Visitor.connect(shared);
    assert.equal((await first.get(indexed("x-secret", "first")))?.fields.get("x-echo"), "first");
    assert.equal((await first.get(NEWEST))?.fields.get("x-echo"), "first", "its own it may use");
    const begun = services[index]?.requests.items.length;
    const second = await Visitor.connect(shared);
    assert.equal(await second.get(NEWEST), undefined);
    const goaway = await second.peer.frame(GOAWAY);
    assert.equal(Buffer.from(goaway.payload).readUInt32BE(4), COMPRESSION_ERROR);
    assert.equal(services[index]?.requests.items.length, begun);
    assert.equal((await first.get(NEWEST))?.fields.get("x-echo"), "first");
    for (const { peer } of [first, second]) peer.destroy();
  }
});

test("50 connections at once, each with its secret and a table of another size: each is told its own", async () => {
  for (const [index, shared] of shares.entries()) {
    const sizes = [0, 64, 100, 4096, 65_536];
    await Promise.all(
      Array.from({ length: 50 }, async (_, number) => {
        const visitor = await Visitor.connect(shared, sizes[number % sizes.length]);
        for (let round = 0; round < 10; round++) {
          const secret = `visitor-${number}-${round >> 1}`;
          const answer = await visitor.get(...(round % 2 === 0 ? [indexed("x-secret", secret)] : [NEWEST]));
          assert.deepEqual([answer?.fields.get("x-echo"), answer?.fields.get("set-cookie")], [secret, `id=${secret}`]);
        }
        visitor.peer.destroy();
      }),
    );
    assert.deepEqual(services[index]?.doubts, []);
  }
});

test("a table that is poisoned, in whatever way, is that connection's alone", async () => {
  for (const shared of shares) {
    const witness = await Visitor.connect(shared);
    await witness.get(indexed("x-secret", "witness"));
    const poison: readonly Uint8Array[] = [
      Uint8Array.of(0x80),
      Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f),
      Uint8Array.of(0x40, 0x7f, 0xff, 0xff, 0x03),
      Uint8Array.of(0x3f, 0xe1, 0xff, 0x03),
      // An entry, then an error in the same block: a decoder that goes on has an entry too many or too few.
      join(indexed("x-secret", "poison"), Uint8Array.of(0x80)),
      join(indexed("x-secret", "poison"), indexed("X-Upper", "y")),
      join(indexed("x-secret", "poison"), indexed("transfer-encoding", "chunked")),
      join(indexed("x-secret", "poison"), indexed("x", "a\r\nb")),
      join(...Array.from({ length: 120 }, (_, number) => indexed(`x-${number}`, "poison"))),
    ];
    for (const block of poison) {
      const visitor = await Visitor.connect(shared);
      const answer = await visitor.get(block);
      assert.ok(answer === undefined || answer.fields.get(":status")?.startsWith("4") === true);
      // Where the connection lives, its table is what the visitor made it.
      if (!visitor.peer.frames.some(({ type }) => type === GOAWAY) && !visitor.peer.closed) {
        const next = await visitor.get(indexed("x-secret", "after"));
        assert.equal(next?.fields.get("x-echo"), "after");
        assert.equal((await visitor.get(NEWEST))?.fields.get("x-echo"), "after");
      }
      visitor.peer.destroy();
      assert.equal((await witness.get(NEWEST))?.fields.get("x-echo"), "witness");
      assert.equal(
        (await request(shared.address, "/")).fields.find((field) => field.startsWith("x-echo")),
        "x-echo: none",
      );
    }
    witness.peer.destroy();
  }
});

test("what others were told does not change the octets that a visitor receives: no compression to measure secrets by", async () => {
  for (const shared of shares) {
    const first = await Visitor.connect(shared);
    const alone = (await first.get(indexed("x-secret", "same")))?.octets;
    assert.ok(alone !== undefined);
    for (const secret of ["same", "other", "same"]) {
      const other = await Visitor.connect(shared);
      for (let round = 0; round < 20; round++) await other.get(indexed("x-secret", secret));
      other.peer.destroy();
    }
    const last = await Visitor.connect(shared);
    assert.equal((await last.get(indexed("x-secret", "same")))?.octets, alone);
    assert.notEqual((await first.get(NEWEST))?.octets, alone, "on its own connection it may be shorter");
    for (const { peer } of [first, last]) peer.destroy();
  }
});

test("what a visitor marks as never to be indexed is marked so on every hop, each time, and never comes by index", async () => {
  const [, service] = services;
  const [, shared] = shares;
  assert.ok(service !== undefined && shared !== undefined);
  const visitor = await Visitor.connect(shared);
  const marked = join(Uint8Array.of(0x10), string("x-secret"), string("marked"));
  const begun = service.opened.items.length;
  for (let round = 0; round < 5; round++) {
    const answer = await visitor.get(marked, indexed("x-plain", "plain"));
    assert.equal(answer?.fields.get("x-echo"), "marked");
  }
  visitor.peer.destroy();
  const seen = service.opened.items.slice(begun);
  assert.equal(seen.length, 5);
  for (const { neverIndexed } of seen) {
    assert.ok(neverIndexed.includes("x-secret"));
    assert.ok(!neverIndexed.includes("x-plain"));
  }
});
