import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../support/chromium.ts";
import { buildPage } from "./build.ts";
import { FakeHost } from "./fake-host.ts";
import { openInBrowser, openInVscode, type OpenPage } from "./open-page.ts";
import { grpcExchange, httpExchange, webSocketExchange } from "./traffic.ts";

describe("the detail of an exchange", () => {
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
    host.add(30);
    opened = await openInBrowser(browser, host.url, { width: 1400, height: 800 });
    ({ page } = opened);
  });

  afterEach(async () => {
    await opened.close();
    await host.stop();
  });

  const open = (id: number): Promise<void> => page.locator(`[role="row"][data-id="${id}"]`).click();
  const line = (text: string): ReturnType<Page["locator"]> => page.getByRole("treeitem").filter({ hasText: text });
  const clipboard = (): Promise<string> => page.evaluate(() => navigator.clipboard.readText());

  it("shows the answer of a unary call as a tree with numbers, types and unknown fields", async () => {
    await open(30);
    await line("ada@example.com").waitFor();
    assert.match(await line("quantity").innerText(), /2\s*quantity\s*:\s*2\s*int32/);
    assert.match(await line("ORDER_STATE_PAID").innerText(), /state\s*:\s*ORDER_STATE_PAID\s*2\s*OrderState/);
    await line("zigzag 75").getByText("unknown").waitFor();
    assert.equal(await line("email").getAttribute("aria-level"), "2");
  });

  it("masks a secret of a form until it is clicked", async () => {
    const fields = [
      { name: "user", value: "ada", secret: false },
      { name: "password", value: "correct horse", secret: true },
    ];
    host.add(1, (id) => ({
      ...httpExchange(id),
      decode: () => ({ view: "form", fields, truncated: false }),
    }));
    await open(31);
    const form = page.getByRole("table", { name: "Form fields" });
    await form.getByText("ada").waitFor();
    assert.doesNotMatch(await page.locator("body").innerText(), /correct horse/);
    await form.getByRole("button", { name: "Reveal password" }).click();
    await form.getByText("correct horse").waitFor();
    await form.getByRole("button", { name: "Hide password" }).click();
    await form.getByText("correct horse").waitFor({ state: "detached" });
  });

  it("closes and opens branches, and shows a long value whole with its place", async () => {
    await open(30);
    await line("vip").first().waitFor();
    await line("customer").click();
    await page.waitForFunction(() => document.querySelectorAll(".tree-name").length === 14 - 3);
    assert.equal(await line("customer").getAttribute("aria-expanded"), "false");
    await line("customer").getByText('{name: "Ada Lovelace"').waitFor();
    await line("customer").click();
    await page.waitForFunction(() => document.querySelectorAll(".tree-name").length === 14);
    await line("note").click();
    await page.locator(".tree-facts", { hasText: "field 6 · string · 288 characters · octets 90 to 290" }).waitFor();
    await page.getByRole("button", { name: "Copy value of note" }).click();
    await page.getByRole("status").filter({ hasText: "Copied" }).waitFor();
    assert.equal(await clipboard(), "Leave it with the neighbour, please ring twice. ".repeat(6));
  });

  it("shows the same message as JSON, text and hex, and keeps the choice", async () => {
    await open(30);
    await page.getByRole("radio", { name: "JSON" }).click();
    await page
      .locator("pre", { hasText: '"orderId"' })
      .or(page.locator("pre", { hasText: '"customer"' }))
      .waitFor();
    assert.deepEqual((JSON.parse(await page.locator("pre").innerText()) as { id: string }).id, "ord_30");
    await page.getByRole("radio", { name: "Text" }).click();
    await page.locator("pre", { hasText: "order 30" }).waitFor();
    await page.getByRole("radio", { name: "Hex" }).click();
    await page.locator(".hex-line").nth(10).waitFor();
    const octets = (at: number): number => (at * 31 + 30) & 0xff;
    const first = (await page.locator(".hex-octets").first().innerText()).trim().split(/\s+/);
    assert.deepEqual(
      first.map((text) => Number.parseInt(text, 16)),
      Array.from(first, (_, at) => octets(at)),
    );
    await open(20);
    assert.equal(await page.getByRole("radio", { name: "Hex" }).getAttribute("aria-checked"), "true");
  });

  it("highlights the octets of the field that was chosen in the tree", async () => {
    await open(30);
    await line("vip").click();
    await page.getByRole("radio", { name: "Hex" }).click();
    await page.locator(".hex-octets mark").waitFor();
    const marked = (await page.locator(".hex-octets mark").allInnerTexts()).join(" ").trim().split(/\s+/);
    assert.deepEqual(
      marked,
      [43, 44].map((at) => ((at * 31 + 30) & 0xff).toString(16).padStart(2, "0")),
    );
  });

  it("loads a large message in chunks as it is scrolled", async () => {
    const size = 3 * 1024 * 1024;
    host.add(1, (id) => ({ ...httpExchange(id), bytes: () => new Uint8Array(size).fill(0x41) }));
    await open(31);
    await page.getByRole("radio", { name: "Hex" }).click();
    await page.locator(".hex-line").first().waitFor();
    await page.locator(".hex").evaluate((list) => (list.scrollTop = list.scrollHeight));
    await page.locator(".hex-offset", { hasText: "002ffff" }).first().waitFor();
    assert.match(await page.locator(".hex-octets").last().innerText(), /^(41 +){7,15}41/);
    assert.ok(
      (host.requests.get("message/bytes") ?? 0) <= 6,
      `${host.requests.get("message/bytes")} chunks were asked for`,
    );
    assert.ok((await page.locator(".hex-line").count()) < 120);
  });

  it("saves the bytes of a message", async () => {
    await open(30);
    await line("ada@example.com").waitFor();
    await page.getByRole("button", { name: "Copy or save this message" }).click();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("menuitem", { name: "Save bytes…" }).click(),
    ]);
    assert.equal((await readFile(await download.path())).length, 312);
    await page.getByRole("button", { name: "Copy or save this message" }).click();
    await page.getByRole("menuitem", { name: "Copy JSON" }).click();
    await page.getByRole("status").filter({ hasText: "Copied JSON" }).waitFor();
    assert.equal((JSON.parse(await clipboard()) as { id: string }).id, "ord_30");
  });

  it("keeps secrets masked until asked, and asks only then", async () => {
    await open(30);
    await page.getByRole("tab", { name: "Metadata" }).click();
    const authorization = page.getByRole("row", { name: "authorization" });
    await authorization.getByText("••••••").waitFor();
    assert.equal(host.requests.get("exchange/reveal"), undefined);
    assert.ok(!(await page.content()).includes("Bearer"));
    await authorization.getByRole("button", { name: "Reveal authorization" }).click();
    await authorization.getByText("Bearer token-of-30").waitFor();
    await authorization.getByRole("button", { name: "Hide authorization" }).click();
    await authorization.getByText("••••••").waitFor();
    await page.getByText("6 B: 00 01 02 03 04 ff").waitFor();
    for (const title of ["Request", "Response", "Response trailers"])
      await page.getByRole("table", { name: title, exact: true }).waitFor();
  });

  it("copies a call as grpcurl and as curl", async () => {
    await open(30);
    for (const format of ["grpcurl", "curl"]) {
      await page.getByRole("button", { name: "Copy as" }).click();
      await page.getByRole("menuitem", { name: `Copy as ${format}`, exact: true }).click();
      await page
        .getByRole("status")
        .filter({ hasText: `Copied as ${format}` })
        .waitFor();
      assert.equal(await clipboard(), `${format} # exchange 30`);
    }
  });

  it("says how a failed call ended, with its rich details", async () => {
    host.add(13);
    await open(43);
    await page.getByText("order not found").first().waitFor();
    await line("resource_name").getByText('"ord_13"').waitFor();
    await page.getByRole("tab", { name: "Overview" }).click();
    await page.locator(".call-status", { hasText: "NOT_FOUND" }).getByText("grpc-status 5").waitFor();
    await page.locator(".facts dd", { hasText: "5.00 s: 4.86 s left" }).waitFor();
  });

  it("says who broke an exchange off, and that bytes are missing", async () => {
    host.add(1, (id) => {
      const exchange = grpcExchange(id);
      const failure = {
        by: "service",
        code: "closed",
        message: "127.0.0.1:50051 closed the connection in mid-answer",
      } as const;
      return {
        ...exchange,
        row: { ...exchange.row, state: "failed", statusText: "UNAVAILABLE", grpcStatus: 14, incomplete: true, failure },
      };
    });
    await open(31);
    await page.getByRole("tab", { name: "Overview" }).click();
    await page
      .getByText("127.0.0.1:50051 closed the connection in mid-answer. This exchange failed at the service.")
      .waitFor();
    await page.getByText("Part of this exchange is not in the capture").waitFor();
  });

  it("explains messages that are not whole, not typed, or not decodable", async () => {
    host.add(1, (id) => {
      const exchange = grpcExchange(id);
      return {
        ...exchange,
        message: (index) => ({
          ...exchange.message(index),
          state: index === 0 ? "capped" : "partial",
          ...(index === 1 ? { problem: "unknown compression snappy" } : {}),
        }),
        decode: () => ({
          view: "protobuf",
          schema: { problem: "No .proto file defines shop.v1.Orders. Add it to the workspace." },
          reading: "wire",
          tree: [{ number: 1, name: "1", type: "length-delimited", value: "ord", unknown: true, offset: 0, length: 5 }],
          hasUnknownFields: true,
          truncated: true,
        }),
      };
    });
    await open(31);
    await page.getByText("Not whole: the exchange ended in the middle of it.").waitFor();
    await page.getByText("unknown compression snappy").waitFor();
    await page.getByText("No .proto file defines shop.v1.Orders. Add it to the workspace.").waitFor();
    await page.getByText("Read from the wire without a type").waitFor();
    await page.getByText("Shown in part").waitFor();
    assert.ok(await page.getByRole("radio", { name: "JSON" }).isDisabled());
  });

  it("reads messages again when the schema changed", async () => {
    await open(30);
    await line("ada@example.com").waitFor();
    const before = host.requests.get("message/decode") ?? 0;
    host.setSchema({ revision: 2, problems: [] });
    await page.getByRole("button", { name: /12 \.proto files/ }).waitFor();
    await page.waitForFunction(() => !document.querySelector("pl-status-bar")?.textContent.includes("problem"));
    for (let tries = 0; tries < 100 && host.requests.get("message/decode") === before; tries++)
      await page.evaluate(() => new Promise(requestAnimationFrame));
    assert.ok((host.requests.get("message/decode") ?? 0) > before);
  });

  it("lets the type of binary WebSocket messages be chosen", async () => {
    host.add(1, (id) => webSocketExchange(id, 20));
    await open(31);
    await page.locator(".message").nth(6).click();
    const picker = page.getByLabel("Binary messages from the service are");
    await picker.focus();
    await page.locator('option[value="shop.v1.Tick"]').waitFor({ state: "attached" });
    await picker.fill("shop.v1.Tick");
    for (let tries = 0; tries < 100 && !host.done.some(({ method }) => method === "websocket/setType"); tries++)
      await page.evaluate(() => new Promise(requestAnimationFrame));
    assert.deepEqual(host.done.at(-1), {
      method: "websocket/setType",
      params: { id: 31, from: "service", type: "shop.v1.Tick" },
    });
  });

  it("lists the problems of the schema with file and line", async () => {
    await page.getByRole("button", { name: /12 \.proto files.*1 problem/ }).click();
    await page.getByText("proto/shop/v1/broken.proto:7").waitFor();
    await page.getByText("expected ';'").waitFor();
    await page.getByRole("button", { name: "Read the .proto files again" }).click();
    await page.getByRole("button", { name: /12 \.proto files/ }).click();
    assert.equal(host.done.at(-1)?.method, "schema/reload");
  });

  it("keeps what was shown of an exchange that has left the capture", async () => {
    await open(30);
    await line("ada@example.com").waitFor();
    host.exchanges.delete(30);
    host.setSchema({ revision: 3 });
    await page.getByText("This exchange has left the capture").waitFor();
    await page.getByRole("tab", { name: "Metadata" }).click();
    await page.getByText("grpc-node-js/1.14.7").waitFor();
  });

  it("closes for an exchange of which nothing is known any more", async () => {
    await open(30);
    await line("ada@example.com").waitFor();
    host.exchanges.delete(30);
    // The page remembers a moment later.
    await page.waitForFunction(() =>
      Object.values(sessionStorage).some((kept) => String(kept).includes('"exchange":30')),
    );
    await page.reload();
    await page.getByText("The exchange that was open is no longer in the capture").waitFor();
    assert.equal(await page.getByRole("tab").count(), 0);
  });

  it("calls a close frame what it is", async () => {
    host.add(1, (id) => ({
      ...webSocketExchange(id, 2),
      message: (index) => ({
        ...webSocketExchange(id, 2).message(index),
        kind: index === 1 ? "close" : "text",
        preview: index === 1 ? "1000 that was all" : "hello",
      }),
      decode: () => ({ view: "close", code: 1000, reason: "that was all" }),
    }));
    await open(31);
    const frame = page.locator(".message").nth(1);
    await frame.getByText("close", { exact: true }).waitFor();
    assert.match((await frame.getAttribute("aria-label")) ?? "", /, close 1000 that was all$/);
    await frame.click();
    await page.getByText("Close code 1000 Normal Closure: that was all").waitFor();
  });

  it("leads to the definition of a type from a low and narrow panel too", async () => {
    await opened.close();
    opened = await openInVscode(browser, host, { width: 923, height: 200 });
    ({ page } = opened);
    await open(30);
    const type = page.locator(".value-head").getByRole("button", { name: "Order", exact: false }).first();
    await type.waitFor();
    const box = await type.boundingBox();
    assert.ok(box !== null && box.width >= 24 && box.height >= 12, JSON.stringify(box));
    await type.click();
    for (let tries = 0; tries < 100 && !host.done.some(({ method }) => method === "host/openSource"); tries++)
      await page.evaluate(() => new Promise(requestAnimationFrame));
    assert.equal(host.done.at(-1)?.method, "host/openSource");
  });
});
