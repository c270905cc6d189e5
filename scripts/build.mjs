/**
 * Bundles the programs into dist/. `--watch` keeps building, `--production` minifies and leaves out source maps.
 * Each bundle is CommonJS for Node 22, except the page (a browser script); dist/package.json says so for the `.js` ones.
 */
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import path from "node:path";
import esbuild from "esbuild";
import { notices } from "./notices.mjs";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const watch = process.argv.includes("--watch");
const production = process.argv.includes("--production");

/** @type {import("esbuild").BuildOptions} */
const shared = {
  absWorkingDir: root,
  bundle: true,
  minify: production,
  sourcemap: production ? false : "linked",
  sourcesContent: false,
  logLevel: "warning",
  legalComments: "none",
};

/** @type {import("esbuild").BuildOptions} */
const nodeBundle = {
  ...shared,
  platform: "node",
  format: "cjs",
  target: "node22",
  // `ws` takes these native add-ons when they are there; Portlight ships none.
  external: ["vscode", "bufferutil", "utf-8-validate"],
};

/** @type {import("esbuild").BuildOptions[]} */
const bundles = [
  { ...nodeBundle, entryPoints: ["extension/extension.ts"], outfile: "dist/extension.cjs" },
  { ...nodeBundle, entryPoints: ["relay/main.ts"], outfile: "dist/relay.cjs" },
  { ...nodeBundle, entryPoints: ["agent/main.ts"], outfile: "dist/agent.cjs" },
  { ...nodeBundle, entryPoints: ["capture/decoder/worker.ts"], outfile: "dist/decoder.cjs" },
  { ...nodeBundle, entryPoints: ["cli/main.ts"], outfile: "dist/portlight.js", banner: { js: "#!/usr/bin/env node" } },
  {
    ...shared,
    platform: "browser",
    format: "iife",
    target: "es2023",
    entryPoints: ["webview/main.ts"],
    outdir: "dist/webview",
    loader: { ".ttf": "copy" },
  },
];

if (production) await rm(path.join(root, "dist"), { recursive: true, force: true });
await mkdir(path.join(root, "dist/webview"), { recursive: true });
await writeFile(path.join(root, "dist/package.json"), '{ "type": "commonjs" }\n');
for (const file of ["codicon.css", "codicon.ttf"])
  await copyFile(path.join(root, "node_modules/@vscode/codicons/dist", file), path.join(root, "dist/webview", file));

if (watch) {
  for (const bundle of bundles) await (await esbuild.context(bundle)).watch();
  console.log("watching");
} else {
  const results = await Promise.all(bundles.map((bundle) => esbuild.build({ ...bundle, metafile: true })));
  await writeFile(path.join(root, "dist/THIRD-PARTY-NOTICES.txt"), await notices(root, results));
}
