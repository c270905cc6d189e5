/**
 * `npm run soak -- --minutes 20`: mixed traffic through a relay and an agent in processes of their own, with cuts of the
 * tunnel; memory, sockets and exchanges sampled every five seconds. Writes `soak.md` and `soak.svg` to `docs/` (runs of
 * less than ten minutes: `build/soak/`), and fails when an answer was wrong, something is left open, or memory grows.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { startChaosProxy } from "../chaos/proxy.ts";
import { Load } from "./load.ts";
import { plot } from "./plot.ts";
import { startSoakProcess } from "./process.ts";
import type { Sample, SoakProcess } from "./process.ts";
import { judge, report } from "./report.ts";
import type { Moment, Run } from "./report.ts";
import type { Addresses } from "./traffic.ts";

const SAMPLE_MS = 5_000;
/** Every second sample is taken after a garbage collection: often enough for a line, seldom enough not to be the load. */
const COLLECT_EVERY = 2;
const CUT_MS = 20_000;
/** The agent keeps an idle connection to a service for up to 30 s. */
const SETTLE_MS = 45_000;

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "20" }, out: { type: "string" }, commit: { type: "string" } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error("--minutes takes a number above 0");
const root = path.join(import.meta.dirname, "../..");
const out = values.out ?? path.join(root, minutes < 10 ? "build/soak" : "docs");

function commit(): string {
  return (
    values.commit ?? execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8" }).trim()
  );
}

async function both(relay: SoakProcess, agent: SoakProcess, collect: boolean) {
  const [ofRelay, ofAgent] = await Promise.all([relay.sample(collect), agent.sample(collect)]);
  return { relay: ofRelay, agent: ofAgent };
}

/** What is open at the end, when nothing is left but what was there at the start; or, after `SETTLE_MS`, what is. */
async function settled(relay: SoakProcess, agent: SoakProcess, before: Readonly<Record<"relay" | "agent", Sample>>) {
  const end = performance.now() + SETTLE_MS;
  for (;;) {
    const now = await both(relay, agent, true);
    const same = now.relay.sockets <= before.relay.sockets && now.agent.sockets <= before.agent.sockets;
    if ((same && now.agent.exchanges === 0) || performance.now() > end) return now;
    await pause(1000);
  }
}

const started = new Date();
const services = await startSoakProcess({ role: "services" });
const relay = await startSoakProcess({ role: "relay" });
const tunnel = await startChaosProxy(Number(new URL(String(relay.told["tunnel"])).port));
const agent = await startSoakProcess({
  role: "agent",
  relay: `tcp://127.0.0.1:${tunnel.port}`,
  ports: services.told,
});
const before = await both(relay, agent, true);
const load = new Load(agent.told as unknown as Addresses, tunnel);
const moments: Moment[] = [];
load.start(CUT_MS);
const begun = performance.now();
for (let index = 1; performance.now() - begun < minutes * 60_000; index++) {
  await pause(Math.max(0, begun + index * SAMPLE_MS - performance.now()));
  const seconds = (performance.now() - begun) / 1000;
  moments.push({ seconds, exchanges: load.exchanges, ...(await both(relay, agent, index % COLLECT_EVERY === 0)) });
  if (index % 12 === 0) {
    const { relay: r, agent: a } = moments.at(-1) ?? before;
    const mega = (octets: number): number => Math.round(octets / 2 ** 20);
    console.log(
      `${Math.round(seconds / 60)} min: ${load.exchanges} exchanges, MiB relay ${mega(r.rss)}, agent ${mega(a.rss)}`,
    );
  }
}
await load.stop();
const after = await settled(relay, agent, before);
const run: Run = {
  started,
  minutes,
  commit: commit(),
  node: process.versions.node,
  moments,
  before,
  after,
  tallies: load.tallies,
  recoveries: load.recoveries,
  problems: [...load.problems, ...relay.defects, ...agent.defects],
};
for (const one of [agent, relay, services]) await one.stop();
await tunnel.close();

const verdicts = judge(run);
mkdirSync(out, { recursive: true });
writeFileSync(path.join(out, "soak.svg"), plot(run));
writeFileSync(path.join(out, "soak.md"), report(run, verdicts));
// What the plot was made of, for who wants to look closer.
const samples = path.join(root, "build/soak/samples.json");
mkdirSync(path.dirname(samples), { recursive: true });
writeFileSync(samples, JSON.stringify(run.moments));
for (const { what, holds, figure } of verdicts) console.log(`${holds ? "✔" : "✖"} ${what}: ${figure}`);
for (const problem of run.problems) console.log(`  ${problem}`);
console.log(`Written: ${path.join(out, "soak.md")}, soak.svg`);
process.exitCode = verdicts.every(({ holds }) => holds) ? 0 : 1;
