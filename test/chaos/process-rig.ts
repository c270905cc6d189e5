import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createAgent } from "../../agent/agent.ts";
import { silentLogger } from "../../wire/logger.ts";
import { startPortlight } from "../support/process.ts";
import type { Program } from "../support/process.ts";
import { until } from "../support/time.ts";
import { startBystander } from "./bystander.ts";
import type { Rig } from "./rig.ts";
import type { ChaosService } from "./service.ts";

/** Relay and agent as users start them, each in a process of its own. */
export interface ProcessRig extends Rig {
  readonly agent: Program;
  /** SIGKILL, and after `ms` the same relay again. */
  restartRelay(ms: number): Promise<void>;
  /** SIGKILL, and the same agent again. */
  restartAgent(): Promise<void>;
}

function sockets(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
    } catch {
      // Closed since it was listed.
      return false;
    }
  }).length;
}

/** Connections that an agent keeps to an idle service: the one that was last in use, and one that was dialled with it. */
const KEPT = 2;

export async function startProcessRig(service: ChaosService): Promise<ProcessRig> {
  const state = mkdtempSync(path.join(tmpdir(), "portlight-chaos-"));
  const startRelay = (listen = "127.0.0.1:0", tunnel = "127.0.0.1:0"): Program =>
    startPortlight(["relay", "--json", "--listen", listen, "--tunnel-listen", tunnel], state);
  let relay = startRelay();
  const { public: publicUrl, tunnel } = await relay.nextJson("listening");
  const startAgent = (): Program =>
    startPortlight(["share", String(service.port), "--json", "--no-capture", "--relay", String(tunnel)], state);
  let agent = startAgent();
  const { url } = await agent.nextJson("shared");
  const address = new URL(String(url)).host;
  const other = createAgent({ log: silentLogger });
  const bystander = await startBystander(async (port) => {
    const { info } = await other.share({ port, kind: "http", relay: { url: String(tunnel) } });
    return new URL(info.url).host;
  });
  let before = { pid: agent.pid, sockets: sockets(agent.pid) };
  return {
    address,
    bystander,
    get agent() {
      return agent;
    },
    async restartRelay(ms) {
      relay.child.kill("SIGKILL");
      await relay.exited;
      await new Promise((resolve) => setTimeout(resolve, ms));
      relay = startRelay(new URL(String(publicUrl)).host, new URL(String(tunnel)).host);
      await relay.nextJson("listening");
    },
    async restartAgent() {
      agent.child.kill("SIGKILL");
      await agent.exited;
      agent = startAgent();
      const { url: again } = await agent.nextJson("shared");
      if (again !== url) throw new Error(`The agent came back as ${String(again)}, not as ${String(url)}`);
      before = { pid: agent.pid, sockets: sockets(agent.pid) };
    },
    async close() {
      const left: string[] = [];
      await bystander.stop();
      await until(10_000, "sockets as before", () => sockets(agent.pid) <= before.sockets + KEPT).catch(() => {
        left.push(`${sockets(agent.pid)} sockets in the agent, ${before.sockets} before`);
      });
      await other.close();
      // Each waits for its exchanges when it is told to stop: with none it does not.
      for (const program of [agent, relay]) {
        const began = performance.now();
        await program.stop("SIGTERM", 20_000);
        if (performance.now() - began > 4000)
          left.push(`exchanges in ${program === agent ? "the agent" : "the relay"}`);
      }
      await bystander.close();
      rmSync(state, { recursive: true });
      return left;
    },
  };
}
