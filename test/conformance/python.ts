import path from "node:path";
import { startGrpc } from "../../sample/grpc/server.ts";
import { startHttp } from "../../sample/http/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { command, lastLine } from "./command.ts";
import { through } from "./lab.ts";
import type { Tunnel } from "./lab.ts";
import type { Outcome, Row, Suite } from "./suite.ts";

interface Visitor {
  readonly script: string;
  /** What it says when all is well: fewer would mean that it gave up in between. */
  readonly cases: number;
  readonly start: () => Promise<RunningService>;
  readonly argumentsFor: (tunnel: Tunnel, ca: string) => readonly string[];
}

const VISITORS: readonly Visitor[] = [
  { script: "h2_visitor.py", cases: 10, start: startHttp, argumentsFor: ({ url }, ca) => [url, ca] },
  { script: "httpx_visitor.py", cases: 12, start: startHttp, argumentsFor: ({ url }, ca) => [url, ca] },
  {
    script: "grpcio_visitor.py",
    cases: 12,
    start: startGrpc,
    argumentsFor: ({ address, secure }, ca) => [address, secure ? ca : "-"],
  },
];

/** Python's HTTP and gRPC libraries: their protocol code has nothing in common with Node's, Go's or curl's. */
export const python: Suite = {
  name: "python",
  programs: ["python"],
  async run({ lab, program, say }) {
    const rows: Row[] = [];
    for (const visitor of VISITORS) {
      const service = await visitor.start();
      try {
        for (const [way, opening] of [
          ["cleartext", lab.local(service.port)],
          ["TLS", lab.remote(service.port)],
        ] as const) {
          const row = await through(opening, (tunnel) =>
            run(`${visitor.script.replace("_visitor.py", "")}, ${way}`, program("python"), visitor, [
              ...visitor.argumentsFor(tunnel, lab.certificate.certFile),
            ]),
          );
          say(`${row.where}: ${row.passed} of ${visitor.cases} cases`);
          rows.push(row);
        }
      } finally {
        await service.close();
      }
    }
    return rows;
  },
};

async function run(where: string, python: string, visitor: Visitor, args: readonly string[]): Promise<Outcome> {
  const script = path.join(import.meta.dirname, "python", visitor.script);
  const finished = await command(python, [script, ...args], { ms: 120_000 });
  const passed = finished.stdout.match(/^ok /gm)?.length ?? 0;
  const good = finished.code === 0 && passed === visitor.cases;
  const why = finished.late ? "no end" : lastLine(finished);
  return { where, passed, skipped: 0, failures: good ? [] : [`${passed} of ${visitor.cases}, then: ${why}`] };
}
