import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";

/** A token shorter than this is guessed sooner or later: 16 characters of base64 are 96 bits. */
const SHORTEST_TOKEN = 16;
/** 1 MiB: some 20 000 tokens; more is not a file of tokens. */
const LARGEST_FILE = 1024 * 1024;

/**
 * The tokens in `file`: one a line, `#` begins a comment line. Throws an error that names the file, the line and what
 * to do, and never shows a token. `warn` is told when others on this machine may read the file.
 */
export async function readTokens(file: string, warn: (message: string) => void): Promise<readonly string[]> {
  const name = path.basename(file);
  let text: string;
  try {
    const status = await stat(file);
    if (status.size > LARGEST_FILE) throw new Error("it is larger than 1 MiB");
    // Windows has no such mode bits: `stat` makes them up from the read-only attribute.
    if (process.platform !== "win32" && (status.mode & 0o077) !== 0)
      warn(`Other users of this machine may read the token file ${file}. Run: chmod 600 ${name}`);
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new Error(
      `Cannot read the token file ${file}: ${error instanceof Error ? reason(error) : "unknown error"}.`,
      {
        cause: error,
      },
    );
  }
  const tokens: string[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const token = line.trim();
    if (token === "" || token.startsWith("#")) continue;
    if (/\s/.test(token))
      throw new Error(`Line ${index + 1} of the token file ${file} has a space in it: one token a line.`);
    if (token.length < SHORTEST_TOKEN)
      throw new Error(
        `The token in line ${index + 1} of ${file} has fewer than ${SHORTEST_TOKEN} characters. Make one with: openssl rand -base64 24`,
      );
    tokens.push(token);
  }
  if (tokens.length === 0) throw new Error(`There is no token in ${file}. Make one with: openssl rand -base64 24`);
  return tokens;
}

/** Node's errors repeat the path and the system call; the code says enough. */
function reason(error: Error): string {
  const code = "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "permission denied";
  return typeof code === "string" ? code : error.message;
}

/** What a relay keeps of a token: SHA-256, hex. */
export function digest(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
