import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../support/chromium.ts";
import { buildPage } from "./build.ts";
import { FakeHost } from "./fake-host.ts";
import { openInBrowser, type OpenPage } from "./open-page.ts";

describe("with the keyboard alone", () => {
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
    host.add(1000);
  });

  afterEach(async () => {
    await opened.close();
    await host.stop();
  });

  async function open(width: number): Promise<void> {
    opened = await openInBrowser(browser, host.url, { width, height: 700 });
    ({ page } = opened);
    await page.locator('[role="row"][data-id="1000"]').waitFor();
  }

  /** Waits until the focus is on an element that this selector matches. */
  const focused = (selector: string): Promise<unknown> =>
    page.waitForFunction((wanted) => document.activeElement?.matches(wanted) === true, selector);
  const press = async (...keys: readonly string[]): Promise<void> => {
    for (const key of keys) await page.keyboard.press(key);
  };

  it("walks from the filter to a list row, its detail, a message, its value, and back", async () => {
    await open(1400);
    await press("/");
    await focused("#filter");
    await press("Escape");
    await focused('[role="row"][data-id="1000"]');

    await press("Home");
    await focused('[role="row"][data-id="1"]');
    await press("ArrowDown", "ArrowDown");
    await focused('[role="row"][data-id="3"]');
    await press("PageDown");
    await page.waitForFunction(() => Number((document.activeElement as HTMLElement).dataset["id"]) > 10);
    await press("End", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp");
    await focused('[role="row"][data-id="992"]');
    assert.equal(await page.locator("pl-detail").count(), 0);

    await press("Enter");
    await focused(".message.selected");
    await press("ArrowUp");
    await focused('.message[aria-posinset="1"]');
    await page.locator('[role="treeitem"]', { hasText: "order_id" }).waitFor();
    await press("ArrowDown");
    await page.locator('[role="treeitem"]', { hasText: "customer" }).waitFor();
    await press("Enter");
    await focused(".messages-value [tabindex='0']");
    await page.locator('[role="treeitem"][tabindex="0"]').focus();
    await press("ArrowDown", "ArrowLeft");
    await page.locator('[role="treeitem"][aria-expanded="false"]', { hasText: "customer" }).waitFor();
    await press("ArrowRight", "ArrowRight");
    await focused('[role="treeitem"][aria-level="2"]');
    await press("ArrowLeft");
    await focused('[role="treeitem"][aria-level="1"][aria-expanded="true"]');

    await press("Escape");
    await focused(".message.selected");
    await press("Escape");
    await focused('[role="row"][data-id="992"]');
    // While the detail is open, it shows the row one walks over.
    await press("ArrowUp");
    await page.locator('[role="row"][data-id="991"][aria-selected="true"]').waitFor();
    await press("Escape");
    await page.locator("pl-detail").waitFor({ state: "detached" });
    await focused('[role="row"][data-id="991"]');
  });

  it("walks through tabs, views and menus", async () => {
    await open(1400);
    await press("/", "ArrowDown", "Enter");
    await focused(".message");
    await page.locator('[role="tab"][aria-selected="true"]').focus();
    await press("ArrowRight");
    await focused("#tab-headers");
    await page.locator("pl-headers table").first().waitFor();
    await press("ArrowRight", "ArrowRight");
    await focused("#tab-messages");
    await page.getByRole("radio", { name: "Tree" }).focus();
    await press("ArrowRight");
    await focused('[data-mode="json"]');
    await page.locator(".text-view pre").waitFor();
    await page.getByRole("button", { name: "Copy as" }).focus();
    await press("Enter");
    await focused('[role="menuitem"]');
    await press("ArrowDown");
    await press("Escape");
    await focused('[aria-label="Copy as"]');
    await page.getByRole("separator", { name: "Width of the list" }).focus();
    const before = Number(await page.getByRole("separator").getAttribute("aria-valuenow"));
    await press("ArrowRight", "ArrowRight");
    assert.equal(Number(await page.getByRole("separator").getAttribute("aria-valuenow")), before + 4);
  });

  it("goes to the detail and back where only one pane has room", async () => {
    await open(320);
    await press("/", "Escape");
    await focused('[role="row"][data-id="1000"]');
    await press("ArrowUp", "Enter");
    await focused(".message");
    assert.ok(await page.locator(".list-pane").isHidden());
    await press("Escape");
    await focused('[role="row"][data-id="999"]');
    assert.equal(await page.locator("pl-detail").count(), 0);
    await page.locator('[role="row"][data-id="998"]').click();
    await page.getByRole("button", { name: "Back" }).click();
    await focused('[role="row"][data-id="998"]');
  });

  it("keeps the focus on a row that scrolls out of sight", async () => {
    await open(1000);
    await press("/", "Escape");
    await focused('[role="row"][data-id="1000"]');
    await press("ArrowUp");
    await focused('[role="row"][data-id="999"]');
    await page.locator("pl-exchange-list pl-virtual-list").hover();
    await page.mouse.wheel(0, -12_000);
    await page.locator('[role="row"][data-id="450"]').waitFor();
    await focused('[role="row"][data-id="999"]');
    await press("ArrowUp");
    await focused('[role="row"][data-id="998"]');
    await page.locator('[role="row"][data-id="998"]').waitFor();
  });

  it("shows where the focus is, and stands still when asked to", async () => {
    await open(1000);
    await press("/", "Escape");
    await focused('[role="row"][data-id="1000"]');
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle);
    assert.equal(outline, "solid");
    await page.emulateMedia({ reducedMotion: "reduce" });
    assert.equal(
      await page
        .locator(".share .turning")
        .first()
        .evaluate((icon) => getComputedStyle(icon).animationName),
      "none",
    );
  });
});
