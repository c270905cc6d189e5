import type { Tally } from "./load.ts";
import type { Sample } from "./process.ts";
import { slope } from "./slope.ts";
import type { Slope } from "./slope.ts";

export interface Moment {
  /** Since the traffic began. */
  readonly seconds: number;
  /** Exchanges made so far. */
  readonly exchanges: number;
  readonly relay: Sample;
  readonly agent: Sample;
}

export interface Run {
  readonly started: Date;
  readonly minutes: number;
  readonly commit: string;
  readonly node: string;
  readonly moments: readonly Moment[];
  /** Before the first exchange, and after the last. */
  readonly before: Readonly<Record<Part, Sample>>;
  readonly after: Readonly<Record<Part, Sample>>;
  readonly tallies: ReadonlyMap<string, Tally>;
  readonly recoveries: readonly number[];
  readonly problems: readonly string[];
}

export type Part = "relay" | "agent";

export interface Verdict {
  readonly what: string;
  readonly holds: boolean;
  readonly figure: string;
}

const MEGABYTE = 1e6;

/**
 * Octets that an exchange may seem to leave behind before we call it a leak. The least that it can leave is its stream,
 * its join or its row in the capture, each of several hundred octets; below this is noise of the allocator.
 */
const LEFT_PER_EXCHANGE = 100;

/**
 * What is reachable at a moment includes what is just passing, up to tens of MB; what stays is the floor. So the line is
 * drawn through the lowest of each of these windows, seconds.
 */
const WINDOW = 60;

/**
 * MB. Resident memory moves in steps of the allocator, through which no line can be drawn: instead the highest of the
 * last quarter must not be this much above the highest of the quarter before. A descriptor, with its handle, left open by
 * each exchange of five minutes is as much.
 */
const RESIDENT_STEP = 10;

const parts: readonly Part[] = ["relay", "agent"];

/** The second half: the capture is full by then, and the code compiled. */
function secondHalf(run: Run): readonly Moment[] {
  return run.moments.filter(({ seconds }) => seconds >= run.minutes * 30);
}

/** MB an hour over the second half, of the floor of what is reachable. */
function growth(run: Run, part: Part): Slope {
  const floors = new Map<number, readonly [hours: number, megabytes: number]>();
  for (const moment of secondHalf(run)) {
    const { live } = moment[part];
    if (live === undefined) continue;
    const window = Math.floor(moment.seconds / WINDOW);
    const before = floors.get(window);
    if (before === undefined || live / MEGABYTE < before[1])
      floors.set(window, [moment.seconds / 3600, live / MEGABYTE]);
  }
  return slope([...floors.values()]);
}

/** MB between the highest resident memory of the last quarter and that of the quarter before. */
function step(run: Run, part: Part): number {
  const quarter = run.minutes * 15;
  const highest = (from: number): number =>
    Math.max(
      ...run.moments.flatMap(({ seconds, [part]: sample }) =>
        seconds >= from && seconds < from + quarter + 1 ? [sample.rss / MEGABYTE] : [],
      ),
    );
  return highest(3 * quarter) - highest(2 * quarter);
}

/** MB an hour: `LEFT_PER_EXCHANGE` at the rate of this run. */
function bound(run: Run): number {
  const [first, last] = [secondHalf(run)[0], run.moments.at(-1)];
  if (first === undefined || last === undefined) return 0;
  const perSecond = (last.exchanges - first.exchanges) / (last.seconds - first.seconds);
  return (perSecond * 3600 * LEFT_PER_EXCHANGE) / MEGABYTE;
}

const shown = ({ perUnit, margin }: Slope): string => `${perUnit.toFixed(1)} ± ${margin.toFixed(1)} MB/h`;

export function judge(run: Run): readonly Verdict[] {
  const tallies = [...run.tallies.values()];
  const sum = (of: (tally: Tally) => number): number => tallies.reduce((total, one) => total + of(one), 0);
  const verdicts: Verdict[] = [
    { what: "wrong answers", holds: sum(({ wrong }) => wrong) === 0, figure: String(sum(({ wrong }) => wrong)) },
    {
      what: "errors without a cut of the tunnel",
      holds: sum(({ failed }) => failed) === 0,
      figure: String(sum(({ failed }) => failed)),
    },
    {
      what: "defects reported",
      holds: run.problems.every((line) => !line.startsWith("Defect")),
      figure: String(run.problems.filter((line) => line.startsWith("Defect")).length),
    },
    {
      what: "every kind made exchanges",
      holds: tallies.every(({ whole }) => whole > 0),
      figure: `${sum(({ whole }) => whole)} whole`,
    },
  ];
  for (const part of parts) {
    const [before, after] = [run.before[part], run.after[part]];
    verdicts.push({
      what: `${part}: sockets left`,
      holds: after.sockets <= before.sockets,
      figure: `${after.sockets} (${before.sockets} before)`,
    });
    // Too few points make no line.
    if (run.minutes < 5) continue;
    const limit = bound(run);
    const measured = growth(run, part);
    const stepped = step(run, part);
    verdicts.push(
      {
        what: `${part}: what is reachable grows by less than ${limit.toFixed(0)} MB/h`,
        holds: measured.perUnit + measured.margin < limit,
        figure: shown(measured),
      },
      {
        what: `${part}: resident memory, last quarter against the one before, less than +${RESIDENT_STEP} MB`,
        holds: stepped < RESIDENT_STEP,
        figure: `${stepped >= 0 ? "+" : ""}${stepped.toFixed(1)} MB`,
      },
    );
  }
  const open = run.after.agent.exchanges ?? -1;
  verdicts.push({ what: "agent: exchanges left open", holds: open === 0, figure: String(open) });
  return verdicts;
}

/** The 95th of a hundred. */
function high(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length * 0.95)] ?? 0;
}

function range(run: Run, part: Part, of: (sample: Sample) => number | undefined): string {
  const seen = secondHalf(run).flatMap((moment) => of(moment[part]) ?? []);
  return seen.length === 0
    ? "–"
    : `${(Math.min(...seen) / MEGABYTE).toFixed(0)}–${(Math.max(...seen) / MEGABYTE).toFixed(0)}`;
}

export function report(run: Run, verdicts: readonly Verdict[]): string {
  const limit = bound(run).toFixed(0);
  const rate = run.moments.length === 0 ? 0 : (run.moments.at(-1)?.exchanges ?? 0) / (run.minutes * 60);
  const rows = [...run.tallies].map(
    ([name, { whole, cut, failed, wrong }]) => `| ${name} | ${whole} | ${cut} | ${failed} | ${wrong} |`,
  );
  const memory = parts.map((part) => {
    const stepped = step(run, part);
    const cells = [
      range(run, part, ({ rss }) => rss),
      `${stepped >= 0 ? "+" : ""}${stepped.toFixed(1)} MB`,
      range(run, part, ({ live }) => live),
      shown(growth(run, part)),
      `${run.before[part].sockets} / ${run.after[part].sockets}`,
    ];
    return `| ${part} | ${cells.join(" | ")} |`;
  });
  return `# Soak

Mixed traffic for ${run.minutes} minutes through a relay and an agent in processes of their own, the capture on (64 MiB), every
link of the agent reset each 20 seconds. Repeat it with \`npm run soak -- --minutes ${run.minutes}\`, which writes this page; fewer
than ten minutes write to \`build/soak/\` instead.

Run of ${run.started.toISOString().slice(0, 16).replace("T", " ")} UTC at commit \`${run.commit}\`, Node ${run.node}, on a machine of two cores that had other work:
${run.moments.at(-1)?.exchanges ?? 0} exchanges, ${rate.toFixed(0)} a second.

![Memory, sockets and exchanges over time](soak.svg)

| | |
| --- | --- |
${verdicts.map(({ what, holds, figure }) => `| ${holds ? "✔" : "✖"} ${what} | ${figure} |`).join("\n")}

## Memory

Second half of the run: the capture is full by then. *Reachable* is heap and buffers after a garbage collection, every 10 s,
with what is just passing.

| process | resident, MB | step | reachable, MB | slope of its floor | sockets before / after |
| --- | --- | --- | --- | --- | --- |
${memory.join("\n")}

The slope is the line of least squares through the lowest of each minute, with its 95 % confidence, which counts only as
many independent samples as the correlation of neighbours leaves. The run passes when the upper end is below ${limit} MB an
hour: ${LEFT_PER_EXCHANGE} octets for each exchange at this rate, less than the smallest thing an exchange could leave behind (its
stream, its join, its row). Resident memory moves in steps of the allocator: the highest of the last quarter may be
${RESIDENT_STEP} MB above the highest of the quarter before.

## Exchanges

*Cut*: on its way when the tunnel was reset, or before it was back, and told so by an error; never by an end that looked right.

| visitor | whole | cut | failed | wrong |
| --- | --- | --- | --- | --- |
${rows.join("\n")}

${run.recoveries.length} cuts; from the cut to the first answer: median ${(
    [...run.recoveries].sort((a, b) => a - b)[Math.floor(run.recoveries.length / 2)] ?? 0
  ).toFixed(
    0,
  )} ms, 95th percentile ${high(run.recoveries).toFixed(0)} ms, longest ${Math.max(0, ...run.recoveries).toFixed(0)} ms.
`;
}
