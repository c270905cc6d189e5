import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../support/chromium.ts";
import { buildPage } from "./build.ts";
import { FakeHost } from "./fake-host.ts";
import { openInVscode } from "./open-page.ts";
import type { Theme } from "./themes.ts";

describe("accessibility", () => {
  let browser: Browser;
  let host: FakeHost;

  before(async () => {
    browser = await launchChromium();
    host = new FakeHost(await buildPage());
    await host.start();
    host.add(100);
  });

  after(async () => {
    await browser.close();
    await host.stop();
  });

  it("every control has a name, every role its place", async () => {
    const { page, close } = await openInVscode(browser, host, { width: 1400, height: 800 });
    await page.locator('[role="row"][data-id="100"]').click();
    for (const tab of ["Messages", "Metadata", "Overview"]) {
      await page.getByRole("tab", { name: tab }).click();
      await page.locator("#detail-panel > *").first().waitFor();
      assert.deepEqual(await page.evaluate(findProblems), [], tab);
    }
    await close();
  });

  it("a row says all its columns in one sentence", async () => {
    const { page, close } = await openInVscode(browser, host);
    const label = await page.locator('[role="row"][data-id="100"]').getAttribute("aria-label");
    assert.match(
      label ?? "",
      /^gRPC shop\.v1\.Orders\/GetOrder, OK, 1 messages from the visitor, 1 from the service, 336 B, \d+ ms$/,
    );
    await close();
  });

  for (const theme of ["light", "dark", "high-contrast", "high-contrast-light"] satisfies Theme[])
    it(`text can be told from its background (${theme})`, async () => {
      const { page, close } = await openInVscode(browser, host, { theme, width: 1400, height: 800 });
      await page.locator('[role="row"][data-id="100"]').click();
      await page.getByRole("treeitem").first().waitFor();
      // 3:1 is what WCAG asks of large text and of icons; the colours are the theme's own, and Light Modern's red is the weakest.
      assert.deepEqual(await weakTexts(page, theme.startsWith("high") ? 4.5 : 3), []);
      await close();
    });
});

/** Runs in the page. */
function findProblems(): string[] {
  const problems: string[] = [];
  const named = (element: Element): boolean =>
    [element.getAttribute("aria-label"), element.getAttribute("title"), element.textContent].some(
      (text) => (text ?? "").trim() !== "",
    ) ||
    (element instanceof HTMLInputElement && (element.labels?.length ?? 0) > 0);
  for (const element of document.querySelectorAll(
    "button, input, [role='tab'], [role='radio'], [role='grid'], [role='tree'], [role='listbox'], [role='separator'], [role='region'], table",
  ))
    if (!named(element)) problems.push(`no name: ${element.outerHTML.slice(0, 120)}`);
  const places = {
    row: "[role='grid'], table",
    gridcell: "[role='row']",
    columnheader: "[role='row']",
    treeitem: "[role='tree']",
    option: "[role='listbox']",
    tab: "[role='tablist']",
    radio: "[role='radiogroup']",
  };
  for (const [role, place] of Object.entries(places))
    for (const element of document.querySelectorAll(`[role='${role}']`))
      if (element.closest(place) === null) problems.push(`${role} outside of ${place}`);
  for (const reference of ["aria-controls", "aria-labelledby", "aria-describedby"])
    for (const element of document.querySelectorAll(`[${reference}]`))
      if (document.getElementById(element.getAttribute(reference) ?? "") === null)
        problems.push(`${reference} leads nowhere`);
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) problems.push(`id ${id} twice`);
  for (const group of document.querySelectorAll("[role='grid'], [role='tree'], [role='listbox'], [role='tablist']"))
    if (group.querySelectorAll("[tabindex='0']").length > 1)
      problems.push(`${group.getAttribute("role") ?? ""} has several tab stops`);
  return problems;
}

/** Visible texts whose contrast with the page's background is below `least` (WCAG 2.2, 1.4.3). */
async function weakTexts(page: Page, least: number): Promise<string[]> {
  return page.evaluate((minimum) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    if (canvas === null) throw new Error("no canvas");
    const paint = (under: readonly number[], colour: string): readonly number[] => {
      canvas.fillStyle = `rgb(${under.join(",")})`;
      canvas.fillRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb: readonly number[]): number => {
      const [red = 0, green = 0, blue = 0] = rgb.map((value) =>
        value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
      );
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const background = (element: Element | null): readonly number[] =>
      element === null
        ? [255, 255, 255]
        : paint(background(element.parentElement), getComputedStyle(element).backgroundColor);
    const weak = new Set<string>();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const element = node.parentElement;
      if (
        element === null ||
        (node.textContent ?? "").trim() === "" ||
        !element.checkVisibility() ||
        element.closest(":disabled, [popover]") !== null
      )
        continue;
      const under = background(element);
      const [light = 0, dark = 0] = [luminance(paint(under, getComputedStyle(element).color)), luminance(under)].sort(
        (a, b) => b - a,
      );
      const ratio = (light + 0.05) / (dark + 0.05);
      if (ratio < minimum) weak.add(`${element.className || element.localName}: ${ratio.toFixed(2)}`);
    }
    return [...weak];
  }, least);
}
