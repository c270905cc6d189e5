import { readFileSync, writeFileSync } from "node:fs";
import type { Row } from "./suite.ts";

/** What a run found out about one suite. */
export interface Report {
  readonly name: string;
  /** Programs with their versions, as said by them or by the pin. */
  readonly programs: readonly string[];
  readonly rows: readonly Row[];
  readonly seconds: number;
}

const begin = (name: string): string => `<!-- ${name}: written by npm run conformance -->`;
const END = "<!-- end -->";

/**
 * Puts each report between its markers in `file`: a run of some suites leaves the tables of the others as they are. Throws
 * when the page has no place for a suite.
 */
export function writeTables(file: string, reports: readonly Report[]): void {
  let page = readFileSync(file, "utf8");
  for (const report of reports) {
    const start = page.indexOf(begin(report.name));
    const end = page.indexOf(END, start);
    if (start < 0 || end < 0)
      throw new Error(`${file} has no place for ${report.name}: ${begin(report.name)} … ${END}`);
    page = `${page.slice(0, start + begin(report.name).length)}\n\n${table(report)}\n\n${page.slice(end)}`;
  }
  writeFileSync(file, page);
}

/** The report as a table of Markdown, columns padded as Prettier does. */
function table({ rows, programs, seconds }: Report): string {
  const cells = [
    ["what", "passed", "skipped", "unexpected"],
    ...rows.map((row) =>
      "notRun" in row
        ? [row.where, "not run", "", row.notRun]
        : [
            row.where,
            String(row.passed),
            String(row.skipped),
            row.failures.length === 0 ? "0" : failures(row.failures),
          ],
    ),
  ].map((line) => line.map(escape));
  const widths = [0, 1, 2, 3].map((column) => Math.max(3, ...cells.map((line) => line[column]?.length ?? 0)));
  const line = (texts: readonly string[]): string =>
    `| ${texts.map((text, column) => text.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = cells;
  const rule = widths.map((width) => "-".repeat(width));
  return [line(head), line(rule), ...body.map(line), "", `${programs.join(", ")}; ${seconds} s.`].join("\n");
}

function failures(all: readonly string[]): string {
  const shown = all.slice(0, 5).join("; ");
  return `${all.length}: ${shown}${all.length > 5 ? "; …" : ""}`;
}

function escape(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("<", "&lt;");
}

/** For the terminal. */
export function lines({ name, rows, seconds }: Report): string {
  const told = rows.map((row) =>
    "notRun" in row
      ? `   not run  ${row.where}: ${row.notRun}`
      : `   ${row.failures.length === 0 ? "as it should be" : "UNEXPECTED"}  ${row.where}: ${row.passed} passed, ${row.skipped} skipped, ${row.failures.length} unexpected` +
        row.failures
          .slice(0, 20)
          .map((failure) => `\n      ${failure}`)
          .join(""),
  );
  return [`   ${name}, ${seconds} s`, ...told].join("\n");
}
