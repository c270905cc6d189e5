/** What the extension's two processes cost when nothing happens, and at a moderate rate. */
import { memory } from "../../test/support/process.ts";
import { processorSeconds } from "../child.ts";
import { http2Requests } from "../load/generators.ts";
import type { Running } from "../peers/peer.ts";
import { portlightPlainHeap, startEditor } from "../peers/portlight.ts";
import { http2Service } from "../services/services.ts";
import { spread } from "../statistics.ts";
import type { Options, Result, Verdict, Work } from "./work.ts";
import { figure } from "./work.ts";

const IDLE_MIB = { relay: 60, agent: 75 } as const;
/** Of one core. */
const CPU_SHARE = 0.05;
const RATE = 1000;
const CLIENTS = 4;

/** Start-up leaves garbage, which idle processes collect late or never: this is what users see a moment after. */
const SETTLE_MS = 3000;

type End = "relay" | "agent";
const ENDS: readonly End[] = ["relay", "agent"];

interface Cost {
  readonly idleMiB: Readonly<Record<End, number>>;
  readonly cpu: Readonly<Record<End, readonly number[]>>;
  readonly rate: readonly number[];
}

async function cost(start: () => Promise<Running>, { quick, rounds, say }: Options): Promise<Cost> {
  const running = await start();
  try {
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const resident = (end: End): number => running.pids[end].reduce((sum, pid) => sum + memory(pid), 0);
    const idleMiB = { relay: resident("relay"), agent: resident("agent") };
    const cpu: Record<End, number[]> = { relay: [], agent: [] };
    const rate: number[] = [];
    const seconds = quick ? 3 : 5;
    // The first finds cold code.
    for (let round = -1; round < rounds; round++) {
      const before = ENDS.map((end) => processorSeconds(running.pids[end]));
      const sample = await http2Requests(running, { clients: CLIENTS, streams: 8, seconds, rate: RATE / CLIENTS });
      if (round < 0) continue;
      rate.push(sample.value);
      for (const [index, end] of ENDS.entries())
        cpu[end].push((processorSeconds(running.pids[end]) - (before[index] ?? 0)) / seconds);
      say(`footprint ${round + 1}/${rounds}: relay ${percent(cpu.relay.at(-1))}, agent ${percent(cpu.agent.at(-1))}`);
    }
    return { idleMiB, cpu, rate };
  } finally {
    await running.stop();
  }
}

function percent(share: number | undefined): string {
  return share === undefined ? "–" : `${(share * 100).toFixed(1)} %`;
}

export const footprint: Work = {
  name: "footprint",
  quick: true,
  async run(options): Promise<Result> {
    const service = await http2Service();
    const at = { port: service.port, protocol: "h2" } as const;
    const costs: [name: string, title: string, cost: Cost][] = [];
    try {
      const ways: readonly (readonly [string, string, () => Promise<Running>])[] = [
        ["editor-capturing", "the extension's processes, capture on", () => startEditor(at, true)],
        ["editor", "the extension's processes, capture off", () => startEditor(at, false)],
        ["portlight-plain-heap", portlightPlainHeap.title, () => portlightPlainHeap.start(at)],
      ];
      for (const [name, title, start] of options.quick ? ways.slice(0, 1) : ways)
        costs.push([name, title, await cost(start, options)]);
    } finally {
      await service.stop();
    }
    const [, , users] = costs[0] ?? [];
    return {
      work: "footprint",
      title: `memory when idle; processor time at ${RATE} HTTP/2 requests/s`,
      table: {
        head: ["processes", "relay idle, MiB", "agent idle, MiB", "requests/s", "relay, of a core", "agent, of a core"],
        rows: costs.map(([, title, { idleMiB, cpu, rate }]) => [
          title,
          figure(idleMiB.relay),
          figure(idleMiB.agent),
          figure(spread(rate).median),
          ...ENDS.map((end) => {
            const { median, min, max } = spread(cpu[end]);
            return `${percent(median)} (${percent(min)}–${percent(max)})`;
          }),
        ]),
      },
      verdicts: users === undefined ? [] : ENDS.flatMap((end) => verdicts(end, users)),
      notes: ["The targets are for the extension's processes with capture on, as users have them."],
      samples: Object.fromEntries(costs.map(([name, , one]) => [name, one])),
    };
  },
};

function verdicts(end: End, { idleMiB, cpu }: Cost): readonly Verdict[] {
  const share = spread(cpu[end]).median;
  return [
    {
      target: `${end} idle ≤ ${IDLE_MIB[end]} MB`,
      measured: `${figure(idleMiB[end] * 1.048576)} MB`,
      met: idleMiB[end] * 1.048576 <= IDLE_MIB[end],
    },
    {
      target: `${end} at ${RATE} requests/s ≤ ${percent(CPU_SHARE)} of a core`,
      measured: percent(share),
      met: share <= CPU_SHARE,
    },
  ];
}
