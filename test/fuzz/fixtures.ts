import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Inputs that once broke a promise, as lines of hexadecimal digits: one folder a target. */
const FOLDER = path.join(path.dirname(import.meta.dirname), "fixtures/fuzz");

const LINE = 120;

export interface Fixture {
  readonly file: string;
  readonly input: Uint8Array;
}

export function readFixtures(target: string): Fixture[] {
  const folder = path.join(FOLDER, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".hex"))
    .sort()
    .map((file) => ({
      file,
      input: Buffer.from(readFileSync(path.join(folder, file), "latin1").replaceAll(/\s/g, ""), "hex"),
    }));
}

/** Named by its content, so that the same case is not kept twice. Returns the file's path. */
export function saveFixture(target: string, input: Uint8Array): string {
  const folder = path.join(FOLDER, target);
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${createHash("sha256").update(input).digest("hex").slice(0, 12)}.hex`);
  const digits = Buffer.from(input).toString("hex");
  writeFileSync(file, `${(digits.match(new RegExp(`.{1,${LINE}}`, "g")) ?? []).join("\n")}\n`);
  return file;
}
