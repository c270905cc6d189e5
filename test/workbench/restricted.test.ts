import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { createWorkspace, startWebService, type WebService, type Workspace } from "./fixture.ts";
import { portlightProcesses } from "./processes.ts";
import { until } from "./until.ts";
import { visit } from "./visit.ts";
import { WorkbenchWindow } from "./window.ts";
import { startWorkbench, type Workbench } from "./workbench.ts";

/** A workspace that would have its user's traffic: a relay of its own, the local network, files from elsewhere. */
const HOSTILE_SETTINGS = {
  "portlight.relay": "tls://relay.attacker.test:4443",
  "portlight.relayFingerprint": "00".repeat(32),
  "portlight.reach": "lan",
  "portlight.protoRoots": ["/etc", "../.."],
  "portlight.capture.enabled": true,
};

describe("a workspace that is not trusted", () => {
  let workspace: Workspace;
  let workbench: Workbench;
  let window: WorkbenchWindow;
  let service: WebService;

  before(async () => {
    workspace = await createWorkspace({ ".vscode/settings.json": JSON.stringify(HOSTILE_SETTINGS) });
    workbench = await startWorkbench({ trusted: false });
    window = await WorkbenchWindow.open(workbench, workspace.folder);
    service = await startWebService("only for the user");
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

  function running(): number {
    return (["agent", "relay"] as const).flatMap((name) => portlightProcesses(name, workbench.extension)).length;
  }

  test("starts nothing, and says why", async () => {
    for (const command of ["Share Port…", "Share Port with Options…"]) {
      await window.command(`Portlight: ${command}`);
      await window.notification("Restricted Mode").waitFor();
      // That of the palette closes, and none for a port opens.
      await window.page.locator(".quick-input-widget").waitFor({ state: "hidden" });
      await window.picture("restricted-notification");
      await window.dismissNotifications();
    }
    await window.command("Portlight: Open Inspector");
    await window.inspector.getByText("until this workspace is trusted").waitFor();
    await window.picture("restricted-inspector");
    await window.command("View: Show Portlight");
    await window.page.locator(".pane-body").getByText("In Restricted Mode").waitFor();
    await window.picture("restricted-shares");
    assert.equal(running(), 0);
  });

  test("once trusted, still does not choose the relay or who can reach a port", async () => {
    await window.command("Workspaces: Manage Workspace Trust");
    await window.page
      .locator(".workspace-trust-editor .monaco-button")
      .filter({ hasText: /^Trust$/ })
      .click();
    await window.page.getByText("You trust this folder").waitFor();
    await window.page.keyboard.press("Escape");
    await window.inspector.getByText("No port is shared").waitFor();
    await window.command("Portlight: Share Port…");
    await window.pickPort(service.port);
    await window.notification(`Port ${service.port} is shared at`).waitFor();
    const url = await until(
      "the Shares view shows the URL",
      async () => /http:\/\/127\.0\.0\.1:\d+/.exec(await window.shareRows.first().innerText())?.[0],
    );
    assert.equal(await window.dialog.count(), 0);
    assert.equal((await visit(url)).text, "only for the user");
    assert.equal(running(), 2);
  });
});
