import { fork, type ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { createMessageConnection, type MessageConnection } from "vscode-jsonrpc";
import { IPCMessageReader, IPCMessageWriter } from "vscode-jsonrpc/node";
import type { Logger } from "../wire/logger.ts";

/** A line that a child prints is cut here: stray output must not fill the log. */
const OUTPUT_LINE_CHARACTERS = 500;

/**
 * Half of V8's young generation, in MiB. What passes lives for a moment, and with the default the heap grows by some
 * 100 MiB before it is looked through; a small one keeps a process that moves 1 GiB below 150 MiB.
 */
const YOUNG_SPACE_MB = 1;

/** How a child process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A forked process of ours with the JSON-RPC connection over its IPC channel. */
export interface Child {
  readonly pid: number | undefined;
  readonly connection: MessageConnection;
  /** Resolves once, when the process has ended or could not be started. Never rejects. */
  readonly exited: Promise<Exit>;
  kill(): void;
}

export interface ChildOptions {
  /** Absolute path of the bundle. */
  readonly module: string;
  /** `agent` or `relay`: the last argument, by which the editor's port detection knows our processes (see `remote.portsAttributes` in the manifest). */
  readonly name: string;
  readonly log: Logger;
}

/**
 * The environment of our children: the user's, without what belongs to the editor. `NODE_OPTIONS` may carry a
 * debugger's bootloader, `VSCODE_*` the way to command the window; `ELECTRON_RUN_AS_NODE` makes Electron a plain Node.
 */
export function childEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(environment).filter(([name]) => !/^(VSCODE_|ELECTRON_|NODE_OPTIONS$)/.test(name));
  return { ...Object.fromEntries(kept), ELECTRON_RUN_AS_NODE: "1", ELECTRON_NO_ASAR: "1" };
}

/** Forks a bundle and connects to it. Secrets go through the connection, never by argument or environment. */
export function forkChild({ module, name, log }: ChildOptions): Child {
  const child = fork(module, [`portlight-${name}`], {
    // Never inherited: `--inspect` of the extension host would make the child fail on the same port.
    execArgv: [`--max-semi-space-size=${YOUNG_SPACE_MB}`],
    env: childEnvironment(process.env),
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    serialization: "json",
  });
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", (error) => {
      log.error(`The ${name} process could not be started: ${error.message}`);
      resolve({ code: null, signal: null });
    });
  });
  if (child.stdout !== null) printLines(child.stdout, (line) => log.debug(`${name}: ${line}`));
  if (child.stderr !== null) printLines(child.stderr, (line) => log.warn(`${name}: ${line}`));
  return { pid: child.pid, connection: connect(child, name, log), exited, kill: () => void child.kill("SIGKILL") };
}

function connect(child: ChildProcess, name: string, log: Logger): MessageConnection {
  const connection = createMessageConnection(new IPCMessageReader(child), new IPCMessageWriter(child), {
    error: (message) => log.error(`${name}: ${message}`),
    warn: (message) => log.warn(`${name}: ${message}`),
    info: (message) => log.info(`${name}: ${message}`),
    log: (message) => log.debug(`${name}: ${message}`),
  });
  // A write to a process that is ending fails; its end is reported by `exited`.
  connection.onError(() => {});
  child.once("exit", () => connection.dispose());
  connection.listen();
  return connection;
}

function printLines(stream: Readable, print: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("error", () => {});
  stream.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = (lines.pop() ?? "").slice(0, OUTPUT_LINE_CHARACTERS);
    for (const line of lines) if (line.trim() !== "") print(line.slice(0, OUTPUT_LINE_CHARACTERS));
  });
  stream.on("end", () => {
    if (rest.trim() !== "") print(rest);
  });
}
