import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import type { FakeHost } from "./fake-host.ts";
import type { Peer } from "./json-rpc.ts";
import { BODY_CLASSES, VARIABLES, type Theme } from "./themes.ts";

const ARTIFACTS = path.join(path.dirname(path.dirname(import.meta.dirname)), "artifacts");

/** Also bounds each wait: the machine may be busy, an answer that takes longer is a fault. */
export const PATIENCE_MS = 15_000;

export interface OpenPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the page must never do: uncaught errors, console errors, violations of its policy, dialogs. */
  readonly faults: string[];
  readonly close: () => Promise<void>;
}

interface OpenOptions {
  readonly width?: number;
  readonly height?: number;
  readonly theme?: Theme;
  readonly dark?: boolean;
}

/** Opens the page in a plain browser: WebSocket, its own theme. */
export async function openInBrowser(browser: Browser, url: string, options: OpenOptions = {}): Promise<OpenPage> {
  const opened = await newPage(browser, options);
  await opened.page.goto(url);
  return opened;
}

/** Opens the page as VS Code does: `acquireVsCodeApi`, messages through `postMessage`, theme variables on the root. */
export async function openInVscode(browser: Browser, host: FakeHost, options: OpenOptions = {}): Promise<OpenPage> {
  const opened = await newPage(browser, options);
  const { page } = opened;
  const theme = options.theme ?? "dark";
  host.host = "vscode";
  let peer: Peer | undefined;
  await page.exposeFunction("portlightToHost", async (message: unknown) => {
    peer ??= host.attach((answer) => {
      page.evaluate((data) => window.postMessage(data, "*"), answer).catch(() => undefined);
    });
    await peer.receive(message);
  });
  await page.addInitScript((variables) => {
    const toHost = (window as unknown as { portlightToHost: (message: unknown) => Promise<void> }).portlightToHost;
    const api = {
      postMessage: (message: unknown) => void toHost(message),
      getState: (): unknown => JSON.parse(sessionStorage.getItem("vscode-state") ?? "null"),
      setState: (state: unknown) => {
        sessionStorage.setItem("vscode-state", JSON.stringify(state));
      },
    };
    Object.assign(window, {
      acquireVsCodeApi: () => {
        const { style } = document.documentElement;
        for (const [name, value] of Object.entries(variables)) style.setProperty(`--vscode-${name}`, value);
        style.setProperty("background", variables["panel-background"] ?? "");
        return api;
      },
    });
  }, VARIABLES[theme]);
  await page.goto(`${host.url}?host=vscode&class=${encodeURIComponent(BODY_CLASSES[theme])}`);
  return opened;
}

export async function screenshot(page: Page, name: string): Promise<void> {
  await mkdir(ARTIFACTS, { recursive: true });
  await page.screenshot({ path: path.join(ARTIFACTS, `webview-${name}.png`) });
}

/** Waits until the page has as many elements of this kind as wanted. */
export async function waitForCount(page: Page, selector: string, count: number): Promise<void> {
  await page.waitForFunction(([wanted, number]) => document.querySelectorAll(wanted).length === number, [
    selector,
    count,
  ] as const);
}

async function newPage(browser: Browser, options: OpenOptions): Promise<OpenPage> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: options.height ?? 480 },
    colorScheme: options.dark === true ? "dark" : "light",
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(`uncaught: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    // A WebSocket that cannot connect is reported by Chromium itself; the page shows it in words.
    if (message.type() === "error" && !message.text().includes("WebSocket connection to"))
      faults.push(`console: ${message.text()}`);
  });
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  return {
    page,
    context,
    faults,
    close: async () => {
      await context.close();
      assert.deepEqual(faults, []);
    },
  };
}
