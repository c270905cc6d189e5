import type { RunningService } from "../../sample/service.ts";
import { succeeds } from "./command.ts";
import { through } from "./lab.ts";
import type { Lab, Tunnel } from "./lab.ts";
import { startForeignServer } from "./services.ts";
import { judge } from "./suite.ts";
import type { Outcome, Row, Suite } from "./suite.ts";

/** Of the cases of gRPC's interop-test-descriptions.md without credentials, those that grpc-go's client offers. */
const NAMED = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "special_status_message",
  "custom_metadata",
  "unimplemented_method",
  "unimplemented_service",
];

/** What the client offers beyond that. pick_first_unary and the two orca cases need another server than grpc-go's: it fails them without a tunnel too. */
const FURTHER = ["rpc_soak", "channel_soak"];

/** A loaded machine is no failure of a soak: what is judged is that its calls succeed, not how fast. */
const PATIENCE = ["--soak_overall_timeout_seconds=60", "--soak_per_iteration_max_acceptable_latency_ms=20000"];

interface Target {
  readonly port: number;
  readonly secure: boolean;
}

/** grpc-go's interop client and server, through every kind of tunnel. */
export const interop: Suite = {
  name: "interop",
  programs: ["grpc-go-client", "grpc-go-server"],
  async run({ lab, program, say }) {
    const { certFile, keyFile } = lab.certificate;
    const tls = ["--use_tls", `--tls_cert_file=${certFile}`, `--tls_key_file=${keyFile}`];
    const servers: RunningService[] = [];
    const start = async (more: readonly string[]): Promise<number> => {
      const server = await startForeignServer(program("grpc-go-server"), (port) => [`--port=${port}`, ...more]);
      servers.push(server);
      return server.port;
    };
    const rows: Row[] = [];
    const run = async (where: string, target: Target): Promise<Outcome> => {
      const outcome = await runCases(where, program("grpc-go-client"), target, certFile);
      rows.push(outcome);
      say(`${where}: ${outcome.passed} passed, ${outcome.failures.length} failed`);
      return outcome;
    };
    try {
      const [plain, secure] = [await start([]), await start(tls)];
      await run("direct, cleartext", { port: plain, secure: false });
      for (const { where, open } of WAYS) {
        for (const capture of [true, false]) {
          const name = `${where}, capture ${capture ? "on" : "off"}`;
          await through(open(lab, { plain, secure }, capture), (tunnel) => run(name, tunnel));
        }
      }
    } finally {
      for (const server of servers) await server.close();
    }
    return rows;
  },
};

interface Way {
  readonly where: string;
  readonly open: (
    lab: Lab,
    ports: { readonly plain: number; readonly secure: number },
    capture: boolean,
  ) => Promise<Tunnel>;
}

const WAYS: readonly Way[] = [
  { where: "cleartext", open: (lab, { plain }, capture) => lab.local(plain, { capture }) },
  { where: "TLS, service in cleartext", open: (lab, { plain }, capture) => lab.remote(plain, { capture }) },
  { where: "TLS, service with TLS", open: (lab, { secure }, capture) => lab.remote(secure, { capture }) },
];

function runCases(where: string, client: string, { port, secure }: Target, ca: string): Promise<Outcome> {
  const address = ["--server_host=127.0.0.1", `--server_port=${port}`];
  const tls = secure ? ["--use_tls", "--use_test_ca", `--ca_file=${ca}`] : [];
  const cases = [...NAMED, ...FURTHER].map((name): readonly [string, () => Promise<void>] => [
    name,
    async () => {
      const soak = name.endsWith("_soak") ? PATIENCE : [];
      await succeeds(client, [...address, ...tls, `--test_case=${name}`, ...soak], { ms: 90_000 });
    },
  ]);
  return judge(where, new Map(cases), 3);
}
