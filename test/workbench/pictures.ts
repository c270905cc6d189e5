/**
 * Makes the pictures of the README: the sample's services shared and visited in a real workbench.
 * `npm run pictures` writes docs/images/.
 */
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { startSample } from "../../sample/services.ts";
import { visitGrpc, visitHttp, visitWebSocket } from "../../sample/visitors.ts";
import { until } from "./until.ts";
import { WorkbenchWindow } from "./window.ts";
import { root, startWorkbench } from "./workbench.ts";

const folder = path.join(root, "docs/images");
await mkdir(folder, { recursive: true });
const parent = await mkdtemp(path.join(os.tmpdir(), "portlight-pictures-"));
const workspace = path.join(parent, "shop");
await cp(path.join(root, "sample"), workspace, { recursive: true });
const workbench = await startWorkbench();
const window = await WorkbenchWindow.open(workbench, workspace);
const sample = await startSample();
try {
  const { page, inspector } = window;
  const picture = async (name: string): Promise<void> => {
    await page.screenshot({ path: path.join(folder, `${name}.png`) });
  };
  const share = async (port: number): Promise<string> => {
    await window.command("Portlight: Share Port…");
    await window.pickPort(port);
    const notification = window.notification(`Port ${port} is shared at`);
    await notification.waitFor();
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(await notification.innerText())?.[0];
    if (url === undefined) throw new Error(`The notification about port ${port} has no URL`);
    return url;
  };

  const urls = { grpc: await share(sample.grpc.port), http: await share(sample.http.port) };
  const webSocketUrl = await share(sample.websocket.port);
  await window.dismissNotifications();
  await page.keyboard.press("Control+P");
  await window.quickInput("orders.proto", "orders.proto");
  await page.locator(".monaco-editor .view-line").first().waitFor();
  await window.command("Portlight: Open Inspector");
  await Promise.all([
    visitHttp(urls.http, () => undefined),
    visitGrpc(urls.grpc, () => undefined),
    visitWebSocket(webSocketUrl, () => undefined),
  ]);
  // More room for the panel than it has at first.
  const sash = await page.locator(".part.panel").boundingBox();
  if (sash !== null) {
    await page.mouse.move(sash.x + sash.width / 2, sash.y - 1);
    await page.mouse.down();
    await page.mouse.move(sash.x + sash.width / 2, 400, { steps: 8 });
    await page.mouse.up();
  }
  const row = inspector.locator('[role="row"][data-id]').filter({ hasText: "WatchOrder" }).first();
  await row.click();
  await inspector.locator(".message").nth(3).click();
  await inspector.getByRole("treeitem").first().waitFor();
  await until("the call has ended", async () => (await inspector.locator(".timeline-end").count()) > 0);
  await picture("inspector");
} finally {
  await window.close();
  await workbench.close();
  await sample.close();
  await rm(parent, { recursive: true, force: true });
}
