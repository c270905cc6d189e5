import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, describe, test } from "node:test";
import { createWorkspace, startWebService, type WebService, type Workspace } from "./fixture.ts";
import { environmentOf, isRunning, portlightProcesses, processes } from "./processes.ts";
import { until } from "./until.ts";
import { visit } from "./visit.ts";
import { WorkbenchWindow } from "./window.ts";
import { root, startWorkbench, type Workbench } from "./workbench.ts";

/** What must be found nowhere but in the relay's own file and in the editor's secret storage. */
const TOKEN = `canary-${randomBytes(16).toString("hex")}`;

interface RemoteRelay {
  readonly process: ChildProcess;
  readonly publicUrl: string;
  readonly tunnelUrl: string;
}

/** The relay of `portlight relay`, in remote mode, which on loopback needs no certificate. */
async function startRemoteRelay(folder: string): Promise<RemoteRelay> {
  const tokens = path.join(folder, "tokens");
  await writeFile(tokens, `${TOKEN}\n`, { mode: 0o600 });
  const options = ["--listen", "127.0.0.1:0", "--tunnel-listen", "127.0.0.1:0", "--domain", "relay.test"];
  const child = spawn(
    process.execPath,
    [path.join(root, "dist/portlight.js"), "relay", ...options, "--tokens-file", tokens, "--json"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as { type: string; public: string; tunnel: string };
    if (event.type === "listening") return { process: child, publicUrl: event.public, tunnelUrl: event.tunnel };
  }
  throw new Error("portlight relay ended before it listened");
}

/** Files below a folder that hold `text`. */
async function filesWith(folder: string, text: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const file = path.join(entry.parentPath, entry.name);
    if ((await readFile(file)).includes(text)) found.push(file);
  }
  return found;
}

describe("sharing through a relay elsewhere", () => {
  let workspace: Workspace;
  let secrets: Workspace;
  let relay: RemoteRelay;
  let workbench: Workbench;
  let window: WorkbenchWindow;
  let service: WebService;

  before(async () => {
    workspace = await createWorkspace();
    secrets = await createWorkspace();
    relay = await startRemoteRelay(secrets.folder);
    workbench = await startWorkbench({ settings: { "portlight.relay": relay.tunnelUrl } });
    window = await WorkbenchWindow.open(workbench, workspace.folder);
    service = await startWebService("from far away");
  });
  after(async () => {
    await window.close();
    await workbench.close();
    await service.close();
    relay.process.kill();
    await workspace.remove();
    await secrets.remove();
  });
  afterEach(async (context) => {
    if ("passed" in context && context.passed === false)
      await window.picture(`failed-${context.name.replace(/[^a-z]+/gi, "-").slice(0, 40)}`);
  });

  async function setToken(token: string): Promise<void> {
    await window.command("Portlight: Set Relay Token…");
    await window.quickInput(token);
    await window.page.locator(".statusbar-item").filter({ hasText: "Token kept" }).waitFor();
  }

  test("asks first, naming the port, the relay and who can reach it", async () => {
    await window.command("Portlight: Share Port…");
    await window.pickPort(service.port);
    await window.dialog.waitFor();
    const text = await window.dialog.innerText();
    for (const part of [`port ${service.port}`, relay.tunnelUrl, "Anyone who knows the URL"])
      assert.ok(text.includes(part), part);
    await window.picture("consent-relay");
    await window.answerDialog("Cancel");
    assert.equal(portlightProcesses("relay", workbench.extension).length, 0);
    assert.equal(await window.statusItem.isVisible(), false);
  });

  test("says when the relay wants a token, and which", async () => {
    await setToken("wrong");
    await window.command("Portlight: Share Port…");
    await window.pickPort(service.port);
    await window.answerDialog("Share Port");
    const failure = window.notification(`Port ${service.port} was not shared`);
    await failure.locator(".monaco-button").filter({ hasText: "Set Relay Token…" }).waitFor();
    await window.picture("wrong-token");
    await window.dismissNotifications();
  });

  test("shares at a name of the relay, without asking again", async () => {
    await setToken(TOKEN);
    await window.command("Portlight: Share Port…");
    await window.pickPort(service.port);
    const notification = window.notification(`Port ${service.port} is shared at`);
    await notification.waitFor();
    assert.doesNotMatch(await notification.innerText(), /on the remote machine/);
    const url = /https?:\/\/\S+/.exec(await notification.innerText())?.[0] ?? "";
    const { host, hostname } = new URL(url);
    assert.match(hostname, /^[a-z0-9-]{13,}\.relay\.test$/);
    // Nothing resolves the domain here: the visitor says the name in its Host field.
    assert.equal((await visit(relay.publicUrl.replace("relay.test", "127.0.0.1"), { host })).text, "from far away");
    await window.picture("shared-by-relay");
  });

  test("leaves the token in no file, argument or environment", async () => {
    assert.deepEqual(await filesWith(workbench.directory, TOKEN), []);
    assert.deepEqual(await filesWith(workspace.folder, TOKEN), []);
    for (const { pid, args } of processes()) {
      assert.ok(!args.some((argument) => argument.includes(TOKEN)), `arguments of ${pid}`);
    }
    const agents = await until("the agent runs", () => {
      const found = portlightProcesses("agent", workbench.extension);
      return found.length > 0 ? found : undefined;
    });
    for (const { pid } of agents) assert.ok(!environmentOf(pid).some((line) => line.includes(TOKEN)));
  });

  test("shows that the relay is gone, and a wait for it can be cancelled", async () => {
    relay.process.kill("SIGKILL");
    await window.command("View: Show Portlight");
    await window.shareRows.first().filter({ hasText: "reconnecting" }).waitFor();
    const other = await startWebService("never reached");
    try {
      await window.command("Portlight: Share Port…");
      await window.pickPort(other.port);
      await window.answerDialog("Share Port");
      const progress = window.notification(`Sharing port ${other.port}`);
      await progress.waitFor();
      await window.shareRows.filter({ hasText: `${other.port}connecting` }).waitFor();
      await window.picture("relay-gone");
      await progress.locator(".monaco-button").filter({ hasText: "Cancel" }).click();
      await progress.waitFor({ state: "detached" });
      await until("only the first share is left", async () => (await window.shareRows.count()) === 1);
    } finally {
      await other.close();
    }
  });

  test("ends its processes with the window", async () => {
    const [agent] = portlightProcesses("agent", workbench.extension);
    assert.ok(agent);
    await window.page.goto("about:blank");
    await until("the agent has ended", () => !isRunning(agent.pid), 20);
  });
});
