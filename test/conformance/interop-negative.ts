import { command, lastLine } from "./command.ts";
import type { Finished } from "./command.ts";
import { through } from "./lab.ts";
import { MISBEHAVIOURS, startMisbehaving } from "./misbehaving.ts";
import type { Misbehaviour } from "./misbehaving.ts";
import { judge } from "./suite.ts";
import type { Outcome, Row, Suite } from "./suite.ts";

const PASSES = "passes";

/** grpc-go's client of the negative HTTP/2 cases, against a server that misbehaves: through a tunnel as without one. */
export const interopNegative: Suite = {
  name: "interop-negative",
  programs: ["grpc-go-http2"],
  async run({ lab, program, say }) {
    const client = program("grpc-go-http2");
    const direct = new Map<Misbehaviour, string>();
    const rows: Row[] = [];
    const keep = (outcome: Outcome): void => {
      rows.push(outcome);
      say(`${outcome.where}: ${outcome.passed} as expected, ${outcome.failures.length} not`);
    };
    const each = (run: (name: Misbehaviour) => Promise<void>): ReadonlyMap<string, () => Promise<void>> =>
      new Map(MISBEHAVIOURS.map((name) => [name, () => run(name)]));

    keep(
      await judge(
        "direct",
        each(async (name) => {
          const seen = await verdict(client, name, (port, use) => use(port));
          direct.set(name, seen);
          if (seen !== PASSES) throw new Error(seen);
        }),
        3,
      ),
    );
    for (const capture of [true, false]) {
      for (const [where, open] of [
        ["cleartext", (port: number) => lab.local(port, { capture })],
        // This client knows no TLS; the port for visitors takes both.
        ["TLS on the tunnel", (port: number) => lab.remote(port, { capture })],
      ] as const) {
        const cases = each(async (name) => {
          const seen = await verdict(client, name, (port, use) => through(open(port), (tunnel) => use(tunnel.port)));
          const expected = direct.get(name);
          if (seen !== expected) throw new Error(`${seen}; direct: ${expected ?? "not run"}`);
        });
        keep(await judge(`${where}, capture ${capture ? "on" : "off"}`, cases, 3));
      }
    }
    return rows;
  },
};

/** What the client says to the server of this case, reached by `route`, and what the server says of its peer. */
async function verdict(
  client: string,
  name: Misbehaviour,
  route: (port: number, use: (port: number) => Promise<Finished>) => Promise<Finished>,
): Promise<string> {
  const server = await startMisbehaving(name);
  try {
    const finished = await route(server.port, (port) =>
      command(client, ["--server_host=127.0.0.1", `--server_port=${port}`, `--test_case=${name}`]),
    );
    const complaints = server.complaints();
    if (complaints.length > 0) return `the server saw: ${complaints.join(", ")}`;
    if (finished.late) return "no end";
    if (finished.code === 0) return PASSES;
    // Time and addresses differ from run to run.
    return `fails: ${lastLine(finished)
      .replace(/^.*FATAL: /, "")
      .replaceAll(/0x[0-9a-f]+/g, "0x…")}`;
  } finally {
    await server.close();
  }
}
