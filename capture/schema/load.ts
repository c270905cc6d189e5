import { open } from "node:fs/promises";
import path from "node:path";
import type { LoadResult, Sources } from "../decoder/jobs.ts";
import { BUNDLED_PROTOS } from "../protos/bundled.ts";
import type { SchemaProblem, SchemaStatus } from "../protocol.ts";
import { bufRoots } from "./buf-yaml.ts";
import { discover, isInside } from "./discover.ts";
import type { Discovered, FoundFile } from "./discover.ts";
import { parseProto } from "./parse.ts";
import type { ParsedFile } from "./parse.ts";
import type { SourceFile } from "./types.ts";
import { Universe } from "./universe.ts";

/** Octets of one `.proto` file: the largest in public use have a tenth of it. */
const MAX_FILE_BYTES = 1024 * 1024;
/** Problems told at most; the first ones are what to look at. */
const MAX_PROBLEMS = 200;

type Root = SchemaStatus["roots"][number];

/** Finds, reads and parses all `.proto` files of the workspace. A file that cannot be read harms no other. */
export async function loadSchema(sources: Sources): Promise<{ universe: Universe; result: LoadResult }> {
  const found = await discover(sources.workspaceFolders, sources.protoRoots);
  const problems: SchemaProblem[] = [...found.problems];
  const parsed = [...bundledFiles()];
  for (const file of found.protos) {
    const read = await readText(file, found);
    if (typeof read !== "string") {
      problems.push(read);
      continue;
    }
    const result = parseProto(read, file);
    if ("file" in result) parsed.push(result.file);
    else {
      const { line, column, message } = result.problem;
      problems.push({
        file: file.shown,
        ...(line === undefined ? {} : { line }),
        ...(column === undefined ? {} : { column }),
        message,
      });
    }
  }
  const imports = new Imports(found, await givenRoots(found));
  const universe = new Universe(parsed, (importPath, from) => imports.resolve(importPath, from));
  for (const file of parsed) if (!file.source.id.startsWith("bundled:")) problems.push(...imports.check(file.source));
  problems.push(...universe.problems);
  return {
    universe,
    result: {
      status: {
        files: found.protos.length,
        types: universe.typeCount,
        services: universe.serviceCount,
        roots: imports.roots(),
        problems: problems.slice(0, MAX_PROBLEMS),
      },
      folders: found.watch,
    },
  };
}

let bundled: readonly ParsedFile[] | undefined;

function bundledFiles(): readonly ParsedFile[] {
  bundled ??= Object.entries(BUNDLED_PROTOS).flatMap(([name, text]) => {
    const result = parseProto(text, {
      id: `bundled:${name}`,
      shown: `bundled:${name}`,
      depth: Number.MAX_SAFE_INTEGER,
    });
    return "file" in result ? [result.file] : [];
  });
  return bundled;
}

/** The text, or what is wrong. The size is taken from the open file, so that nothing can be swapped in between. */
async function readText(file: FoundFile, found: Discovered): Promise<string | SchemaProblem> {
  if (!found.folders.some((folder) => isInside(folder, file.id)))
    return { file: file.shown, message: "This file is outside the workspace." };
  const handle = await open(file.id, "r").catch(() => undefined);
  if (handle === undefined) return { file: file.shown, message: "This file cannot be read." };
  try {
    const { size } = await handle.stat();
    if (size > MAX_FILE_BYTES)
      return {
        file: file.shown,
        message: `This file is larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB and is not read.`,
      };
    const buffer = Buffer.alloc(size);
    const { bytesRead } = await handle.read(buffer, 0, size, 0);
    return buffer.toString("utf8", 0, bytesRead).replace(/^\uFEFF/, "");
  } catch {
    return { file: file.shown, message: "This file cannot be read." };
  } finally {
    await handle.close();
  }
}

/** Roots that someone wrote down: the setting, then buf's files. */
async function givenRoots(found: Discovered): Promise<{ readonly folder: string; readonly from: Root["from"] }[]> {
  const roots: { readonly folder: string; readonly from: Root["from"] }[] = found.roots.map((folder) => ({
    folder,
    from: "setting",
  }));
  for (const file of found.bufFiles) {
    const text = await readText(file, found);
    if (typeof text !== "string") continue;
    for (const relative of bufRoots(text, path.basename(file.id))) {
      const folder = path.resolve(path.dirname(file.id), relative);
      if (found.folders.some((workspace) => isInside(workspace, folder))) roots.push({ folder, from: "buf.yaml" });
    }
  }
  return roots;
}

/** Turns import paths into files. Only files that were discovered can be the answer, so no path leads outside. */
class Imports {
  readonly #found: Discovered;
  readonly #given: readonly { readonly folder: string; readonly from: Root["from"] }[];
  readonly #ids: ReadonlySet<string>;
  readonly #byName = new Map<string, string[]>();
  readonly #guessed = new Set<string>();
  readonly #known = new Map<string, string | undefined>();

  constructor(found: Discovered, given: readonly { readonly folder: string; readonly from: Root["from"] }[]) {
    this.#found = found;
    this.#given = given;
    this.#ids = new Set(found.protos.map(({ id }) => id));
    for (const { id } of found.protos) {
      const name = path.basename(id);
      const list = this.#byName.get(name);
      if (list === undefined) this.#byName.set(name, [id]);
      else list.push(id);
    }
  }

  resolve(importPath: string, from: SourceFile): string | undefined {
    const key = `${path.dirname(from.id)}\n${importPath}`;
    if (this.#known.has(key)) return this.#known.get(key);
    const id = this.#resolve(importPath, from);
    this.#known.set(key, id);
    return id;
  }

  check(file: SourceFile): SchemaProblem[] {
    return file.imports.flatMap(({ path: importPath, line }) => {
      const where = { file: file.shown, ...(line === undefined ? {} : { line }) };
      if (!isPlain(importPath))
        return [{ ...where, message: 'This import path is absolute or has ".." in it, and is not followed.' }];
      if (this.resolve(importPath, file) !== undefined) return [];
      const message = `The import "${importPath}" is not in the workspace: types from it are read without a schema. If it is in a folder that is skipped, name that in portlight.protoRoots.`;
      return [{ ...where, message }];
    });
  }

  roots(): Root[] {
    const roots: Root[] = this.#given.map(({ folder, from }) => ({ path: this.#found.show(folder), from }));
    for (const folder of this.#guessed) roots.push({ path: this.#found.show(folder), from: "imports" });
    for (const folder of this.#found.folders) roots.push({ path: this.#found.show(folder), from: "workspace" });
    const seen = new Set<string>();
    return roots.filter(({ path: shown }) => !seen.has(shown) && seen.add(shown));
  }

  #resolve(importPath: string, from: SourceFile): string | undefined {
    if (!isPlain(importPath)) return undefined;
    // google's own files: the bundled ones are whole, copies in workspaces are often cut down.
    if (Object.hasOwn(BUNDLED_PROTOS, importPath)) return `bundled:${importPath}`;
    if (from.id.startsWith("bundled:")) return undefined;
    const local = importPath.split("/").join(path.sep);
    for (const { folder } of this.#given) {
      const candidate = path.join(folder, local);
      if (this.#ids.has(candidate)) return candidate;
    }
    // Any file whose path ends so tells a root; of several, the one that has most of its path in common with the importer.
    const suffix = path.sep + local;
    const candidates = (this.#byName.get(path.basename(local)) ?? []).filter((id) => id.endsWith(suffix));
    const nearest = candidates.sort(
      (one, other) => common(other, from.id) - common(one, from.id) || one.length - other.length,
    )[0];
    if (nearest !== undefined) this.#guessed.add(nearest.slice(0, -suffix.length));
    return nearest;
  }
}

function isPlain(importPath: string): boolean {
  return !path.isAbsolute(importPath) && !/^[a-z]:|\\/i.test(importPath) && !importPath.split("/").includes("..");
}

/** Folders that two paths have in common. */
function common(one: string, other: string): number {
  const first = one.split(path.sep);
  const second = other.split(path.sep);
  let count = 0;
  while (count < first.length && first[count] === second[count]) count++;
  return count;
}
