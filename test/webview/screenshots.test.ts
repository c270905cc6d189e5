import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../support/chromium.ts";
import { buildPage } from "./build.ts";
import { FakeHost } from "./fake-host.ts";
import { openInBrowser, openInVscode, screenshot } from "./open-page.ts";
import type { Theme } from "./themes.ts";
import { webSocketExchange } from "./traffic.ts";

/** Pictures for people to look at, and what of looks can be asserted: nothing is cut off, nothing overflows. */
describe("how the page looks", () => {
  let browser: Browser;
  let host: FakeHost;

  before(async () => {
    host = new FakeHost(await buildPage());
    await host.start();
    host.add(60);
    host.add(1, (id) => webSocketExchange(id, 400, true));
    browser = await launchChromium();
  });

  after(async () => {
    await browser.close();
    await host.stop();
  });

  for (const theme of ["light", "dark", "high-contrast", "high-contrast-light"] satisfies Theme[])
    it(`in VS Code's panel, ${theme}`, async () => {
      const { page, close } = await openInVscode(browser, host, { theme });
      await page.locator('[role="row"][data-id="50"]').click();
      await page.locator('[role="treeitem"]').first().waitFor();
      await page.locator(".tree").evaluate((tree) => tree.scrollBy(0, 1000));
      await page.locator('[role="treeitem"]', { hasText: "note" }).click();
      await assertNoOverflow(page);
      await screenshot(page, `panel-${theme}`);
      await page.getByRole("tab", { name: "Overview" }).click();
      await screenshot(page, `overview-${theme}`);
      await close();
    });

  for (const [name, width, height] of [
    ["side-bar-300", 300, 700],
    ["side-bar-260", 260, 600],
    ["short-200", 1100, 200],
    ["editor-900", 900, 900],
  ] as const)
    it(`at ${name}`, async () => {
      const { page, close } = await openInVscode(browser, host, { theme: "dark", width, height });
      await page.locator('[role="row"][data-id="60"]').waitFor();
      await assertNoOverflow(page);
      await screenshot(page, `${name}-list`);
      await page.locator('[role="row"][data-id="60"]').click();
      await page.locator('[role="treeitem"]').first().waitFor();
      await assertNoOverflow(page);
      await screenshot(page, `${name}-detail`);
      await close();
    });

  for (const dark of [false, true])
    it(`in a plain browser, ${dark ? "dark" : "light"}`, async () => {
      host.host = "browser";
      const { page, close } = await openInBrowser(browser, host.url, { dark, height: 720 });
      await page.locator('[role="row"][data-id="61"]').click();
      await page.locator(".message").nth(5).click();
      await page.getByRole("radio", { name: "Hex" }).click();
      await page.locator(".hex-line").first().waitFor();
      await assertNoOverflow(page);
      await screenshot(page, `browser-${dark ? "dark" : "light"}-stream`);
      await page.locator('[role="row"][data-id="43"]').click();
      await page.getByRole("tab", { name: "Metadata" }).click();
      await screenshot(page, `browser-${dark ? "dark" : "light"}-metadata`);
      await close();
    });
});

/** The page itself never scrolls sideways, and its main parts lie within the window. */
async function assertNoOverflow(page: Page): Promise<void> {
  const outside = await page.evaluate(() => {
    const wide = document.documentElement.scrollWidth > window.innerWidth ? ["document"] : [];
    for (const element of document.querySelectorAll(
      "pl-toolbar, .list-pane, .detail-pane, pl-status-bar, .tabs, .value-head .modes",
    )) {
      const { right, left, width } = element.getBoundingClientRect();
      if (width > 0 && (right > window.innerWidth + 0.5 || left < -0.5))
        wide.push(element.className || element.localName);
    }
    return wide;
  });
  assert.deepEqual(outside, []);
}
