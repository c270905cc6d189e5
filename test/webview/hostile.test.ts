import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../support/chromium.ts";
import { buildPage } from "./build.ts";
import { FakeHost } from "./fake-host.ts";
import { openInBrowser, openInVscode } from "./open-page.ts";
import { grpcExchange, httpExchange, type Exchange } from "./traffic.ts";

/** What a stranger may put wherever the page shows text. */
const CORPUS: readonly (readonly [name: string, text: string])[] = [
  ["an image with a handler", `<img src=x onerror="window.executed=true;alert(1)">`],
  ["the end of a script", `</script><script>window.executed=true</script>`],
  ["a handler of a vector image", `"><svg/onload=window.executed=true>`],
  ["a template expression", "${window.executed=true}{{constructor.constructor('window.executed=true')()}}"],
  ["a marker of the template library", "<!--?lit$123$--><?lit$123$>"],
  ["a script address", "javascript:window.executed=true"],
  ["a frame", `<iframe srcdoc="<script>parent.executed=true</script>"></iframe>`],
  ["an escape sequence", "\u001b]8;;javascript:window.executed=true\u0007click\u001b]8;;\u0007\u001b[31mred"],
  ["a bidirectional override", "user\u202e\u2066txt.exe\u2069"],
  ["invisible characters", "pay\u200bpal\u00ad\ufeff\u{e0041}"],
  ["a lone surrogate", "\ud800 broken"],
  ["style", `" style="position:fixed;inset:0;background:red"`],
];

/** Characters that must not stand in the document as they are: layout or a terminal would obey them. */
// eslint-disable-next-line no-control-regex
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

/** An exchange with the text in every place that a stranger writes. */
function hostileExchange(id: number, text: string): Exchange {
  const rpc = id % 2 === 0;
  const exchange = rpc ? grpcExchange(id * 10) : httpExchange(id * 10 + 6);
  const field = { name: text, value: text, secret: false };
  const failure = { by: "service", code: "closed", message: text } as const;
  return {
    ...exchange,
    row: {
      ...exchange.row,
      id,
      path: text,
      method: text,
      authority: text,
      statusText: text,
      failure,
      ...(rpc ? { rpc: { service: text, method: text }, grpcStatus: 2 } : {}),
      share: { id: "s1", port: 1, name: text },
    },
    detail: {
      heads: [
        {
          kind: "request",
          at: exchange.row.startedAt,
          fields: [field, { ...field, secret: true }, { ...field, binary: btoa("<b>") }],
        },
        { kind: "responseTrailers", at: exchange.row.startedAt, fields: [field] },
      ],
      ...(rpc
        ? {
            call: {
              kind: "unary",
              requestSchema: { type: text, problem: text },
              responseSchema: { type: text, file: text, line: 1 },
              message: text,
              trailersOnly: false,
              details: { base64: text, problem: text },
            },
          }
        : { webSocket: { subprotocol: text, extensions: text, close: { from: "visitor", code: 1000, reason: text } } }),
    },
    message: (index) => ({
      ...exchange.message(index),
      preview: text,
      type: text,
      compression: text,
      problem: text,
      state: "complete",
    }),
    decode: (index, as) =>
      as === "text"
        ? { view: "text", text, truncated: false }
        : rpc && index === 1
          ? {
              view: "protobuf",
              schema: { type: text, problem: text },
              reading: "typed",
              tree: [
                {
                  number: 1,
                  name: text,
                  type: text,
                  value: text,
                  alternative: text,
                  offset: 0,
                  length: 1,
                  children: [{ name: text, type: "string", value: text, offset: 0, length: 1 }],
                },
              ],
              json: { [text]: text },
              hasUnknownFields: false,
              truncated: false,
            }
          : { view: "json", json: { [text]: [text] }, text, truncated: false },
    bytes: () => new TextEncoder().encode(text),
    secrets: { "0/1": text },
  };
}

async function assertHarmless(page: Page, where: string): Promise<void> {
  const found = await page.evaluate((source) => {
    const obeyed = new RegExp(source);
    const seen: string[] = [];
    if ("executed" in window) seen.push("something was executed");
    for (const element of document.querySelectorAll(
      "pl-app img, pl-app svg, pl-app iframe, pl-app script, pl-app a[href], pl-app [style*='red']",
    ))
      seen.push(`an element came to be: ${element.outerHTML}`);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      if (node instanceof Text && obeyed.test(node.data)) seen.push(`text: ${JSON.stringify(node.data)}`);
      if (node instanceof Element)
        for (const { name, value } of node.attributes) {
          if (name.startsWith("on")) seen.push(`attribute ${name}`);
          if ((name === "title" || name.startsWith("aria-")) && obeyed.test(value.replaceAll("\n", "")))
            seen.push(`${name}: ${JSON.stringify(value)}`);
        }
    }
    return seen;
  }, OBEYED.source);
  assert.deepEqual(found, [], where);
}

describe("payloads written by a stranger", () => {
  let browser: Browser;
  let host: FakeHost;

  before(async () => {
    browser = await launchChromium();
    host = new FakeHost(await buildPage());
    await host.start();
    for (const [, text] of CORPUS) for (let kind = 0; kind < 2; kind++) host.add(1, (id) => hostileExchange(id, text));
    host.shares = [
      { id: "s1", port: 1, kind: "http", state: "refused", url: CORPUS[0]?.[1] ?? "", problem: CORPUS[8]?.[1] ?? "" },
    ];
    host.schema = { ...host.schema, problems: [{ file: CORPUS[0]?.[1] ?? "", message: CORPUS[1]?.[1] ?? "" }] };
  });

  after(async () => {
    await browser.close();
    await host.stop();
  });

  for (const kind of ["browser", "vscode"] as const)
    it(`stay text in every view (${kind})`, async () => {
      host.host = kind;
      const { page, close } = await (kind === "browser"
        ? openInBrowser(browser, host.url, { width: 1400, height: 900 })
        : openInVscode(browser, host, { width: 1400, height: 900 }));
      await page.locator(".status-button").click();
      for (let id = 1; id <= CORPUS.length * 2; id++) {
        const name = `${CORPUS[Math.floor((id - 1) / 2)]?.[0] ?? ""} (${id})`;
        await page.locator(`[role="row"][data-id="${id}"]`).click();
        await page.locator(`[role="row"][data-id="${id}"][aria-selected="true"]`).waitFor();
        await page.getByRole("tab", { name: "Messages" }).click();
        await page.locator(".message").last().click();
        for (const mode of ["Tree", "JSON", "Text", "Hex"]) {
          await page.getByRole("radio", { name: mode }).click();
          await assertHarmless(page, `${name} ${mode}`);
        }
        await page.getByRole("radio", { name: "Tree" }).click();
        await page.getByRole("treeitem").last().click();
        await page.locator(".timeline-end").click();
        await assertHarmless(page, `${name} status`);
        await page.locator("#tab-headers").click();
        await page.locator("pl-headers [aria-pressed]").click();
        await assertHarmless(page, `${name} headers`);
        await page.locator("#tab-overview").click();
        await page.locator("pl-overview").waitFor();
        await assertHarmless(page, `${name} overview`);
      }
      await close();
    });

  it("are shown with pictures of what cannot be seen", async () => {
    host.host = "browser";
    const { page, close } = await openInBrowser(browser, host.url, { width: 1400, height: 900 });
    const bidirectional = CORPUS.findIndex(([name]) => name === "a bidirectional override");
    await page
      .locator(`[role="row"][data-id="${bidirectional * 2 + 1}"]`)
      .getByText("user[U+202E][U+2066]txt.exe[U+2069]")
      .first()
      .waitFor();
    const escape = CORPUS.findIndex(([name]) => name === "an escape sequence");
    await page
      .locator(`[role="row"][data-id="${escape * 2 + 1}"]`)
      .getByText("␛]8;;javascript:")
      .first()
      .waitFor();
    await close();
  });

  it("a megabyte of text on one line, and one of many lines, are laid out in part and at once", async () => {
    const texts = ["x".repeat(1_000_000), "line\n".repeat(200_000)];
    const first = host.exchanges.size + 1;
    for (const text of texts)
      host.add(1, (id) => ({ ...httpExchange(id), decode: () => ({ view: "text", text, truncated: false }) }));
    const { page, close } = await openInBrowser(browser, host.url, { width: 1400, height: 900 });
    for (let id = first; id < first + texts.length; id++) {
      await page.locator(`[role="row"][data-id="${id}"]`).click();
      await page.getByRole("button", { name: /^Show more/ }).waitFor();
      assert.ok((await page.locator(".text-view pre").innerText()).length <= 50_001);
      await page.getByRole("button", { name: /^Show more/ }).click();
      await page.waitForFunction(() => (document.querySelector(".text-view pre")?.textContent ?? "").length > 200_000);
    }
    await close();
  });
});
