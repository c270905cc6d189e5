import { existsSync, readdirSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import esbuild from "esbuild";
import { launchChromium } from "../support/chromium.ts";
import { createWorkspace } from "./fixture.ts";
import { root, startWorkbench } from "./workbench.ts";

const LIMIT_MS = 180_000;

export interface Totals {
  passed: number;
  failed: number;
}

interface MochaTest {
  readonly fullTitle: string;
  readonly duration?: number;
  readonly err: { readonly message?: string; readonly stack?: string };
}

interface MochaReport {
  readonly passes: readonly MochaTest[];
  /** Hooks that failed are here too. */
  readonly failures: readonly MochaTest[];
}

/** Bundles the extension-host tests for Mocha; the editor gives them `vscode`. */
export async function bundleSuite(): Promise<readonly string[]> {
  const folder = path.join(import.meta.dirname, "suite");
  const outdir = path.join(root, "build/test");
  const names = readdirSync(folder).filter((file) => file.endsWith(".test.ts"));
  await mkdir(outdir, { recursive: true });
  await esbuild.build({
    entryPoints: names.map((file) => path.join(folder, file)),
    outdir,
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node22",
    external: ["vscode", "mocha"],
    sourcemap: "inline",
    logLevel: "warning",
  });
  return names.map((file) => path.join(outdir, file.replace(/\.ts$/, ".cjs")));
}

/**
 * Runs the extension-host tests in a real extension host: the workbench is opened with a payload that names the
 * extension under development and the module with the tests, which is the runner of `@vscode/test-cli`.
 */
export async function runSuite(): Promise<Totals> {
  const files = await bundleSuite();
  const report = path.join(root, "build/test/report.json");
  await rm(report, { force: true });
  const mochaOpts = { ui: "bdd", timeout: 60_000, reporter: "json", reporterOptions: { output: report } };
  const workspace = await createWorkspace();
  const workbench = await startWorkbench({
    installed: false,
    testDriver: true,
    environment: { VSCODE_TEST_OPTIONS: JSON.stringify({ mochaOpts, colorDefault: false, preload: [], files }) },
  });
  const browser = await launchChromium();
  const output: string[] = [];
  try {
    const authority = `127.0.0.1:${workbench.port}`;
    const payload = [
      ["extensionDevelopmentPath", `vscode-remote://${authority}${root}`],
      ["extensionTestsPath", `vscode-remote://${authority}${root}/node_modules/@vscode/test-cli/out/runner.cjs`],
      ["skipWelcome", "true"],
    ];
    const page = await browser.newPage();
    await page.exposeFunction("codeAutomationLog", (kind: string, parts: readonly unknown[]) => {
      output.push(`${kind}: ${parts.map(String).join(" ")}`);
    });
    const exited = new Promise<number>((resolve) => {
      void page.exposeFunction("codeAutomationExit", (code: number) => resolve(code));
    });
    const query = `folder=${encodeURIComponent(workspace.folder)}&payload=${encodeURIComponent(JSON.stringify(payload))}`;
    await page.goto(`http://${authority}/?${query}`);
    const late = new Promise<never>((_, reject) =>
      setTimeout(
        () => reject(new Error(`The extension-host tests did not end within ${LIMIT_MS / 1000} s.`)),
        LIMIT_MS,
      ).unref(),
    );
    await Promise.race([exited, late]);
    if (!existsSync(report)) throw new Error("The extension-host tests wrote no report: they did not run.");
    return print(JSON.parse(await readFile(report, "utf8")) as MochaReport);
  } catch (error) {
    console.log(output.slice(-40).join("\n"));
    throw error;
  } finally {
    await browser.close();
    await workbench.close();
    await workspace.remove();
  }
}

function print({ passes, failures }: MochaReport): Totals {
  for (const { fullTitle, duration } of passes) console.log(`✔ ${fullTitle} (${duration ?? 0} ms)`);
  for (const { fullTitle, err } of failures) console.log(`✖ ${fullTitle}\n${err.stack ?? err.message ?? ""}`);
  return { passed: passes.length, failed: failures.length };
}
