import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { createWorkspace, startWebService, type WebService, type Workspace } from "./fixture.ts";
import { isRunning, portlightProcesses } from "./processes.ts";
import { until } from "./until.ts";
import { isGone, visit } from "./visit.ts";
import { WorkbenchWindow } from "./window.ts";
import { startWorkbench, type Workbench } from "./workbench.ts";

describe("Share Port in the workbench", () => {
  let workspace: Workspace;
  let workbench: Workbench;
  let window: WorkbenchWindow;
  let service: WebService;

  before(async () => {
    workspace = await createWorkspace();
    workbench = await startWorkbench();
    window = await WorkbenchWindow.open(workbench, workspace.folder);
    service = await startWebService("seen through the relay");
  });
  after(async () => {
    await window.close();
    await workbench.close();
    await service.close();
    await workspace.remove();
  });

  afterEach(async (context) => {
    if ("passed" in context && context.passed === false)
      await window.picture(`failed-${context.name.replace(/[^a-z]+/gi, "-").slice(0, 40)}`);
  });

  /** The URL in the Shares view. */
  async function sharedUrl(): Promise<string> {
    return until("the Shares view shows a URL", async () => {
      const text = await window.shareRows.first().innerText();
      return /https?:\/\/[0-9.]+:\d+/.exec(text)?.[0];
    });
  }

  async function stopSharing(): Promise<void> {
    await window.command("Portlight: Stop Sharing All Ports");
    await window.shareRows.first().waitFor({ state: "detached" });
  }

  test("from the palette: pick, notification, view, status bar, visitor, stop", async () => {
    const seen = window.page.evaluate(
      () =>
        new Promise((resolve) => {
          const observer = new MutationObserver(() => {
            if (document.querySelector(".quick-input-list")?.textContent.includes("Looking for ports") !== true) return;
            observer.disconnect();
            resolve(true);
          });
          observer.observe(document.body, { childList: true, subtree: true, characterData: true });
        }),
    );
    await window.command("Portlight: Share Port…");
    await window.quickPickRow("127.0.0.1").waitFor();
    assert.equal(await seen, true);
    assert.equal(await window.quickPickRow("Looking for ports").count(), 0);
    await window.picture("share-1-pick");
    await window.pickPort(service.port);
    const notification = window.notification(`Port ${service.port} is shared at`);
    await notification.waitFor();
    await window.picture("share-2-notification");
    for (const button of ["Copy URL", "Open", "Inspect"])
      assert.equal(await notification.locator(".monaco-button").filter({ hasText: button }).count(), 1, button);
    await notification.locator(".monaco-button").filter({ hasText: "Copy URL" }).click();
    await window.statusItem.click();
    const url = await sharedUrl();
    assert.equal(await window.page.evaluate(() => navigator.clipboard.readText()), url);
    assert.equal((await visit(new URL("/through?the=relay", url))).text, "seen through the relay");
    assert.ok(service.requests.includes("GET /through?the=relay"));
    await until("the view counts the exchange", async () =>
      (await window.shareRows.first().innerText()).includes("· 1 exchange"),
    );
    await window.picture("share-3-view");
    await window.command("Portlight: Stop Sharing");
    await window.page
      .locator(".statusbar-item")
      .filter({ hasText: `Port ${service.port} is no longer shared` })
      .waitFor();
    await window.shareRows.first().waitFor({ state: "detached" });
    assert.equal(await isGone(url), true);
    await window.statusItem.waitFor({ state: "hidden" });
    await window.picture("share-4-empty");
  });

  test("from the Ports view by its context menu", async () => {
    await window.command("Ports: Focus on Ports View");
    // The editor shows listeners that appear after it has looked for the first time.
    const later = await startWebService("from the Ports view");
    try {
      const row = window.portsRow(later.port);
      await row.waitFor({ timeout: 60_000 });
      await window.contextMenu(row, "Share Port…", "ports-view-menu");
      await window.notification(`Port ${later.port} is shared at`).waitFor();
      // The editor knows our own listeners by their command line, and is silent about them.
      await window.portsRow("Portlight relay").waitFor({ timeout: 60_000 });
      await window.picture("ports-view-shared");
      await window.command("View: Show Portlight");
      assert.equal((await visit(await sharedUrl())).text, "from the Ports view");
      await stopSharing();
    } finally {
      await later.close();
    }
  });

  test("asks before a port can be reached from the network, and remembers the consent only", async () => {
    const choose = async (): Promise<void> => {
      await window.command("Portlight: Share Port with Options…");
      await window.pickPort(service.port);
      await window.quickPickRow("in the local network").click();
    };
    await choose();
    await window.dialog.waitFor();
    const text = await window.dialog.innerText();
    assert.match(text, new RegExp(`port ${service.port}`, "i"));
    assert.match(text, /Anyone in that network/);
    await window.picture("consent-lan");
    await window.answerDialog("Cancel");
    assert.equal(await window.shareRows.count(), 0);
    await choose();
    await window.dialog.waitFor();
    await window.answerDialog("Share Port");
    await sharedUrl();
    await window.command("Portlight: Show QR Code");
    const frame = window.page.locator("iframe.webview.ready:visible").first().contentFrame();
    await frame.locator("iframe#active-frame").contentFrame().locator("svg[role=img]").waitFor();
    await window.picture("qr-code");
    await window.command("View: Close Editor");
    await stopSharing();
    await choose();
    await sharedUrl();
    assert.equal(await window.dialog.count(), 0);
    await stopSharing();
  });

  test("tells when the agent died, and the share comes back at the same URL", async () => {
    await window.dismissNotifications();
    await window.command("Portlight: Share Port…");
    await window.pickPort(service.port);
    const url = await sharedUrl();
    const [agent] = portlightProcesses("agent", workbench.extension);
    assert.ok(agent);
    process.kill(agent.pid, "SIGKILL");
    await window.notification(/agent process ended unexpectedly.*keeps its URL.*recorded is gone/).waitFor();
    await window.picture("agent-died");
    await until("the URL works again", async () => (await visit(url)).status === 200);
    assert.equal(await sharedUrl(), url);
  });

  test("leaves no process behind when the extension host is killed", async () => {
    const [agent] = portlightProcesses("agent", workbench.extension);
    const [relay] = portlightProcesses("relay", workbench.extension);
    assert.ok(agent && relay);
    assert.equal(agent.parent, relay.parent);
    process.kill(agent.parent, "SIGKILL");
    await until("agent and relay have ended", () => !isRunning(agent.pid) && !isRunning(relay.pid), 10);
    assert.deepEqual(portlightProcesses("agent", workbench.extension), []);
    assert.deepEqual(portlightProcesses("relay", workbench.extension), []);
  });
});
