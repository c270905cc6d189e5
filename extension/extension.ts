import { window, workspace, type ExtensionContext } from "vscode";
import { registerCommands } from "./commands.ts";
import { Inspector } from "./inspector.ts";
import { Portlight } from "./portlight.ts";
import { reportDeaths } from "./processes.ts";
import { createStatusItem } from "./status.ts";
import { createSharesView } from "./tree.ts";

let portlight: Portlight | undefined;

export function activate(context: ExtensionContext): void {
  const log = window.createOutputChannel("Portlight", { log: true });
  const running = new Portlight(context, log);
  portlight = running;
  const inspector = new Inspector(context, running);
  context.subscriptions.push(
    log,
    inspector,
    createStatusItem(running.shares),
    createSharesView(running.shares),
    registerCommands({ context, portlight: running, inspector }),
    reportDeaths(running),
    workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("portlight")) running.configure();
    }),
    workspace.onDidChangeWorkspaceFolders(() => running.configure()),
  );
}

/** Nothing outlives the window: the editor waits for this, for 5 seconds at most. */
export async function deactivate(): Promise<void> {
  await portlight?.close();
  portlight = undefined;
}
