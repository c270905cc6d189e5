import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { Browser, FrameLocator, Locator, Page } from "playwright-core";
import { launchChromium } from "../support/chromium.ts";
import { until } from "./until.ts";
import { artifacts, type Workbench } from "./workbench.ts";

/** The names by which the workbench knows its themes. */
export const THEMES = {
  dark: "Default Dark Modern",
  light: "Default Light Modern",
  "high-contrast": "Default High Contrast",
} as const;

/** A window of the workbench in a headless browser, driven as a person would. */
export class WorkbenchWindow {
  readonly page: Page;
  readonly #browser: Browser;

  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.page = page;
  }

  static async open(workbench: Workbench, folder: string): Promise<WorkbenchWindow> {
    const browser = await launchChromium();
    try {
      const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
      page.setDefaultTimeout(30_000);
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      await page.goto(`http://127.0.0.1:${workbench.port}/?folder=${encodeURIComponent(folder)}`);
      await page.locator(".monaco-workbench .part.statusbar .statusbar-item").first().waitFor({ timeout: 90_000 });
      return new WorkbenchWindow(browser, page);
    } catch (error) {
      await browser.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }

  /** Runs a command by its title in the palette, which knows those of an extension only when it was scanned. */
  async command(title: string): Promise<void> {
    const input = this.page.locator(".quick-input-widget input").first();
    const row = this.page.locator(".quick-input-list .monaco-list-row").filter({ hasText: title }).first();
    await until(`the palette offers "${title}"`, async () => {
      if (!(await input.isVisible())) await this.page.keyboard.press("F1");
      await input.fill(`>${title}`, { timeout: 2000 });
      try {
        await row.click({ timeout: 2000 });
        return true;
      } catch (error) {
        await this.page.keyboard.press("Escape");
        throw error;
      }
    });
  }

  /** Types into the quick input that is open and takes the row with this text, or just accepts. */
  async quickInput(text: string, row?: string): Promise<void> {
    const input = this.page.locator(".quick-input-widget input").first();
    await input.waitFor();
    await input.fill(text);
    if (row === undefined) await this.page.keyboard.press("Enter");
    else await this.quickPickRow(row).click();
  }

  /** Takes a port on which something listens in the pick of Share Port. The list shows only what fits: it is filtered. */
  async pickPort(port: number): Promise<void> {
    const input = this.page.locator(".quick-input-widget input").first();
    // Until the ports are found only "Share port N" and "Other port…" match.
    const row = this.page.locator(".quick-input-list .monaco-list-row").filter({ hasText: new RegExp(`^\\s*${port}`) });
    await until(`the pick shows port ${port}`, async () => {
      await input.fill(String(port), { timeout: 2000 });
      await row.first().click({ timeout: 2000 });
      return true;
    });
  }

  quickPickRow(text: string): Locator {
    return this.page.locator(".quick-input-list .monaco-list-row").filter({ hasText: text }).first();
  }

  notification(text: string | RegExp): Locator {
    return this.page.locator(".notification-toast .notification-list-item").filter({ hasText: text }).first();
  }

  async clickNotification(text: string | RegExp, button: string): Promise<void> {
    await this.notification(text).locator(".monaco-button").filter({ hasText: button }).first().click();
  }

  async dismissNotifications(): Promise<void> {
    await this.command("Notifications: Clear All Notifications");
  }

  get dialog(): Locator {
    return this.page.locator(".monaco-dialog-box");
  }

  async answerDialog(button: string): Promise<void> {
    await this.dialog.locator(".monaco-button").filter({ hasText: button }).first().click();
    await this.dialog.waitFor({ state: "detached" });
  }

  /** The row of a port in the Ports view of the editor. */
  portsRow(text: number | string): Locator {
    return this.page
      .locator(
        "[id='~remote.forwardedPorts'] .monaco-list-row, .tunnel-view .monaco-list-row, .monaco-table .monaco-list-row",
      )
      .filter({ hasText: String(text) })
      .first();
  }

  /** Clicks an entry of the context menu of `target`. Menus act on mouse up, and not in their first moments. */
  async contextMenu(target: Locator, entry: string, picture?: string): Promise<void> {
    await target.click({ button: "right" });
    const item = this.page.locator(".monaco-menu .action-item").filter({ hasText: entry }).first();
    await item.hover();
    if (picture !== undefined) await this.picture(picture);
    await until(`the menu takes "${entry}"`, async () => {
      // Gone: an earlier click was taken.
      if (await item.isHidden()) return true;
      await item.hover({ timeout: 2000 });
      await this.page.mouse.down();
      await this.page.mouse.up();
      return false;
    });
  }

  get shareRows(): Locator {
    return this.page.locator(".pane-body .monaco-list[aria-label='Shares'] .monaco-list-row");
  }

  get statusItem(): Locator {
    return this.page.locator("[id='portlight.portlight.portlight.status'], [id*='portlight.status']").first();
  }

  /** The page of the inspector, inside the two frames of its webview. Only the one that is visible. */
  get inspector(): FrameLocator {
    return this.page
      .locator("iframe.webview.ready:visible")
      .first()
      .contentFrame()
      .locator("iframe#active-frame")
      .contentFrame();
  }

  async theme(theme: keyof typeof THEMES): Promise<void> {
    await this.command("Preferences: Color Theme");
    await this.quickInput(THEMES[theme].replace("Default ", ""));
    await this.page.locator(".quick-input-widget").waitFor({ state: "hidden" });
  }

  /** A picture for people, into `artifacts/workbench`. */
  async picture(name: string): Promise<void> {
    await mkdir(artifacts, { recursive: true });
    await this.page.screenshot({ path: path.join(artifacts, `${name}.png`) });
  }
}
