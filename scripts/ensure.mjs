/**
 * Runs before `npm start` and `npm test`: installs the dependencies when they are missing or older than the lock file.
 * Plain JavaScript for any Node, because the Node of the project (the npm package `node`) is one of the dependencies.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const stamp = path.join(root, "node_modules/.portlight-lock");
const wanted = createHash("sha256")
  .update(readFileSync(path.join(root, "package-lock.json")))
  .digest("hex");
const installed = existsSync(stamp) ? readFileSync(stamp, "utf8") : "";

if (installed !== wanted) {
  console.log("Installing dependencies (npm ci), once …");
  const npm = process.env.npm_execpath;
  const result =
    npm === undefined
      ? spawnSync("npm", ["ci"], { cwd: root, stdio: "inherit", shell: process.platform === "win32" })
      : spawnSync(process.execPath, [npm, "ci"], { cwd: root, stdio: "inherit" });
  if (result.status !== 0) {
    console.error(
      "Portlight: `npm ci` failed (see above). Check the network or your npm registry, then run the same command again.",
    );
    process.exit(1);
  }
  const node = path.join(root, "node_modules/.bin", process.platform === "win32" ? "node.cmd" : "node");
  if (!existsSync(node)) {
    console.error(
      "Portlight: the npm package `node` did not install its program. If install scripts are switched off, run: npm ci --ignore-scripts=false",
    );
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}
