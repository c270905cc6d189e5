import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { stat } from "node:fs/promises";

/** An editor saves in several steps, a checkout touches hundreds of files: one reload is enough. */
const DEBOUNCE_MS = 150;
/** Where watching fails (network file systems, no watches left), and for what happens in folders that are not watched. */
const POLL_MS = 5000;

/** Tells that a `.proto` or buf file, or a folder, changed somewhere in the folders given. */
export class SchemaWatcher {
  readonly #changed: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  /** Folders that cannot be watched, with the time of their last change. */
  readonly #polled = new Map<string, number>();
  #debounce: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Replaces what is watched. Folders that stay keep their watcher, so that nothing is missed. */
  watch(folders: readonly string[]): void {
    if (this.#closed) return;
    const wanted = new Set(folders);
    for (const [folder, watcher] of this.#watchers) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    this.#polled.clear();
    for (const folder of wanted) if (!this.#watchers.has(folder)) this.#add(folder);
    clearInterval(this.#poll);
    this.#poll = undefined;
    if (this.#polled.size === 0) return;
    this.#poll = setInterval(() => void this.#look(), POLL_MS);
    this.#poll.unref();
  }

  close(): void {
    this.#closed = true;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    clearTimeout(this.#debounce);
    clearInterval(this.#poll);
  }

  #add(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        // Folders have no suffix, mostly: a new one may hold `.proto` files. Other files are no matter.
        if (name === null || /\.proto$|^buf(\.work)?\.yaml$/.test(name) || !name.includes(".")) this.#tell();
      });
      watcher.on("error", () => {
        watcher.close();
        this.#watchers.delete(folder);
        this.#tell();
      });
      this.#watchers.set(folder, watcher);
    } catch {
      this.#polled.set(folder, Date.now());
    }
  }

  async #look(): Promise<void> {
    for (const [folder, since] of this.#polled) {
      const changed = await stat(folder).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      );
      if (changed <= since) continue;
      this.#polled.set(folder, changed);
      this.#tell();
    }
  }

  #tell(): void {
    if (this.#closed) return;
    clearTimeout(this.#debounce);
    this.#debounce = setTimeout(this.#changed, DEBOUNCE_MS);
    this.#debounce.unref();
  }
}
