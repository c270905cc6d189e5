import { startHttp } from "../../sample/http/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { command, lastLine } from "./command.ts";
import type { Finished } from "./command.ts";
import { through } from "./lab.ts";
import type { Tunnel } from "./lab.ts";
import { startHttp2Service, startTlsBridge } from "./services.ts";
import type { Outcome, Row, Suite } from "./suite.ts";

/** What `h2spec --strict` 2.2.1 has: fewer would mean that some were not run. */
const CASES = 146;

/** h2spec against the public edge, with a service behind that answers. */
export const h2spec: Suite = {
  name: "h2spec",
  programs: ["h2spec"],
  async run({ lab, program, say }) {
    const rows: Row[] = [];
    const services: readonly (readonly [string, () => Promise<RunningService>])[] = [
      ["HTTP/1.1", startHttp],
      ["HTTP/2", startHttp2Service],
    ];
    for (const [version, start] of services) {
      const service = await start();
      try {
        for (const [way, opening] of [
          ["cleartext", lab.local(service.port)],
          ["TLS", lab.remote(service.port)],
        ] as const) {
          const finished = await through(opening, (tunnel) => runH2spec(program("h2spec"), tunnel.port, tunnel.secure));
          const row = read(`${way}, service over ${version}`, finished);
          say(`${row.where}: ${finished.stdout.trim().split("\n").at(-1) ?? ""}`);
          rows.push(row);
        }
      } finally {
        await service.close();
      }
    }
    return rows;
  },
};

/** h2spec against the port for agents: it shows no token, so nothing may be answered, and everything else goes on. */
export const h2specTunnel: Suite = {
  name: "h2spec-tunnel",
  programs: ["h2spec", "curl"],
  async run({ lab, program, say }) {
    const rows: Row[] = [];
    const service = await startHttp();
    try {
      await through(lab.remote(service.port), async (tunnel) => {
        const port = tunnel.tunnelPort ?? 0;
        const bridge = await startTlsBridge(port);
        for (const { where, at, secure, refused } of [
          { where: "cleartext where TLS is expected", at: port, secure: false, refused: false },
          // h2spec offers h2: the handshake is the end of it.
          { where: "TLS with ALPN h2", at: port, secure: true, refused: true },
          { where: "TLS with ALPN portlight/1, no token", at: bridge.port, secure: false, refused: false },
        ]) {
          const probe = visitWhile(program("curl"), tunnel);
          const finished = await runH2spec(program("h2spec"), at, secure, ["-v"]);
          const row = attack(where, finished, refused);
          rows.push({ ...row, failures: [...row.failures, ...(await probe())] });
        }
        await bridge.close();
      });
    } finally {
      await service.close();
    }
    for (const row of rows)
      if ("passed" in row) say(`${row.where}: ${row.passed} cases, ${row.failures.length} answered`);
    return rows;
  },
};

/** What h2spec thinks of the port is of no interest, except that it got no answer. */
function attack(where: string, finished: Finished, refused: boolean): Outcome {
  if (refused) {
    const handshake = lastLine(finished).includes("no application protocol");
    return { where, passed: handshake ? 1 : 0, skipped: 0, failures: handshake ? [] : [lastLine(finished)] };
  }
  const total = Number(/(\d+) tests, /.exec(finished.stdout)?.[1] ?? 0);
  const answers = finished.stdout.match(/\[recv\] (?:HEADERS|DATA|PUSH_PROMISE) Frame.*/g) ?? [];
  const failures: string[] = [...answers];
  if (total !== CASES) failures.push(`${total} cases instead of ${CASES}: ${lastLine(finished)}`);
  return { where, passed: total - answers.length, skipped: 0, failures };
}

function runH2spec(program: string, port: number, secure: boolean, more: readonly string[] = []): Promise<Finished> {
  const address = ["--host", "127.0.0.1", "--port", String(port), ...(secure ? ["--tls", "--insecure"] : [])];
  // Two seconds is its default: a loaded machine answers later.
  return command(program, ["--strict", "--timeout", "5", ...address, ...more], { ms: 120_000 });
}

function read(where: string, finished: Finished): Outcome {
  const counts = /(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/.exec(finished.stdout);
  if (counts === null) return { where, passed: 0, skipped: 0, failures: [`no summary: ${lastLine(finished)}`] };
  const [total = 0, passed = 0, skipped = 0] = counts.slice(1).map(Number);
  const named = finished.stdout.split(/^Failures:/m)[1]?.match(/× .*/g) ?? [];
  const failures = [...named];
  if (total !== CASES) failures.push(`${total} cases instead of ${CASES}`);
  if (skipped > 0) failures.push(`${skipped} skipped`);
  if (passed + skipped !== total && named.length === 0) failures.push(lastLine(finished));
  return { where, passed, skipped, failures };
}

/** Asks the share again and again until the returned function is called, which tells what went wrong. */
function visitWhile(curl: string, tunnel: Tunnel): () => Promise<readonly string[]> {
  const failures: string[] = [];
  let [going, answered] = [true, 0];
  const visits = (async () => {
    while (going) {
      const { code, stdout } = await command(curl, ["--silent", "--insecure", `${tunnel.url}/api/products`]);
      if (code === 0 && stdout.includes("Nordlicht")) answered++;
      else failures.push(`the share was not served: curl exit code ${code}`);
    }
  })();
  return async () => {
    going = false;
    await visits;
    return answered === 0 ? [...failures, "the share was never served"] : failures;
  };
}
