/**
 * One process of the soak, forked by `main.ts`: the services, a relay, or an agent with its capture, as the product makes
 * them. It answers each question of its parent with what it takes at that moment, and ends with the channel.
 */
import path from "node:path";
import { onDefect } from "../../tunnel/defects.ts";
import { silentLogger } from "../../wire/logger.ts";
import type { Answer, Order, Question } from "./process.ts";

const root = path.join(import.meta.dirname, "../..");

function say(answer: Answer): void {
  process.send?.(answer);
}

onDefect((message) => say({ type: "defect", message }));
process.on("disconnect", () => process.exit(0));

/** Exchanges open now; undefined where nobody counts them. */
let exchanges: () => number | undefined = () => undefined;

/** Each process loads what it needs and no more: what the others need would count as its memory. */
async function start(order: Order): Promise<Readonly<Record<string, string>>> {
  switch (order.role) {
    case "services": {
      const { startSample } = await import("../../sample/services.ts");
      const { http, websocket, grpc } = await startSample();
      return { http: String(http.port), websocket: String(websocket.port), grpc: String(grpc.port) };
    }
    case "relay": {
      const { startRelay } = await import("../../relay/relay.ts");
      const { tunnelUrl } = await startRelay({
        mode: "local",
        listen: { host: "127.0.0.1", port: 0 },
        tunnelListen: { host: "127.0.0.1", port: 0 },
        domain: "localhost",
        allowLan: false,
        log: silentLogger,
      });
      return { tunnel: tunnelUrl };
    }
    case "agent": {
      const { createCapture } = await import("../../capture/capture.ts");
      const { createAgent } = await import("../../agent/agent.ts");
      const capture = createCapture({
        workspaceFolders: [path.join(root, "sample")],
        protoRoots: [],
        workerFile: path.join(root, "capture/decoder/worker.ts"),
        log: silentLogger,
      });
      const agent = createAgent({ tap: capture.tap, log: silentLogger });
      exchanges = () => agent.shares.reduce((sum, share) => sum + share.openExchanges, 0);
      const urls = Object.entries(order.ports).map(async ([name, port]): Promise<readonly [string, string]> => {
        const { info } = await agent.share({ port: Number(port), kind: "http", relay: { url: order.relay } });
        return [name, new URL(info.url).host];
      });
      return Object.fromEntries(await Promise.all(urls));
    }
  }
}

function count(kind: string): number {
  return process.getActiveResourcesInfo().filter((name) => name === kind).length;
}

function sample(collect: boolean): Answer {
  if (collect) globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  const open = exchanges();
  return {
    type: "sample",
    rss,
    heapUsed,
    // After a collection, what is in use is what is reachable.
    ...(collect ? { live: heapUsed + external } : {}),
    sockets: count("TCPSocketWrap"),
    timers: count("Timeout"),
    ...(open === undefined ? {} : { exchanges: open }),
  };
}

process.on("message", (question: Question) => {
  if (question.type === "sample") say(sample(question.collect));
  else
    start(question.order).then(
      (told) => say({ type: "started", told }),
      (error: unknown) => say({ type: "defect", message: String(error) }),
    );
});
