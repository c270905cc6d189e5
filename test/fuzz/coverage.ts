import { readFileSync } from "node:fs";
import type { Profiler } from "node:inspector";
import { Session } from "node:inspector";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = path.dirname(path.dirname(import.meta.dirname));

/** What of some source files has been executed, told by V8 block by block. Must begin before they are imported. */
export class Coverage {
  readonly #session = new Session();
  readonly #code: readonly string[];
  /** By file: 1 for each character that was within an executed block. */
  readonly #files = new Map<string, Uint8Array>();

  /** @param code paths below the root; a folder stands for what is in it. */
  constructor(code: readonly string[]) {
    this.#code = code;
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Characters executed since the last call that never were before. They count as such again unless `keep` is set. */
  take(keep: boolean): number {
    let scripts: Profiler.ScriptCoverage[] = [];
    // The callback is called before `post` returns.
    this.#session.post("Profiler.takePreciseCoverage", (error, taken) => {
      if (error !== null) throw error;
      scripts = taken.result;
    });
    let fresh = 0;
    for (const script of scripts) {
      const name = this.#nameOf(script.url);
      if (name !== undefined) fresh += this.#merge(name, script, keep);
    }
    return fresh;
  }

  /** Characters of the files that have been executed, and all of them. */
  get share(): { readonly covered: number; readonly total: number } {
    let covered = 0;
    let total = 0;
    for (const file of this.#files.values()) {
      total += file.length;
      for (const one of file) covered += one;
    }
    return { covered, total };
  }

  /** The lines of each file on which something has never been executed. */
  *missing(): Generator<{ readonly file: string; readonly lines: readonly number[] }> {
    for (const [name, executed] of this.#files) {
      const lines = new Set<number>();
      const text = readFileSync(path.join(ROOT, name), "utf8");
      for (let at = 0, line = 1; at < text.length; at++) {
        if (text[at] === "\n") line++;
        else if (executed[at] === 0 && /[^\s{}]/.test(text[at] ?? "")) lines.add(line);
      }
      if (lines.size > 0) yield { file: name, lines: [...lines] };
    }
  }

  #nameOf(url: string): string | undefined {
    if (!url.startsWith("file:")) return undefined;
    const name = path.relative(ROOT, fileURLToPath(url)).replaceAll(path.sep, "/");
    return this.#code.some((prefix) => name.startsWith(prefix)) ? name : undefined;
  }

  #merge(name: string, { functions }: Profiler.ScriptCoverage, keep: boolean): number {
    let file = this.#files.get(name);
    if (file === undefined) {
      file = new Uint8Array(readFileSync(path.join(ROOT, name), "utf8").length);
      this.#files.set(name, file);
    }
    const executed = new Uint8Array(file.length);
    // Ranges come from the outside inwards: what is within another overrides it.
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges) executed.fill(count > 0 ? 1 : 0, startOffset, endOffset);
    }
    let fresh = 0;
    for (let at = 0; at < file.length; at++) {
      if (executed[at] === 0 || file[at] === 1) continue;
      if (keep) file[at] = 1;
      fresh++;
    }
    return fresh;
  }
}
