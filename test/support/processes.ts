import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startPortlight } from "./process.ts";
import type { Program } from "./process.ts";

/** Relay and agent in processes of their own, as on two machines. */
export interface Processes {
  readonly relay: Program;
  readonly agent: Program;
  /** `127.0.0.1:41234` of each port, in their order. */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

export interface ProcessesOptions {
  /** Arguments of `portlight share`. */
  readonly share?: readonly string[];
  /** `NODE_OPTIONS` of the relay. */
  readonly relayNodeOptions?: string;
  /** `NODE_OPTIONS` of the agent. */
  readonly agentNodeOptions?: string;
}

/** Starts `dist/portlight.js` twice, without a capture unless `share` says otherwise. */
export async function startProcesses(ports: readonly number[], options: ProcessesOptions = {}): Promise<Processes> {
  const state = mkdtempSync(path.join(tmpdir(), "portlight-threat-"));
  const relay = startPortlight(
    ["relay", "--json", "--listen", "127.0.0.1:0", "--tunnel-listen", "127.0.0.1:0"],
    state,
    {
      environment: nodeOptions(options.relayNodeOptions),
    },
  );
  const { tunnel } = await relay.nextJson("listening");
  const share = options.share ?? ["--no-capture"];
  const agent = startPortlight(["share", ...ports.map(String), "--json", ...share, "--relay", String(tunnel)], state, {
    environment: nodeOptions(options.agentNodeOptions),
  });
  const addresses: string[] = [];
  for (const port of ports) {
    const is = (line: string): boolean => {
      if (!line.startsWith("{")) return false;
      const { type, port: shared } = JSON.parse(line) as { type: string; port?: number };
      return type === "shared" && shared === port;
    };
    const line = await agent.lines.next(15_000, `the share of port ${port}`, is);
    addresses.push(new URL((JSON.parse(line) as { url: string }).url).host);
  }
  return {
    relay,
    agent,
    addresses,
    async close() {
      // A test may have ended one of them.
      // At once, whatever is open: a failed test may have left visitors behind, and a test may have ended one of them.
      for (const program of [agent, relay]) {
        program.child.kill("SIGKILL");
        await program.exited;
      }
      rmSync(state, { recursive: true });
    },
  };
}

function nodeOptions(value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined ? {} : { NODE_OPTIONS: value };
}

/** Seconds of processor time the process has used so far (Linux). */
export function cpuSeconds(pid: number): number {
  // The name in parentheses may hold anything; utime and stime are the 12th and 13th field behind it, in 1/100 s.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
