/**
 * `npm run chaos`: the whole matrix, every trouble in every link for every kind of exchange, and prints it as a table.
 * `npm run chaos -- FIN gRPC`: only the cells whose names contain all of these.
 */
import { until } from "../support/time.ts";
import { processTroubles, runLinkCell, runProcessCell } from "./cell.ts";
import type { Figures, ProcessTroubleName } from "./cell.ts";
import { kindNames } from "./exchanges.ts";
import type { KindName } from "./exchanges.ts";
import { troubles } from "./toxics.ts";
import type { Trouble, TroubleName } from "./toxics.ts";

/** Cells at once. Most of a cell is waiting. */
const AT_ONCE = 5;

interface Cell {
  readonly row: string;
  readonly kind: KindName;
  readonly run: () => Promise<Figures>;
}

const cells: Cell[] = [];
for (const [name, trouble] of Object.entries(troubles) as [TroubleName, Trouble][])
  for (const link of trouble.links)
    for (const kind of kindNames)
      cells.push({ row: `${link}, ${name}`, kind, run: () => runLinkCell(link, name, kind) });
for (const name of Object.keys(processTroubles) as ProcessTroubleName[])
  for (const kind of kindNames) cells.push({ row: name, kind, run: () => runProcessCell(name, kind) });

const words = process.argv.slice(2);
const wanted = cells.filter(({ row, kind }) => words.every((word) => `${row}, ${kind}`.includes(word)));
const results = new Map<Cell, Figures | string>();
const recoveries: number[] = [];
const queue = [...wanted];
const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length;
const before = sockets();

async function work(): Promise<void> {
  for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
    try {
      const figures = await cell.run();
      results.set(cell, figures);
      if (figures.recoveredMs !== undefined) recoveries.push(figures.recoveredMs);
    } catch (error) {
      results.set(cell, error instanceof Error ? error.message : String(error));
    }
    if (process.stderr.isTTY) process.stderr.write(`\r${results.size} of ${wanted.length} cells `);
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, work));

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** `✔`, with how long it took until the visitor was told, and until an exchange passed again. */
function shown(result: Figures | string | undefined): string {
  if (result === undefined) return "";
  if (typeof result === "string") return "✖";
  const { noticedMs, recoveredMs } = result;
  return noticedMs === undefined || recoveredMs === undefined
    ? "✔"
    : `✔ ${seconds(noticedMs)}, ${seconds(recoveredMs)}`;
}

console.log(`\n| | ${kindNames.join(" | ")} |\n| --- |${kindNames.map(() => " --- |").join("")}`);
for (const row of new Set(wanted.map((cell) => cell.row))) {
  const line = kindNames.map((kind) => {
    const cell = wanted.find((one) => one.row === row && one.kind === kind);
    return shown(cell === undefined ? undefined : results.get(cell));
  });
  console.log(`| ${row} | ${line.join(" | ")} |`);
}
console.log("\n✔ a, b: the visitor was told a after the cut; an exchange passed again b after the network was back.");
const failed = wanted.flatMap((cell) => {
  const result = results.get(cell);
  return typeof result === "string" ? [`✖ ${cell.row}, ${cell.kind}: ${result}`] : [];
});
for (const line of failed) console.log(line);
// A socket that was closed a moment ago is still counted.
await until(5000, "sockets as before", () => sockets() <= before).catch(() => undefined);
const left = sockets() - before;
if (left > 0) console.log(`✖ ${left} sockets left in this process`);
const slowest = Math.max(0, ...recoveries);
console.log(`\n${wanted.length - failed.length} passed, ${failed.length} failed; slowest recovery ${seconds(slowest)}`);
process.exitCode = failed.length === 0 && left <= 0 && wanted.length > 0 ? 0 : 1;
