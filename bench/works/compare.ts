/** A work done by several peers in turn, and ours as a ratio to each of theirs. */
import type { PeerName as ProgramName } from "../../scripts/peers.ts";
import { peer as program } from "../../scripts/peers.ts";
import { processorSeconds } from "../child.ts";
import type { Sample } from "../load/generators.ts";
import type { Peer, Protocol, Public, Running } from "../peers/peer.ts";
import type { RunningService } from "../services/services.ts";
import { ratios, spread } from "../statistics.ts";
import type { Spread } from "../statistics.ts";
import type { Options, Result, Verdict, Work } from "./work.ts";
import { figure } from "./work.ts";

/** A way is open when the first load succeeds: frp and its like register some time after they listen. */
const OPENING_MS = 15_000;

export interface Target {
  readonly peer: string;
  /** Of ours to the peer's. */
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Comparison {
  readonly name: string;
  readonly title: string;
  /** Of the value, and what is counted in `done`. */
  readonly unit: string;
  readonly thing: string;
  /** The row without anything between is subtracted from all others: added latency. */
  readonly minusDirect?: boolean;
  readonly needs: readonly ProgramName[];
  readonly protocol: Protocol;
  readonly service: () => Promise<RunningService>;
  /** Whose ratio to the others is taken. */
  readonly ours: Peer;
  readonly peers: readonly Peer[];
  readonly targets: readonly Target[];
  /** In `--quick` only these. */
  readonly quickPeers: readonly string[];
  readonly measure: (target: Public, options: Options) => Promise<Sample>;
  /** After the way is open: what must be so before anything is measured. */
  readonly prepare?: (running: Running) => Promise<void>;
}

const DIRECT = "direct";

/** A peer in the comparison, with what was measured. */
interface Contestant {
  readonly name: string;
  readonly title: string;
  running: Running | undefined;
  target: Public | undefined;
  /** One per round; undefined where it failed. */
  readonly samples: (MeasuredSample | undefined)[];
  /** Why it takes no part. */
  problem: string | undefined;
  /** Why rounds have no sample. */
  readonly failures: string[];
}

interface MeasuredSample extends Sample {
  /** Processor time per thing done, microseconds. */
  readonly relayCpu: number;
  readonly agentCpu: number;
}

export function comparison(wanted: Comparison, quick = true): Work {
  const peers = wanted.peers.map(({ name }) => name);
  return { name: wanted.name, quick, peers, run: (options) => compare(wanted, options) };
}

async function compare(wanted: Comparison, options: Options): Promise<Result> {
  const { title, name } = wanted;
  const chosen = wanted.peers.filter(
    (peer) =>
      peer === wanted.ours ||
      (options.peers?.includes(peer.name) ?? (!options.quick || wanted.quickPeers.includes(peer.name))),
  );
  const service = await wanted.service();
  const contestants: Contestant[] = [
    {
      name: DIRECT,
      title: "direct, nothing between",
      running: undefined,
      target: service,
      samples: [],
      problem: undefined,
      failures: [],
    },
  ];
  try {
    for (const peer of chosen) contestants.push(await start(peer, wanted, service, options));
    for (let round = 0; round < options.rounds; round++) {
      // Each begins once, so that none always follows the same other.
      for (let index = 0; index < contestants.length; index++) {
        const contestant = contestants[(index + round) % contestants.length];
        if (contestant?.target === undefined) continue;
        const sample = await measured(contestant, wanted, options);
        contestant.samples[round] = sample;
        const how = sample === undefined ? "failed" : `${figure(sample.value)} ${wanted.unit}`;
        options.say(`${name} ${round + 1}/${options.rounds} ${contestant.name}: ${how}`);
      }
    }
  } finally {
    for (const { running } of contestants) await running?.stop();
    await service.stop();
  }
  const left = wanted.peers.length - chosen.length;
  const notes = [
    ...(left > 0 ? [`${left} peers were left out of this run.`] : []),
    ...contestants.flatMap(({ title, problem }) => (problem === undefined ? [] : [`${title}: ${problem}.`])),
    ...contestants.flatMap(({ title, failures }) =>
      failures.length === 0
        ? []
        : [`${title}: ${failures.length} of ${options.rounds} rounds failed: ${failures.at(-1) ?? ""}.`],
    ),
    ...failedRequests(contestants),
  ];
  return { work: name, title, ...summary(wanted, contestants), notes };
}

async function start(peer: Peer, wanted: Comparison, service: RunningService, options: Options): Promise<Contestant> {
  const contestant: Contestant = {
    name: peer.name,
    title: peer.title,
    running: undefined,
    target: undefined,
    samples: [],
    problem: undefined,
    failures: [],
  };
  try {
    if (!peer.carries.includes(wanted.protocol)) throw new Error("does not carry this");
    for (const needed of peer.needs) {
      const found = await program(needed);
      if ("missing" in found) throw new Error(`missing: ${needed} ${found.missing}`);
    }
    const { http1Port } = service;
    const running = await peer.start({
      port: service.port,
      protocol: wanted.protocol,
      ...(http1Port === undefined ? {} : { http1Port }),
    });
    contestant.running = running;
    await opened(() => wanted.measure(running, { ...options, seconds: 1 }));
    if (peer === wanted.ours) await wanted.prepare?.(running);
    contestant.target = running;
  } catch (error) {
    contestant.problem = reason(error);
  }
  options.say(`${wanted.name} ${peer.name}: ${contestant.problem ?? "ready"}`);
  return contestant;
}

/** What fits into a table. */
function reason(error: unknown): string {
  const [line = ""] = (error as Error).message.split("\n");
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}

/** Repeats until it succeeds. */
async function opened(attempt: () => Promise<unknown>): Promise<void> {
  const end = performance.now() + OPENING_MS;
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function measured(
  contestant: Contestant,
  wanted: Comparison,
  options: Options,
): Promise<MeasuredSample | undefined> {
  const { target, running } = contestant;
  if (target === undefined) return undefined;
  const cpu = (): readonly [number, number] => [
    processorSeconds(running?.pids.relay ?? []),
    processorSeconds(running?.pids.agent ?? []),
  ];
  try {
    const before = cpu();
    const sample = await wanted.measure(target, options);
    const after = cpu();
    const [relayCpu, agentCpu] = after.map((seconds, index) => ((seconds - (before[index] ?? 0)) * 1e6) / sample.done);
    return { ...sample, relayCpu: relayCpu ?? NaN, agentCpu: agentCpu ?? NaN };
  } catch (error) {
    // The next round may succeed; a process that has ended will not, and says so each time.
    contestant.failures.push(reason(error));
    return undefined;
  }
}

function failedRequests(contestants: readonly Contestant[]): string[] {
  return contestants.flatMap(({ title, samples }) => {
    const failed = samples.reduce((sum, sample) => sum + (sample?.failed ?? 0), 0);
    const done = samples.reduce((sum, sample) => sum + (sample?.done ?? 0), 0);
    return failed === 0 ? [] : [`${title}: ${failed} of ${failed + done} requests failed.`];
  });
}

/** The values that count, one per round; NaN where there is none. */
function values(contestant: Contestant, direct: Contestant, minusDirect: boolean): number[] {
  return Array.from(contestant.samples, (sample, round) => {
    if (sample === undefined) return NaN;
    if (!minusDirect || contestant === direct) return sample.value;
    return sample.value - (direct.samples[round]?.value ?? NaN);
  });
}

function summary(
  wanted: Comparison,
  contestants: readonly Contestant[],
): Pick<Result, "table" | "verdicts" | "samples"> {
  const direct = contestants[0];
  const ours = contestants.find(({ name }) => name === wanted.ours.name);
  if (direct === undefined || ours === undefined) throw new Error("Ours is always among them");
  const minus = wanted.minusDirect ?? false;
  const ourValues = values(ours, direct, minus);
  const ratioTo = new Map<string, Spread>();
  const extra = [...new Set(contestants.flatMap(({ samples }) => samples.flatMap((s) => Object.keys(s?.more ?? {}))))];
  const rows = contestants.map((contestant) => {
    const own = values(contestant, direct, minus).filter((value) => !Number.isNaN(value));
    const one = own.length === 0 ? undefined : spread(own);
    const ratio =
      contestant === ours || (contestant === direct && minus)
        ? undefined
        : ratios(ourValues, values(contestant, direct, minus));
    if (ratio !== undefined) ratioTo.set(contestant.name, ratio);
    const cpu = (of: (sample: MeasuredSample) => number): string => {
      const each = contestant.samples.flatMap((sample) => (sample === undefined ? [] : [of(sample)]));
      return contestant === direct || each.length === 0 ? "" : figure(spread(each).median);
    };
    return [
      contestant.title,
      one === undefined ? (contestant.problem ?? "–") : `${figure(one.median)} (${figure(one.min)}–${figure(one.max)})`,
      ratio === undefined ? "" : showRatio(ratio),
      ...extra.map((key) => {
        const each = contestant.samples.flatMap((sample) => sample?.more?.[key] ?? []);
        return each.length === 0 ? "" : figure(spread(each).median);
      }),
      cpu(({ relayCpu }) => relayCpu),
      cpu(({ agentCpu }) => agentCpu),
    ];
  });
  const head = [
    "peer",
    minus ? `added ${wanted.unit} (min–max)` : `${wanted.unit} (min–max)`,
    `${wanted.ours.title.replaceAll("*", "")} / peer (min–max)`,
    ...extra.map((key) => `${key} in all, ${wanted.unit}`),
    `relay, CPU µs/${wanted.thing}`,
    `agent, CPU µs/${wanted.thing}`,
  ];
  return {
    table: { head, rows },
    verdicts: wanted.targets.map((target) => verdict(target, ratioTo.get(target.peer), wanted)),
    samples: Object.fromEntries(
      contestants.map(({ name, samples, problem, failures }) => [name, { samples, problem, failures }]),
    ),
  };
}

function showRatio({ median, min, max }: Spread): string {
  return `${figure(median)} (${figure(min)}–${figure(max)})`;
}

function verdict(target: Target, ratio: Spread | undefined, { peers }: Comparison): Verdict {
  const title = peers.find(({ name }) => name === target.peer)?.title ?? target.peer;
  const text = target.atLeast === undefined ? `≤ ${target.atMost ?? NaN} × ${title}` : `≥ ${target.atLeast} × ${title}`;
  if (ratio === undefined) return { target: text, measured: "not measured", met: undefined };
  return {
    target: text,
    measured: showRatio(ratio),
    met: ratio.median >= (target.atLeast ?? -Infinity) && ratio.median <= (target.atMost ?? Infinity),
  };
}
