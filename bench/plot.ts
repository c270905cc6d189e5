/** Line charts as plain SVG, readable on light and dark pages. */
export interface Line {
  readonly label: string;
  /** One per step. */
  readonly values: readonly number[];
  readonly ours: boolean;
}

export interface Panel {
  readonly title: string;
  /** Powers of ten, at equal distances. */
  readonly steps: readonly number[];
  readonly lines: readonly Line[];
}

const WIDTH = 460;
const HEIGHT = 260;
const LEFT = 64;
const RIGHT = 16;
const TOP = 36;
const BOTTOM = 56;

/** An image is shown on the page's colour, and knows no more of it than this. */
const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .grid { stroke: #8886; stroke-width: 1; }
  .line { fill: none; stroke-width: 2; stroke: #8a8f98; }
  .ours { stroke: #0969da; stroke-width: 2.5; }
  .dot { fill: #8a8f98; } .dot.ours { fill: #0969da; stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .ours { stroke: #4493f8; } .dot.ours { fill: #4493f8; }
  }`;
const DASHES = ["", "6 3", "2 3"] as const;

export function plot(panels: readonly Panel[]): string {
  const width = WIDTH * panels.length;
  const label = panels.map(({ title }) => title).join("; ");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" width="${width}" height="${HEIGHT}" role="img" aria-label="${escape(label)}">
<style>${STYLE}
</style>
${panels.map((panel, index) => `<g transform="translate(${index * WIDTH} 0)">\n${draw(panel)}\n</g>`).join("\n")}
</svg>
`;
}

function draw({ title, steps, lines }: Panel): string {
  const top = roundUp(Math.max(1, ...lines.flatMap(({ values }) => values.filter(Number.isFinite))));
  const x = (index: number): number => LEFT + (index * (WIDTH - LEFT - RIGHT)) / Math.max(1, steps.length - 1);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const parts = [`<text x="${LEFT}" y="20" font-weight="600">${escape(title)}</text>`];
  for (let quarter = 0; quarter <= 4; quarter++) {
    const at = y((top * quarter) / 4);
    parts.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${place(at)}" y2="${place(at)}"/>`);
    parts.push(`<text x="${LEFT - 8}" y="${place(at + 4)}" text-anchor="end">${thousands((top * quarter) / 4)}</text>`);
  }
  for (const [index, step] of steps.entries())
    parts.push(`<text x="${place(x(index))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${step}</text>`);
  for (const [order, line] of lines.entries()) {
    const of = line.ours ? " ours" : "";
    const points = line.values.flatMap((value, index) =>
      Number.isFinite(value) ? [[place(x(index)), place(y(value))] as const] : [],
    );
    const dashes = DASHES[order % DASHES.length] ?? "";
    parts.push(
      `<polyline class="line${of}"${dashes === "" ? "" : ` stroke-dasharray="${dashes}"`} points="${points.map((point) => point.join(",")).join(" ")}"/>`,
      ...points.map(([px, py]) => `<circle class="dot${of}" cx="${px}" cy="${py}" r="3"/>`),
    );
    const legend = LEFT + order * 124;
    parts.push(
      `<line class="line${of}"${dashes === "" ? "" : ` stroke-dasharray="${dashes}"`} x1="${legend}" x2="${legend + 20}" y1="${HEIGHT - 16}" y2="${HEIGHT - 16}"/>`,
      `<text x="${legend + 26}" y="${HEIGHT - 12}" font-size="11">${escape(line.label)}</text>`,
    );
  }
  return parts.join("\n");
}

/** 1, 2, 4, 6, 8 or 10 times a power of ten: quarters of it are round too. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 2, 4, 6, 8]) if (value <= factor * power) return factor * power;
  return 10 * power;
}

function thousands(value: number): string {
  return value >= 1000 ? `${Math.round(value / 100) / 10} k` : String(Math.round(value));
}

function place(value: number): string {
  return value.toFixed(1).replace(/\.0$/, "");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
