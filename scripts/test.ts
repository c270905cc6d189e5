/**
 * `npm test`: builds, runs every suite (or those named as arguments), lets each runner print its own report, and ends
 * with one line of totals. A suite that fails, or runs no test, makes the whole run fail; the others still run.
 */
import { spawn } from "node:child_process";
import path from "node:path";

const root = path.dirname(import.meta.dirname);

interface Suite {
  readonly name: string;
  /** Arguments of Node. */
  readonly run: readonly string[];
  readonly minutes: number;
  /** Only when it is named: it takes longer than anybody waits for at each change. */
  readonly onRequest?: boolean;
}

const runner = (timeoutSeconds: number, ...files: readonly string[]): readonly string[] => [
  "--disable-warning=ExperimentalWarning",
  "--test",
  "--test-reporter=spec",
  `--test-timeout=${timeoutSeconds * 1000}`,
  ...files,
];

const suites: readonly Suite[] = [
  {
    name: "unit",
    run: runner(120, "{wire,tunnel,capture,relay,agent,extension,webview,cli,sample,bench}/**/*.test.ts"),
    minutes: 6,
  },
  { name: "integration", run: runner(180, "test/integration/**/*.test.ts"), minutes: 10 },
  // Two files at once on any machine: some of them only wait for limits to pass.
  { name: "threats", run: runner(180, "--test-concurrency=2", "test/threats/**/*.test.ts"), minutes: 10 },
  { name: "webview", run: runner(180, "test/webview/**/*.test.ts"), minutes: 8 },
  { name: "workbench", run: ["test/workbench/main.ts"], minutes: 12 },
  { name: "long", run: runner(1800, "test/threats/long/**/*.long.ts"), minutes: 45, onRequest: true },
];

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** What the runners print at their end: node's own test runner, and the plain line of `test/workbench/main.ts`. */
function count(output: string): Totals {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  for (const [, what, digits] of output.matchAll(/^ℹ (pass|fail|cancelled|skipped|todo) (\d+)$/gm)) {
    const number = Number(digits);
    if (what === "pass") totals.passed += number;
    else if (what === "fail" || what === "cancelled") totals.failed += number;
    else totals.skipped += number;
  }
  for (const [, passed, failed] of output.matchAll(/^(\d+) passed, (\d+) failed$/gm)) {
    totals.passed += Number(passed);
    totals.failed += Number(failed);
  }
  return totals;
}

/** Runs Node with `arguments_`; resolves with its exit code (1 when it had to be ended) and what it printed. */
async function run(arguments_: readonly string[], minutes: number): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, arguments_, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (text: string) => {
      output += text;
      process.stdout.write(text);
    });
    const timer = setTimeout(() => {
      console.error(`\nEnded after ${minutes} minutes, the limit of this suite.`);
      child.kill("SIGKILL");
    }, minutes * 60_000);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 1, output });
    });
  });
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(`No such suite: ${unknown.join(", ")}. There are: ${suites.map((suite) => suite.name).join(", ")}.`);
  process.exit(2);
}

console.log("── build");
const build = await run(["scripts/build.mjs"], 2);
if (build.code !== 0) process.exit(1);

const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
const lines: string[] = [];
let failed = false;
for (const suite of suites) {
  if (wanted.length > 0 ? !wanted.includes(suite.name) : suite.onRequest === true) continue;
  console.log(`\n── ${suite.name}`);
  const started = performance.now();
  const { code, output } = await run(suite.run, suite.minutes);
  const counted = count(output);
  const ran = counted.passed + counted.failed > 0;
  if (code !== 0 || counted.failed > 0 || !ran) failed = true;
  totals.passed += counted.passed;
  totals.failed += counted.failed;
  totals.skipped += counted.skipped;
  const seconds = Math.round((performance.now() - started) / 1000);
  const note = ran ? (code === 0 ? "" : `, exit code ${code}`) : ", ran no test";
  lines.push(
    `   ${suite.name}: ${counted.passed} passed, ${counted.failed} failed, ${counted.skipped} skipped in ${seconds} s${note}`,
  );
}
console.log(`\n── totals\n${lines.join("\n")}\n`);
console.log(
  `${totals.passed} passed, ${totals.failed} failed${totals.skipped > 0 ? `, ${totals.skipped} skipped` : ""}`,
);
process.exitCode = failed ? 1 : 0;
