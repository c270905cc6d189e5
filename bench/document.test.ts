import assert from "node:assert/strict";
import { test } from "node:test";
import { columns, markdown, replaceSection } from "./document.ts";

test("a section is replaced, the prose around it stays", () => {
  const text = "before\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nafter <!-- bench:b -->\n<!-- /bench:b -->";
  const once = replaceSection(text, "a", "new\n");
  assert.equal(once, "before\n<!-- bench:a -->\n\nnew\n\n<!-- /bench:a -->\nafter <!-- bench:b -->\n<!-- /bench:b -->");
  assert.equal(replaceSection(once, "a", "new"), once);
  assert.throws(() => replaceSection(text, "c", "new"), /No section c/);
});

test("a table for a page and for a terminal", () => {
  const table = {
    head: ["peer", "MB/s"],
    rows: [
      ["**ours**", "12"],
      ["a|b", "3"],
    ],
  };
  assert.equal(markdown(table), "| peer | MB/s |\n| --- | --: |\n| **ours** | 12 |\n| a\\|b | 3 |");
  assert.equal(columns(table), "peer  MB/s\nours    12\na|b      3");
});
