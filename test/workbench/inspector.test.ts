import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { FrameLocator, Locator } from "playwright-core";
import {
  createWorkspace,
  startGreeter,
  visitGreeter,
  type GreeterService,
  type GreeterVisitor,
  type Workspace,
} from "./fixture.ts";
import { portlightProcesses } from "./processes.ts";
import { until } from "./until.ts";
import { WorkbenchWindow } from "./window.ts";
import { startWorkbench, type Workbench } from "./workbench.ts";

describe("the inspector in the workbench", () => {
  let workspace: Workspace;
  let workbench: Workbench;
  let window: WorkbenchWindow;
  let service: GreeterService;
  let visitor: GreeterVisitor;
  let page: FrameLocator;
  const violations: string[] = [];

  before(async () => {
    workspace = await createWorkspace();
    workbench = await startWorkbench();
    window = await WorkbenchWindow.open(workbench, workspace.folder);
    window.page.on("console", (message) => {
      if (message.text().includes("Content Security Policy"))
        violations.push(`${message.location().url}: ${message.text()}`);
    });
    service = await startGreeter(workspace.folder);
    page = window.inspector;
  });
  after(async () => {
    visitor.close();
    await window.close();
    await workbench.close();
    service.close();
    await workspace.remove();
  });
  afterEach(async (context) => {
    if ("passed" in context && context.passed === false)
      await window.picture(`failed-${context.name.replace(/[^a-z]+/gi, "-").slice(0, 40)}`);
  });

  const row = (text: string): Locator => page.locator('[role="row"][data-id]').filter({ hasText: text }).last();
  const line = (text: string): Locator => page.getByRole("treeitem").filter({ hasText: text }).first();

  test("says what to do while nothing is shared", async () => {
    await window.command("Portlight: Open Inspector");
    await page.getByText("No port is shared").waitFor();
    assert.doesNotMatch(await page.locator("body").innerText(), /starting/i);
    await window.picture("inspector-1-empty");
    await page.getByRole("button", { name: "Share Port…" }).first().click();
    await window.pickPort(service.port);
    await window.notification(`Port ${service.port} is shared at`).waitFor();
    const url = await until(
      "the page shows the URL",
      async () => /http:\/\/127\.0\.0\.1:\d+/.exec(await page.locator("body").innerText())?.[0],
    );
    await window.picture("inspector-2-waiting");
    visitor = visitGreeter(workspace.folder, url);
  });

  test("shows a gRPC call of a real visitor, decoded with the workspace's files", async () => {
    await window.dismissNotifications();
    assert.deepEqual(await visitor.hello("Ada", 3), { text: "Hello, Ada", number: 3 });
    await row("Hello").click();
    await page.locator(".message").filter({ hasText: "HelloRequest" }).click();
    await line("Ada").waitFor();
    // From a file that the service's own imports.
    await line("MOOD_CHEERFUL").waitFor();
    await page.locator(".message").filter({ hasText: "Hello, Ada" }).click();
    await line("Hello, Ada").waitFor();
    await window.picture("inspector-3-call");
  });

  test("shows each message of a stream while it is open", async () => {
    const messages = page.locator(".message");
    const watch = visitor.watch("Grace");
    await until("the service has a watcher", () => service.watchers === 1);
    await row("Watch").click();
    for (const text of ["first of all", "and the second", "at last the third"]) {
      service.say(text);
      await messages.filter({ hasText: text }).waitFor();
      assert.equal(service.watchers, 1);
    }
    await window.picture("inspector-4-stream");
    service.finish();
    await watch.ended;
    assert.equal(watch.replies.length, 3);
    await row("Watch").filter({ hasText: "OK" }).waitFor();
  });

  test("looks right in each theme, and when it is narrow", async () => {
    await window.command("View: Toggle Maximized Panel");
    for (const theme of ["light", "high-contrast", "dark"] as const) {
      await window.theme(theme);
      await page.locator(`body[data-vscode-theme-kind="vscode-${theme}"]`).waitFor();
      await window.picture(`inspector-5-${theme}`);
    }
    await window.command("View: Toggle Maximized Panel");
    await window.command("View: Toggle Primary Side Bar Visibility");
    await window.page.setViewportSize({ width: 460, height: 900 });
    // The page lays itself out anew.
    await until("the detail takes the whole width", () => page.getByText("Back", { exact: true }).isVisible());
    await window.picture("inspector-6-narrow");
    await window.page.setViewportSize({ width: 1280, height: 800 });
    await window.command("View: Toggle Primary Side Bar Visibility");
  });

  test("opens the definition of a type in the editor", async () => {
    // A low panel has no room for the type's name.
    await window.command("View: Toggle Maximized Panel");
    await page.locator(".value-head").getByRole("button", { name: "HelloRequest" }).click();
    await window.page.locator(".tab").filter({ hasText: "greeter.proto" }).waitFor();
    // The cursor is where the type is defined.
    await window.page.locator(".statusbar-item").filter({ hasText: "Ln 9, Col 1" }).waitFor();
    await window.command("View: Close Editor");
  });

  test("opens as an editor too, and both go on", async () => {
    await window.command("Portlight: Open Inspector in Editor");
    const editor = window.page.locator(".tab").filter({ hasText: "Portlight Inspector" });
    await editor.waitFor();
    const frames = window.page.locator("iframe.webview.ready:visible");
    await until("both pages are there", async () => (await frames.count()) === 2);
    await visitor.hello("Lin", 4);
    for (const index of [0, 1]) {
      const inner = frames.nth(index).contentFrame().locator("iframe#active-frame").contentFrame();
      await until("the new call is listed", async () => {
        return (await inner.locator('[role="row"][data-id]').filter({ hasText: "Hello" }).count()) >= 2;
      });
    }
    await window.picture("inspector-7-editor");
    await window.command("View: Close Editor");
  });

  test("shows one share when asked to inspect it", async () => {
    await window.command("Portlight: Inspect Traffic");
    const filter = page.getByRole("textbox", { name: "Filter exchanges" });
    await until("the filter names the port", async () => (await filter.inputValue()) === `port:${service.port}`);
    await page.getByText("3 of 3 exchanges").waitFor();
    await filter.fill("");
    await page.getByText("3 of 3 exchanges").waitFor({ state: "hidden" });
  });

  test("begins anew when the agent was restarted", async () => {
    const [agent] = portlightProcesses("agent", workbench.extension);
    assert.ok(agent);
    process.kill(agent.pid, "SIGKILL");
    await page.getByText("Waiting for traffic").waitFor();
    await until("a call passes again", async () => (await visitor.hello("Kay", 1)).number === 1);
    await row("Hello").waitFor();
  });

  test("broke no content security policy, and could not have run a script", async () => {
    assert.deepEqual(violations, []);
    const ran = await page.locator("body").evaluate((body) => {
      body.insertAdjacentHTML("beforeend", `<img src="x:" onerror="document.title = 'ran'"><p style="color: red"></p>`);
      const script = document.createElement("script");
      script.textContent = "document.title = 'ran'";
      body.append(script);
      return document.title === "ran";
    });
    assert.equal(ran, false);
    // And this check sees violations.
    await until("the policy refused them", () => violations.length >= 3);
  });
});
