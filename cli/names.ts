import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

/** What brings the same URL back at the next start. */
export interface RememberedName {
  readonly name: string;
  readonly secret: string;
  readonly publicPort?: number;
  /** Milliseconds since the epoch. */
  readonly usedAt: number;
}

/** The oldest go first: far more than the shares one person comes back to. */
const MAX_NAMES = 500;

/** The file in which this user's names are kept: the platform's place for state that is worth keeping. */
export function namesFile(environment: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): string {
  const home = os.homedir();
  const directory =
    platform === "win32"
      ? (environment["LOCALAPPDATA"] ?? path.join(home, "AppData", "Local"))
      : platform === "darwin"
        ? path.join(home, "Library", "Application Support")
        : (environment["XDG_STATE_HOME"] ?? path.join(home, ".local", "state"));
  return path.join(directory, "portlight", "names.json");
}

/** One entry for each relay, kind and port; `name` when the user asked for one. The embedded relay is `local`. */
export function nameKey(relay: string, kind: "http" | "tcp", port: number, name: string | undefined): string {
  return [relay, kind, port, name ?? ""].join(" ");
}

/** Reads the file; without it, or when it is damaged, nothing is remembered. */
export async function readNames(file: string): Promise<ReadonlyMap<string, RememberedName>> {
  const names = new Map<string, RememberedName>();
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, "utf8"));
  } catch {
    return names;
  }
  if (typeof content !== "object" || content === null) return names;
  for (const [key, entry] of Object.entries(content as Record<string, Partial<RememberedName> | null>)) {
    if (entry === null || typeof entry.name !== "string" || typeof entry.secret !== "string") continue;
    names.set(key, {
      name: entry.name,
      secret: entry.secret,
      ...(Number.isInteger(entry.publicPort) ? { publicPort: Number(entry.publicPort) } : {}),
      usedAt: typeof entry.usedAt === "number" ? entry.usedAt : 0,
    });
  }
  return names;
}

/**
 * Adds to what is in the file now (another `portlight share` may have written meanwhile), readable by this user only,
 * and replaces it in one step. Rejects when the file system does.
 */
export async function rememberNames(file: string, added: ReadonlyMap<string, RememberedName>): Promise<void> {
  const all = [...new Map([...(await readNames(file)), ...added])].sort(([, a], [, b]) => b.usedAt - a.usedAt);
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify(Object.fromEntries(all.slice(0, MAX_NAMES)), null, 1)}\n`, {
    mode: 0o600,
  });
  await rename(temporary, file);
}
