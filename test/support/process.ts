import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { Arrivals, within } from "./time.ts";

const root = path.join(import.meta.dirname, "../..");

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program of the project in a process of its own. */
export interface Program {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly lines: Arrivals<string>;
  readonly errorLines: Arrivals<string>;
  readonly exited: Promise<Exit>;
  /** Sends the signal and waits for the end, at most `ms`; then SIGKILL, and an error. */
  stop(signal?: NodeJS.Signals, ms?: number): Promise<Exit>;
  /** The parsed JSON lines so far. */
  json(): readonly JsonLine[];
  /** The next JSON line of this type. */
  nextJson(type: string, ms?: number): Promise<JsonLine>;
}

export type JsonLine = Readonly<Record<string, unknown>> & { readonly type: string };

export interface ProgramOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** False: nobody reads standard output. */
  readonly read?: boolean;
  /** Arguments of Node itself. */
  readonly nodeArguments?: readonly string[];
}

/** Runs `file` (relative to the project) with this Node. The caller stops it. */
export function startProgram(file: string, args: readonly string[], options: ProgramOptions = {}): Program {
  const nodeArguments = ["--disable-warning=ExperimentalWarning", ...(options.nodeArguments ?? [])];
  const child = spawn(process.execPath, [...nodeArguments, path.join(root, file), ...args], {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines = new Arrivals<string>();
  const errorLines = new Arrivals<string>();
  if (options.read !== false) createInterface({ input: child.stdout }).on("line", (line) => lines.add(line));
  createInterface({ input: child.stderr }).on("line", (line) => errorLines.add(line));
  const exited = new Promise<Exit>((resolve) => {
    child.on("close", (code, signal) => resolve({ code, signal }));
    // A pipe that nobody reads never closes.
    if (options.read === false) child.on("exit", (code, signal) => resolve({ code, signal }));
  });
  const describe = (): string =>
    `${file} ${args.join(" ")}: ${[...lines.items, ...errorLines.items].slice(-8).join(" | ")}`;
  const ended = exited.then(({ code }) => {
    throw new Error(`Ended with code ${code}: ${describe()}`);
  });
  ended.catch(() => undefined);
  const program: Program = {
    child,
    pid: child.pid ?? 0,
    lines,
    errorLines,
    exited,
    async stop(signal = "SIGTERM", ms = 10_000) {
      child.kill(signal);
      try {
        return await within(ms, `the end of ${describe()}`, exited);
      } catch (error) {
        child.kill("SIGKILL");
        throw error;
      }
    },
    json: () => lines.items.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as JsonLine),
    async nextJson(type, ms = 15_000) {
      const matches = (line: string): boolean => line.startsWith("{") && (JSON.parse(line) as JsonLine).type === type;
      const line = await Promise.race([lines.next(ms, `a line of type ${type} from ${describe()}`, matches), ended]);
      return JSON.parse(line) as JsonLine;
    },
  };
  return program;
}

/** `portlight` as users run it. Its state file is below `stateDirectory`. */
export function startPortlight(args: readonly string[], stateDirectory: string, options: ProgramOptions = {}): Program {
  return startProgram("dist/portlight.js", args, {
    ...options,
    environment: { XDG_STATE_HOME: stateDirectory, LOCALAPPDATA: stateDirectory, ...options.environment },
  });
}

/** The memory the process has now, MiB (Linux: VmRSS). */
export function memory(pid: number): number {
  return statusField(pid, "VmRSS");
}

/** The most memory the process has had so far, MiB (Linux: VmHWM). */
export function peakMemory(pid: number): number {
  return statusField(pid, "VmHWM");
}

function statusField(pid: number, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  if (match === null) throw new Error(`/proc/${pid}/status has no ${name}: this measurement needs Linux.`);
  return Number(match[1]) / 1024;
}

/** Starts the sample services in a process of their own; returns their ports by name. */
export async function startSampleProcess(): Promise<{
  program: Program;
  ports: Readonly<Record<"grpc" | "websocket" | "http", number>>;
}> {
  const program = startProgram("sample/main.ts", []);
  const port = async (name: string): Promise<number> => {
    const line = await program.lines.next(15_000, `the port of ${name}`, (text) => text.startsWith(`${name} `));
    return Number(line.slice(name.length + 1));
  };
  return { program, ports: { grpc: await port("grpc"), websocket: await port("websocket"), http: await port("http") } };
}
