/** Requests/s as streams and tunnels grow: whether there is a cliff. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { peer as program } from "../../scripts/peers.ts";
import { startPortlight } from "../../test/support/process.ts";
import { adopt, startNode } from "../child.ts";
import { http1Requests, http2Requests } from "../load/generators.ts";
import type { Peer, Public, Running } from "../peers/peer.ts";
import { nodePipes } from "../peers/pipes.ts";
import { EXTENSION_FLAGS, portlight } from "../peers/portlight.ts";
import { nghttpx } from "../peers/programs.ts";
import { plot } from "../plot.ts";
import type { Line } from "../plot.ts";
import { root, scratch } from "../scratch.ts";
import { http2Service } from "../services/services.ts";
import type { RunningService } from "../services/services.ts";
import { spread } from "../statistics.ts";
import type { Options, Result, Verdict, Work } from "./work.ts";
import { figure } from "./work.ts";

const STEPS = [1, 10, 100, 1000] as const;
/** A step that loses more than this is a cliff. */
const CLIFF = 0.5;
const PICTURE = "docs/images/growth.svg";
const STREAMS_PER_CONNECTION = 100;
const TUNNEL_CONNECTIONS = 64;

async function missing(peer: Peer): Promise<boolean> {
  const found = await Promise.all(peer.needs.map((name) => program(name)));
  return found.some((one) => "missing" in one);
}

type Samples = Record<string, Record<number, number[]>>;

function add(samples: Samples, name: string, step: number, value: number): void {
  ((samples[name] ??= {})[step] ??= []).push(value);
}

async function streams(service: RunningService, samples: Samples, options: Options): Promise<void> {
  const contestants: [name: string, running: Running][] = [];
  try {
    for (const peer of [portlight, nghttpx, nodePipes]) {
      if (await missing(peer)) {
        options.say(`growth without ${peer.name}, which is missing`);
        continue;
      }
      contestants.push([peer.name, await peer.start({ port: service.port, protocol: "h2" })]);
    }
    // Round -1 finds cold code.
    for (let round = -1; round < options.rounds; round++)
      for (const step of STEPS)
        for (const [name, target] of contestants) {
          const clients = Math.ceil(step / STREAMS_PER_CONNECTION);
          const load = { clients, streams: step / clients, seconds: round < 0 ? 1 : options.seconds };
          const { value } = await http2Requests(target, load);
          if (round < 0) continue;
          add(samples, name, step, value);
          options.say(`growth ${round + 1}/${options.rounds} ${name}, ${step} streams: ${figure(value)} requests/s`);
        }
  } finally {
    for (const [, running] of contestants) await running.stop();
  }
}

/** One relay, `count` agents, visitors that ask a different share each time. */
async function tunnels(service: RunningService, count: number, samples: Samples, options: Options): Promise<void> {
  const state = await scratch();
  const listen = ["--listen", "127.0.0.1:0", "--tunnel-listen", "127.0.0.1:0"];
  const relay = adopt(startPortlight(["relay", "--json", ...listen], state, { nodeArguments: EXTENSION_FLAGS }));
  try {
    const listening = await relay.nextJson("listening");
    const args = [String(listening["tunnel"]), String(count), String(service.port)];
    const agents = startNode("bench/peers/agents.ts", args, EXTENSION_FLAGS);
    try {
      const { names } = await agents.nextJson("shared", 60_000);
      const target: Public = { port: Number(new URL(String(listening["public"])).port) };
      const script = await hostsScript(names as readonly string[], target.port);
      for (let round = -1; round < options.rounds; round++) {
        const seconds = round < 0 ? 1 : options.seconds;
        const { value, failed = 0 } = await http1Requests(target, { connections: TUNNEL_CONNECTIONS, seconds, script });
        if (failed > 0) throw new Error(`${failed} requests failed with ${count} tunnels`);
        if (round < 0) continue;
        add(samples, "tunnels", count, value);
        options.say(`growth ${round + 1}/${options.rounds} ${count} tunnels: ${figure(value)} requests/s`);
      }
    } finally {
      await agents.stop();
    }
  } finally {
    await relay.stop();
  }
}

/** For wrk: each request to the next share, by `Host`. */
async function hostsScript(names: readonly string[], port: number): Promise<string> {
  const file = path.join(await scratch(), "hosts.lua");
  const hosts = names.map((name) => `"${name}.localhost:${port}"`).join(",");
  await writeFile(
    file,
    `local hosts = {${hosts}}
local requests = {}
local next = 0
function init(args)
  for index, host in ipairs(hosts) do requests[index] = wrk.format("GET", "/", {Host = host}) end
end
function request()
  next = next % #requests + 1
  return requests[next]
end
`,
  );
  return file;
}

export const growth: Work = {
  name: "growth",
  quick: false,
  async run(options): Promise<Result> {
    const samples: Samples = {};
    const service = await http2Service();
    try {
      await streams(service, samples, options);
      for (const count of STEPS) await tunnels(service, count, samples, options);
    } finally {
      await service.stop();
    }
    const line = (name: string): readonly number[] => STEPS.map((step) => spread(samples[name]?.[step] ?? []).median);
    const lines: readonly (readonly [name: string, label: string])[] = [
      [portlight.name, "Portlight"],
      [nghttpx.name, "nghttpx twice"],
      [nodePipes.name, "two Node TCP pipes"],
    ];
    const drawn = (of: readonly (readonly [string, string])[]): Line[] =>
      of.map(([name, label]) => ({ label, values: line(name), ours: name === portlight.name || name === "tunnels" }));
    await mkdir(path.join(root, "docs/images"), { recursive: true });
    await writeFile(
      path.join(root, PICTURE),
      plot([
        { title: "requests/s by streams at once (HTTP/2)", steps: STEPS, lines: drawn(lines) },
        {
          title: `requests/s by tunnels (HTTP/1.1, ${TUNNEL_CONNECTIONS} visitors)`,
          steps: STEPS,
          lines: drawn([["tunnels", "Portlight"]]),
        },
      ]),
    );
    const row = (title: string, name: string): string[] => [title, ...line(name).map(figure)];
    return {
      work: "growth",
      title: "requests/s as streams and tunnels grow",
      table: {
        head: ["medians, requests/s", ...STEPS.map(String)],
        rows: [
          ...lines.map(([name, label]) => row(`${label}, streams`, name)),
          row("Portlight, tunnels (all agents in one process)", "tunnels"),
        ],
      },
      verdicts: [noCliff("streams", line(portlight.name)), noCliff("tunnels", line("tunnels"))],
      notes: [`Plotted in \`${PICTURE}\`.`],
      samples,
    };
  },
};

function noCliff(what: string, values: readonly number[]): Verdict {
  const steps = values.slice(1).map((value, index) => value / (values[index] ?? NaN));
  const worst = Math.min(...steps);
  return {
    target: `no cliff from 1 to 1 000 ${what}: no step below ${CLIFF} × the one before`,
    measured: steps.map((step) => `${figure(step)} ×`).join(", "),
    met: worst >= CLIFF,
  };
}
