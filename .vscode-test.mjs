// The extension-host tests in a downloaded desktop VS Code: npm run test:desktop.
// test/workbench/main.ts runs the same files in the workbench that npm provides.
import { readdirSync } from "node:fs";
import path from "node:path";
import { defineConfig } from "@vscode/test-cli";
import esbuild from "esbuild";

const root = import.meta.dirname;
const suite = path.join(root, "test/workbench/suite");
const files = readdirSync(suite).filter((file) => file.endsWith(".test.ts"));

// `vscode` is the editor's, `mocha` gives its functions as globals.
await esbuild.build({
  entryPoints: files.map((file) => path.join(suite, file)),
  outdir: path.join(root, "build/test"),
  outExtension: { ".js": ".cjs" },
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node22",
  external: ["vscode", "mocha"],
  logLevel: "warning",
});

export default defineConfig({
  files: "build/test/*.test.cjs",
  workspaceFolder: "sample",
  mocha: { ui: "bdd", timeout: 60_000 },
});
