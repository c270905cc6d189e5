import { getHeapStatistics } from "node:v8";
import type { Coverage } from "./coverage.ts";
import { mutate } from "./mutate.ts";
import { Random } from "./random.ts";
import type { Target } from "./target.ts";
import { promise } from "./target.ts";

/** Executions between two looks at the coverage, which costs some milliseconds. */
const BATCH = 250;
/** One input takes well below a millisecond; more than this, three times in a row, is a way to stop us. */
const SLOW_MS = 300;
/** Enough to make most findings short. */
const REDUCE_MS = 5_000;
/** What one input may leave on the heap: all buffers of a connection together are far below. */
const MEMORY_BYTES = 64 * 1024 * 1024;

export interface Finding {
  readonly input: Uint8Array;
  readonly problem: string;
}

export interface Progress {
  readonly executions: number;
  readonly corpus: number;
  readonly features: number;
  readonly findings: readonly Finding[];
}

/**
 * Mutates what it has, and keeps what did something new: executed a block that none executed before (with `coverage`), or
 * made events follow each other as they never did. Deterministic for a seed, but for the coverage of what V8 optimises.
 */
export class Engine {
  readonly target: Target;
  readonly findings: Finding[] = [];
  executions = 0;

  readonly #random: Random;
  readonly #coverage: Coverage | undefined;
  readonly #before: (input: Uint8Array) => void;
  readonly #corpus: Uint8Array[] = [];
  readonly #features = new Set<string>();
  readonly #problems = new Set<string>();

  /**
   * @param more inputs to begin with besides the target's own.
   * @param before called with each input before it is executed: whoever watches knows what did not come back.
   */
  constructor(
    target: Target,
    randomSeed: number,
    coverage?: Coverage,
    more: readonly Uint8Array[] = [],
    before: (input: Uint8Array) => void = () => undefined,
  ) {
    this.target = target;
    this.#before = before;
    this.#random = new Random(randomSeed);
    this.#coverage = coverage;
    for (const input of [...target.seeds, ...more]) {
      this.#execute(input);
      this.#corpus.push(input);
    }
    coverage?.take(true);
  }

  get progress(): Progress {
    const { executions, findings } = this;
    return { executions, findings, corpus: this.#corpus.length, features: this.#features.size };
  }

  /** Some hundred executions. */
  batch(count = BATCH): void {
    const inputs: Uint8Array[] = [];
    for (let index = 0; index < count; index++) {
      const input = this.#next();
      inputs.push(input);
      if (this.#execute(input)) this.#corpus.push(input);
    }
    if (this.#coverage !== undefined && this.#coverage.take(false) > 0) this.#seek(this.#coverage, inputs);
  }

  /** Finds out which of them executed something new, and keeps those. */
  #seek(coverage: Coverage, inputs: readonly Uint8Array[]): void {
    const [only] = inputs;
    if (inputs.length === 1 && only !== undefined) {
      this.#execute(only);
      if (coverage.take(true) > 0) this.#corpus.push(only);
      return;
    }
    const middle = inputs.length >>> 1;
    for (const half of [inputs.slice(0, middle), inputs.slice(middle)]) {
      for (const input of half) this.#execute(input);
      if (coverage.take(false) > 0) this.#seek(coverage, half);
    }
  }

  #next(): Uint8Array {
    const random = this.#random;
    const corpus = this.#corpus;
    // Half of them from the latest: what was just reached leads further.
    const recent = random.once(2) ? Math.max(0, corpus.length - 32) : 0;
    const base = corpus[recent + random.below(corpus.length - recent)] ?? new Uint8Array(1);
    if (this.target.mutate !== undefined && !random.once(3)) return this.target.mutate(base, random);
    return mutate(base, random.pick(corpus), this.target.dictionary, random);
  }

  /** Whether events followed each other in a new way. */
  #execute(input: Uint8Array): boolean {
    this.executions++;
    this.#before(input);
    try {
      return this.#note(judge(this.target, input, this.#random));
    } catch (error) {
      const problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
      // One of a kind is enough: the place tells the kind.
      const kind = problem.replaceAll(/\d+/g, "#").split("\n").slice(0, 3).join("\n").slice(0, 300);
      if (!this.#problems.has(kind)) {
        this.#problems.add(kind);
        this.findings.push({ input: reduce(this.target, input, error), problem });
      }
      return false;
    }
  }

  #note(lines: readonly string[]): boolean {
    const before = this.#features.size;
    let last = "";
    for (const line of lines) {
      const shape = shapeOf(line);
      this.#features.add(`${last} > ${shape}`);
      last = shape;
    }
    return this.#features.size > before;
  }
}

/** What kind of event a line tells: names, numbers and octets left out. */
function shapeOf(line: string): string {
  const words = line.replaceAll(/\d+/g, "#").split(" ");
  const whole = /^(?:reset|ended|refused|problem|wrote|RST_STREAM|GOAWAY)$/.test(words[0] ?? "");
  return whole ? words.slice(0, 12).join(" ") : `${words[0] ?? ""}${line.endsWith(" END") ? " END" : ""}`;
}

/** Whether `input` keeps every promise, whole and cut: throws when it does not. */
export function judge(target: Target, input: Uint8Array, random: Random): readonly string[] {
  const whole = measured(target, input, []);
  const cuts = random.once(16) ? every(input.length) : some(input.length, random);
  compare(target.run(input, cuts), whole, cuts);
  return whole;
}

/** Whole, cut at each place alone, and octet by octet: for cases that are kept. */
export function judgeEverySplit(target: Target, input: Uint8Array): void {
  const whole = measured(target, input, []);
  compare(target.run(input, every(input.length)), whole, every(input.length));
  const step = Math.max(1, Math.floor(input.length / 400));
  for (let cut = 1; cut < input.length; cut += step) compare(target.run(input, [cut]), whole, [cut]);
}

function measured(target: Target, input: Uint8Array, cuts: readonly number[]): readonly string[] {
  const before = occupied();
  const started = processorTime();
  const lines = target.run(input, cuts);
  const left = occupied() - before;
  promise(left < MEMORY_BYTES, `${input.length} octets made it take ${left} octets of memory`);
  if (processorTime() - started > SLOW_MS) {
    const times = [1, 2, 3].map(() => {
      const again = processorTime();
      target.run(input, cuts);
      return processorTime() - again;
    });
    promise(Math.min(...times) <= SLOW_MS, `${input.length} octets took it ${Math.round(Math.min(...times))} ms`);
  }
  return lines;
}

/** Milliseconds that this process has computed: how busy the machine is otherwise does not matter. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function occupied(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

function compare(lines: readonly string[], whole: readonly string[], cuts: readonly number[]): void {
  const at = Array.from({ length: Math.max(lines.length, whole.length) }, (_, index) => index).find(
    (index) => lines[index] !== whole[index],
  );
  if (at === undefined) return;
  const where = cuts.length > 10 ? "at every octet" : `at ${cuts.join(", ")}`;
  promise(false, `cut ${where} it says "${show(lines[at])}", whole "${show(whole[at])}"`);
}

function show(line: string | undefined): string {
  return line === undefined ? "nothing" : line.slice(0, 300);
}

function every(length: number): number[] {
  return Array.from({ length: Math.max(0, length - 1) }, (_, index) => index + 1);
}

function some(length: number, random: Random): number[] {
  const cuts = Array.from({ length: 1 + random.below(5) }, () => 1 + random.below(Math.max(1, length - 1)));
  return cuts.sort((one, other) => one - other);
}

/** Takes away what the finding does not need: ever smaller pieces, as long as it stays one of the same class. */
function reduce(target: Target, input: Uint8Array, error: unknown): Uint8Array {
  const name = error instanceof Error ? error.name : "";
  let best = input;
  const until = performance.now() + REDUCE_MS;
  for (let size = best.length >>> 1; size >= 1; size >>>= 1) {
    for (let at = 1; at < best.length && performance.now() < until;) {
      const shorter = new Uint8Array([...best.subarray(0, at), ...best.subarray(at + size)]);
      if (fails(target, shorter, name)) best = shorter;
      else at += size;
    }
  }
  return best;
}

function fails(target: Target, input: Uint8Array, name: string): boolean {
  try {
    const whole = target.run(input, []);
    compare(target.run(input, every(input.length)), whole, []);
    for (let cut = 1; cut < Math.min(input.length, 64); cut++) compare(target.run(input, [cut]), whole, []);
    return false;
  } catch (error) {
    return error instanceof Error && error.name === name;
  }
}
