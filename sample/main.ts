/**
 * `node sample/main.ts [grpc] [websocket] [http]`: starts these services (all without an argument) and prints one line
 * for each, `grpc 50051`, then what happens to their calls. `--ports=50051,8081,8080` asks for ports, in this order.
 */
import { parseArgs } from "node:util";
import { startGrpc } from "./grpc/server.ts";
import { startHttp } from "./http/server.ts";
import { startWebSocket } from "./websocket.ts";
import type { RunningService } from "./service.ts";

const starters = { grpc: startGrpc, websocket: startWebSocket, http: startHttp };
type Name = keyof typeof starters;
const names = Object.keys(starters) as Name[];

const { values, positionals } = parseArgs({ options: { ports: { type: "string" } }, allowPositionals: true });
const unknown = positionals.filter((name) => !(name in starters));
if (unknown.length > 0) {
  console.error(`No such service: ${unknown.join(", ")}. There are: ${names.join(", ")}.`);
  process.exit(2);
}

const wanted = positionals.length === 0 ? names : (positionals as Name[]);
const ports = values.ports?.split(",").map(Number) ?? [];
const running: RunningService[] = [];
for (const [index, name] of wanted.entries()) {
  const service = await starters[name]({ port: ports[index] ?? 0, log: (line: string) => console.log(line) });
  running.push(service);
  console.log(`${name} ${service.port}`);
}

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    void Promise.all(running.map((service) => service.close())).then(() => process.exit(0));
  });
