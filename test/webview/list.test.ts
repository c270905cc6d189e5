import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../support/chromium.ts";
import { buildPage } from "./build.ts";
import { FakeHost } from "./fake-host.ts";
import { openInBrowser, type OpenPage } from "./open-page.ts";
import { grpcExchange, httpExchange, webSocketExchange } from "./traffic.ts";

/** Rows in a window of 700 pixels plus those kept around it, with room to spare; far below ten thousand. */
const MAX_ROWS = 80;

describe("the list of exchanges", () => {
  let browser: Browser;
  let root: string;
  let host: FakeHost;
  let opened: OpenPage;
  let page: Page;

  before(async () => {
    root = await buildPage();
    browser = await launchChromium();
  });

  after(() => browser.close());

  beforeEach(async () => {
    host = new FakeHost(root);
    await host.start();
  });

  afterEach(async () => {
    await opened.close();
    await host.stop();
  });

  async function open(exchanges: number): Promise<void> {
    host.add(exchanges);
    opened = await openInBrowser(browser, host.url, { height: 700 });
    ({ page } = opened);
    if (exchanges > 0) await page.locator(`[role="row"][data-id="${exchanges}"]`).waitFor();
  }

  const row = (id: number): ReturnType<Page["locator"]> => page.locator(`[role="row"][data-id="${id}"]`);

  it("shows the newest of ten thousand with few elements, and any other after scrolling", async () => {
    await open(10_000);
    const rows = (): Promise<number> => page.locator('.list-row [role="row"]').count();
    assert.ok((await rows()) <= MAX_ROWS, `${await rows()} rows are in the document`);
    assert.equal(await page.getByRole("grid").getAttribute("aria-rowcount"), "10001");
    await page.locator("pl-exchange-list pl-virtual-list").evaluate((list) => (list.scrollTop = 22 * 4999));
    await row(5000).waitFor();
    assert.equal(await row(5000).getAttribute("aria-rowindex"), "5001");
    await page.locator("pl-exchange-list pl-virtual-list").evaluate((list) => (list.scrollTop = 0));
    await row(1).waitFor();
    assert.ok((await rows()) <= MAX_ROWS);
    // Three places looked at: a page or two of a hundred rows for each, not the whole list.
    const asked = host.requests.get("view/rows") ?? 0;
    assert.ok(asked >= 3 && asked <= 9, `${asked} pages were asked for`);
  });

  it("scrolls through everything without a long pause", async () => {
    await open(10_000);
    const longest = await page.locator("pl-exchange-list pl-virtual-list").evaluate(async (list) => {
      let longest = 0;
      for (let step = 0; step < 60; step++) {
        const start = performance.now();
        list.scrollTop = step * 3600;
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        longest = Math.max(longest, performance.now() - start);
      }
      return longest;
    });
    // Two frames are 33 ms; a tenth of a second leaves room for a busy machine, and would still be noticed by a person.
    assert.ok(longest < 250, `a step took ${longest.toFixed(0)} ms`);
  });

  it("follows what comes, until the user scrolls, and again after a jump", async () => {
    await open(200);
    host.add(3);
    await row(203).waitFor();
    assert.equal(await page.locator(".jump").count(), 0);

    const list = page.locator("pl-exchange-list pl-virtual-list");
    await list.hover();
    await page.mouse.wheel(0, -1500);
    await page.locator(".jump").waitFor();
    const before = await list.evaluate((element) => element.scrollTop);
    host.add(4);
    await page.getByRole("button", { name: "Jump to newest (4)" }).waitFor();
    assert.equal(await list.evaluate((element) => element.scrollTop), before);

    await page.getByRole("button", { name: "Jump to newest (4)" }).click();
    await row(207).waitFor();
    assert.equal(await page.locator(".jump").count(), 0);
    host.add(1);
    await row(208).waitFor();
  });

  it("stays at a selected row, and catches up with a burst larger than one notification", async () => {
    await open(100);
    await row(98).click();
    host.add(2000);
    await page.getByRole("button", { name: /Jump to newest \(2,000\)/ }).click();
    await row(2100).waitFor();
    assert.equal(await page.getByRole("grid").getAttribute("aria-rowcount"), "2101");
    await page.locator("pl-exchange-list pl-virtual-list").evaluate((list) => (list.scrollTop = 22 * 999));
    await row(1001).waitFor();
  });

  it("shows a change of an open exchange", async () => {
    await open(5);
    host.add(1, (id) => {
      const exchange = grpcExchange(id);
      const { endedAt: _ended, grpcStatus: _status, ...rest } = exchange.row;
      return { ...exchange, row: { ...rest, state: "open", statusText: "" } };
    });
    await row(6).locator(".status-text", { hasText: "open" }).waitFor();
    host.change(6, { state: "failed", statusText: "UNAVAILABLE", grpcStatus: 14, endedAt: Date.now() });
    await row(6).locator(".status-text", { hasText: "UNAVAILABLE" }).waitFor();
  });

  it("filters as one types, says what is wrong with a filter, and offers to clear one that matches nothing", async () => {
    await open(100);
    const filter = page.getByRole("textbox", { name: "Filter exchanges" });
    await filter.fill("customers");
    await page.getByText(/^\d+ of 100 exchanges/).waitFor();
    const names = await page.locator(".exchange:not(.head) .name-main").allInnerTexts();
    assert.ok(names.length > 0 && names.every((name) => name.includes("customers")), names.join());

    await filter.fill("status:40");
    await page.getByRole("alert").filter({ hasText: '"status:40" is no status' }).waitFor();
    assert.equal(await filter.getAttribute("aria-invalid"), "true");
    // The list stays as it was.
    assert.deepEqual(await page.locator(".exchange:not(.head) .name-main").allInnerTexts(), names);

    await filter.fill("nowhere");
    await page.getByRole("heading", { name: "Nothing matches the filter" }).waitFor();
    await page.getByRole("button", { name: "Clear filter" }).last().click();
    await row(100).waitFor();
    assert.equal(await filter.inputValue(), "");
  });

  it("shows the rows of a filter that matches as many as the one before", async () => {
    await open(2);
    host.add(1, (id) => ({ ...httpExchange(id), row: { ...httpExchange(id).row, path: "/alpha" } }));
    host.add(1, (id) => ({ ...httpExchange(id), row: { ...httpExchange(id).row, path: "/beta" } }));
    const filter = page.getByRole("textbox", { name: "Filter exchanges" });
    for (const path of ["/alpha", "/beta", "/alpha"]) {
      await filter.fill(path);
      // The same position each time, another row in it.
      await page.waitForFunction(
        (wanted) =>
          Array.from(document.querySelectorAll(".exchange:not(.head) .name-main"), (name) =>
            name.textContent.trim(),
          ).join() === wanted,
        path,
      );
    }
  });

  it("explains the filter", async () => {
    await open(3);
    await page.getByRole("button", { name: "Filter help" }).click();
    await page.getByRole("dialog", { name: "Filter help" }).getByText("status:5xx").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog", { name: "Filter help" }).waitFor({ state: "hidden" });
  });

  it("pauses, resumes and clears", async () => {
    await open(10);
    await page.getByRole("button", { name: /^Pause recording/ }).click();
    await page.locator(".status-line-bar", { hasText: "Paused" }).waitFor();
    assert.equal(host.capture.capturing, false);
    await row(10).click();
    await page.getByRole("button", { name: /^Clear: forget/ }).click();
    await page.getByRole("heading", { name: "Recording is paused" }).waitFor();
    assert.equal(await page.locator("pl-detail").count(), 0);
    await page.getByRole("button", { name: "Resume recording" }).last().click();
    await page.getByRole("heading", { name: "Waiting for traffic" }).waitFor();
    host.add(1);
    await row(11).waitFor();
  });

  it("exports what the list shows", async () => {
    await open(10);
    await page.getByRole("button", { name: "Export" }).click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("menuitem", { name: "Export as JSON Lines" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "portlight.jsonl");
  });

  it("shows shares with their state, and copies a URL", async () => {
    await open(1);
    const shares = page.getByRole("list", { name: "Shared ports" });
    await shares.getByText("reconnecting…").waitFor();
    await shares.getByText("the relay closed the connection").waitFor();
    await page.getByRole("button", { name: "Copy URL of port 50051" }).click();
    await page.getByRole("status").filter({ hasText: "Copied URL" }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "http://127.0.0.1:41234");
  });

  it("keeps shares apart when there is little room for many", async () => {
    host.shares = [50051, 8080, 3000, 5173, 9229].map((port) => ({
      id: `s${port}`,
      port,
      kind: "http",
      state: "reconnecting",
      url: `http://127.0.0.1:${port + 1}`,
    }));
    await open(1);
    await page.setViewportSize({ width: 923, height: 700 });
    const items = page.getByRole("list", { name: "Shared ports" }).getByRole("listitem");
    assert.equal(await items.count(), 5);
    let right = 0;
    for (const item of await items.all()) {
      const parts = await item.evaluate((element) =>
        [...element.children].map((child) => child.getBoundingClientRect()).map(({ left, right }) => ({ left, right })),
      );
      for (const part of parts) {
        assert.ok(part.left >= right - 1, `${part.left} lies in what ends at ${right}`);
        right = part.right;
      }
    }
  });

  it("names the close code of a WebSocket, and tells a good one from a bad one", async () => {
    for (const code of ["1000", "1011", "4000"])
      host.add(1, (id) => {
        const exchange = webSocketExchange(id, 2);
        return { ...exchange, row: { ...exchange.row, statusText: code } };
      });
    host.add(1, (id) => webSocketExchange(id, 2, true));
    await open(0);
    for (const [id, text, tone] of [
      [1, "1000 Normal Closure", "good"],
      [2, "1011 Internal Error", "bad"],
      [3, "4000", "warning"],
      [4, "open", "open"],
    ] as const) {
      const status = row(id).locator(".cell-status");
      assert.equal((await status.innerText()).trim(), text);
      assert.match((await status.getAttribute("class")) ?? "", new RegExp(`tone-${tone}$`));
    }
  });

  it("offers no URL of a share that has none yet", async () => {
    host.shares = [{ id: "s1", port: 50051, kind: "http", state: "connecting", url: "", problem: "Nothing answers" }];
    await open(0);
    await page.getByRole("heading", { name: "Not reachable yet" }).waitFor();
    await page.getByRole("list", { name: "Shared ports" }).getByText("Nothing answers").waitFor();
    assert.equal(await page.getByRole("button", { name: /^Copy/ }).count(), 0);
  });
});
