/** Runs one target in a thread of its own, so that an input that never returns can be told, and ended. */
import { parentPort, workerData } from "node:worker_threads";
import { Coverage } from "./coverage.ts";
import { Engine } from "./engine.ts";
import type { Finding } from "./engine.ts";
import { readFixtures } from "./fixtures.ts";

export interface Assignment {
  readonly target: string;
  readonly code: readonly string[];
  readonly seed: number;
  readonly seconds: number;
  readonly missing: boolean;
  /** The input under way: which one it is, its length, then its octets. */
  readonly present: SharedArrayBuffer;
}

export interface Report {
  readonly executions: number;
  readonly corpus: number;
  readonly features: number;
  /** Characters of source text. */
  readonly covered: number;
  readonly total: number;
  readonly findings: readonly Finding[];
  readonly done: boolean;
  readonly missing?: readonly { readonly file: string; readonly lines: readonly number[] }[];
}

export const PRESENT_BYTES = 128 * 1024;
/** Where its octets begin. */
export const PRESENT_HEAD = 8;
const REPORT_MS = 1000;

async function work(assignment: Assignment): Promise<void> {
  // The target's code must not be loaded before its execution is counted.
  const coverage = new Coverage(assignment.code);
  const { TARGETS } = await import("./targets/index.ts");
  const target = TARGETS.find(({ name }) => name === assignment.target);
  if (target === undefined) throw new Error(`No target ${assignment.target}`);
  const present = new Uint8Array(assignment.present);
  const head = new Uint32Array(assignment.present, 0, 2);
  const fixtures = readFixtures(target.name).map(({ input }) => input);
  const engine = new Engine(target, assignment.seed, coverage, fixtures, (input) => {
    head[0] = (head[0] ?? 0) + 1;
    head[1] = input.length;
    present.set(input, PRESENT_HEAD);
  });
  const until = performance.now() + assignment.seconds * 1000;
  let reportAt = 0;
  for (let done = false; !done;) {
    engine.batch();
    const now = performance.now();
    done = now >= until;
    if (now < reportAt && !done) continue;
    reportAt = now + REPORT_MS;
    const missing = done && assignment.missing ? { missing: [...coverage.missing()] } : {};
    parentPort?.postMessage({ ...engine.progress, ...coverage.share, done, ...missing } satisfies Report);
  }
}

if (parentPort !== null) await work(workerData as Assignment);
