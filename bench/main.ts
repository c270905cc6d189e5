/**
 * The whole path against peers, in one run, alternating: `npm run bench -- [--quick] [--rounds N] [--seconds N]
 * [--peers a,b] [WORK …]`, or `npm run bench -- profile [h2] [h1] [download]`. Prints tables of ratios, writes `bench/results.json`, and with
 * a whole run (or `--write`) the tables of `docs/performance.md`.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { stopAll } from "./child.ts";
import { columns, markdown, writeFormatted, writeSection } from "./document.ts";
import { describe, machine } from "./machine.ts";
import type { Machine } from "./machine.ts";
import { profile } from "./profile.ts";
import { removeScratch, root } from "./scratch.ts";
import { comparisons } from "./works/comparisons.ts";
import { footprint } from "./works/footprint.ts";
import { growth } from "./works/growth.ts";
import { idleWebSockets } from "./works/idle-websockets.ts";
import type { Options, Result, Table, Work } from "./works/work.ts";

const RESULTS = path.join(root, "bench/results.json");
const WORKS: readonly Work[] = [...comparisons, idleWebSockets, footprint, growth];
/** `bulk` for all transfers. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  bulk: ["download", "upload", "parallel"],
  tls: ["tls-download", "tls-upload", "tls-parallel"],
  capture: ["capture-h2", "capture-download"],
};

function targets(results: readonly Result[]): Table {
  return {
    head: ["work", "target", "measured", "met"],
    rows: results.flatMap(({ work, verdicts }) =>
      verdicts.map(({ target, measured, met }) => [
        work,
        target,
        measured,
        met === undefined ? "–" : met ? "yes" : "**no**",
      ]),
    ),
  };
}

function chosen(names: readonly string[], quick: boolean): readonly Work[] {
  if (names.length === 0) return WORKS.filter((work) => !quick || work.quick);
  return names
    .flatMap((name) => GROUPS[name] ?? [name])
    .map((name) => {
      const work = WORKS.find((one) => one.name === name);
      if (work !== undefined) return work;
      const known = [...WORKS.map((one) => one.name), ...Object.keys(GROUPS), "profile"];
      throw new Error(`No such work: ${name}. There are: ${known.join(", ")}`);
    });
}

async function run(works: readonly Work[], options: Options, on: Machine): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const work of works) {
    options.say(`— ${work.name}`);
    try {
      results.push(await work.run(options));
    } catch (error) {
      const problem = (error as Error).message;
      options.say(`${work.name} failed: ${problem}`);
      const table = { head: ["failed"], rows: [[problem]] };
      results.push({ work: work.name, title: work.name, table, verdicts: [], notes: [], samples: {} });
    }
    const { quick, rounds, seconds } = options;
    await writeFormatted(RESULTS, JSON.stringify({ machine: on, quick, rounds, seconds, results }));
  }
  return results;
}

function print(results: readonly Result[]): void {
  for (const { title, table, notes } of results) {
    console.log(`\n${title}\n\n${columns(table)}`);
    for (const note of notes) console.log(`  ${note}`);
  }
  console.log(`\nTargets\n\n${columns(targets(results))}`);
}

async function write(results: readonly Result[], options: Options, on: Machine): Promise<void> {
  const how = `Medians of ${options.rounds} rounds, peers in turn.${options.quick ? " **A quick run: it shows that the benchmark works, and decides nothing.**" : ""}`;
  await writeSection("machine", `${describe(on)} ${how}`);
  await writeSection("targets", markdown(targets(results)));
  const tables = results.map(({ title, table, notes }) =>
    [
      `### ${title[0]?.toUpperCase() ?? ""}${title.slice(1)}`,
      markdown(table),
      ...notes.map((note) => `- ${note}`),
    ].join("\n\n"),
  );
  await writeSection("results", tables.join("\n\n"));
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      peers: { type: "string" },
    },
  });
  if (!existsSync(path.join(root, "dist/portlight.js"))) throw new Error("dist/ is missing: npm run build");
  const { quick } = values;
  const known = new Set(WORKS.flatMap(({ peers = [] }) => peers));
  for (const name of values.peers?.split(",") ?? [])
    if (!known.has(name)) throw new Error(`No such peer: ${name}. There are: ${[...known].join(", ")}`);
  const began = performance.now();
  const options: Options = {
    quick,
    rounds: Number(values.rounds ?? (quick ? 2 : 5)),
    seconds: Number(values.seconds ?? (quick ? 1 : 3)),
    ...(values.peers === undefined ? {} : { peers: values.peers.split(",") }),
    say: (text) => console.error(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${text}`),
  };
  if (positionals[0] === "profile") {
    const names = positionals.slice(1);
    const profiles = await profile(names, options);
    for (const { title, tables } of profiles) console.log(`\n${title}\n\n${tables.map(columns).join("\n\n")}`);
    const sections = profiles.map(({ title, tables }) => `### Under ${title}\n\n${tables.map(markdown).join("\n\n")}`);
    if (names.length === 0 || values.write) await writeSection("profile", sections.join("\n\n"));
    return;
  }
  const works = chosen(positionals, quick);
  const on = await machine();
  console.log(describe(on));
  if (quick) console.log("Quick: fewer rounds, peers and works; it shows that all of it works, and decides nothing.");
  for (const [name, version] of Object.entries(on.programs))
    if (version.startsWith("missing")) console.log(`${name} is ${version}`);
  const results = await run(works, options, on);
  print(results);
  if (values.write || (works.length === WORKS.length && !quick)) await write(results, options, on);
}

async function cleanUp(): Promise<void> {
  await stopAll();
  await removeScratch();
}

process.once("SIGINT", () => void cleanUp().then(() => process.exit(130)));
process.once("SIGTERM", () => void cleanUp().then(() => process.exit(143)));
try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
process.exit();
