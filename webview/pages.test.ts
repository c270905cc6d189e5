import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Pages, type Page } from "./pages.ts";

interface Asked {
  readonly position: number;
  readonly count: number;
  answer(items: readonly string[], position?: number): Promise<void>;
  fail(): Promise<void>;
}

function setUp(): { readonly pages: Pages<string>; readonly asked: Asked[]; readonly changes: () => number } {
  const asked: Asked[] = [];
  let changes = 0;
  const pages = new Pages<string>({
    pageSize: 10,
    changed: () => changes++,
    fetch: (position, count) =>
      new Promise<Page<string>>((resolve, reject) => {
        const settled = (): Promise<void> => Promise.resolve().then(() => undefined);
        asked.push({
          position,
          count,
          answer: (items, at = position) => {
            resolve({ position: at, items });
            return settled();
          },
          fail: () => {
            reject(new Error("link lost"));
            return settled();
          },
        });
      }),
  });
  return { pages, asked, changes: () => changes };
}

const numbered = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `item ${from + index}`);

describe("pages", () => {
  it("asks for each page in sight once", async () => {
    const { pages, asked, changes } = setUp();
    pages.need(5, 25);
    pages.need(5, 25);
    assert.deepEqual(
      asked.map(({ position, count }) => [position, count]),
      [
        [0, 10],
        [10, 10],
        [20, 10],
      ],
    );
    await asked[1]?.answer(numbered(10, 10));
    assert.equal(pages.get(15), "item 15");
    assert.equal(changes(), 1);
    pages.need(10, 20);
    assert.equal(asked.length, 3);
  });

  it("asks for what came after a page was fetched while it was half full", async () => {
    const { pages, asked } = setUp();
    pages.need(0, 4);
    await asked[0]?.answer(numbered(0, 4));
    pages.need(0, 7);
    assert.equal(asked.length, 2);
    await asked[1]?.answer(numbered(0, 7));
    assert.equal(pages.get(6), "item 6");
  });

  it("does not ask again for what the host does not have, until told that something changed", async () => {
    const { pages, asked } = setUp();
    pages.need(0, 10);
    await asked[0]?.answer(numbered(5, 5), 5);
    pages.need(0, 10);
    assert.equal(asked.length, 1);
    assert.ok(pages.isAbsent(4) && !pages.isAbsent(5));
    pages.invalidate();
    assert.equal(asked.length, 2);
  });

  it("keeps showing what is stale while it is fetched again", async () => {
    const { pages, asked } = setUp();
    pages.need(0, 3);
    await asked[0]?.answer(["a", "b", "c"]);
    pages.invalidateAt(1);
    assert.equal(pages.get(1), "b");
    pages.need(0, 3);
    await asked[1]?.answer(["a", "B", "c"]);
    assert.equal(pages.get(1), "B");
  });

  it("ignores answers to questions from before it was cleared", async () => {
    const { pages, asked } = setUp();
    pages.need(0, 1);
    pages.clear();
    await asked[0]?.answer(["old"]);
    assert.equal(pages.get(0), undefined);
    pages.need(0, 1);
    assert.equal(asked.length, 2);
  });

  it("asks again after a lost link", async () => {
    const { pages, asked } = setUp();
    pages.need(0, 1);
    await asked[0]?.fail();
    pages.need(0, 1);
    assert.equal(asked.length, 2);
  });

  it("holds a bounded number of items, those in sight among them", async () => {
    const { pages, asked } = setUp();
    for (let page = 0; page < 1000; page++) {
      pages.need(page * 10, page * 10 + 10);
      await asked.at(-1)?.answer(numbered(page * 10, 10));
    }
    assert.ok([...pages.entries()].length <= 4010, `${[...pages.entries()].length} items are held`);
    assert.equal(pages.get(9_995), "item 9995");
    assert.equal(pages.get(0), undefined);
  });

  it("forgets what left the capture", async () => {
    const { pages, asked } = setUp();
    pages.need(0, 10);
    await asked[0]?.answer(numbered(0, 10));
    pages.dropBelow(5);
    assert.deepEqual([pages.get(4), pages.get(5)], [undefined, "item 5"]);
  });
});
