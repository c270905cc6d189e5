import { writeFileSync } from "node:fs";
import path from "node:path";
import { command, lastLine } from "./command.ts";
import type { Bench, Outcome, Row, Suite } from "./suite.ts";

/**
 * What a tunnel can carry of what the reference server offers: not HTTP/3, and no certificates of clients, which end at the
 * relay as all TLS does. Compression is for the tunnel octets like any other: two of six, unless everything is asked for.
 */
function configuration(full: boolean): string {
  const compressions = full ? ["IDENTITY", "GZIP", "BR", "ZSTD", "DEFLATE", "SNAPPY"] : ["IDENTITY", "GZIP"];
  return `features:
  versions: [HTTP_VERSION_1, HTTP_VERSION_2]
  protocols: [PROTOCOL_CONNECT, PROTOCOL_GRPC, PROTOCOL_GRPC_WEB]
  codecs: [CODEC_PROTO, CODEC_JSON]
  compressions: [${compressions.map((name) => `COMPRESSION_${name}`).join(", ")}]
  supportsTls: true
  supportsTlsClientCerts: false
  supportsHalfDuplexBidiOverHttp1: true
`;
}

/** connectconformance and its reference server: directly, then with the server shared. */
export const connect: Suite = {
  name: "connect",
  programs: ["connectconformance", "referenceserver"],
  async run(bench) {
    const reference = bench.program("referenceserver");
    const wrapper = path.join(import.meta.dirname, "connect-server.ts");
    const node = [process.execPath, "--disable-warning=ExperimentalWarning", wrapper, reference];
    const direct = await run(bench, "direct", [reference]);
    const rows: Row[] = [direct];
    const ways = [["through a tunnel, capture on", node]] as const;
    const more = [["through a tunnel, capture off", [...node, "--no-capture"]]] as const;
    for (const [where, server] of bench.full ? [...ways, ...more] : ways) {
      const row = await run(bench, where, server);
      const total = (one: Outcome): number => one.passed + one.failures.length;
      const fewer = total(row) === total(direct) ? [] : [`${total(row)} cases, ${total(direct)} directly`];
      // Same verdicts: what fails directly as well is the reference server's affair.
      const failures = row.failures.filter((failure) => !direct.failures.includes(failure));
      rows.push({ ...row, failures: [...failures, ...fewer] });
    }
    return rows;
  },
};

async function run({ lab, program, say, full }: Bench, where: string, server: readonly string[]): Promise<Outcome> {
  const conf = path.join(lab.folder, "connect.yaml");
  writeFileSync(conf, configuration(full));
  const finished = await command(program("connectconformance"), ["--mode", "server", "--conf", conf, "--", ...server], {
    ms: full ? 1_800_000 : 600_000,
  });
  const output = `${finished.stdout}\n${finished.stderr}`;
  const counts = /(\d+) passed, (\d+) failed/.exec(output);
  const failures = [...output.matchAll(/^FAILED: (.*?):?$/gm)].map(([, name = ""]) => name);
  say(`${where}: ${counts?.[0] ?? lastLine(finished)}`);
  if (counts === null) return { where, passed: 0, skipped: 0, failures: [`no summary: ${lastLine(finished)}`] };
  const [passed = 0, failed = 0] = counts.slice(1).map(Number);
  if (failures.length !== failed) failures.push(`${failed} failed`);
  return { where, passed, skipped: 0, failures };
}
