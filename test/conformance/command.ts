import { spawn } from "node:child_process";

export interface Finished {
  /** Null: ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** It had to be ended. */
  readonly late: boolean;
}

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** After that it is ended. Default 30 s. */
  readonly ms?: number;
  readonly cwd?: string;
  /** How stdout is read: latin1 counts octets. Default UTF-8. */
  readonly encoding?: "utf8" | "latin1";
}

/** Runs a program of others to its end. Rejects only when it cannot be started. */
export function command(program: string, args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...options.environment },
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    let [stdout, stderr, late] = ["", "", false];
    child.stdout?.setEncoding(options.encoding ?? "utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    // Who does not read all of its input has said so by its exit code.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.input);
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, options.ms ?? 30_000);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr, late });
    });
  });
}

/** The same, where anything but exit code 0 is a failure; returns what it printed. */
export async function succeeds(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  const finished = await command(program, args, options);
  if (finished.late) throw new Error(`no end within ${options.ms ?? 30_000} ms`);
  if (finished.code !== 0) throw new Error(`exit code ${finished.code}: ${lastLine(finished)}`);
  return finished;
}

export function lastLine({ stdout, stderr }: Finished): string {
  return (stderr.trim() === "" ? stdout : stderr).trim().split("\n").at(-1)?.slice(0, 300) ?? "";
}
