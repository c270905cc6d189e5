import { commands, l10n, MarkdownString, StatusBarAlignment, ThemeColor, window } from "vscode";
import { mainUrl } from "./addresses.ts";
import { DisposableList } from "./disposables.ts";
import type { Share } from "./share-request.ts";
import type { Shares } from "./shares.ts";
import { countText, stateText } from "./tree.ts";

/** One item, and only while something is shared: that a port is reachable must not be forgotten. */
export function createStatusItem(shares: Shares): DisposableList {
  const list = new DisposableList();
  const item = list.add(window.createStatusBarItem("portlight.status", StatusBarAlignment.Left, 40));
  item.name = "Portlight";
  item.command = "portlight.shares.focus";
  const show = (all: readonly Share[]): void => {
    void commands.executeCommand("setContext", "portlight.sharing", all.length > 0);
    if (all.length === 0) {
      item.hide();
      return;
    }
    const troubled = all.find(({ info }) => info.state === "refused" || info.state === "reconnecting");
    item.text = troubled === undefined ? `$(broadcast) ${all.length}` : `$(warning) ${all.length}`;
    item.backgroundColor = troubled === undefined ? undefined : new ThemeColor("statusBarItem.warningBackground");
    item.tooltip = tooltip(all);
    const label = troubled === undefined ? countText(all.length) : problemText(troubled);
    item.accessibilityInformation = { label: `Portlight: ${label}`, role: "button" };
    item.show();
  };
  list.add(shares.onChanged(show));
  return list;
}

function problemText({ info }: Share): string {
  return l10n.t("port {0} is {1}", info.port, stateText(info.state));
}

function tooltip(all: readonly Share[]): MarkdownString {
  const text = new MarkdownString();
  text.appendMarkdown(`**Portlight:** ${countText(all.length)}`);
  for (const { info } of all) {
    text.appendMarkdown("\n\n");
    text.appendText(`${info.port} → ${mainUrl(info) === "" ? stateText(info.state) : mainUrl(info)}`);
    if (info.state !== "online") text.appendText(` (${info.problem?.message ?? stateText(info.state)})`);
  }
  return text;
}
