import { copyFile, mkdir } from "node:fs/promises";
import path from "node:path";
import esbuild from "esbuild";

const root = path.dirname(path.dirname(import.meta.dirname));

/** Builds the page as `scripts/build.mjs` does, into a folder of its own, and returns that folder. */
export async function buildPage(): Promise<string> {
  const outdir = path.join(root, "build/webview");
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
