import {
  EventEmitter,
  l10n,
  MarkdownString,
  ThemeColor,
  ThemeIcon,
  TreeItem,
  TreeItemCollapsibleState,
  window,
  type Disposable,
  type TreeDataProvider,
  type TreeView,
} from "vscode";
import { externalUrl, formatBytes, isLoopbackUrl, mainUrl, otherUrls } from "./addresses.ts";
import { DisposableList } from "./disposables.ts";
import type { Share } from "./share-request.ts";
import type { Shares } from "./shares.ts";

/** One further URL of a share. `port` and `url` are what the commands read. */
interface UrlLine {
  readonly port: number;
  readonly url: string;
}

type Line = Share | UrlLine;

/** The Shares view: each shared port with its state, URL and traffic. */
export function createSharesView(shares: Shares): DisposableList {
  const list = new DisposableList();
  const provider = list.add(new SharesProvider(shares));
  const view: TreeView<Line> = list.add(
    window.createTreeView("portlight.shares", { treeDataProvider: provider, showCollapseAll: false }),
  );
  const count = (): void => {
    const { length } = shares.all;
    view.badge = length === 0 ? undefined : { value: length, tooltip: countText(length) };
  };
  list.add(shares.onChanged(count));
  return list;
}

export function countText(count: number): string {
  return count === 1 ? l10n.t("1 port is shared") : l10n.t("{0} ports are shared", count);
}

class SharesProvider implements TreeDataProvider<Line>, Disposable {
  readonly #shares: Shares;
  readonly #changed = new EventEmitter<undefined>();
  readonly #subscription: { dispose(): void };

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(shares: Shares) {
    this.#shares = shares;
    this.#subscription = shares.onChanged(() => this.#changed.fire(undefined));
  }

  getChildren(line?: Line): Line[] {
    if (line === undefined) return [...this.#shares.all];
    if (!("info" in line)) return [];
    return otherUrls(line.info).map((url) => ({ port: line.request.port, url }));
  }

  getTreeItem(line: Line): TreeItem {
    return "info" in line ? shareItem(line) : urlItem(line);
  }

  dispose(): void {
    this.#subscription.dispose();
    this.#changed.dispose();
  }
}

function shareItem(share: Share): TreeItem {
  const { info, request } = share;
  const hasMore = otherUrls(info).length > 0;
  const item = new TreeItem(
    String(request.port),
    hasMore ? TreeItemCollapsibleState.Collapsed : TreeItemCollapsibleState.None,
  );
  item.id = `share:${request.port}`;
  item.description = describe(share);
  item.iconPath = stateIcon(share);
  item.tooltip = tooltip(share);
  item.contextValue = [
    "share",
    request.kind,
    info.state,
    info.reach,
    ...(externalUrl(info) === undefined ? [] : ["external"]),
  ].join(" ");
  item.accessibilityInformation = { label: l10n.t("Port {0}, {1}", request.port, describe(share)) };
  return item;
}

function urlItem({ port, url }: UrlLine): TreeItem {
  const item = new TreeItem(url, TreeItemCollapsibleState.None);
  item.id = `url:${port}:${url}`;
  item.iconPath = new ThemeIcon(isLoopbackUrl(url) ? "vm" : "globe");
  item.contextValue = url.startsWith("http") ? "url http" : "url tcp";
  return item;
}

function describe({ info }: Share): string {
  if (info.state !== "online") return stateText(info.state);
  const url = mainUrl(info);
  if (info.exchanges === 0) return url;
  const exchanges = info.exchanges === 1 ? l10n.t("1 exchange") : l10n.t("{0} exchanges", info.exchanges);
  return info.openExchanges === 0
    ? `${url} · ${exchanges}`
    : l10n.t("{0} · {1}, {2} open", url, exchanges, info.openExchanges);
}

export function stateText(state: Share["info"]["state"]): string {
  switch (state) {
    case "connecting":
      return l10n.t("connecting");
    case "online":
      return l10n.t("online");
    case "reconnecting":
      return l10n.t("reconnecting");
    case "refused":
      return l10n.t("refused");
  }
}

function stateIcon({ info }: Share): ThemeIcon {
  switch (info.state) {
    case "connecting":
    case "reconnecting":
      return new ThemeIcon("sync~spin");
    case "online":
      return new ThemeIcon("broadcast", new ThemeColor("charts.green"));
    case "refused":
      return new ThemeIcon("error", new ThemeColor("errorForeground"));
  }
}

function reachText({ info }: Share): string {
  switch (info.reach) {
    case "loopback":
      return l10n.t("Programs on this machine");
    case "lan":
      return l10n.t("Anyone in the local network");
    case "public":
      return l10n.t("Anyone who knows the URL");
  }
}

function tooltip(share: Share): MarkdownString {
  const { info } = share;
  const text = new MarkdownString();
  const row = (name: string, value: string): void => {
    text.appendMarkdown(`\n\n**${name}:** `);
    text.appendText(value);
  };
  text.appendMarkdown(l10n.t("**Port {0}**", info.port));
  row(l10n.t("State"), stateText(info.state));
  if (info.problem !== undefined) row(l10n.t("Problem"), info.problem.message);
  for (const url of [mainUrl(info), ...otherUrls(info)]) if (url !== "") row(l10n.t("URL"), url);
  row(l10n.t("Who can reach it"), reachText(share));
  row(l10n.t("Relay"), share.request.relay.kind === "local" ? l10n.t("in this window") : share.request.relay.url);
  const from = l10n.t(
    "{0} from visitors, {1} from the service",
    formatBytes(info.visitorBytes),
    formatBytes(info.serviceBytes),
  );
  row(l10n.t("Traffic"), l10n.t("{0} exchanges, {1} open; {2}", info.exchanges, info.openExchanges, from));
  if (info.rttMs !== undefined) row(l10n.t("Round trip to the relay"), `${info.rttMs.toFixed(1)} ms`);
  return text;
}
