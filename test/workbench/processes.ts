import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface RunningProcess {
  readonly pid: number;
  readonly parent: number;
  readonly args: readonly string[];
}

/** All processes of this machine (Linux, macOS). */
export function processes(): readonly RunningProcess[] {
  return process.platform === "linux" ? fromProc() : fromPs();
}

/** Our children of one kind, anywhere on this machine, that run the bundle `file`. */
export function portlightProcesses(name: "agent" | "relay", file: string): readonly RunningProcess[] {
  return processes().filter(
    ({ args }) => args.includes(`portlight-${name}`) && args.some((argument) => argument.includes(file)),
  );
}

export function isRunning(pid: number): boolean {
  return processes().some((running) => running.pid === pid);
}

/** Linux: the environment a process was started with. */
export function environmentOf(pid: number): readonly string[] {
  return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
}

function fromProc(): RunningProcess[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        // The name in parentheses may hold anything; state and parent follow its end.
        const [state = "", parent = "0"] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        // A zombie has ended; only its parent has not looked yet.
        if (state === "Z" || state === "X") return [];
        readlinkSync(`/proc/${name}/exe`);
        const args = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").slice(0, -1);
        return [{ pid: Number(name), parent: Number(parent), args }];
      } catch {
        // It ended while we looked, or belongs to the kernel.
        return [];
      }
    });
}

function fromPs(): RunningProcess[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid=,args="], { encoding: "utf8" });
  return stdout.split("\n").flatMap((line) => {
    const [, pid, parent, args] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return args === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), args: args.split(" ") }];
  });
}
