import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../support/chromium.ts";
import { buildPage } from "./build.ts";
import { FakeHost } from "./fake-host.ts";
import { openInBrowser, openInVscode, type OpenPage } from "./open-page.ts";

describe("the page and its host", () => {
  let browser: Browser;
  let root: string;
  let host: FakeHost;
  let opened: OpenPage;

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

  /** Waits until the page asked its host for this. */
  async function asked(page: Page, method: string): Promise<unknown> {
    for (let frame = 0; frame < 300; frame++) {
      const found = host.done.find((entry) => entry.method === method);
      if (found !== undefined) return found.params;
      await page.evaluate(() => new Promise(requestAnimationFrame));
    }
    throw new Error(`the page never asked for ${method}`);
  }

  it("connects again after its server was gone, keeps what is shown, and shows what came meanwhile", async () => {
    host.add(50);
    opened = await openInBrowser(browser, host.url, { height: 700 });
    const { page } = opened;
    await page.locator('[role="row"][data-id="50"]').click();
    await page.getByRole("treeitem").first().waitFor();
    await host.stop();
    await page.getByText("Disconnected: reconnecting…").waitFor();
    await page.getByRole("treeitem").first().waitFor();
    host.add(5);
    await host.start();
    await page.getByText("Disconnected: reconnecting…").waitFor({ state: "detached" });
    await page.getByText("55 exchanges").waitFor();
    await page.getByRole("button", { name: /Jump to newest/ }).click();
    await page.locator('[role="row"][data-id="55"]').waitFor();
    // The exchange that is looked at is watched again.
    host.change(50, { statusText: "STILL_WATCHED" });
    await page.locator(".detail-status", { hasText: "STILL_WATCHED" }).waitFor();
  });

  it("says so when nobody answers at first, and loads as soon as somebody does", async () => {
    const { url } = host;
    host.add(1);
    opened = await openInBrowser(browser, url);
    const { page } = opened;
    await page.locator('[role="row"][data-id="1"]').waitFor();
    await host.stop();
    host.exchanges.clear();
    await page.getByText("Disconnected: reconnecting…").waitFor();
    await host.start();
    await page.getByRole("heading", { name: "Waiting for traffic" }).waitFor();
  });

  it("says what to do when nothing is shared", async () => {
    host.shares = [];
    opened = await openInBrowser(browser, host.url);
    const { page } = opened;
    await page.getByRole("heading", { name: "No port is shared" }).waitFor();
    await page.getByText("portlight share 8080 --inspect").waitFor();
    await page.getByRole("button", { name: /^Copy portlight share/ }).click();
    await page.getByRole("status").filter({ hasText: "Copied" }).waitFor();
    host.setState({
      shares: [{ id: "s1", port: 50051, kind: "http", state: "online", url: "http://127.0.0.1:41234" }],
    });
    await page.getByRole("heading", { name: "Waiting for traffic" }).waitFor();
    await page.getByText("grpcurl -plaintext 127.0.0.1:41234 list").waitFor();
    await page.getByText("curl http://127.0.0.1:41234", { exact: true }).waitFor();
    host.add(1);
    await page.locator('[role="row"][data-id="1"]').waitFor();
  });

  it("asks VS Code to share, to open files and editors, to copy and to save", async () => {
    host.shares = [];
    opened = await openInVscode(browser, host, { width: 1400, height: 800 });
    const { page } = opened;
    await page.getByRole("button", { name: "Share Port…" }).click();
    await asked(page, "host/sharePort");
    await page.getByRole("button", { name: "Open in Editor" }).click();
    await asked(page, "host/openInEditor");

    host.add(30);
    await page.locator('[role="row"][data-id="30"]').click();
    await page.getByRole("treeitem").first().waitFor();
    await page.locator(".value-title .type").click();
    assert.deepEqual(await asked(page, "host/openSource"), { file: "proto/shop/v1/orders.proto", line: 31 });
    await page.getByRole("button", { name: "Copy or save this message" }).click();
    await page.getByRole("menuitem", { name: "Open JSON in an editor" }).click();
    assert.equal(((await asked(page, "host/openUntitled")) as { language: string }).language, "json");
    await page.getByRole("button", { name: "Copy or save this message" }).click();
    await page.getByRole("menuitem", { name: "Save bytes…" }).click();
    const saved = (await asked(page, "host/save")) as { name: string; base64: string };
    assert.equal(saved.name, "exchange-30-message-1.bin");
    assert.equal(Buffer.from(saved.base64, "base64").length, 312);
    await page.getByRole("button", { name: "Copy as" }).click();
    await page.getByRole("menuitem", { name: "Copy as grpcurl" }).click();
    assert.deepEqual(await asked(page, "host/copy"), { text: "grpcurl # exchange 30" });
  });

  it("comes back as it was after it was hidden, and keeps no traffic", async () => {
    host.add(40);
    opened = await openInVscode(browser, host, { width: 1400, height: 800 });
    const { page } = opened;
    await page.getByRole("textbox", { name: "Filter exchanges" }).fill("orders");
    await page.getByText(/^\d+ of 40 exchanges/).waitFor();
    await page.locator('[role="row"][data-id="40"]').click();
    await page.getByRole("tab", { name: "Metadata" }).click();
    await page.getByRole("button", { name: "Reveal authorization" }).click();
    await page.getByText("Bearer token-of-40").waitFor();
    await page.waitForFunction(() => (sessionStorage.getItem("vscode-state") ?? "").includes('"tab":"headers"'));
    const kept = (await page.evaluate(() => sessionStorage.getItem("vscode-state"))) ?? "";
    assert.deepEqual(Object.keys(JSON.parse(kept) as object).sort(), ["exchange", "filter", "mode", "split", "tab"]);
    await page.reload();
    await page.getByText("grpc-node-js/1.14.7").waitFor();
    assert.equal(await page.getByRole("textbox", { name: "Filter exchanges" }).inputValue(), "orders");
    assert.ok(!(await page.content()).includes("Bearer"));
  });

  it("shows what the user asked the host to show", async () => {
    host.add(40);
    opened = await openInVscode(browser, host, { width: 1400, height: 800 });
    const { page } = opened;
    await page.locator('[role="row"][data-id="40"]').waitFor();
    host.reveal({ exchange: 7, filter: "protocol:http" });
    await page.locator("pl-detail", { hasText: "404 Not Found" }).waitFor();
    assert.equal(await page.getByRole("textbox", { name: "Filter exchanges" }).inputValue(), "protocol:http");
  });
});
