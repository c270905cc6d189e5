/**
 * `npm run fuzz -- [target ...] [--minutes N] [--seed S] [--missing]`: mutates what a peer may send, for each target in
 * turn, led by what of the source is executed. What breaks a promise is saved to `test/fixtures/fuzz/<target>/`, which
 * `npm test` replays. `--missing` names the lines that were never executed. Ends with code 1 when something was found.
 */
import path from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { saveFixture } from "./fixtures.ts";
import type { Target } from "./target.ts";
import { TARGETS } from "./targets/index.ts";
import type { Assignment, Report } from "./worker.ts";
import { PRESENT_BYTES, PRESENT_HEAD } from "./worker.ts";

/** No input takes a second, nor does a look at the coverage; a finding is reduced within ten. A machine may be busy. */
const SILENT_MS = 120_000;
const LOOK_MS = 1000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    missing: { type: "boolean", default: false },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
const unknown = positionals.filter((name) => !TARGETS.some((target) => target.name === name));
if (unknown.length > 0 || !(minutes > 0) || !Number.isInteger(seed)) {
  console.error(
    `fuzz [target ...] [--minutes N] [--seed S] [--missing]\nTargets: ${TARGETS.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}

/** Runs one target for its time; how many cases broke a promise. */
async function fuzz(target: Target): Promise<number> {
  const present = new SharedArrayBuffer(PRESENT_BYTES);
  const worker = new Worker(path.join(import.meta.dirname, "worker.ts"), {
    workerData: {
      target: target.name,
      code: target.code,
      seed,
      seconds: minutes * 60,
      missing: values.missing,
      present,
    } satisfies Assignment,
  });
  let told = 0;
  let last: Report | undefined;
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const head = new Uint32Array(present, 0, 2);
    let seen = 0;
    let seenAt = started;
    const watch = setInterval(() => {
      const now = performance.now();
      const [number = 0, length = 0] = head;
      if (number !== seen) seenAt = now;
      seen = number;
      if (now - seenAt < SILENT_MS) return;
      const input = new Uint8Array(present.slice(PRESENT_HEAD, PRESENT_HEAD + length));
      console.log(`${target.name}: an input does not return. ${saveFixture(target.name, input)}`);
      clearInterval(watch);
      void worker.terminate().then(() => resolve(told + 1));
    }, LOOK_MS);
    worker.on("message", (report: Report) => {
      last = report;
      for (; told < report.findings.length; told++) {
        const finding = report.findings[told];
        if (finding === undefined) continue;
        const file = saveFixture(target.name, finding.input);
        console.log(
          `${target.name}: ${finding.problem}\n  ${finding.input.length} octets in ${path.relative(process.cwd(), file)}`,
        );
      }
      if (process.stdout.isTTY) process.stdout.write(`\r${line(target, report, started)}\r`);
    });
    worker.on("error", reject);
    worker.on("exit", () => {
      clearInterval(watch);
      if (last !== undefined) console.log(line(target, last, started));
      for (const { file, lines } of last?.missing ?? []) console.log(`  ${file}: ${lines.join(" ")}`);
      resolve(told);
    });
  });
}

function line({ name }: Target, report: Report, started: number): string {
  const seconds = (performance.now() - started) / 1000;
  const share = ((100 * report.covered) / report.total).toFixed(1);
  return [
    name.padEnd(13),
    `${report.executions} executions`.padStart(20),
    `${Math.round(report.executions / seconds)}/s`.padStart(9),
    `corpus ${report.corpus}`.padStart(13),
    `${report.features} orders of events`.padStart(23),
    `coverage ${share} %`.padStart(17),
    `${report.findings.length} found`.padStart(9),
  ].join(" ");
}

const wanted = positionals.length === 0 ? TARGETS : TARGETS.filter(({ name }) => positionals.includes(name));
console.log(`${wanted.length} targets, ${minutes} minutes each, seed ${seed}`);
let found = 0;
for (const target of wanted) found += await fuzz(target);
if (found > 0) console.log(`${found} inputs break a promise.`);
process.exitCode = found > 0 ? 1 : 0;
