/**
 * The agent's process: forked by the extension, spoken to by JSON-RPC over the IPC channel (`agent/protocol.ts`). It
 * ends with the channel, so that nothing stays shared when its editor is gone.
 */
import path from "node:path";
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from "vscode-jsonrpc/node";
import { createCapture } from "../capture/capture.ts";
import { onDefect } from "../tunnel/defects.ts";
import type { Logger } from "../wire/logger.ts";
import { AgentProcess } from "./process.ts";
import type { AgentNotifications } from "./protocol.ts";

/** In-flight exchanges get this long on SIGTERM. */
const DRAIN_MS = 5_000;

if (process.send === undefined) {
  process.stderr.write("This program is started by Portlight itself; to share a port use: portlight share PORT\n");
  process.exit(2);
}

const connection = createMessageConnection(new IPCMessageReader(process), new IPCMessageWriter(process));

function say(level: AgentNotifications["agent/log"]["level"]): (message: string) => void {
  return (message) => {
    if (!process.connected) return;
    connection.sendNotification("agent/log", { level, message }).catch(() => undefined);
  };
}

const log: Logger = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
onDefect((message) => log.error(message));

/** Beside us: as built `decoder.cjs`, from source the worker's own file. */
function workerFile(): string {
  const entry = process.argv[1] ?? "";
  const directory = path.dirname(entry);
  return entry.endsWith(".ts")
    ? path.join(directory, "../capture/decoder/worker.ts")
    : path.join(directory, "decoder.cjs");
}

const agent = new AgentProcess({
  connection,
  createCapture,
  workerFile: workerFile(),
  log,
  exit: () => process.exit(0),
});

// Without an editor nobody knows that a port is public: no drain.
process.on("disconnect", () => {
  void agent.stop(0);
  // Whatever hangs must not keep the ports public.
  setTimeout(() => process.exit(1), DRAIN_MS).unref();
});
process.on("SIGTERM", () => void agent.stop(DRAIN_MS));
// Ctrl+C in the terminal that started the editor reaches the whole group; the editor decides what ends.
process.on("SIGINT", () => undefined);
process.on("uncaughtException", (error) => log.error(`Defect: ${error.stack ?? error.message}`));
process.on("unhandledRejection", (reason) => {
  log.error(`Defect: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`);
});

connection.listen();
