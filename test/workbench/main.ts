/**
 * The extension in a real workbench: first the extension-host tests (`suite/`), then those that click (`*.test.ts` in
 * this folder). `suite`, `clicks` or part of the name of a file as an argument runs only that; `--no-build` takes `dist/` as it is. Ends with `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { run } from "node:test";
import { chromiumPath } from "../support/chromium.ts";
import { installWorkbench } from "./install.ts";
import { runSuite, type Totals } from "./suite-run.ts";
import { root } from "./workbench.ts";

/** A file that clicks takes a minute at most where nothing else runs; a loaded machine gets five times that. */
const FILE_LIMIT_MS = 300_000;

const SUBTESTS = /^[0-9]+ subtests? failed$/;

const wanted = process.argv.slice(2).filter((word) => word !== "--no-build");
const clicks = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".test.ts"))
  .filter((file) => wanted.length === 0 || wanted.includes("clicks") || wanted.some((word) => file.includes(word)));

const totals: Totals = { passed: 0, failed: 0 };
const add = ({ passed, failed }: Totals): void => {
  totals.passed += passed;
  totals.failed += failed;
};

if (!process.argv.includes("--no-build")) {
  const build = spawnSync(process.execPath, [path.join(root, "scripts/build.mjs")], { stdio: "inherit" });
  if (build.status !== 0) process.exit(1);
}
installWorkbench();
chromiumPath();

if (wanted.length === 0 || wanted.includes("suite")) {
  console.log("Extension-host tests");
  try {
    add(await runSuite());
  } catch (error) {
    console.log(`✖ ${error instanceof Error ? error.message : String(error)}`);
    totals.failed++;
  }
}
if (clicks.length > 0) {
  console.log("\nClick-through tests");
  add(await runClicks(clicks.map((file) => path.join(import.meta.dirname, file))));
}
console.log(`\n${totals.passed} passed, ${totals.failed} failed`);
// Nothing that ran means nothing was tested.
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0);

/** One file after the other: each has a workbench of its own. */
function runClicks(files: readonly string[]): Promise<Totals> {
  const counted: Totals = { passed: 0, failed: 0 };
  return new Promise((resolve) => {
    const stream = run({ files: [...files], concurrency: false, timeout: FILE_LIMIT_MS });
    stream.on("test:pass", ({ name, nesting, details, skip }) => {
      // Files and suites are no tests.
      if (details.type === "suite" || (nesting === 0 && files.includes(name))) return;
      if (skip !== undefined) counted.failed++;
      else counted.passed++;
      console.log(`${"  ".repeat(nesting)}✔ ${name} (${Math.round(details.duration_ms)} ms)`);
    });
    stream.on("test:fail", ({ name, nesting, details }) => {
      // A file or suite fails with its tests, which are counted; but also by itself, when its set-up fails.
      if (SUBTESTS.test(details.error.message)) return;
      counted.failed++;
      console.log(`${"  ".repeat(nesting)}✖ ${name} (${Math.round(details.duration_ms)} ms)`);
      console.log(details.error.cause instanceof Error ? details.error.cause.stack : details.error.cause);
    });
    stream.on("test:stderr", ({ message }) => process.stderr.write(message));
    stream.on("end", () => resolve(counted));
    stream.resume();
  });
}
