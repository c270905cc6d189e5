/**
 * `npm run visit`: real clients call the services that `npm start` shares, for half a minute. Other destinations:
 * `npm run visit -- --grpc=URL --http=URL --websocket=URL [--seconds=N]`.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { visitGrpc, visitHttp, visitWebSocket } from "./visitors.ts";

/** Where `npm start` leaves the URLs. */
const STARTED = path.join(import.meta.dirname, "../.cache/start.json");

const { values } = parseArgs({
  options: {
    grpc: { type: "string" },
    http: { type: "string" },
    websocket: { type: "string" },
    seconds: { type: "string" },
  },
});
const given = values.grpc ?? values.http ?? values.websocket;

function started(): Readonly<Record<string, string | undefined>> {
  try {
    return JSON.parse(readFileSync(STARTED, "utf8")) as Readonly<Record<string, string | undefined>>;
  } catch {
    console.error(
      "Nothing to visit: run `npm start` in another terminal first, or name URLs (--grpc, --http, --websocket).",
    );
    process.exit(1);
  }
}

const to: Readonly<Record<string, string | undefined>> = given === undefined ? started() : { ...values };
const end = performance.now() + Number(values.seconds ?? 30) * 1000;
const tell = (line: string): void => console.log(line);
try {
  do {
    await Promise.all([
      to["grpc"] === undefined ? undefined : visitGrpc(to["grpc"], tell),
      to["http"] === undefined ? undefined : visitHttp(to["http"], tell),
      to["websocket"] === undefined ? undefined : visitWebSocket(to["websocket"], tell),
    ]);
    if (performance.now() < end) await pause(1000);
  } while (performance.now() < end);
} catch (error) {
  console.error(`Stopped: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
