/**
 * The relay's process: forked by the extension, spoken to by JSON-RPC over the IPC channel (`relay/protocol.ts`).
 * It ends with the channel, so that no relay outlives its editor.
 */
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from "vscode-jsonrpc/node";
import type { Logger } from "../wire/logger.ts";
import { onDefect } from "../tunnel/defects.ts";
import { digest } from "./names.ts";
import type { Relay } from "./options.ts";
import type { RelayNotifications, RelayRequests } from "./protocol.ts";
import { startRelay } from "./relay.ts";

type Params<M extends keyof RelayRequests> = RelayRequests[M]["params"];
type Result<M extends keyof RelayRequests> = RelayRequests[M]["result"];

if (process.send === undefined) {
  process.stderr.write("This program is started by Portlight itself; to run a relay use: portlight relay\n");
  process.exit(2);
}

const connection = createMessageConnection(new IPCMessageReader(process), new IPCMessageWriter(process));

function say(level: RelayNotifications["relay/log"]["level"]): (message: string) => void {
  return (message) => {
    // The channel may be closed already: then there is nobody left to tell.
    if (!process.connected) return;
    connection.sendNotification("relay/log", { level, message }).catch(() => undefined);
  };
}

const log: Logger = { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
onDefect((message) => log.error(message));

let relay: Promise<Relay> | undefined;

async function start(params: Params<"relay/start">): Promise<Result<"relay/start">> {
  if (relay !== undefined) throw new Error("The relay runs already");
  relay = open(params);
  try {
    const { publicUrl, tunnelUrl } = await relay;
    return { publicUrl, tunnelUrl };
  } catch (error) {
    relay = undefined;
    throw error;
  }
}

/** On the ports of an earlier run where they are free, so that URLs survive; else on free ones. */
async function open(params: Params<"relay/start">): Promise<Relay> {
  const { token, allowLan, port, tunnelPort } = params;
  const wishes: readonly (readonly [number, number])[] = [
    [port, tunnelPort],
    [port, 0],
    [0, tunnelPort],
    [0, 0],
  ];
  let last: unknown;
  for (const [main, tunnel] of wishes) {
    try {
      return await startRelay({
        mode: "local",
        listen: { host: "127.0.0.1", port: main },
        tunnelListen: { host: "127.0.0.1", port: tunnel },
        domain: "localhost",
        tokenDigests: [digest(token).toString("hex")],
        allowLan,
        log,
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // EACCES: a port below 1024, or one the system keeps for itself.
      if (code !== "EADDRINUSE" && code !== "EACCES") throw error;
      last = error;
    }
  }
  throw last;
}

async function stop(drainMs: number | undefined): Promise<void> {
  try {
    await (await relay)?.close(drainMs);
  } finally {
    process.exit(0);
  }
}

connection.onRequest("relay/start", start);
connection.onRequest("relay/shutdown", async (params: Params<"relay/shutdown">): Promise<null> => {
  await (await relay)?.close(params.drainMs);
  // After the answer has left.
  setImmediate(() => process.exit(0));
  return null;
});
process.on("disconnect", () => void stop(0));
let terminations = 0;
// The first drains, the second does not wait.
process.on("SIGTERM", () => void stop(terminations++ === 0 ? undefined : 0));
// Ctrl+C in the terminal that started the editor reaches the whole group; the editor decides what ends.
process.on("SIGINT", () => undefined);
process.on("uncaughtException", (error) => log.error(`Defect: ${error.stack ?? error.message}`));
process.on("unhandledRejection", (reason) => {
  log.error(`Defect: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`);
});

connection.listen();
