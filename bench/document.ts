/** `docs/performance.md`: prose by hand, figures between markers by program. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import prettier from "prettier";
import { root } from "./scratch.ts";
import type { Table } from "./works/work.ts";

const DOCUMENT = path.join(root, "docs/performance.md");

/** Replaces what is between `<!-- bench:SECTION -->` and `<!-- /bench:SECTION -->`. Throws when the markers are not there. */
export async function writeSection(section: string, content: string): Promise<void> {
  await writeFormatted(DOCUMENT, replaceSection(await readFile(DOCUMENT, "utf8"), section, content));
}

export function replaceSection(text: string, section: string, content: string): string {
  const [begin, end] = [`<!-- bench:${section} -->`, `<!-- /bench:${section} -->`];
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`No section ${section} between markers`);
  return `${text.slice(0, from + begin.length)}\n\n${content.trim()}\n\n${text.slice(to)}`;
}

/** As `npm run format` would leave it. */
export async function writeFormatted(file: string, text: string): Promise<void> {
  const options = await prettier.resolveConfig(file);
  await writeFile(file, await prettier.format(text, { ...options, filepath: file }));
}

export function markdown({ head, rows }: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  return [line(head), line(head.map((_, index) => (index === 0 ? "---" : "--:"))), ...rows.map(line)].join("\n");
}

/** For a terminal: the same in columns. */
export function columns({ head, rows }: Table): string {
  const all = [head, ...rows].map((cells) => cells.map((cell) => cell.replaceAll(/[*`]/g, "")));
  const widths = head.map((_, column) => Math.max(...all.map((cells) => (cells[column] ?? "").length)));
  return all
    .map((cells) =>
      cells
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
