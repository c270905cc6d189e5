/** What an open WebSocket costs when nothing passes. */
import { memory, startPortlight } from "../../test/support/process.ts";
import type { Program } from "../../test/support/process.ts";
import { adopt, startNode } from "../child.ts";
import { EXTENSION_FLAGS } from "../peers/portlight.ts";
import { scratch } from "../scratch.ts";
import { nodeService } from "../services/services.ts";
import type { Result, Work } from "./work.ts";
import { figure } from "./work.ts";

/** A tunnel carries 1 000 exchanges at once, so ten tunnels carry them. */
const PER_TUNNEL = 1000;
const KIBIBYTES_EACH = 12;

/** Memory has settled when it changed by less than this, MiB, in that time. */
const STILL_MIB = 1;
const STILL_MS = 3000;
const SETTLE_MS = 30_000;

async function settled(pid: number): Promise<number> {
  const end = performance.now() + SETTLE_MS;
  for (let last = memory(pid); ;) {
    await new Promise((resolve) => setTimeout(resolve, STILL_MS));
    const now = memory(pid);
    if (Math.abs(now - last) < STILL_MIB || performance.now() > end) return now;
    last = now;
  }
}

async function resident(relay: Program, agent: Program): Promise<readonly [number, number]> {
  return Promise.all([settled(relay.pid), settled(agent.pid)]);
}

export const idleWebSockets: Work = {
  name: "idle-websockets",
  quick: false,
  async run({ quick, say }): Promise<Result> {
    const tunnels = quick ? 1 : 10;
    // The relay's bound of 10 000 sockets is for all visitors.
    const count = tunnels * PER_TUNNEL - 10;
    const service = await nodeService("websocket", [String(tunnels)]);
    const state = await scratch();
    const relay = adopt(
      startPortlight(["relay", "--json", "--listen", "127.0.0.1:0", "--tunnel-listen", "127.0.0.1:0"], state, {
        nodeArguments: EXTENSION_FLAGS,
      }),
    );
    try {
      const { tunnel } = await relay.nextJson("listening");
      const ports = (service.ports ?? []).map(String);
      const agent = startNode("bench/peers/agents.ts", [String(tunnel), String(tunnels), ...ports], EXTENSION_FLAGS);
      const shared = await agent.nextJson("shared");
      const targets = (shared["ports"] as readonly number[]).map((port) => JSON.stringify({ port }));
      // What the first exchanges bring (code, pools) is not theirs.
      const warm = startNode("bench/load/websocket.ts", ["idle", String(10 * tunnels), ...targets]);
      await warm.nextJson("opened", 30_000);
      await warm.stop();
      const before = await resident(relay, agent);
      const load = startNode("bench/load/websocket.ts", ["idle", String(count), ...targets]);
      await load.nextJson("opened", 120_000);
      const after = await resident(relay, agent);
      const lost = load.json().some(({ type }) => type === "lost");
      await load.stop();
      const closed = await resident(relay, agent);
      await agent.stop();
      const each = after.map((mebibytes, index) => ((mebibytes - (before[index] ?? 0)) * 1024) / count);
      const [relayEach = NaN, agentEach = NaN] = each;
      say(`idle-websockets: relay ${figure(relayEach)} KiB each, agent ${figure(agentEach)} KiB each`);
      return {
        work: "idle-websockets",
        title: `${count} idle WebSockets over ${tunnels} tunnels`,
        table: {
          head: ["process", "before, MiB", "with all open, MiB", "KiB each", "after they closed, MiB"],
          rows: ["relay", "agents (one process)"].map((name, index) => [
            name,
            ...[before, after, each, closed].map((of) => figure(of[index] ?? NaN)),
          ]),
        },
        verdicts: [
          {
            target: `relay + agent ≤ ${KIBIBYTES_EACH} KB each`,
            measured: `${figure(relayEach + agentEach)} KiB`,
            met: relayEach + agentEach <= KIBIBYTES_EACH,
          },
        ],
        notes: [
          "Growth of resident memory, capture off; sockets' buffers in the kernel are not in it.",
          ...(lost ? ["Some of them were lost while it was measured."] : []),
        ],
        samples: { before, after, closed, count },
      };
    } finally {
      await relay.stop();
      await service.stop();
    }
  },
};
