import { spawn, type ChildProcess } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { installWorkbench } from "./install.ts";

export const root = path.dirname(path.dirname(import.meta.dirname));
/** Pictures for people to look at; git-ignored. */
export const artifacts = path.join(root, "artifacts/workbench");

/** What the VSIX holds (see .vscodeignore), so that a file left out of it is missed here too. */
const EXTENSION_FILES = ["package.json", "package.nls.json", "dist", "media"];

export interface WorkbenchOptions {
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Installs Portlight as a user has it. Not wanted where it is loaded from the repository by a development payload. */
  readonly installed?: boolean;
  /** False: workspaces open in Restricted Mode. */
  readonly trusted?: boolean;
  /** Lets a page name extension-host tests to run. It also keeps notifications from popping up. */
  readonly testDriver?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A running server with a profile of its own. */
export interface Workbench {
  readonly port: number;
  readonly directory: string;
  readonly userData: string;
  /** Where Portlight is installed. */
  readonly extension: string;
  /** Ends the server with everything it started, and removes its directory. */
  close(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const server of running) end(server, "SIGKILL");
});

export async function startWorkbench(options: WorkbenchOptions = {}): Promise<Workbench> {
  const entry = installWorkbench();
  const directory = await mkdtemp(path.join(os.tmpdir(), "portlight-workbench-"));
  const userData = path.join(directory, "data");
  const extensions = path.join(directory, "extensions");
  await mkdir(path.join(userData, "User"), { recursive: true });
  await mkdir(path.join(userData, "Machine"), { recursive: true });
  await mkdir(extensions);
  await writeFile(path.join(directory, "config.yaml"), "auth: none\n");
  // Settings of machine scope are read from the server's own file in a remote window.
  for (const place of ["User", "Machine"])
    await writeFile(path.join(userData, place, "settings.json"), JSON.stringify({ ...SETTINGS, ...options.settings }));
  const extension = await installPortlight(extensions, options.installed ?? true);
  const server = spawn(
    process.execPath,
    [
      entry,
      ...["--auth", "none", "--bind-addr", "127.0.0.1:0", "--config", path.join(directory, "config.yaml")],
      ...["--user-data-dir", userData, "--extensions-dir", extensions],
      ...[
        "--disable-telemetry",
        "--disable-update-check",
        "--disable-getting-started-override",
        "--ignore-last-opened",
      ],
      ...(options.trusted === false ? [] : ["--disable-workspace-trust"]),
      ...(options.testDriver === true ? ["--vscode-option", "enable-smoke-test-driver"] : []),
    ],
    {
      cwd: directory,
      // A process group of its own: it is ended as a whole, by its id.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        NODE_OPTIONS: "",
        VSCODE_IPC_HOOK_CLI: "",
        XDG_DATA_HOME: directory,
        ...options.environment,
      },
    },
  );
  running.add(server);
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.once("exit", resolve));
    if (server.exitCode === null && server.signalCode === null) {
      end(server, "SIGTERM");
      const kill = setTimeout(() => end(server, "SIGKILL"), 5000);
      await closed;
      clearTimeout(kill);
    }
    // Whatever the server left in its group.
    end(server, "SIGKILL");
    running.delete(server);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    return { port: await listening(server), directory, userData, extension, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const SETTINGS = {
  "workbench.startupEditor": "none",
  "workbench.welcomePage.experimentalOnboarding": false,
  "workbench.colorTheme": "Default Dark Modern",
  "workbench.tips.enabled": false,
  "chat.disableAIFeatures": true,
  "chat.commandCenter.enabled": false,
  "security.workspace.trust.startupPrompt": "never",
  "security.workspace.trust.banner": "never",
  "extensions.autoCheckUpdates": false,
  "workbench.reduceMotion": "on",
  "git.enabled": false,
  "typescript.tsserver.enabled": false,
  "window.restoreWindows": "none",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  // Above 20 ports the editor stops showing those it found by itself, and a busy machine has more.
  "remote.autoForwardPortsFallback": 0,
  // Nor is it to announce them over our pictures.
  "remote.otherPortsAttributes": { onAutoForward: "silent" },
};

async function installPortlight(extensions: string, installed: boolean): Promise<string> {
  const manifest = JSON.parse(await readFile(path.join(root, "package.json"), "utf8")) as { version: string };
  const extension = path.join(extensions, `portlight.portlight-${manifest.version}`);
  if (!installed) return root;
  await mkdir(extension);
  for (const file of EXTENSION_FILES)
    await cp(path.join(root, file), path.join(extension, file), {
      recursive: true,
      filter: (source) => !source.endsWith(".map"),
    });
  return extension;
}

function end(server: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (server.pid !== undefined) process.kill(-server.pid, signal);
  } catch {
    // The group has ended already.
  }
}

async function listening(server: ChildProcess): Promise<number> {
  let output = "";
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`code-server did not listen within 60 s:\n${output.slice(-2000)}`));
    }, 60_000);
    const read = (text: Buffer): void => {
      output = (output + text.toString()).slice(-20_000);
      const port = /HTTP server listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(Number(port));
    };
    server.stdout?.on("data", read);
    server.stderr?.on("data", read);
    server.once("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`code-server ended with exit code ${code ?? "none"}:\n${output.slice(-2000)}`));
    });
  });
}
