import { l10n, ThemeIcon, window, type QuickPickItem } from "vscode";
import type { ListeningPort } from "../agent/protocol.ts";
import { parsePort } from "./share-request.ts";

export interface PickOptions {
  /** Rejecting shows why and leaves "Other port…". */
  readonly ports: () => Promise<readonly ListeningPort[]>;
  /** Our own processes, whose ports are none of the user's services. */
  readonly ownProcesses: () => readonly number[];
  readonly shared: (port: number) => string | undefined;
}

interface PortItem extends QuickPickItem {
  readonly port?: number;
  /** Only says that the ports are not known yet. */
  readonly waiting?: true;
}

/** Asks which port; undefined when the user gave up. */
export async function pickPort(options: PickOptions): Promise<number | undefined> {
  const picked = await pickListening(options);
  return picked === "other" ? askPort() : picked;
}

function pickListening(options: PickOptions): Promise<number | "other" | undefined> {
  const pick = window.createQuickPick<PortItem>();
  pick.title = l10n.t("Share Port");
  pick.placeholder = l10n.t("Choose a port on which something listens, or type a number");
  pick.matchOnDescription = true;
  pick.matchOnDetail = true;
  const refresh = { iconPath: new ThemeIcon("refresh"), tooltip: l10n.t("Look Again") };
  pick.buttons = [refresh];
  const other: PortItem = { label: l10n.t("Other port…"), iconPath: new ThemeIcon("edit"), alwaysShow: true };
  const waiting: PortItem = {
    label: l10n.t("$(loading~spin) Looking for ports on which something listens…"),
    waiting: true,
    alwaysShow: true,
  };
  let looking = false;
  let found: readonly PortItem[] = [];
  const show = (): void => {
    const typed = parsePort(pick.value);
    const known = found.some(({ port }) => port === typed);
    const direct: readonly PortItem[] =
      typeof typed === "number" && !known
        ? [
            {
              label: l10n.t("Share port {0}", typed),
              iconPath: new ThemeIcon("broadcast"),
              port: typed,
              alwaysShow: true,
            },
          ]
        : [];
    pick.items = [...found, ...direct, ...(looking && found.length === 0 ? [waiting] : []), other];
    // A typed port is taken at once; "Other port…" is not what Enter means while the others are still to come.
    const active = pick.items.find(({ waiting: isWaiting }) => isWaiting === undefined);
    if (looking && found.length === 0)
      pick.activeItems = direct.length > 0 && active !== undefined ? [active] : [waiting];
  };
  const look = async (): Promise<void> => {
    pick.busy = looking = true;
    show();
    try {
      found = items(await options.ports(), options);
      pick.placeholder =
        found.length === 0
          ? l10n.t("Nothing listens on this machine yet. Start your service and look again, or type a number")
          : l10n.t("Choose a port on which something listens, or type a number");
    } catch (error) {
      pick.placeholder = l10n.t("Cannot list ports: {0}", error instanceof Error ? error.message : String(error));
    } finally {
      pick.busy = looking = false;
      show();
    }
  };
  return new Promise((resolve) => {
    pick.onDidChangeValue(show);
    pick.onDidTriggerButton((button) => {
      if (button === refresh) void look();
    });
    pick.onDidAccept(() => {
      const item = pick.selectedItems[0];
      if (item === undefined || item.waiting) return;
      resolve(item.port ?? "other");
      pick.hide();
    });
    pick.onDidHide(() => {
      resolve(undefined);
      pick.dispose();
    });
    pick.show();
    void look();
  });
}

function items(ports: readonly ListeningPort[], { ownProcesses, shared }: PickOptions): PortItem[] {
  const own = new Set(ownProcesses());
  const seen = new Set<number>();
  return ports
    .filter(({ port, pid }) => !(pid !== undefined && own.has(pid)) && !seen.has(port) && seen.add(port))
    .toSorted((a, b) => a.port - b.port)
    .map(({ port, address, process: program }) => {
      const url = shared(port);
      return {
        port,
        label: String(port),
        description: [program, address].filter((part) => part !== undefined && part !== "").join(" · "),
        iconPath: new ThemeIcon(url === undefined ? "plug" : "broadcast"),
        ...(url === undefined ? {} : { detail: l10n.t("shared at {0}", url) }),
      };
    });
}

async function askPort(): Promise<number | undefined> {
  const text = await window.showInputBox({
    title: l10n.t("Share Port"),
    prompt: l10n.t("The port of a service on this machine. It may also be started later."),
    placeHolder: "8080",
    validateInput: (value) => {
      const port = parsePort(value);
      return typeof port === "string" && value !== "" ? port : undefined;
    },
  });
  const port = text === undefined ? undefined : parsePort(text);
  return typeof port === "number" ? port : undefined;
}

export interface ChosenOptions {
  readonly kind: "http" | "tcp";
  readonly reach: "loopback" | "lan";
  readonly name?: string;
}

interface HowItem extends QuickPickItem {
  readonly options: ChosenOptions;
  readonly asksName?: true;
}

function howItems(remoteRelay: boolean): readonly HowItem[] {
  const http = l10n.t("HTTP, gRPC, WebSocket");
  const item = (kind: ChosenOptions["kind"], reach: ChosenOptions["reach"], description: string): HowItem => ({
    label: kind === "http" ? http : "TCP",
    description,
    iconPath: new ThemeIcon(reach === "lan" ? "device-mobile" : remoteRelay ? "globe" : "vm"),
    options: { kind, reach },
  });
  if (remoteRelay)
    return [
      item("http", "loopback", l10n.t("through the relay")),
      { ...item("http", "loopback", l10n.t("through the relay, under a name of your choice")), asksName: true },
      item("tcp", "loopback", l10n.t("through the relay, any protocol byte for byte")),
    ];
  return [
    item("http", "loopback", l10n.t("on this machine")),
    item("http", "lan", l10n.t("in the local network")),
    { ...item("http", "loopback", l10n.t("on this machine, under a name of your choice")), asksName: true },
    item("tcp", "loopback", l10n.t("on this machine, any protocol byte for byte")),
    item("tcp", "lan", l10n.t("in the local network, any protocol byte for byte")),
  ];
}

/** Asks how to share; undefined when the user gave up. With a remote relay there is no choice of reach. */
export async function pickOptions(
  port: number,
  remoteRelay: boolean,
  nameProblem: (name: string) => string | undefined,
): Promise<ChosenOptions | undefined> {
  const how = await window.showQuickPick(howItems(remoteRelay), {
    title: l10n.t("Share Port {0} with Options", port),
    placeHolder: l10n.t("What does the service speak, and who may reach it?"),
    matchOnDescription: true,
  });
  if (how === undefined) return undefined;
  if (how.asksName === undefined) return how.options;
  const name = await window.showInputBox({
    title: l10n.t("Share Port {0} with Options", port),
    prompt: l10n.t("The name in the URL. The relay refuses a name that belongs to somebody else."),
    validateInput: nameProblem,
  });
  if (name === undefined) return undefined;
  return name === "" ? how.options : { ...how.options, name };
}
