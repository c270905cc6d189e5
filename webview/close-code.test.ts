import assert from "node:assert/strict";
import { test } from "node:test";
import { closeCodeText, closeCodeTone } from "./close-code.ts";

test("close codes have the name and the tone of what they say", () => {
  for (const [code, text, tone] of [
    [1000, "1000 Normal Closure", "good"],
    [1001, "1001 Going Away", "good"],
    [1005, "1005 No Status Given", "good"],
    [1006, "1006 Cut Off", "bad"],
    [1011, "1011 Internal Error", "bad"],
    [2999, "2999", "bad"],
    [3000, "3000", "warning"],
    [4001, "4001", "warning"],
  ] as const) {
    assert.equal(closeCodeText(code), text);
    assert.equal(closeCodeTone(code), tone, text);
  }
});
