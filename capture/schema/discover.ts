import { lstat, readdir, realpath } from "node:fs/promises";
import path from "node:path";
import type { SchemaProblem } from "../protocol.ts";

/** Files read at most: a workspace with more vendors an API registry, and every one of them costs a parse. */
export const MAX_FILES = 2000;
/** Folders below each other: deeper ones are loops or generated. */
const MAX_DEPTH = 64;
/** Folders visited: a workspace that is a home directory must not keep the disk busy. */
const MAX_FOLDERS = 20_000;
/** Folders watched for changes, each an inotify watch on Linux. */
const MAX_WATCHED = 1000;

/**
 * Not looked into: packages and build output hold copies of `.proto` files that would only shadow the originals.
 * `vendor` and `third_party` are where Go and C++ projects keep files that others import: they are looked into. A folder
 * that is named in the setting is always looked into.
 */
const SKIPPED = new Set([
  "node_modules",
  "bower_components",
  "dist",
  "build",
  "out",
  "target",
  "bin",
  "obj",
  "__pycache__",
  "bazel-out",
]);

export interface FoundFile {
  /** Absolute real path. */
  readonly id: string;
  /** Workspace-relative, with `/`; with several workspace folders the folder's name first. */
  readonly shown: string;
  readonly depth: number;
}

export interface Discovered {
  readonly protos: readonly FoundFile[];
  /** buf.yaml and buf.work.yaml. */
  readonly bufFiles: readonly FoundFile[];
  /** Roots of the setting, as absolute real paths. */
  readonly roots: readonly string[];
  /** Absolute real paths of the workspace folders. */
  readonly folders: readonly string[];
  readonly watch: readonly string[];
  readonly problems: readonly SchemaProblem[];
  /** How an absolute path inside the workspace is shown. */
  show(absolute: string): string;
}

export async function discover(
  workspaceFolders: readonly string[],
  protoRoots: readonly string[],
): Promise<Discovered> {
  const walk = new Walk();
  for (const folder of workspaceFolders) await walk.addFolder(folder);
  for (const root of protoRoots) await walk.addRoot(root);
  await walk.run();
  return walk.result();
}

/** Is `inner` the folder itself, or below it? Both absolute and real. */
export function isInside(folder: string, inner: string): boolean {
  const relative = path.relative(folder, inner);
  return relative === "" || (!relative.startsWith("..") && !path.isAbsolute(relative));
}

class Walk {
  readonly #folders: string[] = [];
  readonly #roots: string[] = [];
  readonly #protos = new Map<string, FoundFile>();
  readonly #bufFiles = new Map<string, FoundFile>();
  readonly #visited = new Set<string>();
  readonly #withProtos = new Set<string>();
  readonly #problems: SchemaProblem[] = [];
  #full = false;

  async addFolder(folder: string): Promise<void> {
    const real = await realOf(folder);
    if (real === undefined)
      this.#problems.push({ file: path.basename(folder), message: "This workspace folder cannot be read." });
    else if (!this.#folders.includes(real)) this.#folders.push(real);
  }

  async addRoot(root: string): Promise<void> {
    const [first = "."] = this.#folders;
    const real = await realOf(path.resolve(first, root));
    // Its name as the user wrote it, never what is behind it.
    if (real === undefined)
      this.#problems.push({ file: root, message: "This folder of portlight.protoRoots does not exist." });
    else if (!this.#inside(real)) {
      this.#problems.push({
        file: root,
        message: "This folder of portlight.protoRoots is outside the workspace, where nothing is read.",
      });
    } else this.#roots.push(real);
  }

  async run(): Promise<void> {
    for (const folder of [...this.#roots, ...this.#folders]) await this.#folder(folder);
  }

  result(): Discovered {
    return {
      protos: [...this.#protos.values()],
      bufFiles: [...this.#bufFiles.values()],
      roots: this.#roots,
      folders: this.#folders,
      watch: this.#watched(),
      problems: this.#problems,
      show: (absolute) => this.#show(absolute),
    };
  }

  /** Breadth first, so that what is nearest is found when there is too much. */
  async #folder(start: string): Promise<void> {
    let level = [start];
    for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth++) {
      const below: string[] = [];
      for (const folder of level) {
        if (this.#visited.has(folder) || this.#visited.size >= MAX_FOLDERS) continue;
        this.#visited.add(folder);
        for (const name of await this.#entries(folder)) below.push(name);
      }
      level = below;
    }
  }

  /** Takes the files of a folder and returns the folders in it. */
  async #entries(folder: string): Promise<string[]> {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    const below: string[] = [];
    for (const entry of entries) {
      const full = path.join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name) && !entry.name.startsWith(".")) below.push(full);
      } else if (entry.name.endsWith(".proto")) {
        this.#withProtos.add(folder);
        if (entry.isSymbolicLink()) await this.#linked(full);
        else if (entry.isFile()) this.#take(this.#protos, full);
      } else if (entry.isFile() && /^buf(\.work)?\.yaml$/.test(entry.name)) this.#take(this.#bufFiles, full);
    }
    return below;
  }

  /** Links inside the workspace lead to files that are found in their own place; links out of it are not followed. */
  async #linked(link: string): Promise<void> {
    const real = await realOf(link);
    if (real !== undefined && this.#inside(real) && (await lstat(real)).isFile() && real.endsWith(".proto")) return;
    this.#problems.push({
      file: this.#show(link),
      message: "This symbolic link leads out of the workspace, where nothing is read.",
    });
  }

  #take(map: Map<string, FoundFile>, full: string): void {
    if (map.has(full)) return;
    if (map.size >= MAX_FILES) {
      if (!this.#full) {
        const message = `There are more than ${MAX_FILES} files; this one and others are not read. Name the folders that matter in portlight.protoRoots.`;
        this.#problems.push({ file: this.#show(full), message });
      }
      this.#full = true;
      return;
    }
    const shown = this.#show(full);
    map.set(full, { id: full, shown, depth: shown.split("/").length });
  }

  #inside(real: string): boolean {
    return this.#folders.some((folder) => isInside(folder, real));
  }

  #show(absolute: string): string {
    const folder = this.#folders.find((candidate) => isInside(candidate, absolute));
    if (folder === undefined) return path.basename(absolute);
    const relative = path.relative(folder, absolute).split(path.sep).join("/");
    if (this.#folders.length === 1) return relative === "" ? "." : relative;
    return relative === "" ? path.basename(folder) : `${path.basename(folder)}/${relative}`;
  }

  /** Every folder when they are few; else those with `.proto` files, and those above them. */
  #watched(): string[] {
    if (this.#visited.size <= MAX_WATCHED) return [...this.#visited];
    const chosen = new Set<string>(this.#folders);
    for (const folder of this.#withProtos) {
      for (let at = folder; this.#inside(at) && chosen.size < MAX_WATCHED; at = path.dirname(at)) chosen.add(at);
    }
    return [...chosen];
  }
}

async function realOf(name: string): Promise<string | undefined> {
  return realpath(name).catch(() => undefined);
}
