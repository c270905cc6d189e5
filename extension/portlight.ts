import type { ExtensionContext, LogOutputChannel } from "vscode";
import { l10n, workspace } from "vscode";
import { AgentProcess } from "./agent-process.ts";
import { forkChild } from "./child.ts";
import { LocalRelay } from "./local-relay.ts";
import { Memory } from "./memory.ts";
import { agentConfiguration } from "./settings.ts";
import { messageOf, Shares } from "./shares.ts";

/** The editor gives a closing window 5 seconds; this leaves it some. */
const SHUTDOWN_MS = 2000;

/** The programs of this window and what they share. Nothing runs before the first command that needs it. */
export class Portlight {
  readonly log: LogOutputChannel;
  readonly memory: Memory;
  readonly relay: LocalRelay;
  readonly agent: AgentProcess;
  readonly shares: Shares;

  constructor(context: ExtensionContext, log: LogOutputChannel) {
    const forked = (name: "agent" | "relay") => () => {
      // Whoever asks was checked before; this is the one place through which every process is started.
      if (!workspace.isTrusted) throw new Error(l10n.t("Portlight starts no programs in Restricted Mode."));
      return forkChild({ module: context.asAbsolutePath(`dist/${name}.cjs`), name, log });
    };
    this.log = log;
    const place = workspace.workspaceFile ?? workspace.workspaceFolders?.[0]?.uri;
    this.memory = new Memory(context.secrets, place?.toString() ?? "");
    this.relay = new LocalRelay(forked("relay"), log);
    this.agent = new AgentProcess({
      fork: forked("agent"),
      configuration: () => agentConfiguration(this.relay.address?.ports ?? []),
      log,
    });
    this.shares = new Shares({ agent: this.agent.supervisor, relay: this.relay, memory: this.memory, log });
    this.agent.onSharesChanged((infos) => this.shares.update(infos));
    this.relay.supervisor.onStateChanged((state) => {
      if (state === "running") this.configure();
    });
  }

  /** Ports of the editor and of our own programs are no services of the user. */
  get ownProcesses(): readonly number[] {
    const pids = [this.agent.supervisor.pid, this.relay.supervisor.pid, process.pid, process.ppid];
    return pids.filter((pid) => pid !== undefined);
  }

  /** Tells the agent that settings, folders or the relay's ports have changed. */
  configure(): void {
    this.agent.configure().catch((error: unknown) => {
      this.log.warn(`The agent could not be told its new settings: ${messageOf(error)}`);
    });
  }

  /** Ends agent and relay: asked first, then killed. */
  async close(): Promise<void> {
    await Promise.all([this.agent.stop(SHUTDOWN_MS), this.relay.stop(SHUTDOWN_MS)]);
  }
}
