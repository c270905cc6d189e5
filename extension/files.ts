import { realpath } from "node:fs/promises";
import path from "node:path";

/** The real path of `file` below `folder`; undefined when there is none, or when it leads out of the folder. */
export async function fileInside(folder: string, file: string): Promise<string | undefined> {
  try {
    const root = await realpath(folder);
    const found = await realpath(path.resolve(root, file));
    const relative = path.relative(root, found);
    const outside = relative === "" || relative.startsWith("..") || path.isAbsolute(relative);
    return outside ? undefined : found;
  } catch {
    return undefined;
  }
}

/** A plain file name, whatever a stranger's Content-Disposition or path said. */
export function safeFileName(name: string): string {
  const plain = name
    // eslint-disable-next-line no-control-regex -- control characters are what is removed
    .replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069<>:"/\\|?*]/g, "_")
    .replace(/^\.+/, "")
    .slice(0, 120);
  return plain === "" ? "body.bin" : plain;
}
