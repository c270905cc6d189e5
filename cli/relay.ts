import { readFile } from "node:fs/promises";
import { startRelay } from "../relay/relay.ts";
import type { RelayCommand } from "./arguments.ts";
import type { CommandContext } from "./share.ts";
import { aborted } from "./signals.ts";
import { digest, readTokens } from "./tokens.ts";

/** `portlight relay`. Resolves after `ending` and the drain; rejects with a message for the user. */
export async function relay(command: RelayCommand, { report, log, ending }: CommandContext): Promise<void> {
  const tokens =
    command.tokensFile === undefined ? undefined : await readTokens(command.tokensFile, (text) => report.note(text));
  const tls =
    command.certFile === undefined || command.keyFile === undefined
      ? undefined
      : { cert: await readPem(command.certFile, "certificate"), key: await readPem(command.keyFile, "key") };
  const running = await startRelay({
    mode: command.domain === undefined ? "local" : "remote",
    listen: command.listen,
    tunnelListen: command.tunnelListen,
    domain: command.domain ?? "localhost",
    ...(tls === undefined ? {} : { tls }),
    ...(tokens === undefined ? {} : { tokenDigests: tokens.map(digest) }),
    allowLan: false,
    reusePort: command.reusePort,
    log,
  });
  report.listening(running.publicUrl, running.tunnelUrl);
  report.ready();
  await aborted(ending);
  await running.close();
}

async function readPem(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new Error(`Cannot read the ${what} ${file}: ${code}.`, { cause: error });
  }
}
