/**
 * `npm start`: builds, starts the sample services, shares their ports with the embedded relay, and prints where they and
 * the inspector are. One round of real visitors fills the inspector (`npm start -- --no-visit`: none). Ctrl+C ends all.
 */
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import type { ExchangeRecord } from "../capture/options.ts";
import { exchangeLine } from "../cli/exchange-line.ts";
import { startSample } from "../sample/services.ts";
import { visitOnce } from "../sample/visitors.ts";

const root = path.dirname(import.meta.dirname);
const cache = path.join(root, ".cache");
const addresses = path.join(cache, "start.json");
const visit = !process.argv.includes("--no-visit");

interface SharedLine {
  readonly type: "shared";
  readonly port: number;
  readonly url: string;
}
type Line =
  SharedLine | { readonly type: "inspector"; readonly url: string } | ExchangeRecord | { readonly type: "other" };

async function build(): Promise<void> {
  const child = spawn(process.execPath, ["scripts/build.mjs"], { cwd: root, stdio: "inherit" });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  if (code !== 0) throw new Error("The build failed, see above.");
}

async function start(): Promise<number> {
  console.log("Building …");
  await build();
  const sample = await startSample();
  const ports = { grpc: sample.grpc.port, websocket: sample.websocket.port, http: sample.http.port };
  const portlight = spawn(
    process.execPath,
    [
      path.join(root, "dist/portlight.js"),
      "share",
      ...Object.values(ports).map(String),
      "--inspect",
      "--json",
      "--proto",
      path.join(root, "sample"),
    ],
    // Ctrl+C goes to the whole process group; the names of this try-out are not kept among the user's own.
    {
      cwd: root,
      env: { ...process.env, XDG_STATE_HOME: cache, LOCALAPPDATA: cache },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const ended = new Promise<number | null>((resolve) => portlight.on("close", resolve));

  const urls = new Map<number, string>();
  const lines = createInterface({ input: portlight.stdout });
  lines.on("line", (text) => {
    const line = JSON.parse(text) as Line;
    if (line.type === "shared") urls.set(line.port, line.url);
    else if (line.type === "exchange") console.log(exchangeLine(line));
    else if (line.type === "inspector") {
      const to = {
        grpc: urls.get(ports.grpc) ?? "",
        websocket: urls.get(ports.websocket) ?? "",
        http: urls.get(ports.http) ?? "",
      };
      print(to, line.url);
      mkdirSync(cache, { recursive: true });
      writeFileSync(addresses, `${JSON.stringify({ ...to, inspector: line.url })}\n`, { mode: 0o600 });
      if (visit) visitOnce(to, () => undefined).catch((error: unknown) => console.error("The sample visitors:", error));
    }
  });

  const stopping = new AbortController();
  const stop = (): void => {
    // A second Ctrl+C makes `portlight` end at once; so do we.
    if (stopping.signal.aborted) process.exit(1);
    stopping.abort();
    portlight.kill("SIGTERM");
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  const code = await ended;
  rmSync(addresses, { force: true });
  await sample.close();
  return stopping.signal.aborted ? 0 : (code ?? 1);
}

function print(to: Readonly<Record<"grpc" | "websocket" | "http", string>>, inspector: string): void {
  const grpc = new URL(to.grpc).host;
  const socket = to.websocket.replace(/^http/, "ws");
  console.log(`
Portlight shares three sample services. All of this is reachable from this machine only.

  Inspector   ${inspector}
              (open it in a browser: everything that passes appears there, decoded)

  gRPC        ${to.grpc}
  WebSocket   ${to.websocket}
  HTTP        ${to.http}

Try these in another terminal:

  npm run visit
  curl ${to.http}/api/products
  curl -N ${to.http}/events
  curl --data-binary @package.json ${to.http}/upload
  grpcurl -plaintext -import-path sample/proto -proto shop/v1/orders.proto -d '{"id":"order-1"}' ${grpc} shop.v1.Orders/GetOrder
  npx wscat -c ${socket}/ticker

Ctrl+C ends everything.
`);
}

process.exitCode = await start().catch((error: unknown) => {
  console.error(`npm start: ${error instanceof Error ? error.message : String(error)}`);
  return 1;
});
process.exit();
