/** Ourselves, in the ways in which we are run. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { MessageConnection } from "vscode-jsonrpc";
import type { AgentConfiguration, AgentRequests } from "../../agent/protocol.ts";
import type { CaptureState } from "../../capture/protocol.ts";
import { forkChild } from "../../extension/child.ts";
import type { Child as Forked } from "../../extension/child.ts";
import type { RelayRequests } from "../../relay/protocol.ts";
import { selfSignedFiles } from "../../test/support/self-signed.ts";
import { startPortlight } from "../../test/support/process.ts";
import type { Program } from "../../test/support/process.ts";
import { within } from "../../test/support/time.ts";
import { silentLogger } from "../../wire/logger.ts";
import { adopt, adoptProcess } from "../child.ts";
import { root, scratch } from "../scratch.ts";
import { running } from "./peer.ts";
import type { Peer, Running, Service } from "./peer.ts";

/** As the extension starts its children: `YOUNG_SPACE_MB` of `extension/child.ts`. */
export const EXTENSION_FLAGS = ["--max-semi-space-size=1"] as const;

const HERE = ["--listen", "127.0.0.1:0", "--tunnel-listen", "127.0.0.1:0"] as const;

/** Ports of a share on a local relay, which has one of its own. */
function portOf(url: string): number {
  return Number(new URL(url).port);
}

interface Programs {
  readonly relay: Program;
  readonly agent: Program;
  readonly url: string;
}

/** `portlight relay` and `portlight share --no-capture`, each in a process. */
export async function startPrograms(
  servicePort: number,
  nodeArguments: { readonly relay: readonly string[]; readonly agent: readonly string[] },
): Promise<Programs> {
  const state = await scratch();
  const relay = adopt(startPortlight(["relay", "--json", ...HERE], state, { nodeArguments: nodeArguments.relay }));
  const { tunnel } = await relay.nextJson("listening");
  const args = ["share", String(servicePort), "--json", "--no-capture", "--relay", String(tunnel)];
  const agent = adopt(startPortlight(args, state, { nodeArguments: nodeArguments.agent }));
  const { url } = await agent.nextJson("shared");
  return { relay, agent, url: String(url) };
}

function programs(name: string, title: string, flags: readonly string[]): Peer {
  return {
    name,
    title,
    needs: [],
    carries: ["h2", "h1", "raw"],
    async start(service) {
      const { relay, agent, url } = await startPrograms(service.port, { relay: flags, agent: flags });
      return running({ port: portOf(url) }, [relay], [agent]);
    },
  };
}

export const portlight = programs("portlight", "**Portlight**", EXTENSION_FLAGS);
export const portlightPlainHeap = programs("portlight-plain-heap", "Portlight, Node's own heap sizes", []);

/** With TLS and a token between agent and relay, as over the internet. Visitors come in cleartext, as with the peers. */
export const portlightTls: Peer = {
  name: "portlight-tls",
  title: "**Portlight, TLS on the tunnel**",
  needs: [],
  carries: ["h2", "h1", "raw"],
  async start(service) {
    const state = await scratch();
    const { certFile, keyFile, dispose } = selfSignedFiles(["bench.test", "*.bench.test", "localhost", "127.0.0.1"]);
    const tokenFile = path.join(state, "token");
    await writeFile(tokenFile, `${"bench".repeat(8)}\n`, { mode: 0o600 });
    try {
      const options = { nodeArguments: EXTENSION_FLAGS, environment: { NODE_EXTRA_CA_CERTS: certFile } };
      const tls = ["--domain", "bench.test", "--cert", certFile, "--key", keyFile, "--tokens-file", tokenFile];
      const relay = adopt(startPortlight(["relay", "--json", ...HERE, ...tls], state, options));
      const listening = await relay.nextJson("listening");
      const tunnel = `tls://localhost:${/:(\d+)$/.exec(String(listening["tunnel"]))?.[1] ?? ""}`;
      const args = ["share", String(service.port), "--json", "--no-capture", "--relay", tunnel];
      const agent = adopt(startPortlight([...args, "--token-file", tokenFile], state, options));
      const { url } = await agent.nextJson("shared");
      const authority = new URL(String(url)).host;
      return running({ port: portOf(String(listening["public"])), authority }, [relay], [agent]);
    } finally {
      dispose();
    }
  },
};

/** The extension's own children, with its configuration. */
export interface Editor extends Running {
  readonly agent: MessageConnection;
  readonly tunnelUrl: string;
  captureState(): Promise<CaptureState>;
}

/** The ring is bounded in octets; as many exchanges as the setting allows, so that it stays full of them. */
const FULL: Pick<AgentConfiguration, "captureBytes" | "captureExchanges"> = {
  captureBytes: 64 * 1024 * 1024,
  captureExchanges: 100_000,
};

const START_MS = 15_000;

export async function startEditor(service: Service, capture: boolean): Promise<Editor> {
  const fork = (name: "relay" | "agent"): Forked =>
    forkChild({ module: path.join(root, `dist/${name}.cjs`), name, log: silentLogger });
  const adoptForked = (forked: Forked) =>
    adoptProcess(forked.pid ?? 0, () => {
      forked.kill();
      return forked.exited;
    });
  const [relay, agent] = [fork("relay"), fork("agent")];
  const [relayChild, agentChild] = [adoptForked(relay), adoptForked(agent)];
  const token = "bench".repeat(8);
  const start: RelayRequests["relay/start"]["params"] = { token, allowLan: false, port: 0, tunnelPort: 0 };
  const { tunnelUrl } = await within(
    START_MS,
    "the start of the relay",
    relay.connection.sendRequest<RelayRequests["relay/start"]["result"]>("relay/start", start),
  );
  const configuration: AgentConfiguration = {
    ...FULL,
    capture,
    workspaceFolders: [path.join(root, "sample")],
    protoRoots: [],
    forbiddenPorts: [],
  };
  await agent.connection.sendRequest("agent/configure", configuration);
  const wanted: AgentRequests["agent/share"]["params"] = {
    port: service.port,
    kind: "http",
    relay: { url: tunnelUrl, token },
  };
  const { share } = await within(
    START_MS,
    "the share",
    agent.connection.sendRequest<AgentRequests["agent/share"]["result"]>("agent/share", wanted),
  );
  return {
    ...running({ port: portOf(share.url) }, [relayChild], [agentChild]),
    agent: agent.connection,
    tunnelUrl,
    captureState: () => agent.connection.sendRequest<CaptureState>("capture/state", null),
  };
}

export const editor: Peer = {
  name: "editor",
  title: "the extension's processes, capture off",
  needs: [],
  carries: ["h2", "h1", "raw"],
  start: (service) => startEditor(service, false),
};
