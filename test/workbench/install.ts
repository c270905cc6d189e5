import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** A complete VS Code (1.139) server with its web workbench, published on npm. */
const VERSION = "4.139.1";

const root = path.dirname(path.dirname(import.meta.dirname));
const cache = path.join(root, ".cache/workbench");
const server = path.join(cache, "node_modules/code-server");
/** Written last: an interrupted installation is begun again. */
const stamp = path.join(cache, "installed");

/**
 * The entry of code-server, installed into `.cache/` when it is not there. Its native modules are left out (they serve
 * the terminal, and log files). Throws with what to do when it cannot be had.
 */
export function installWorkbench(): string {
  const entry = path.join(server, "out/node/entry.js");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === VERSION && existsSync(entry)) return entry;
  console.log(
    `Installing the workbench for tests (code-server ${VERSION}, about 600 MB) into .cache/workbench, once …`,
  );
  mkdirSync(cache, { recursive: true });
  writeFileSync(path.join(cache, "package.json"), '{ "private": true }\n');
  npm(cache, "install", `code-server@${VERSION}`, "--no-save");
  npm(path.join(server, "lib/vscode"), "install", "--omit=dev");
  writeFileSync(stamp, VERSION);
  return entry;
}

function npm(directory: string, ...args: readonly string[]): void {
  const all = [...args, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const script = process.env["npm_execpath"];
  const options = { cwd: directory, stdio: "inherit", env: { ...process.env, npm_config_global: "" } } as const;
  const result =
    script === undefined
      ? spawnSync("npm", all, { ...options, shell: process.platform === "win32" })
      : spawnSync(process.execPath, [script, ...all], options);
  if (result.status === 0) return;
  throw new Error(
    `The workbench for tests could not be installed (npm ${args.join(" ")}). It comes from the npm registry: check the network, ` +
      `or install code-server@${VERSION} into .cache/workbench on a machine that has one, then run the tests again.`,
  );
}
