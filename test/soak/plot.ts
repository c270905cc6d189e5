import type { Moment, Run } from "./report.ts";

const WIDTH = 860;
const LEFT = 64;
const RIGHT = 150;
const HEIGHT = 170;
const GAP = 58;

interface Line {
  readonly name: string;
  readonly class: "relay" | "agent" | "relay faint" | "agent faint";
  readonly of: (moment: Moment) => number | undefined;
}

interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
}

const mega = (octets: number | undefined): number | undefined => (octets === undefined ? undefined : octets / 1e6);

const panels: readonly Panel[] = [
  {
    title: "Resident memory, MB",
    lines: [
      { name: "agent", class: "agent", of: ({ agent }) => mega(agent.rss) },
      { name: "relay", class: "relay", of: ({ relay }) => mega(relay.rss) },
    ],
  },
  {
    title: "Reachable after a garbage collection, and heap in use, MB",
    lines: [
      { name: "agent, heap", class: "agent faint", of: ({ agent }) => mega(agent.heapUsed) },
      { name: "relay, heap", class: "relay faint", of: ({ relay }) => mega(relay.heapUsed) },
      { name: "agent", class: "agent", of: ({ agent }) => mega(agent.live) },
      { name: "relay", class: "relay", of: ({ relay }) => mega(relay.live) },
    ],
  },
  {
    title: "Open sockets, and open exchanges of the agent",
    lines: [
      { name: "relay, sockets", class: "relay", of: ({ relay }) => relay.sockets },
      { name: "agent, sockets", class: "agent", of: ({ agent }) => agent.sockets },
      { name: "exchanges", class: "agent faint", of: ({ agent }) => agent.exchanges },
    ],
  },
];

/** Colours that hold on white and on black alike; text and lines follow the reader's theme. */
const STYLE = `
  .back { fill: #ffffff } .text { fill: #333333 } .grid { stroke: #dddddd }
  .relay { stroke: #c2571a; fill: none } .agent { stroke: #2a6fbb; fill: none } .faint { opacity: 0.45; stroke-width: 1 }
  .name.relay { fill: #c2571a; stroke: none } .name.agent { fill: #2a6fbb; stroke: none } .name.faint { opacity: 0.7 }
  text { font: 12px system-ui, sans-serif } .title { font-weight: 600 } polyline { stroke-width: 1.6; stroke-linejoin: round }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117 } .text { fill: #d0d7de } .grid { stroke: #30363d }
    .relay { stroke: #f0883e } .agent { stroke: #58a6ff }
    .name.relay { fill: #f0883e } .name.agent { fill: #58a6ff }
  }`;

/** 1, 2 or 5 times a power of ten, so that there are about four steps up to `most`. */
function step(most: number): number {
  const rough = Math.max(most, 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

function panel({ title, lines }: Panel, run: Run, top: number): string {
  const series = lines.map((line) => ({
    line,
    points: run.moments.flatMap((moment): (readonly [number, number])[] => {
      const value = line.of(moment);
      return value === undefined ? [] : [[moment.seconds / 60, value]];
    }),
  }));
  const unit = step(Math.max(0, ...series.flatMap(({ points }) => points.map(([, value]) => value))));
  const most =
    unit * Math.max(1, Math.ceil(Math.max(0, ...series.flatMap(({ points }) => points.map(([, y]) => y))) / unit));
  const x = (minutes: number): number => LEFT + (minutes / run.minutes) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => top + HEIGHT - (value / most) * HEIGHT;
  const parts = [`<text class="text title" x="${LEFT}" y="${top - 12}">${title}</text>`];
  for (let value = 0; value <= most; value += unit)
    parts.push(
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>`,
      `<text class="text" x="${LEFT - 8}" y="${y(value) + 4}" text-anchor="end">${value}</text>`,
    );
  const tick = step(run.minutes);
  for (let minute = 0; minute <= run.minutes; minute += tick)
    parts.push(
      `<text class="text" x="${x(minute)}" y="${top + HEIGHT + 18}" text-anchor="middle">${minute}${minute === 0 ? " min" : ""}</text>`,
    );
  for (const { line, points } of series)
    parts.push(
      `<polyline class="${line.class}" points="${points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ")}"/>`,
    );
  // Names beside the lines' ends, moved apart where they would touch.
  const ends = series.map(({ line, points }) => ({ line, at: y(points.at(-1)?.[1] ?? 0) })).sort((a, b) => a.at - b.at);
  let last = -Infinity;
  for (const { line, at } of ends) {
    last = Math.max(at, last + 14);
    parts.push(`<text class="name ${line.class}" x="${WIDTH - RIGHT + 8}" y="${last + 4}">${line.name}</text>`);
  }
  return parts.join("\n");
}

/** A picture of the run as SVG, readable in light and in dark. */
export function plot(run: Run): string {
  const height = panels.length * (HEIGHT + GAP) + 20;
  const drawn = panels.map((one, index) => panel(one, run, 34 + index * (HEIGHT + GAP)));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Memory, sockets and exchanges over time">
<style>${STYLE}
</style>
<rect class="back" width="100%" height="100%"/>
${drawn.join("\n")}
</svg>
`;
}
