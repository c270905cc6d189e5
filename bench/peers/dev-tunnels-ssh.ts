/**
 * What VS Code's own forwarding is made of: an SSH session that the agent opens to the relay, a port forwarded from
 * there, a channel per connection. As a program: `dev-tunnels-ssh.ts relay FOLDER`,
 * `dev-tunnels-ssh.ts agent FOLDER TUNNEL-PORT PUBLIC-PORT SERVICE-PORT`; FOLDER holds `node_modules`.
 */
import { createRequire } from "node:module";
import path from "node:path";
import { required } from "../../scripts/peers.ts";
import { freePort } from "../../test/support/ports.ts";
import { startNode } from "../child.ts";
import { running } from "./peer.ts";
import type { Peer } from "./peer.ts";

const FILE = "bench/peers/dev-tunnels-ssh.ts";

export const devTunnelsSsh: Peer = {
  name: "dev-tunnels-ssh",
  title: "dev-tunnels-ssh (encrypted)",
  needs: ["dev-tunnels-ssh"],
  carries: ["h2", "h1", "raw"],
  async start(service) {
    const folder = await required("dev-tunnels-ssh");
    const [tunnelPort, publicPort] = [String(await freePort()), String(await freePort())];
    const relay = startNode(FILE, ["relay", folder, tunnelPort]);
    await relay.nextJson("listening");
    const agent = startNode(FILE, ["agent", folder, tunnelPort, publicPort, String(service.port)]);
    await agent.nextJson("forwarding");
    return running({ port: Number(publicPort) }, [relay], [agent]);
  },
};

/** Nobody is kept out: this is a benchmark on loopback. */
function accept(event: { authenticationPromise?: Promise<object> }): void {
  event.authenticationPromise = Promise.resolve({});
}

/** The parts used here; the package is in the cache, not among our dependencies. */
interface Session {
  onAuthenticating(listener: (event: { authenticationPromise?: Promise<object> }) => void): void;
  onRequest(listener: (event: { isAuthorized: boolean }) => void): void;
  authenticate(credentials: object): Promise<boolean>;
  activateService(service: unknown): ForwardingService;
}
interface ForwardingService {
  forwardFromRemotePort(remote: string, remotePort: number, host: string, port: number): Promise<object | null>;
}
interface Ssh {
  readonly SshSessionConfiguration: new () => { addService(service: unknown): void };
  readonly SshAlgorithms: {
    readonly publicKey: Readonly<Record<string, { generateKeyPair(): Promise<object> } | null>>;
  };
}
interface SshTcp {
  readonly PortForwardingService: unknown;
  readonly SshServer: new (configuration: object) => {
    readonly credentials: { publicKeys: readonly object[] };
    onSessionOpened(listener: (session: Session) => void): void;
    acceptSessions(port: number, host: string): Promise<void>;
  };
  readonly SshClient: new (configuration: object) => { openSession(host: string, port: number): Promise<Session> };
}

async function serve([role, folder = "", tunnelPort, publicPort, servicePort]: readonly string[]): Promise<void> {
  const require = createRequire(path.join(folder, "package.json"));
  const ssh = require("@microsoft/dev-tunnels-ssh") as Ssh;
  const tcp = require("@microsoft/dev-tunnels-ssh-tcp") as SshTcp;
  const configuration = new ssh.SshSessionConfiguration();
  configuration.addService(tcp.PortForwardingService);
  if (role === "relay") {
    const algorithm = ssh.SshAlgorithms.publicKey["ecdsaSha2Nistp384"];
    if (algorithm === null || algorithm === undefined) throw new Error("No algorithm for the host's key");
    const server = new tcp.SshServer(configuration);
    server.credentials.publicKeys = [await algorithm.generateKeyPair()];
    server.onSessionOpened((session) => {
      session.onAuthenticating(accept);
      session.onRequest((event) => (event.isAuthorized = true));
    });
    // Resolves when it ends.
    void server.acceptSessions(Number(tunnelPort), "127.0.0.1");
    console.log(JSON.stringify({ type: "listening" }));
    return;
  }
  const client = new tcp.SshClient(configuration);
  const session = await client.openSession("127.0.0.1", Number(tunnelPort));
  session.onAuthenticating(accept);
  if (!(await session.authenticate({ username: "bench" }))) throw new Error("The relay did not accept the agent");
  const forwarding = session.activateService(tcp.PortForwardingService);
  const forwarder = await forwarding.forwardFromRemotePort(
    "127.0.0.1",
    Number(publicPort),
    "127.0.0.1",
    Number(servicePort),
  );
  if (forwarder === null) throw new Error("The relay did not accept the port");
  console.log(JSON.stringify({ type: "forwarding" }));
}

if (import.meta.filename === process.argv[1]) await serve(process.argv.slice(2));
