import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

/** Of the project. */
export const root = path.dirname(import.meta.dirname);

let folder: Promise<string> | undefined;

/** One temporary folder for a run: configurations, files to serve, state. */
export function scratch(): Promise<string> {
  folder ??= mkdtemp(path.join(os.tmpdir(), "portlight-bench-"));
  return folder;
}

export async function removeScratch(): Promise<void> {
  if (folder !== undefined) await rm(await folder, { recursive: true, force: true });
  folder = undefined;
}
