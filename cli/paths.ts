import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** Where the program's other files are. */
export interface ProgramPaths {
  /** The worker that decodes. */
  readonly decoder: string;
  /** The inspector's page. */
  readonly webview: string;
  readonly version: string;
}

/**
 * `entry` is the file that runs: `dist/portlight.js`, with the other bundles beside it, or `cli/main.ts` when run from
 * source, where the page still comes from `dist/` (a browser runs no TypeScript).
 */
export function programPaths(entry: string): ProgramPaths {
  const directory = path.dirname(entry);
  const bundled = path.extname(entry) !== ".ts";
  const root = path.dirname(directory);
  return {
    decoder: bundled ? path.join(directory, "decoder.cjs") : path.join(root, "capture/decoder/worker.ts"),
    webview: bundled ? path.join(directory, "webview") : path.join(root, "dist/webview"),
    version: readVersion(path.join(root, "package.json")),
  };
}

function readVersion(file: string): string {
  if (!existsSync(file)) return "unknown";
  const manifest = JSON.parse(readFileSync(file, "utf8")) as { version?: unknown };
  return typeof manifest.version === "string" ? manifest.version : "unknown";
}
