import { setTimeout as sleep } from "node:timers/promises";
import { CancellationTokenSource, commands, env, l10n, ProgressLocation, window, type Memento } from "vscode";
import { isWebUrl, mainUrl } from "./addresses.ts";
import { askConsent } from "./consent.ts";
import { pickOptions, pickPort } from "./pick.ts";
import type { Portlight } from "./portlight.ts";
import { keepHost, reach, relayChoice } from "./settings.ts";
import { nameProblem, portOfArgument, sameRequest, type Share, type ShareRequest } from "./share-request.ts";
import { messageOf, refusalCode, ShareEndedError } from "./shares.ts";
import { requireTrust } from "./trust.ts";

/** What the command returns to other extensions. */
export interface SharedPort {
  readonly port: number;
  readonly url: string;
  readonly alternativeUrls: readonly string[];
  readonly name: string;
}

export interface ShareCommandOptions {
  readonly portlight: Portlight;
  readonly state: Memento;
  /** Asks kind, reach and name instead of taking them from the settings. */
  readonly withOptions: boolean;
}

/**
 * Share Port: from the palette (no argument), the Ports view (its row), the Shares view or another extension
 * (`{ port, kind?, reach?, name? }`). Undefined when the user gave up or it failed; the user has been told why.
 */
export async function sharePort(argument: unknown, options: ShareCommandOptions): Promise<SharedPort | undefined> {
  if (!(await requireTrust())) return undefined;
  let port = portOfArgument(argument);
  try {
    const request = await makeRequest(argument, options);
    if (request === undefined) return undefined;
    ({ port } = request);
    const { portlight, state } = options;
    const own = portlight.shares.all.find(({ info }) => info.publicPort === request.port && info.reach !== "public");
    if (own !== undefined)
      throw new Error(l10n.t("It is the port at which Portlight shares port {0}: share that one.", own.info.port));
    const existing = portlight.shares.get(request.port);
    if (existing !== undefined && sameRequest(existing.request, request) && existing.info.url !== "") {
      announce(existing, l10n.t("Port {0} is already shared at {1}", request.port, mainUrl(existing.info)));
      return sharedPort(existing);
    }
    if (existing !== undefined && !(await mayReplace(existing))) return undefined;
    if (!(await askConsent(request, state))) return undefined;
    const share = await shareWithProgress(request, portlight);
    if (share === undefined) return undefined;
    announce(share, announcement(share));
    return sharedPort(share);
  } catch (error) {
    void reportFailure(error, port, options);
    return undefined;
  }
}

/** Asks the relay again for a share that it refused. */
export async function retryShare(share: Share, options: ShareCommandOptions): Promise<void> {
  if (!(await requireTrust())) return;
  const source = new CancellationTokenSource();
  try {
    await options.portlight.shares.retry(share.request.port, source.token);
  } catch (error) {
    void reportFailure(error, share.request.port, options);
  } finally {
    source.dispose();
  }
}

async function makeRequest(argument: unknown, options: ShareCommandOptions): Promise<ShareRequest | undefined> {
  const { agent, shares } = options.portlight;
  const relay = relayChoice();
  const port =
    portOfArgument(argument) ??
    (await pickPort({
      ports: () => agent.listeningPorts(),
      ownProcesses: () => options.portlight.ownProcesses,
      shared: (candidate) => {
        const share = shares.get(candidate);
        return share === undefined ? undefined : mainUrl(share.info);
      },
    }));
  if (port === undefined) return undefined;
  const defaults = { relay, port, keepHost: keepHost() };
  if (!options.withOptions) {
    const given = programmatic(argument);
    return {
      ...defaults,
      kind: "http",
      ...given,
      reach: relay.kind === "remote" ? "loopback" : (given.reach ?? reach()),
    };
  }
  const chosen = await pickOptions(port, relay.kind === "remote", nameProblem);
  return chosen === undefined ? undefined : { ...defaults, ...chosen };
}

/** What another extension may say beside the port. Rows of the Ports view have fields of the same names: they are told apart by `remotePort`. */
function programmatic(argument: unknown): Partial<Pick<ShareRequest, "kind" | "reach" | "name">> {
  if (typeof argument !== "object" || argument === null || !("port" in argument)) return {};
  const { kind, reach: wanted, name } = argument as { kind?: unknown; reach?: unknown; name?: unknown };
  return {
    ...(kind === "tcp" || kind === "http" ? { kind } : {}),
    ...(wanted === "lan" || wanted === "loopback" ? { reach: wanted } : {}),
    ...(typeof name === "string" && name !== "" && nameProblem(name) === undefined ? { name } : {}),
  };
}

async function mayReplace({ request, info }: Share): Promise<boolean> {
  if (info.state === "refused") return true;
  const anew = l10n.t("Share Anew");
  const question = l10n.t("Port {0} is already shared, with other options. Stop that and share it anew?", request.port);
  return (await window.showInformationMessage(question, { modal: true, detail: mainUrl(info) }, anew)) === anew;
}

/** A local share takes a moment: a progress notification would only flash. */
const QUIET_MS = 700;

async function shareWithProgress(request: ShareRequest, { shares }: Portlight): Promise<Share | undefined> {
  const source = new CancellationTokenSource();
  const sharing = shares.share(request, source.token).catch((error: unknown) => {
    if (error instanceof ShareEndedError) return undefined;
    throw error;
  });
  const settled = sharing.then(
    () => true,
    () => true,
  );
  try {
    if (await Promise.race([settled, sleep(QUIET_MS, false)])) return await sharing;
    const title = l10n.t("Sharing port {0}", request.port);
    const options = { location: ProgressLocation.Notification, title, cancellable: true };
    return await window.withProgress(options, async (progress, token) => {
      token.onCancellationRequested(() => source.cancel());
      const tell = (): void => {
        const problem = shares.get(request.port)?.info.problem;
        if (problem !== undefined)
          progress.report({ message: l10n.t("{0}. Trying again…", problem.message.replace(/\.$/, "")) });
      };
      const told = shares.onChanged(tell);
      tell();
      return sharing.finally(() => told.dispose());
    });
  } finally {
    source.dispose();
  }
}

function announcement({ info }: Share): string {
  const { port } = info;
  const url = mainUrl(info);
  if (info.reach === "loopback" && env.remoteName !== undefined)
    return l10n.t("Port {0} is shared at {1} on the remote machine. “Open” forwards it to yours.", port, url);
  return l10n.t("Port {0} is shared at {1}", port, url);
}

/** Not awaited: the notification may stay for as long as the user likes. */
function announce(share: Share, message: string): void {
  const copy = l10n.t("Copy URL");
  const open = l10n.t("Open");
  const inspect = l10n.t("Inspect");
  const actions = isWebUrl(share.info.url) ? [copy, open, inspect] : [copy, inspect];
  void window.showInformationMessage(message, ...actions).then((chosen) => {
    if (chosen === copy) void commands.executeCommand("portlight.copyUrl", share);
    if (chosen === open) void commands.executeCommand("portlight.openUrl", share);
    if (chosen === inspect) void commands.executeCommand("portlight.inspect", share);
  });
}

async function reportFailure(error: unknown, port: number | undefined, options: ShareCommandOptions): Promise<void> {
  const { log } = options.portlight;
  const reason = messageOf(error);
  log.error(port === undefined ? `Not shared: ${reason}` : `Port ${port} was not shared: ${reason}`);
  const message =
    port === undefined
      ? l10n.t("Nothing was shared. {0}", reason)
      : l10n.t("Port {0} was not shared. {1}", port, reason);
  const setToken = l10n.t("Set Relay Token…");
  const openSettings = l10n.t("Open Settings");
  const showLog = l10n.t("Show Log");
  const code = refusalCode(error);
  const actions = [
    ...(code === "unauthorized" ? [setToken] : []),
    ...(reason.includes("portlight.relay") ? [openSettings] : []),
    showLog,
  ];
  const chosen = await window.showErrorMessage(message, ...actions);
  if (chosen === setToken) await commands.executeCommand("portlight.setRelayToken");
  if (chosen === openSettings) await commands.executeCommand("workbench.action.openSettings", "portlight.relay");
  if (chosen === showLog) log.show();
}

function sharedPort({ info }: Share): SharedPort {
  const { port, url, alternativeUrls, name } = info;
  return { port, url, alternativeUrls, name };
}
