import { randomBytes } from "node:crypto";
import { realpathSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createAgent } from "../agent/agent.ts";
import { startInspectorServer } from "../agent/inspector-server.ts";
import { listeningPorts } from "../agent/ports/listening-ports.ts";
import type { Agent, GrantedShare, RelayEndpoint, ShareInfo, ShareOptions } from "../agent/options.ts";
import { ShareError } from "../agent/share-error.ts";
import { createCapture } from "../capture/capture.ts";
import type { Capture } from "../capture/options.ts";
import { startRelay } from "../relay/relay.ts";
import type { Logger } from "../wire/logger.ts";
import type { ShareCommand } from "./arguments.ts";
import { nameKey, namesFile, readNames, rememberNames } from "./names.ts";
import type { RememberedName } from "./names.ts";
import type { ProgramPaths } from "./paths.ts";
import type { Report } from "./report.ts";
import { aborted } from "./signals.ts";
import { digest, readTokens } from "./tokens.ts";

/** Open exchanges get this long after the first signal: enough for an upload to finish, short for who waits. */
const DRAIN_MS = 10_000;

export interface CommandContext {
  readonly report: Report;
  readonly log: Logger;
  readonly paths: ProgramPaths;
  readonly environment: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Aborted when the command shall end. */
  readonly ending: AbortSignal;
}

/** `portlight share`. Resolves after `ending` and the drain; rejects with a message for the user. */
export async function share(command: ShareCommand, context: CommandContext): Promise<void> {
  const cleanups: (() => Promise<void>)[] = [];
  try {
    await run(command, context, cleanups);
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}

async function run(
  command: ShareCommand,
  { report, log, paths, environment, cwd, ending }: CommandContext,
  cleanups: (() => Promise<void>)[],
): Promise<void> {
  const [token] =
    command.tokenFile === undefined ? [] : await readTokens(command.tokenFile, (text) => report.note(text));
  const capture = command.capture ? startCapture(command, cwd, paths, log, cleanups) : undefined;
  const recording = capture?.onRecord({ showSecrets: command.showSecrets }, (record) => report.exchange(record));

  const relay =
    command.relay === undefined
      ? await embedRelay(command.lan, log, cleanups)
      : { endpoint: remoteEndpoint(command.relay, token, command.links), ports: [] };
  const agent = createAgent({
    ...(capture === undefined ? {} : { tap: capture.tap }),
    log,
    forbiddenPorts: relay.ports,
  });
  cleanups.push(async () => {
    const open = agent.shares.reduce((sum, info) => sum + info.openExchanges, 0);
    if (open > 0)
      report.note(`Waiting up to ${DRAIN_MS / 1000} s for open exchanges (${open}). Ctrl+C again ends at once.`);
    await agent.close(DRAIN_MS);
    await capture?.flush();
    recording?.dispose();
  });
  const watch = watchShares(agent, report);
  // Without the system's tool nothing is known, and nothing said.
  const listening = listeningPorts().catch(() => undefined);

  await shareAll(command, relay.endpoint, agent, namesFile(environment), { report, ending, granted: watch.granted });
  if (ending.aborted) return;
  const heard = await listening;
  for (const port of command.ports)
    if (heard !== undefined && !heard.some((one) => one.port === port)) report.note(nothingListens(port, command.tcp));
  if (capture !== undefined && command.inspect !== undefined) {
    const inspector = await startInspectorServer({
      capture,
      agent,
      port: command.inspect,
      webviewRoot: paths.webview,
      log,
    });
    cleanups.push(() => inspector.close());
    report.inspector(inspector.url);
  }
  report.ready();
  const ended = await Promise.race([aborted(ending), watch.allRefused]);
  watch.stop();
  if (ended === "refused") throw new Error("The relay refused every share; see above.");
}

function remoteEndpoint(url: string, token: string | undefined, links: number | undefined): RelayEndpoint {
  return { url, ...(token === undefined ? {} : { token }), ...(links === undefined ? {} : { links }) };
}

function nothingListens(port: number, tcp: boolean): string {
  const what = tcp ? "visitors are disconnected" : "visitors get an error (502) that says so";
  return `Nothing seems to listen on port ${port} of this machine. Until something does, ${what}.`;
}

function startCapture(
  { protoDirectories }: ShareCommand,
  cwd: string,
  paths: ProgramPaths,
  log: Logger,
  cleanups: (() => Promise<void>)[],
): Capture {
  const capture = createCapture({
    workspaceFolders: protoDirectories.length > 0 ? protoDirectories : defaultWorkspace(cwd),
    protoRoots: protoDirectories,
    workerFile: paths.decoder,
    log,
  });
  cleanups.push(() => capture.close());
  return capture;
}

/** The current directory is a project, except where it holds all projects: searching it would read the whole disk. */
function defaultWorkspace(cwd: string): readonly string[] {
  const directory = realpathSync(cwd);
  return directory === path.parse(directory).root || directory === realpathSync(os.homedir()) ? [] : [directory];
}

/** The local relay in this process. Its token exists in memory only, so that no other program can share through it. */
async function embedRelay(
  allowLan: boolean,
  log: Logger,
  cleanups: (() => Promise<void>)[],
): Promise<{ endpoint: RelayEndpoint; ports: readonly number[] }> {
  const token = randomBytes(32).toString("base64url");
  const relay = await startRelay({
    mode: "local",
    listen: { host: "127.0.0.1", port: 0 },
    tunnelListen: { host: "127.0.0.1", port: 0 },
    domain: "localhost",
    tokenDigests: [digest(token)],
    allowLan,
    log,
  });
  // What was open got its time when the agent closed.
  cleanups.push(() => relay.close(0));
  const ports = [relay.publicUrl, relay.tunnelUrl].map((url) => Number(/:(\d+)$/.exec(url)?.[1]));
  return { endpoint: { url: relay.tunnelUrl, token }, ports };
}

interface ShareAllContext {
  readonly report: Report;
  readonly ending: AbortSignal;
  readonly granted: (share: ShareInfo) => void;
}

/** Shares every port, tells each URL, and remembers what brings the names back. Throws at the first refusal. */
async function shareAll(
  command: ShareCommand,
  relay: RelayEndpoint,
  agent: Agent,
  file: string,
  { report, ending, granted }: ShareAllContext,
): Promise<void> {
  const remembered = await readNames(file);
  const kind = command.tcp ? "tcp" : "http";
  const added = new Map<string, RememberedName>();
  for (const port of command.ports) {
    // The embedded relay listens on another port each time; it is always the same one to the user.
    const key = nameKey(command.relay ?? "local", kind, port, command.name);
    const before = remembered.get(key);
    const wanted: ShareOptions = {
      port,
      kind,
      relay,
      keepHost: command.keepHost,
      reach: command.lan ? "lan" : "loopback",
      ...(command.name === undefined ? {} : { name: command.name }),
    };
    let share: GrantedShare;
    try {
      share = await withMemory(wanted, before, (options) => agent.share(options, ending));
    } catch (error) {
      if (ending.aborted) return;
      throw error;
    }
    granted(share.info);
    report.shared(share.info);
    const { name, publicPort } = share.info;
    added.set(key, {
      name,
      secret: share.secret,
      ...(publicPort === undefined ? {} : { publicPort }),
      usedAt: Date.now(),
    });
  }
  try {
    await rememberNames(file, added);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "unknown error";
    report.note(`The names cannot be kept for the next time, in ${file}: ${reason}`);
  }
}

/** Asks for the name of last time; when that is somebody else's by now and the user named none, for any. */
async function withMemory(
  wanted: ShareOptions,
  before: RememberedName | undefined,
  ask: (options: ShareOptions) => Promise<GrantedShare>,
): Promise<GrantedShare> {
  if (before === undefined) return ask(wanted);
  const { name, secret, publicPort } = before;
  try {
    return await ask({ ...wanted, name, secret, ...(publicPort === undefined ? {} : { publicPort }) });
  } catch (error) {
    const lost = error instanceof ShareError && (error.code === "name-taken" || error.code === "name-invalid");
    if (!lost || wanted.name !== undefined) throw error;
    return ask(wanted);
  }
}

interface Watch {
  /** From now on the share's changes are told. */
  readonly granted: (share: ShareInfo) => void;
  /** Resolves when there is nothing left to wait for. */
  readonly allRefused: Promise<"refused">;
  stop(): void;
}

/** Tells each change of a share's state or problem once, counters left aside. */
function watchShares(agent: Agent, report: Report): Watch {
  const told = new Map<string, string>();
  const stateOf = (info: ShareInfo): string => `${info.state} ${info.problem?.code ?? ""}`;
  let refuse = (_how: "refused"): void => undefined;
  const allRefused = new Promise<"refused">((resolve) => (refuse = resolve));
  const remove = agent.onChange(() => {
    const { shares } = agent;
    for (const info of shares) {
      const state = stateOf(info);
      const known = told.get(info.id);
      told.set(info.id, state);
      // The first state is "connecting", and the first time online is told as "shared" with its URL.
      if (known === state || (info.state === "online" && (known?.startsWith("connecting") ?? true))) continue;
      if (known === undefined && info.state === "connecting" && info.problem === undefined) continue;
      report.changed(info);
    }
    if (shares.length > 0 && shares.every((info) => info.state === "refused" && info.url !== "")) refuse("refused");
  });
  return { granted: (info) => told.set(info.id, stateOf(info)), allRefused, stop: remove };
}
