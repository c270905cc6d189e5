/**
 * The few lines of buf.yaml (v1beta1, v1, v2) and buf.work.yaml that say where imports begin. Not a YAML parser: block
 * lists and mappings by indentation, flow lists on one line, plain and quoted scalars, comments. What it cannot read it
 * leaves out: roots are also guessed from the imports.
 */

/** Import roots, relative to the folder of the file; "." is that folder. */
export function bufRoots(text: string, fileName: string): string[] {
  const lines = significantLines(text);
  if (fileName.startsWith("buf.work")) return list(lines, "directories");
  const version = scalar(lines, "version");
  if (version === "v2") {
    const paths = moduleLines(lines);
    return paths.length === 0 ? ["."] : paths;
  }
  if (version === "v1beta1") {
    const build = nested(lines, "build");
    const roots = list(build, "roots");
    return roots.length === 0 ? ["."] : roots;
  }
  return ["."];
}

interface Line {
  readonly indent: number;
  readonly content: string;
}

/** A file longer than this is not read further: a module list has a line or two for each module. */
const MAX_LINES = 5000;

function significantLines(text: string): Line[] {
  const lines: Line[] = [];
  for (const raw of text.split(/\r?\n/, MAX_LINES)) {
    const content = raw.replace(/(^|\s)#.*$/, "").trimEnd();
    if (content.trim() === "" || content.trim() === "---") continue;
    lines.push({ indent: content.length - content.trimStart().length, content: content.trim() });
  }
  return lines;
}

function scalar(lines: readonly Line[], key: string): string | undefined {
  const line = lines.find(({ indent, content }) => indent === 0 && content.startsWith(`${key}:`));
  return line === undefined ? undefined : unquoted(line.content.slice(key.length + 1));
}

/** The lines below a top-level key. */
function nested(lines: readonly Line[], key: string): Line[] {
  const start = lines.findIndex(({ indent, content }) => indent === 0 && content === `${key}:`);
  if (start < 0) return [];
  const below: Line[] = [];
  for (const line of lines.slice(start + 1)) {
    // A list may stand as far left as its key.
    if (line.indent === 0 && !line.content.startsWith("-")) break;
    below.push(line);
  }
  const left = Math.min(...below.map(({ indent }) => indent));
  return below.map((line) => ({ ...line, indent: line.indent - left }));
}

function list(lines: readonly Line[], key: string): string[] {
  const inline = scalar(lines, key);
  if (inline?.startsWith("[") === true)
    return inline
      .replace(/^\[|\]$/g, "")
      .split(",")
      .map(unquoted)
      .filter((item) => item !== "");
  return nested(lines, key).flatMap(({ content }) => (content.startsWith("-") ? [unquoted(content.slice(1))] : []));
}

/** `- path: proto` of v2's modules, wherever in the item `path` stands. */
function moduleLines(lines: readonly Line[]): string[] {
  return nested(lines, "modules").flatMap(({ content }) => {
    const path = /^(?:-\s+)?path:\s*(.+)$/.exec(content)?.[1];
    return path === undefined ? [] : [unquoted(path)];
  });
}

function unquoted(text: string): string {
  const trimmed = text.trim();
  return /^(["']).*\1$/.test(trimmed) ? trimmed.slice(1, -1) : trimmed;
}
