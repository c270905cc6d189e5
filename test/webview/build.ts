import { rmSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import path from "node:path";
import esbuild from "esbuild";

const root = path.dirname(path.dirname(import.meta.dirname));

/**
 * Builds the page as `scripts/build.mjs` does, and returns the folder. Each test process has its own, removed when it
 * ends: test files run at the same time, and one must not be served what another is just writing.
 */
export async function buildPage(): Promise<string> {
  const outdir = path.join(root, `build/webview/${process.pid}`);
  process.once("exit", () => rmSync(outdir, { recursive: true, force: true }));
  await mkdir(outdir, { recursive: true });
  for (const file of ["codicon.css", "codicon.ttf"])
    await copyFile(path.join(root, "node_modules/@vscode/codicons/dist", file), path.join(outdir, file));
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: ["webview/main.ts"],
    bundle: true,
    platform: "browser",
    format: "iife",
    target: "es2023",
    outdir,
    logLevel: "warning",
  });
  return outdir;
}
