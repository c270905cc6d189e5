import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { visible, visibleLines, visibleText } from "./visible.ts";

describe("visible", () => {
  const cases: readonly (readonly [name: string, text: string, shown: string])[] = [
    ["plain text", "häuser 💡 日本 \u0301", "häuser 💡 日本 \u0301"],
    ["control characters", "a\u0000b\u001b[31m\u007f", "a␀b␛[31m␡"],
    ["line ends", "a\r\nb\tc", "a␍␊b␉c"],
    ["C1 controls", "a\u009b31m", "a[U+009B]31m"],
    ["bidirectional overrides", "user\u202etxt.exe\u2066\u2069", "user[U+202E]txt.exe[U+2066][U+2069]"],
    ["zero width", "pay\u200bpal\ufeff\u00ad", "pay[U+200B]pal[U+FEFF][U+00AD]"],
    ["tags", "a\u{e0041}b", "a[U+E0041]b"],
    ["a lone surrogate", "\ud800x", "[U+D800]x"],
    ["separators", "a\u2028b\u2029", "a[U+2028]b[U+2029]"],
  ];
  for (const [name, text, shown] of cases) it(name, () => assert.equal(visibleText(text), shown));

  it("keeps line feeds and tabs where there are lines", () => {
    assert.equal(visibleLines("a\r\n\tb\u001b\rc"), "a\n\tb␛␍c");
  });

  it("finds the first hidden character each time it is asked", () => {
    for (let time = 0; time < 3; time++) {
      const template = visible("\u0007bell");
      assert.ok(typeof template !== "string");
      const parts = template.values[0] as readonly (string | { readonly values: readonly unknown[] })[];
      assert.deepEqual(
        parts.map((part) => (typeof part === "string" ? part : part.values[0])),
        ["", "␇", "bell"],
      );
    }
    assert.equal(visible("nothing hidden"), "nothing hidden");
  });
});
