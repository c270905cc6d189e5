/** What a work has to say for itself: a table for people, every sample for `results.json`, and its targets. */
export interface Verdict {
  readonly target: string;
  readonly measured: string;
  /** Undefined: the peer is missing, or this run does not decide it. */
  readonly met: boolean | undefined;
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Result {
  readonly work: string;
  readonly title: string;
  readonly table: Table;
  readonly verdicts: readonly Verdict[];
  readonly notes: readonly string[];
  /** Everything that was measured, by peer. */
  readonly samples: Readonly<Record<string, unknown>>;
}

export interface Options {
  /** Fewer rounds and peers, shorter runs: to see that it works, not to claim anything. */
  readonly quick: boolean;
  readonly rounds: number;
  /** Of one sample of a throughput. */
  readonly seconds: number;
  /** Names of the peers to compare with; all when absent. */
  readonly peers?: readonly string[];
  /** Progress. */
  readonly say: (text: string) => void;
}

export interface Work {
  readonly name: string;
  /** Whether `--quick` includes it when no work is named. */
  readonly quick: boolean;
  /** Names for `--peers`, where there is a choice. */
  readonly peers?: readonly string[];
  run(options: Options): Promise<Result>;
}

/** Three digits that mean something. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, " ");
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}
