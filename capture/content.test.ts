import assert from "node:assert/strict";
import { describe, it } from "node:test";
import zlib from "node:zlib";
import { oneLine, readContent, readEvent } from "./content.ts";
import { readImage } from "./image.ts";
import { decompress, inflateMessage, MAX_INFLATED } from "./inflate.ts";
import { MESSAGE_CAP } from "./limits.ts";

const options = { complete: true, maxText: 1000, showSecrets: false };

describe("bodies", () => {
  const TABLE: readonly (readonly [
    name: string,
    contentType: string | undefined,
    body: string | Buffer,
    expected: object,
  ])[] = [
    [
      "JSON",
      "application/json",
      '{"a":[1,null]}',
      { view: "json", json: { a: [1, null] }, text: '{"a":[1,null]}', truncated: false },
    ],
    [
      "a JSON suffix",
      "application/problem+json; charset=utf-8",
      '"x"',
      { view: "json", json: "x", text: '"x"', truncated: false },
    ],
    [
      "broken JSON",
      "application/json",
      "{a",
      { view: "text", text: "{a", truncated: false, problem: "This is not valid JSON." },
    ],
    ["text", "text/html", "<p>", { view: "text", text: "<p>", truncated: false }],
    ["latin-1", "text/plain; charset=iso-8859-1", Buffer.from([0xe9]), { view: "text", text: "é", truncated: false }],
    [
      "text that is not UTF-8",
      "text/plain",
      Buffer.from([0xff]),
      { view: "text", text: "\ufffd", truncated: false, problem: "These octets are not all UTF-8." },
    ],
    ["JSON without a type", undefined, '{"a":1}', { view: "json", json: { a: 1 }, text: '{"a":1}', truncated: false }],
    ["a number without a type", undefined, "17", { view: "text", text: "17", truncated: false }],
    ["octets without a type", undefined, Buffer.from([0, 1, 2]), { view: "binary" }],
    [
      "octets with a type",
      "application/octet-stream",
      Buffer.from([0, 1]),
      { view: "binary", mediaType: "application/octet-stream" },
    ],
    ["text with a strange type", "application/x-thing", "hello", { view: "text", text: "hello", truncated: false }],
    [
      "a form",
      "application/x-www-form-urlencoded",
      "a=1&password=p%20q",
      {
        view: "form",
        fields: [
          { name: "a", value: "1", secret: false },
          { name: "password", value: "••••••", secret: true },
        ],
        truncated: false,
      },
    ],
    ["long text", "text/plain", "é".repeat(800), { view: "text", text: "é".repeat(500), truncated: true }],
    ["nothing", "application/json", "", { view: "text", text: "", truncated: false }],
  ];
  for (const [name, contentType, body, expected] of TABLE) {
    it(`reads ${name}`, () => assert.deepEqual(readContent(Buffer.from(body), { ...options, contentType }), expected));
  }

  const IMAGES: readonly (readonly [name: string, hex: string, expected: object | undefined])[] = [
    [
      "PNG",
      "89504e470d0a1a0a0000000d49484452000000100000002008060000",
      { mediaType: "image/png", width: 16, height: 32 },
    ],
    ["GIF", "4749463839610a001400800000", { mediaType: "image/gif", width: 10, height: 20 }],
    [
      "JPEG",
      "ffd8ffe000104a46494600010100000100010000ffc0001108000a001403012200",
      { mediaType: "image/jpeg", width: 20, height: 10 },
    ],
    [
      "WebP",
      "524946460000000057454250565038580a0000000000000009000013000000000000",
      { mediaType: "image/webp", width: 10, height: 20 },
    ],
    ["a cut PNG", "89504e470d0a1a0a", { mediaType: "image/png" }],
    ["text", "68656c6c6f", undefined],
    ["nothing", "", undefined],
  ];
  for (const [name, hex, expected] of IMAGES)
    it(`measures ${name}`, () => assert.deepEqual(readImage(Buffer.from(hex, "hex")), expected));

  it("reads events", () => {
    assert.deepEqual(readEvent(Buffer.from("event: tick\ndata: a\ndata:b\nid: 7\nretry: 10\n: note\nother\n\n")), {
      event: "tick",
      data: "a\nb",
      id: "7",
      retry: "10",
      comment: "note",
    });
  });

  it("makes a line of anything", () => {
    assert.equal(oneLine("a\u001b[31m\n\u202eb"), "a [31m b");
    assert.equal(oneLine("x".repeat(300)).length, 200);
  });
});

describe("compression", () => {
  const text = Buffer.from("hello hello hello hello");
  const KNOWN: readonly (readonly [string, Buffer])[] = [
    ["gzip", zlib.gzipSync(text)],
    ["x-gzip", zlib.gzipSync(text)],
    ["deflate", zlib.deflateSync(text)],
    ["deflate", zlib.deflateRawSync(text)],
    ["br", zlib.brotliCompressSync(text)],
  ];
  for (const [encoding, bytes] of KNOWN) {
    it(`undoes ${encoding}`, async () => {
      const result = await decompress(encoding, bytes, false);
      assert.equal(Buffer.from(result.bytes).toString(), text.toString());
      assert.equal(result.complete, true);
    });
    it(`gives what there is of a cut ${encoding}`, async () => {
      const long = Buffer.alloc(200_000, "0123456789abcdef");
      const whole =
        encoding === "br"
          ? zlib.brotliCompressSync(long)
          : encoding.endsWith("gzip")
            ? zlib.gzipSync(long)
            : zlib.deflateSync(long);
      const result = await decompress(encoding, whole.subarray(0, whole.length - 10), true);
      assert.deepEqual([result.complete, result.problem], [false, undefined]);
    });
    it(`says that ${encoding} is damaged`, async () => {
      const damaged = Buffer.from(bytes);
      damaged.fill(0xff, 2);
      assert.match((await decompress(encoding, damaged, false)).problem ?? "", /damaged/);
    });
  }

  it("names what it does not know", async () => {
    assert.match((await decompress("snappy", text, false)).problem ?? "", /"snappy" is not known/);
  });

  it("stops a bomb", async () => {
    const bomb = zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const result = await decompress("gzip", bomb, false);
    assert.equal(result.bytes.length, MAX_INFLATED);
    assert.equal(result.complete, false);
    assert.match(result.problem ?? "", /more than 8388608 octets/);
  });

  it("stops a bomb in permessage-deflate", async () => {
    const bomb = zlib.deflateRawSync(Buffer.alloc(64 * 1024 * 1024), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
    const result = await inflateMessage(bomb.subarray(0, -4), new Uint8Array(0));
    assert.deepEqual([result.bytes.length, result.complete, result.window], [0, false, undefined]);
  });

  it("takes a message as large as one that is not compressed", async () => {
    const noise = Buffer.from(Array.from({ length: MESSAGE_CAP }, (_, index) => (index * 7919) >> 3));
    const result = await decompress("gzip", zlib.gzipSync(noise), false);
    assert.equal(result.complete, true);
    assert.equal(result.bytes.length, noise.length);
  });
});
