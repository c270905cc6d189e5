import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { chromium, type Browser } from "playwright-core";

const CANDIDATES: Readonly<Record<string, readonly string[]>> = {
  linux: [
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
    "/usr/bin/google-chrome-stable",
    "/usr/bin/microsoft-edge",
  ],
  darwin: [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
  ],
  win32: [
    String.raw`C:\Program Files\Google\Chrome\Application\chrome.exe`,
    String.raw`C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe`,
  ],
};

let found: string | undefined;

/**
 * Path of a Chromium-like browser: `PORTLIGHT_CHROMIUM`, an installed one, or one that playwright-core downloads.
 * Throws with what to do when none can be had: the tests that need it fail, they are never skipped.
 */
export function chromiumPath(): string {
  found ??= findChromium();
  return found;
}

/**
 * A headless browser with a new, empty profile, that talks to loopback only. The caller closes it.
 *
 * @param more further switches, for example `--ignore-certificate-errors`.
 */
export async function launchChromium(more: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath(),
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...more,
    ],
  });
}

function findChromium(): string {
  const wanted = process.env["PORTLIGHT_CHROMIUM"];
  if (wanted !== undefined && wanted !== "") {
    if (!existsSync(wanted)) throw new Error(`PORTLIGHT_CHROMIUM names ${wanted}, which does not exist`);
    return wanted;
  }
  for (const candidate of CANDIDATES[process.platform] ?? []) if (existsSync(candidate)) return candidate;
  const own = chromium.executablePath();
  if (!existsSync(own)) {
    const cli = path.join(
      path.dirname(createRequire(import.meta.url).resolve("playwright-core/package.json")),
      "cli.js",
    );
    spawnSync(process.execPath, [cli, "install", "chromium"], { stdio: "inherit" });
  }
  if (existsSync(own)) return own;
  throw new Error(
    "No Chromium found, and none could be downloaded. Install one (Debian: apt-get install chromium; macOS or Windows: Google Chrome), " +
      "or set PORTLIGHT_CHROMIUM to its path, then run the tests again.",
  );
}
