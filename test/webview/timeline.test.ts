import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../support/chromium.ts";
import { buildPage } from "./build.ts";
import { FakeHost } from "./fake-host.ts";
import { openInBrowser, type OpenPage } from "./open-page.ts";
import { webSocketExchange } from "./traffic.ts";

const MANY = 100_000;

describe("the timeline of a stream", () => {
  let browser: Browser;
  let host: FakeHost;
  let opened: OpenPage;
  let page: Page;
  let root: string;

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

  async function open(count: number, live: boolean): Promise<void> {
    host.add(1, (id) => webSocketExchange(id, count, live));
    opened = await openInBrowser(browser, host.url, { width: 1400, height: 800 });
    ({ page } = opened);
    await page.locator('[role="row"][data-id="1"]').click();
    await page.getByRole("tab", { name: `Messages (${count.toLocaleString("en-US")})` }).waitFor();
  }

  const message = (index: number): ReturnType<Page["locator"]> =>
    page.locator(`.timeline [data-position="${index}"] .message`);

  it("holds a hundred thousand messages with few elements", async () => {
    await open(MANY, false);
    await message(0).waitFor();
    await message(0).press("End");
    await message(MANY - 1)
      .getByText(`"tick":${MANY - 1}`)
      .or(message(MANY - 1))
      .first()
      .waitFor();
    await page.locator(".timeline").evaluate((list) => (list.scrollTop = 22 * 50_000));
    await message(50_001).getByText('"tick":50001').waitFor();
    const count = await page.locator(".message").count();
    assert.ok(count <= 80, `${count} messages are in the document`);
    assert.equal(await message(50_001).getAttribute("aria-setsize"), String(MANY));
    assert.equal(await message(50_001).getAttribute("aria-posinset"), "50002");
    assert.ok((host.requests.get("exchange/messages") ?? 0) <= 8);
  });

  it("grows while the stream is open, follows, and stops following when the user scrolls", async () => {
    await open(500, true);
    await message(499).waitFor();
    const grow = (by: number): void => {
      const row = host.exchanges.get(1)?.row;
      host.change(1, { serviceMessages: (row?.serviceMessages ?? 0) + by, lastActivityAt: Date.now() });
    };
    grow(10);
    await message(509).getByText('"tick":509').waitFor();
    await page.getByRole("tab", { name: "Messages (510)" }).waitFor();

    await page.locator(".timeline").hover();
    await page.mouse.wheel(0, -2000);
    await page.locator(".messages-timeline .jump").waitFor();
    grow(7);
    await page.getByRole("button", { name: "Jump to newest (7)" }).click();
    await message(516).waitFor();
    grow(1);
    await message(517).waitFor();
  });

  it("follows five hundred messages a second without falling behind", async () => {
    await open(100, true);
    const start = Date.now();
    for (let batch = 0; batch < 40; batch++) {
      const row = host.exchanges.get(1)?.row;
      host.change(1, { serviceMessages: (row?.serviceMessages ?? 0) + 25, lastActivityAt: Date.now() });
      await page.evaluate(() => new Promise(requestAnimationFrame));
    }
    await message(1099).getByText('"tick":1099').waitFor();
    assert.ok(Date.now() - start < 10_000);
    assert.ok((await page.locator(".message").count()) <= 80);
  });

  it("names directions, dropped bytes and the end in words", async () => {
    await open(20, false);
    assert.match((await message(0).getAttribute("aria-label")) ?? "", /^service to visitor, \+0 ms/);
    assert.match((await message(1).getAttribute("aria-label")) ?? "", /^visitor to service/);
    await message(13).getByText("dropped").waitFor();
    await page.locator(".timeline-end", { hasText: "1000 Normal Closure" }).click();
    await page.getByText("Closed by the visitor: 1000 Normal Closure, done").waitFor();
  });

  it("shows another exchange from its start", async () => {
    await open(2000, false);
    host.add(1, (id) => webSocketExchange(id, 300));
    await message(0).press("End");
    await message(1999).waitFor();
    await page.locator('[role="row"][data-id="2"]').click();
    await page.getByRole("tab", { name: "Messages (300)" }).waitFor();
    await message(0).waitFor();
    assert.equal(await message(0).getAttribute("aria-selected"), "true");
  });
});
