import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { startPortlight } from "../support/process.ts";
import type { Program } from "../support/process.ts";
import { selfSignedFiles } from "../support/self-signed.ts";
import type { CertificateFiles } from "../support/self-signed.ts";

/** A share of the built product, reachable at an address. */
export interface Tunnel {
  readonly host: string;
  readonly port: number;
  /** `127.0.0.1:41234` */
  readonly address: string;
  /** `http://127.0.0.1:41234` or `https://…`, without a slash at the end. */
  readonly url: string;
  readonly secure: boolean;
  /** Where the relay takes agents. Undefined: it is in the process of the agent. */
  readonly tunnelPort: number | undefined;
  /** The relay and the agent, or one process that is both. */
  readonly programs: readonly Program[];
  close(): Promise<void>;
}

export interface ShareOptions {
  /** Default true. */
  readonly capture?: boolean;
}

/** The two ways to run the product, always `dist/portlight.js` in processes of its own. */
export class Lab {
  readonly certificate: CertificateFiles = selfSignedFiles(["localhost", "127.0.0.1"]);
  readonly folder = mkdtempSync(path.join(tmpdir(), "portlight-conformance-"));
  readonly #open = new Set<Tunnel>();

  /** `portlight share PORT`: relay and agent in one process, cleartext, a public port of the share's own. */
  async local(port: number, options: ShareOptions = {}): Promise<Tunnel> {
    const share = startPortlight(["share", String(port), "--json", ...captureArgument(options)], this.folder);
    return this.#tunnel([share], undefined);
  }

  /**
   * `portlight relay` and `portlight share --relay`, TLS for visitors and on the tunnel.
   *
   * Programs of others take an address and resolve names by themselves. So the share is called 127 and the relay's domain
   * is 0.0.1: what is asked of 127.0.0.1 is routed by name as it would be on a public relay.
   */
  async remote(port: number, options: ShareOptions = {}): Promise<Tunnel> {
    const token = path.join(this.folder, "token");
    writeFileSync(token, "a-token-for-conformance-runs-only\n", { mode: 0o600 });
    const { certFile, keyFile } = this.certificate;
    const relay = startPortlight(
      [
        ...["relay", "--json", "--domain", "0.0.1", "--listen", "127.0.0.1:0", "--tunnel-listen", "127.0.0.1:0"],
        ...["--cert", certFile, "--key", keyFile, "--tokens-file", token],
      ],
      this.folder,
    );
    const listening = await relay.nextJson("listening");
    const tunnelPort = portOf(String(listening["tunnel"]));
    const share = startPortlight(
      [
        ...["share", String(port), "--json", "--name", "127", ...captureArgument(options)],
        ...["--relay", `tls://127.0.0.1:${tunnelPort}`, "--token-file", token],
      ],
      mkdtempSync(path.join(this.folder, "agent-")),
      { environment: { NODE_EXTRA_CA_CERTS: certFile } },
    );
    return this.#tunnel([relay, share], tunnelPort);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((tunnel) => tunnel.close()));
    this.certificate.dispose();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #tunnel(programs: readonly Program[], tunnelPort: number | undefined): Promise<Tunnel> {
    const close = async (): Promise<void> => {
      this.#open.delete(tunnel);
      // The agent first: the relay then has nothing to wait for.
      for (const program of [...programs].reverse()) {
        if (program.child.exitCode === null && program.child.signalCode === null) await program.stop("SIGTERM", 15_000);
      }
    };
    const share = programs.at(-1);
    if (share === undefined) throw new Error("A tunnel has a program.");
    let url: URL;
    try {
      url = new URL(String((await share.nextJson("shared"))["url"]));
    } catch (error) {
      for (const program of programs) program.child.kill("SIGKILL");
      throw error;
    }
    const tunnel: Tunnel = {
      host: url.hostname,
      port: Number(url.port),
      address: url.host,
      url: url.origin,
      secure: url.protocol === "https:",
      tunnelPort,
      programs,
      close,
    };
    this.#open.add(tunnel);
    return tunnel;
  }
}

/** Opens a tunnel for `use` and closes it whatever happens. */
export async function through<T>(opening: Promise<Tunnel>, use: (tunnel: Tunnel) => Promise<T>): Promise<T> {
  const tunnel = await opening;
  try {
    const result = await use(tunnel);
    const ended = tunnel.programs.find(({ child }) => child.exitCode !== null || child.signalCode !== null);
    if (ended !== undefined) throw new Error("Portlight ended during the run.");
    return result;
  } finally {
    await tunnel.close();
  }
}

function captureArgument({ capture }: ShareOptions): readonly string[] {
  return capture === false ? ["--no-capture"] : [];
}

export function portOf(address: string): number {
  return Number(/:(\d+)$/.exec(address)?.[1]);
}
