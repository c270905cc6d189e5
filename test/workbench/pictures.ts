/**
 * Makes the pictures of the README: the sample's services shared and visited in a real workbench, and by the command
 * line with the inspector in a browser. `npm run pictures` writes docs/images/.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { launchChromium } from "../support/chromium.ts";
import { startSample, type Sample } from "../../sample/services.ts";
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

  // The editor lists what begins to listen after its own start.
  await window.command("Ports: Focus on Ports View");
  const port = window.portsRow(sample.grpc.port);
  await port.waitFor({ timeout: 60_000 });
  const panel = await page.locator(".part.panel").boundingBox();
  const cell = await port.boundingBox();
  if (panel === null || cell === null) throw new Error("The Ports view is not visible");
  await page.mouse.click(cell.x + 200, cell.y + cell.height / 2, { button: "right" });
  await page.locator(".monaco-menu .action-item").filter({ hasText: "Share Port…" }).first().hover();
  const menu = await page.locator(".monaco-menu").boundingBox();
  if (menu === null) throw new Error("The menu is not visible");
  const top = Math.min(panel.y, menu.y) - 8;
  await page.screenshot({
    path: path.join(folder, "ports-view.png"),
    clip: { x: panel.x, y: top, width: menu.x + menu.width + 8 - panel.x, height: panel.y + panel.height - top },
    // The command lines hold the paths of whatever machine takes the picture.
    style: ".monaco-table-td[data-col-index='3'] { visibility: hidden }",
  });
  await page.keyboard.press("Escape");

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
  await browserPicture(sample, workspace);
} finally {
  await window.close();
  await workbench.close();
  await sample.close();
  await rm(parent, { recursive: true, force: true });
}

/** The inspector of the command line, in a browser with a light theme. */
async function browserPicture(services: Sample, directory: string): Promise<void> {
  const program = spawn(
    process.execPath,
    [
      path.join(root, "dist/portlight.js"),
      "share",
      ...[services.grpc, services.http, services.websocket].map(({ port }) => String(port)),
      "--inspect",
      "--json",
    ],
    { cwd: directory, stdio: ["ignore", "pipe", "inherit"] },
  );
  const browser = await launchChromium();
  try {
    const { inspector: address, shared } = await announced(program, 3);
    const [grpc = "", http = "", webSocket = ""] = [services.grpc, services.http, services.websocket].map(({ port }) =>
      shared.get(port),
    );
    const page = await browser.newPage({ viewport: { width: 1280, height: 640 }, colorScheme: "light" });
    await page.goto(address);
    await page.getByText("Waiting for traffic").waitFor();
    await Promise.all([
      visitHttp(http, () => undefined),
      visitGrpc(grpc, () => undefined),
      visitWebSocket(webSocket, () => undefined),
    ]);
    await page.locator('[role="row"][data-id]').filter({ hasText: "ListOrders" }).first().click();
    await page.getByRole("treeitem").first().waitFor();
    await page.screenshot({ path: path.join(folder, "browser.png") });
  } finally {
    await browser.close();
    program.kill();
  }
}

interface Announced {
  readonly inspector: string;
  /** URLs by port. */
  readonly shared: ReadonlyMap<number, string>;
}

/** What `share --json` says first. */
async function announced(program: ChildProcess, shares: number): Promise<Announced> {
  if (program.stdout === null) throw new Error("The output of portlight cannot be read");
  const shared = new Map<number, string>();
  let inspector: string | undefined;
  for await (const line of createInterface({ input: program.stdout })) {
    const object = JSON.parse(line) as { readonly type: string; readonly url: string; readonly port: number };
    if (object.type === "shared") shared.set(object.port, object.url);
    if (object.type === "inspector") inspector = object.url;
    if (inspector !== undefined && shared.size === shares) {
      program.stdout.resume();
      return { inspector, shared };
    }
  }
  throw new Error("portlight share ended before it shared the sample");
}
