import assert from "node:assert/strict";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { WebSocket } from "ws";
import { startInspectorServer, type InspectorServer } from "../../agent/inspector-server.ts";
import { startSample, type Sample } from "../../sample/services.ts";
import { visitGrpc, visitHttp } from "../../sample/visitors.ts";
import { silentLogger } from "../../wire/logger.ts";
import { launchChromium } from "../support/chromium.ts";
import { startPath, type Path, type Shared } from "../support/path.ts";
import { buildPage } from "./build.ts";
import { openInBrowser, screenshot, type OpenPage } from "./open-page.ts";

/** The page over everything that is real: sample services, relay, agent, capture, decoder, inspector server. */
describe("the page and a real capture", () => {
  let browser: Browser;
  let sample: Sample;
  let path: Path;
  let inspector: InspectorServer;
  let grpc: Shared;
  let websocket: Shared;
  let opened: OpenPage;
  let page: Page;

  before(async () => {
    const webviewRoot = await buildPage();
    sample = await startSample();
    path = await startPath();
    inspector = await startInspectorServer({
      capture: path.capture,
      agent: path.agent,
      port: 0,
      webviewRoot,
      log: silentLogger,
    });
    browser = await launchChromium();
    opened = await openInBrowser(browser, inspector.url, { width: 1400, height: 800, dark: true });
    ({ page } = opened);
  });

  after(async () => {
    await opened.close();
    await browser.close();
    await inspector.close();
    await path.close();
    await sample.close();
  });

  const rows = (text: string): ReturnType<Page["locator"]> =>
    page.locator('.list-row [role="row"]').filter({ hasText: text });
  const line = (text: string): ReturnType<Page["locator"]> => page.getByRole("treeitem").filter({ hasText: text });

  it("says that nothing is shared, then waits for traffic at the URL", async () => {
    await page.getByRole("heading", { name: "No port is shared" }).waitFor();
    grpc = await path.share(sample.grpc.port);
    websocket = await path.share(sample.websocket.port);
    await page.getByRole("heading", { name: "Waiting for traffic" }).waitFor();
    await page.getByText(`curl ${grpc.url}`, { exact: true }).waitFor();
  });

  it("shows calls of a real client as they happen, decoded with the workspace's types", async () => {
    await visitGrpc(grpc.url, () => undefined);
    await rows("NOT_FOUND").first().waitFor();
    await rows("GetOrder").filter({ hasText: "OK" }).first().click();
    await page.locator(".value-title .type", { hasText: "Order" }).waitFor();
    await line("id:").first().waitFor();
    assert.match(await line("id:").first().innerText(), /1\s*id\s*:\s*".+"/);
    await page.locator(".message", { hasText: "GetOrderRequest" }).click();
    await page.locator(".value-title .type", { hasText: "GetOrderRequest" }).waitFor();
    await screenshot(page, "real-grpc");

    await page.getByRole("tab", { name: "Metadata" }).click();
    const secret = page.locator("tr", { hasText: "authorization" }).first();
    await secret.getByText("••••••").waitFor();
    await secret.getByRole("button", { name: "Reveal authorization" }).click();
    await secret.getByText("Bearer a-secret-that-the-inspector-masks").waitFor();
    await page.getByText('7 B: "a trace"').first().waitFor();
    await screenshot(page, "real-metadata");
  });

  it("shows rich error details of a failed call", async () => {
    await rows("NOT_FOUND").first().click();
    await page.getByRole("tab", { name: "Overview" }).click();
    await page.locator(".call-status", { hasText: "NOT_FOUND" }).getByText("grpc-status 5").waitFor();
    await page.locator(".call-status").getByRole("treeitem").first().waitFor();
    await screenshot(page, "real-error");
    await page.getByRole("tab", { name: "Messages" }).click();
  });

  it("copies a captured call as a grpcurl command, without its secrets", async () => {
    await rows("GetOrder").first().click();
    await page.getByRole("button", { name: "Copy as" }).click();
    await page.getByRole("menuitem", { name: "Copy as grpcurl" }).click();
    await page.getByRole("status").filter({ hasText: "Copied as grpcurl" }).waitFor();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(command, /grpcurl[\s\S]*shop\.v1\.Orders\/GetOrder/);
    assert.ok(!command.includes("a-secret"));
  });

  it("filters with the real grammar, and passes its objections on", async () => {
    const filter = page.getByRole("textbox", { name: "Filter exchanges" });
    await filter.fill("status:NOT_FOUND");
    await page.waitForFunction(() => {
      const texts = [...document.querySelectorAll(".list-row .status-text")].map(({ textContent }) => textContent);
      return texts.length > 0 && texts.every((text) => text === "NOT_FOUND");
    });
    await filter.fill("slower:soon");
    await page.locator("#filter-error").waitFor();
    await filter.fill("");
    await rows("WatchOrder").first().waitFor();
  });

  it("shows a stream of protobuf messages of a WebSocket while it is open, once its type is chosen", async () => {
    const socket = new WebSocket(`${websocket.url.replace(/^http/, "ws")}/orders?interval=20`, ["shop.protobuf.v1"]);
    try {
      await rows("/orders").first().click();
      await page.locator(".message").nth(3).click();
      await page.locator(".messages-timeline .quiet", { hasText: "+" }).waitFor();
      const picker = page.getByLabel("Binary messages from the service are");
      await picker.fill("shop.v1.OrderEvent");
      await picker.press("Enter");
      await page.locator(".message", { hasText: "OrderEvent" }).first().waitFor();
      await page.locator(".value-title .type", { hasText: "OrderEvent" }).waitFor();
      const count = async (): Promise<number> =>
        Number(/\((\d+)/.exec(await page.locator("#tab-messages").innerText())?.[1]);
      const before = await count();
      await page.waitForFunction(
        (least) => Number(/\((\d+)/.exec(document.querySelector("#tab-messages")?.textContent ?? "")?.[1]) > least + 20,
        before,
      );
      await page
        .getByRole("button", { name: /Jump to newest/ })
        .last()
        .click();
      await screenshot(page, "real-websocket");
      socket.close(1000, "seen enough");
      await page.locator(".timeline-end", { hasText: "ended" }).click();
      await page.getByText("Closed by the visitor: 1000 Normal Closure, seen enough").waitFor();
    } finally {
      socket.terminate();
    }
  });

  it("shows events of an open event stream, bodies, and a service that breaks off", async () => {
    let events: ServerResponse | undefined;
    const server: Server = createServer((request, response) => {
      if (request.url === "/events") {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write('data: {"n":1}\n\n');
        events = response;
      } else {
        response.writeHead(200, { "content-length": "1000" });
        response.write("only a part");
        setImmediate(() => response.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const share = await path.share((server.address() as AddressInfo).port);
    const ending = new AbortController();
    try {
      const answer = await fetch(`${share.url}/events`, { signal: ending.signal });
      assert.equal(answer.status, 200);
      await rows("/events").first().click();
      await page.locator(".message", { hasText: '{"n":1}' }).waitFor();
      events?.write('data: {"n":2}\n\n');
      await page.locator(".message", { hasText: '{"n":2}' }).waitFor();
      await assert.rejects(fetch(`${share.url}/broken`).then((broken) => broken.text()));
      await rows("/broken").first().click();
      await page
        .locator(".note-error", { hasText: "This exchange failed at the service" })
        .or(page.locator(".timeline-end", { hasText: "failed" }))
        .first()
        .waitFor();
    } finally {
      ending.abort();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await path.agent.unshare(share.info.id);
    }
  });

  it("shows a page, its style sheet and its data as a browser gets them", async () => {
    const http = await path.share(sample.http.port);
    await visitHttp(http.url, () => undefined);
    await rows("200 OK").first().waitFor();
    await rows("200 OK").first().click();
    await page.locator(".message").first().waitFor();
    await page.getByRole("radio", { name: "Hex" }).click();
    await page.locator(".hex-line").first().waitFor();
    await page.getByRole("radio", { name: "Text" }).click();
    await screenshot(page, "real-http");
  });

  it("pauses and clears the real capture", async () => {
    await page.getByRole("button", { name: /^Pause recording/ }).click();
    await page.locator(".status-line-bar", { hasText: "Paused" }).waitFor();
    await page
      .getByRole("button", { name: /^Resume recording/ })
      .first()
      .click();
    await page.getByRole("button", { name: /^Clear: forget/ }).click();
    await page.getByRole("heading", { name: "Waiting for traffic" }).waitFor();
    assert.equal(path.capture.state.exchanges, 0);
  });
});
