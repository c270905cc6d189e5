import { commands, l10n, window, workspace } from "vscode";

/** In Restricted Mode nothing is started and nothing shared: says so, offers the way out, and returns false. */
export async function requireTrust(): Promise<boolean> {
  if (workspace.isTrusted) return true;
  const manage = l10n.t("Manage Workspace Trust");
  const chosen = await window.showWarningMessage(
    l10n.t(
      "Portlight shares no port of a workspace in Restricted Mode, and starts none of its programs. Trust the workspace first.",
    ),
    manage,
  );
  if (chosen === manage) await commands.executeCommand("workbench.trust.manage");
  return workspace.isTrusted;
}
