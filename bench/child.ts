/** Processes of a benchmark: each is ended by its own id, whatever happens. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { startProgram } from "../test/support/process.ts";
import type { Program } from "../test/support/process.ts";
import { until, within } from "../test/support/time.ts";
import { listens } from "../test/support/ports.ts";

/** Clock ticks per second of `/proc/PID/stat` (USER_HZ is 100 on every Linux that Node runs on). */
const TICKS = 100;

/** What a program said last, for the message when it fails. */
const KEPT_CHARACTERS = 2000;

/** A process that serves until it is stopped. */
export interface Child {
  readonly pid: number;
  stop(): Promise<void>;
}

const running = new Set<Child>();

function tracked(pid: number, stop: () => Promise<unknown>): Child {
  const child: Child = {
    pid,
    async stop() {
      running.delete(child);
      await stop();
    },
  };
  running.add(child);
  return child;
}

/** The last resort, at the end of the program. */
export async function stopAll(): Promise<void> {
  await Promise.allSettled([...running].map((child) => child.stop()));
}

/** A program of others. Resolves when it listens on `ready`; rejects with what it said last when it ends before. */
export async function startCommand(
  command: string,
  args: readonly string[],
  ready: { readonly port: number; readonly host?: string } | undefined,
): Promise<Child> {
  const process_ = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const keep = (text: Buffer): void => {
    said = (said + text.toString()).slice(-KEPT_CHARACTERS);
  };
  process_.stdout.on("data", keep);
  process_.stderr.on("data", keep);
  let over = false;
  const ended = new Promise<void>((resolve) => {
    process_.once("error", (error) => {
      said += error.message;
      over = true;
      resolve();
    });
    process_.once("exit", () => {
      over = true;
      resolve();
    });
  });
  const child = tracked(process_.pid ?? 0, () => end(process_, ended));
  if (ready !== undefined) {
    try {
      await until(10_000, `${command} listens on ${ready.port}`, () => {
        if (over) throw new Error(`${command} ended: ${said.trim().split("\n").slice(-3).join(" | ")}`);
        return listens(ready.port, ready.host);
      });
    } catch (error) {
      await child.stop();
      throw error;
    }
  }
  return child;
}

async function end(process_: ChildProcess, ended: Promise<void>): Promise<void> {
  process_.kill("SIGTERM");
  try {
    await within(3000, "the end of a process", ended);
  } catch {
    process_.kill("SIGKILL");
    await ended;
  }
}

/** A Node program of the project, spoken to by lines. */
export function startNode(file: string, args: readonly string[], nodeArguments: readonly string[] = []): Program {
  return adopt(startProgram(file, args, { nodeArguments }));
}

/** Ends a program of `test/support/process.ts` with all others. */
export function adopt(program: Program): Program {
  const child = tracked(program.pid, () => program.stop("SIGTERM", 3000).catch(() => undefined));
  void program.exited.then(() => running.delete(child));
  return program;
}

/** Registers what was forked elsewhere. */
export function adoptProcess(pid: number, stop: () => Promise<unknown>): Child {
  return tracked(pid, stop);
}

function processFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch (error) {
    throw new Error("one of its processes has ended", { cause: error });
  }
}

/** The process and those that it started, of which some programs consist (Linux). */
function family(pid: number): number[] {
  const children = processFile(pid, `task/${pid}/children`).trim();
  return [pid, ...(children === "" ? [] : children.split(" ").flatMap((child) => family(Number(child))))];
}

/** Processor time that the processes and their children have taken so far, seconds (Linux). */
export function processorSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids.flatMap(family)) {
    const stat = processFile(pid, "stat");
    // The name, in parentheses, may hold spaces; utime and stime are fields 14 and 15, state after it is field 3.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS;
}

/** What a program that runs to its end printed on standard output. Rejects when it takes longer than `ms`. */
export async function output(
  command: string,
  args: readonly string[],
  ms: number,
  allowed: readonly number[] = [0],
): Promise<string> {
  const process_ = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  let errors = "";
  process_.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  process_.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-KEPT_CHARACTERS)));
  const code = new Promise<number | null>((resolve, reject) => {
    process_.once("error", reject);
    process_.once("close", resolve);
  });
  const child = tracked(process_.pid ?? 0, async () => {
    process_.kill("SIGKILL");
    await code;
  });
  try {
    const ended = await within(ms, `the end of ${command} ${args.join(" ")}`, code);
    if (ended === null || !allowed.includes(ended))
      throw new Error(`${command} failed (${ended}): ${(errors.trim() || printed.trim()).slice(-300)}`);
    return printed;
  } finally {
    await child.stop();
  }
}
