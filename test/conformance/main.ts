/**
 * `npm run conformance -- [--full] [--no-build] [suite …]`: suites of others against the built product. Prints each
 * suite's own summary, puts the tables into `docs/conformance.md`, and exits with 1 when a verdict is not what it should
 * be. A suite whose program cannot be had is "not run", which is no pass and is told as such.
 */
import { spawnSync } from "node:child_process";
import path from "node:path";
import { peer } from "../../scripts/peers.ts";
import type { PeerName } from "../../scripts/peers.ts";
import { autobahn } from "./autobahn.ts";
import { clients } from "./clients.ts";
import { connect } from "./connect.ts";
import { h2spec, h2specTunnel } from "./h2spec.ts";
import { interop } from "./interop.ts";
import { interopCompressed } from "./interop-compressed.ts";
import { interopNegative } from "./interop-negative.ts";
import { Lab } from "./lab.ts";
import { python } from "./python.ts";
import type { Suite } from "./suite.ts";
import { lines, writeTables } from "./table.ts";
import type { Report } from "./table.ts";

const root = path.join(import.meta.dirname, "../..");

const SUITES: readonly Suite[] = [
  h2spec,
  h2specTunnel,
  interop,
  interopCompressed,
  interopNegative,
  connect,
  autobahn,
  clients,
  python,
];

const options = process.argv.slice(2).filter((word) => word.startsWith("--"));
const names = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const unknown = [
  ...options.filter((option) => option !== "--full" && option !== "--no-build"),
  ...names.filter((name) => !SUITES.some((suite) => suite.name === name)),
];
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(", ")}. Suites: ${SUITES.map(({ name }) => name).join(", ")}.`);
  process.exit(2);
}
if (!options.includes("--no-build")) {
  const build = spawnSync(process.execPath, [path.join(root, "scripts/build.mjs")], { stdio: "inherit" });
  if (build.status !== 0) process.exit(1);
}

const lab = new Lab();
const reports: Report[] = [];
try {
  for (const suite of SUITES) {
    if (names.length > 0 && !names.includes(suite.name)) continue;
    console.log(`\n── ${suite.name}`);
    const report = await run(suite);
    reports.push(report);
  }
} finally {
  await lab.close();
}
console.log(`\n── totals\n${reports.map(lines).join("\n")}\n`);
const rows = reports.flatMap((report) => report.rows);
const count = (of: (row: (typeof rows)[number]) => number): number => rows.reduce((sum, row) => sum + of(row), 0);
const unexpected = count((row) => ("notRun" in row ? 0 : row.failures.length));
const passed = count((row) => ("notRun" in row ? 0 : row.passed));
const notRun = count((row) => ("notRun" in row ? 1 : 0));
console.log(`${passed} passed, ${unexpected} unexpected${notRun > 0 ? `, ${notRun} not run` : ""}`);
writeTables(path.join(root, "docs/conformance.md"), reports);
process.exitCode = unexpected > 0 || passed === 0 ? 1 : 0;

async function run(suite: Suite): Promise<Report> {
  const started = performance.now();
  const paths = new Map<PeerName, string>();
  const versions: string[] = [];
  const missing: string[] = [];
  for (const name of suite.programs) {
    const found = await peer(name);
    if ("missing" in found) {
      missing.push(`${name}: ${found.missing}`);
    } else {
      paths.set(name, found.path);
      versions.push(`${name} ${found.version}`);
    }
  }
  const report = (rows: Report["rows"]): Report => ({
    name: suite.name,
    programs: versions,
    rows,
    seconds: Math.round((performance.now() - started) / 1000),
  });
  if (missing.length > 0) return report([{ where: "all of it", notRun: missing.join("; ") }]);
  const program = (name: PeerName): string => {
    const found = paths.get(name);
    if (found === undefined) throw new Error(`${suite.name} does not name ${name}`);
    return found;
  };
  const say = (line: string): void => console.log(`   ${line}`);
  try {
    return report(await suite.run({ lab, program, say, full: options.includes("--full") }));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return report([{ where: "the run itself", passed: 0, skipped: 0, failures: [why] }]);
  }
}
