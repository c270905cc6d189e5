import { commands, env, l10n, ThemeIcon, Uri, ViewColumn, window, type ExtensionContext } from "vscode";
import { externalUrl, isLoopbackUrl, isWebUrl, mainUrl } from "./addresses.ts";
import { DisposableList } from "./disposables.ts";
import type { Inspector } from "./inspector.ts";
import type { Portlight } from "./portlight.ts";
import { qrHtml } from "./qr-code.ts";
import { relayChoice } from "./settings.ts";
import { retryShare, sharePort } from "./share-command.ts";
import { portOfArgument, type Share } from "./share-request.ts";
import { messageOf } from "./shares.ts";

export interface CommandsOptions {
  readonly context: ExtensionContext;
  readonly portlight: Portlight;
  readonly inspector: Inspector;
}

export function registerCommands({ context, portlight, inspector }: CommandsOptions): DisposableList {
  const { shares, log } = portlight;
  const list = new DisposableList();
  const register = (name: string, handler: (argument: unknown) => unknown): void => {
    list.add(commands.registerCommand(`portlight.${name}`, handler));
  };
  /** Registers a command on one share: the argument's, the only one, or the one picked. */
  const registerForShare = (
    name: string,
    title: string,
    handler: (share: Share, argument: unknown) => unknown,
  ): void => {
    register(name, async (argument) => {
      const share = await shareOf(argument, shares.all, title);
      if (share !== undefined) await handler(share, argument);
    });
  };
  const options = { portlight, state: context.workspaceState };
  register("sharePort", (argument) => sharePort(argument, { ...options, withOptions: false }));
  register("sharePortWithOptions", (argument) => sharePort(argument, { ...options, withOptions: true }));
  registerForShare("retry", l10n.t("Try Again"), (share) => retryShare(share, { ...options, withOptions: false }));
  registerForShare("stopSharing", l10n.t("Stop Sharing"), async ({ request: { port } }) => {
    await shares.stop(port);
    window.setStatusBarMessage(l10n.t("$(check) Port {0} is no longer shared", port), 3000);
  });
  register("stopAll", async () => {
    if (shares.all.length === 0) return;
    await shares.stopAll();
    window.setStatusBarMessage(l10n.t("$(check) No port is shared any more"), 3000);
  });
  registerForShare("copyUrl", l10n.t("Copy URL"), async (share, argument) =>
    copy(urlOf(argument) ?? mainUrl(share.info)),
  );
  registerForShare("copyForwardedUrl", l10n.t("Copy Forwarded URL"), copyForwarded);
  registerForShare("openUrl", l10n.t("Open in Browser"), (share, argument) => open(share, urlOf(argument)));
  register("showQrCode", async (argument) => {
    // Unless one is named, those that another device can reach are meant.
    const reachable = shares.all.filter(({ info }) => externalUrl(info) !== undefined);
    const share = await shareOf(
      argument,
      reachable.length > 0 && portOfArgument(argument) === undefined ? reachable : shares.all,
      l10n.t("Show QR Code"),
    );
    if (share !== undefined) showQrCode(share, context.extensionUri);
  });
  registerForShare("inspect", l10n.t("Inspect Traffic"), (share) => inspector.reveal(`port:${share.request.port}`));
  register("openInspector", () => inspector.reveal());
  register("openInspectorInEditor", () => inspector.openInEditor());
  register("setRelayToken", () => setRelayToken(portlight));
  register("showLog", () => log.show());
  return list;
}

async function shareOf(argument: unknown, shares: readonly Share[], title: string): Promise<Share | undefined> {
  const port = portOfArgument(argument);
  if (port !== undefined) {
    const share = shares.find(({ request }) => request.port === port);
    if (share === undefined) void window.showInformationMessage(l10n.t("Port {0} is not shared.", port));
    return share;
  }
  if (shares.length === 0) {
    const start = l10n.t("Share Port…");
    const chosen = await window.showInformationMessage(l10n.t("No port is shared."), start);
    if (chosen === start) void commands.executeCommand("portlight.sharePort");
    return undefined;
  }
  if (shares.length === 1) return shares[0];
  const items = shares.map((share) => ({
    label: String(share.request.port),
    description: mainUrl(share.info),
    iconPath: new ThemeIcon("broadcast"),
    share,
  }));
  return (await window.showQuickPick(items, { title, placeHolder: l10n.t("Which shared port?") }))?.share;
}

/** The URL of a line below a share in the Shares view. */
function urlOf(argument: unknown): string | undefined {
  if (typeof argument !== "object" || argument === null || !("url" in argument)) return undefined;
  return typeof argument.url === "string" && argument.url !== "" ? argument.url : undefined;
}

async function copy(url: string): Promise<void> {
  if (url === "") {
    void window.showInformationMessage(l10n.t("There is no URL yet: the relay has not granted one."));
    return;
  }
  await env.clipboard.writeText(url);
  window.setStatusBarMessage(l10n.t("$(check) Copied {0}", url), 3000);
}

/** In a remote window a loopback URL is one of the remote machine: the editor forwards it, and says where to. */
async function copyForwarded({ info }: Share): Promise<void> {
  if (!isWebUrl(info.url) || !isLoopbackUrl(info.url)) return copy(info.url);
  return copy((await env.asExternalUri(Uri.parse(info.url))).toString(true));
}

async function open({ info }: Share, wanted: string | undefined): Promise<void> {
  const url = wanted ?? mainUrl(info);
  if (isWebUrl(url)) await env.openExternal(Uri.parse(url));
  else
    void window.showInformationMessage(
      l10n.t("{0} is no web address: connect to it with a client of the protocol.", url),
    );
}

function showQrCode({ info }: Share, extension: Uri): void {
  const url = externalUrl(info);
  if (url === undefined) {
    const lan = l10n.t("Share with Options…");
    const text = l10n.t("Port {0} is shared on this machine only: another device could not open its URL.", info.port);
    void window.showInformationMessage(text, lan).then((chosen) => {
      if (chosen === lan) void commands.executeCommand("portlight.sharePortWithOptions", info.port);
    });
    return;
  }
  const panel = window.createWebviewPanel(
    "portlight.qrCode",
    l10n.t("QR Code: Port {0}", info.port),
    { viewColumn: ViewColumn.Active, preserveFocus: false },
    { enableScripts: false, localResourceRoots: [] },
  );
  const note =
    info.reach === "lan"
      ? l10n.t("For devices in the same network.")
      : l10n.t("For any device: anyone who has this code can connect.");
  const icon = (theme: string): Uri => Uri.joinPath(extension, "media", `inspector-${theme}.svg`);
  panel.iconPath = { light: icon("light"), dark: icon("dark") };
  panel.webview.html = qrHtml(url, note);
}

async function setRelayToken({ memory, log }: Portlight): Promise<void> {
  let relay;
  try {
    relay = relayChoice();
  } catch (error) {
    void window.showErrorMessage(messageOf(error));
    return;
  }
  if (relay.kind === "local") {
    const openSettings = l10n.t("Open Settings");
    const text = l10n.t(
      "The local relay needs no token. To use a relay of your own, set portlight.relay to its URL first.",
    );
    if ((await window.showInformationMessage(text, openSettings)) === openSettings)
      await commands.executeCommand("workbench.action.openSettings", "portlight.relay");
    return;
  }
  const token = await window.showInputBox({
    title: l10n.t("Relay Token"),
    prompt: l10n.t(
      "The token for {0}. It is kept in the editor's secret storage. Leave it empty to remove it.",
      relay.url,
    ),
    password: true,
    ignoreFocusOut: true,
  });
  if (token === undefined) return;
  const trimmed = token.trim();
  if (trimmed === "") await memory.forgetToken(relay.url);
  else await memory.rememberToken(relay.url, trimmed);
  log.info(trimmed === "" ? `The token for ${relay.url} was removed.` : `A token for ${relay.url} was set.`);
  window.setStatusBarMessage(trimmed === "" ? l10n.t("$(check) Token removed") : l10n.t("$(check) Token kept"), 3000);
}
