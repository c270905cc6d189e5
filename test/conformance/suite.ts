import type { PeerName } from "../../scripts/peers.ts";
import type { Lab } from "./lab.ts";

/** One way a suite was run: a line of the table. */
export interface Outcome {
  /** What was run through what: "cleartext, service over HTTP/1.1". */
  readonly where: string;
  readonly passed: number;
  readonly skipped: number;
  /** One line for each verdict that should be another. */
  readonly failures: readonly string[];
}

/** A way that could not be run. Never a pass. */
export interface NotRun {
  readonly where: string;
  readonly notRun: string;
}

export type Row = Outcome | NotRun;

export interface Suite {
  /** What it is called on the command line. */
  readonly name: string;
  /** The programs of others it needs; without one of them it is not run. */
  readonly programs: readonly PeerName[];
  /** Runs everything; throws only for what is no verdict (a relay that does not start). */
  run(bench: Bench): Promise<readonly Row[]>;
}

/** What a suite works with. */
export interface Bench {
  readonly lab: Lab;
  /** The path of a program that `programs` names. */
  readonly program: (name: PeerName) => string;
  /** What the suite prints of its own. */
  readonly say: (line: string) => void;
  /** All there is, instead of what fits into minutes. */
  readonly full: boolean;
}

/** The outcome of named cases: `undefined` passed, a string says why not. */
export function outcome(where: string, verdicts: ReadonlyMap<string, string | undefined>): Outcome {
  const failures = [...verdicts].flatMap(([name, why]) => (why === undefined ? [] : [`${name}: ${why}`]));
  return { where, passed: verdicts.size - failures.length, skipped: 0, failures };
}

/** Runs `cases`, `width` at a time; a case fails by throwing. The results are in the order of `cases`. */
export async function judge(
  where: string,
  cases: ReadonlyMap<string, () => Promise<void>>,
  width = 1,
): Promise<Outcome> {
  const verdicts = new Map<string, string | undefined>();
  for (const name of cases.keys()) verdicts.set(name, undefined);
  const waiting = [...cases];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [name, run] = next;
      await run().catch((error: unknown) => {
        verdicts.set(name, error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error));
      });
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return outcome(where, verdicts);
}
