/** The program `portlight`: reads the arguments, runs one command, and ends with its exit code (0, 1 failure, 2 usage). */
import { realpathSync } from "node:fs";
import type { Logger } from "../wire/logger.ts";
import { parseCommand, UsageError } from "./arguments.ts";
import type { Command } from "./arguments.ts";
import { helpTexts } from "./help.ts";
import { LineWriter } from "./line-writer.ts";
import { programPaths } from "./paths.ts";
import { relay } from "./relay.ts";
import { droppedLine, humanReport, jsonReport } from "./report.ts";
import { share } from "./share.ts";
import { onSignals } from "./signals.ts";

/** Node 20 is without security updates, and lacks what the data path needs. */
const LOWEST_NODE = 22;
/** After everything is closed, a reader of our output gets this long to take the rest. */
const FLUSH_MS = 2000;

async function main(): Promise<number> {
  const ending = onSignals(() => process.exit(1));
  const out = new LineWriter(process.stdout, { gap: droppedLine, closed: () => ending.end() });
  const messages = new LineWriter(process.stderr, {
    gap: (count) => `(${count} lines left out)`,
    closed: () => undefined,
  });
  const flush = async (): Promise<void> => {
    await Promise.all([out.flush(FLUSH_MS), messages.flush(FLUSH_MS)]);
  };

  let command: Command;
  try {
    command = parseCommand(process.argv.slice(2), process.cwd());
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    messages.write(`portlight: ${error.message}\nSee: portlight --help`, true);
    await flush();
    return 2;
  }

  const paths = programPaths(realpathSync(process.argv[1] ?? ""));
  if (command.kind === "help" || command.kind === "version") {
    out.write(command.kind === "help" ? helpTexts[command.topic].trimEnd() : paths.version, true);
    await flush();
    return 0;
  }
  const report = command.json ? jsonReport(out, messages) : humanReport(out, messages, paths.version);
  const log: Logger = {
    debug() {},
    info() {},
    warn: (message) => report.note(`warning: ${message}`),
    error: (message) => report.note(`error: ${message}`),
  };
  const context = { report, log, paths, environment: process.env, cwd: process.cwd(), ending: ending.signal };
  try {
    if (command.kind === "share") await share(command, context);
    else await relay(command, context);
    return 0;
  } catch (error) {
    report.note(`portlight: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    await flush();
  }
}

if (Number(process.versions.node.split(".")[0]) < LOWEST_NODE) {
  process.stderr.write(`portlight needs Node ${LOWEST_NODE} or newer; this is ${process.version}.\n`);
  process.exit(1);
}
void main().then(
  // Whatever is still open (a socket in TIME_WAIT, a worker) must not keep a program that has finished.
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`portlight: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
