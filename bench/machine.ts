/** On what was measured: a ratio without its machine, versions and commit cannot be repeated. */
import { execFileSync } from "node:child_process";
import os from "node:os";
import { peer } from "../scripts/peers.ts";
import type { PeerName } from "../scripts/peers.ts";
import { root } from "./scratch.ts";

const PROGRAMS: readonly PeerName[] = [
  ...(["h2load", "wrk", "curl", "nghttpd", "nginx"] as const),
  ...(["nghttpx", "frps", "frpc", "chisel", "bore", "rathole", "dev-tunnels-ssh"] as const),
];

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly commit: string;
  /** Files that were changed but not committed. */
  readonly changed: boolean;
  /** When the run began, ISO 8601. */
  readonly at: string;
  /** Of the whole machine, before the run: above a few tenths the figures are disturbed. */
  readonly loadBefore: number;
  /** Name to version, or why it is missing. */
  readonly programs: Readonly<Record<string, string>>;
}

export async function machine(): Promise<Machine> {
  const programs: Record<string, string> = {};
  for (const name of PROGRAMS) {
    const found = await peer(name);
    programs[name] = "missing" in found ? `missing: ${found.missing}` : found.version;
  }
  return {
    processor: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()}`,
    node: process.version,
    commit: git("rev-parse", "--short", "HEAD"),
    changed: git("status", "--porcelain", "--untracked-files=no") !== "",
    at: new Date().toISOString(),
    loadBefore: os.loadavg()[0] ?? NaN,
    programs,
  };
}

function git(...args: readonly string[]): string {
  try {
    return execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "unknown";
  }
}

export function describe({
  processor,
  cores,
  memoryGiB,
  system,
  node,
  commit,
  changed,
  at,
  loadBefore,
}: Machine): string {
  const tree = changed ? `${commit} with changes` : commit;
  return `${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}; commit ${tree}; ${at.slice(0, 10)}; load before the run ${loadBefore.toFixed(2)}.`;
}
