import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import type { Field } from "../../stream.ts";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";

interface Story {
  readonly cases: readonly {
    readonly wire?: string;
    readonly header_table_size?: number;
    readonly headers: readonly Readonly<Record<string, string>>[];
  }[];
}

const directory = process.env["HPACK_STORIES"] ?? new URL("../../../test/fixtures/hpack/", import.meta.url).pathname;

function stories(name: string): [string, Story][] {
  const files = readdirSync(`${directory}/${name}`).sort();
  return files.map((file) => [file, JSON.parse(readFileSync(`${directory}/${name}/${file}`, "utf8")) as Story]);
}

function expected(headers: readonly Readonly<Record<string, string>>[]): [string, string][] {
  return headers.flatMap((one) => Object.entries(one));
}

function pairs(fields: readonly Field[]): [string, string][] {
  return fields.map(({ name, value }): [string, string] => [name, value]);
}

test("all stories are here: 00 to 30 in fives of each encoder, and what they encoded", () => {
  for (const name of ["nghttp2", "nghttp2-change-table-size", "go-hpack", "raw-data"]) {
    const files = [0, 5, 10, 15, 20, 25, 30].map((number) => `story_${String(number).padStart(2, "0")}.json`);
    assert.deepEqual(readdirSync(`${directory}/${name}`).sort(), files);
  }
});

for (const name of ["nghttp2", "nghttp2-change-table-size", "go-hpack"]) {
  for (const [file, story] of stories(name)) {
    test(`${name} ${file}: ${story.cases.length} blocks decode`, () => {
      const decoder = new HpackDecoder(4096);
      const objects = new Map<string, Field>();
      for (const { wire, headers, header_table_size: size } of story.cases) {
        assert.ok(wire !== undefined);
        // The encoder was told this size before the block, and announces it in the block.
        if (size !== undefined && size !== 4096) decoder.setLimit(size);
        const fields: Field[] = [];
        const bytes = Uint8Array.from(Buffer.from(wire, "hex"));
        decoder.decode(bytes, 0, bytes.length, { field: (field) => fields.push(field) });
        assert.deepEqual(pairs(fields), expected(headers));
        for (const field of fields) objects.set(`${field.name}: ${field.value}`, field);
      }
      assert.ok(objects.size > 0);
    });
  }
}

for (const size of [0, 100, 1365, 4096, 65_536]) {
  test(`raw-data: what our encoder makes of it decodes to the same, table of ${size} octets`, () => {
    for (const [, story] of stories("raw-data")) {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder(size);
      encoder.setCapacity(size);
      for (const { headers } of story.cases) {
        // Some of these were recorded with spaces at the end, which RFC 9113 section 8.2.1 forbids and we never send.
        const fields = expected(headers).map(([name, value]): Field => ({ name, value: value.trim() }));
        const target = new Uint8Array(encoder.bound(fields));
        const end = encoder.encode(fields, target, 0);
        assert.ok(end <= target.length);
        assert.equal(encoder.invalid, false);
        const decoded: Field[] = [];
        decoder.decode(target, 0, end, { field: (field) => decoded.push(field) });
        assert.deepEqual(pairs(decoded), pairs(fields));
      }
    }
  });
}
