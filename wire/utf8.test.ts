import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeUtf8, isUtf8, Utf8Check } from "./utf8.ts";

const VALID = ["", "61", "c2a9", "e282ac", "ed9fbf", "ee8080", "f0908d88", "f48fbfbf", "61e282ac62"];
const INVALID = [
  "80",
  "c0af",
  "c1bf",
  "e08080",
  "eda080",
  "edbfbf",
  "f0808080",
  "f4908080",
  "f5808080",
  "ff",
  "c2",
  "e282",
  "f09f98",
  "e28261",
];

describe("UTF-8", () => {
  for (const hex of VALID) {
    it(`takes ${hex || "nothing"} in pieces`, () => {
      const bytes = Buffer.from(hex, "hex");
      assert.equal(decodeUtf8(bytes), bytes.toString("utf8"));
      for (let split = 0; split <= bytes.length; split++) {
        const check = new Utf8Check();
        check.receive(bytes.subarray(0, split));
        check.receive(bytes.subarray(split));
        assert.equal(check.complete, true);
      }
    });
  }
  for (const hex of INVALID) it(`refuses ${hex}`, () => assert.equal(isUtf8(Buffer.from(hex, "hex")), false));

  it("agrees with the platform on any octets", () => {
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        let expected: string | undefined;
        try {
          expected = strict.decode(bytes);
        } catch {
          expected = undefined;
        }
        assert.equal(decodeUtf8(bytes), expected);
      }),
      { numRuns: 2000 },
    );
  });

  it("decodes text longer than one piece", () => {
    const text = "aé€😀".repeat(5000);
    assert.equal(decodeUtf8(Buffer.from(text)), text);
  });
});
