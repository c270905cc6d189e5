/** Peers that are programs of others, each with what its manual recommends for speed and without encryption where it can be had. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { required } from "../../scripts/peers.ts";
import { freePort } from "../../test/support/ports.ts";
import { startCommand } from "../child.ts";
import { scratch } from "../scratch.ts";
import { running } from "./peer.ts";
import type { Peer, Service } from "./peer.ts";

const ANY = ["h2", "h1", "raw"] as const;
const HOST = "127.0.0.1";

async function file(name: string, text: string): Promise<string> {
  const target = path.join(await scratch(), name);
  await writeFile(target, text);
  return target;
}

/** Frames of 64 KiB windows (its default) would make bulk wait; 4 MiB is above what ours uses. */
const NGHTTPX_WINDOWS = ["frontend", "backend"].flatMap((side) => [
  `--${side}-http2-window-size=4M`,
  `--${side}-http2-connection-window-size=16M`,
]);

export const nghttpx: Peer = {
  name: "nghttpx",
  title: "nghttpx twice (C++), HTTP/2 between",
  needs: ["nghttpx"],
  carries: ["h2", "h1"],
  async start(service) {
    const program = await required("nghttpx");
    const [outer, inner] = [await freePort(), await freePort()];
    const hop = (listen: number, port: number, protocol: string) =>
      startCommand(
        program,
        [
          ...["--conf=/dev/null", "--workers=1", "--errorlog-file=/dev/null", "--no-ocsp", ...NGHTTPX_WINDOWS],
          // The default of 8 serves four connections of visitors with as many sessions; one session is what ours has.
          ...["--backend-connections-per-frontend=0", `--frontend=${HOST},${listen};no-tls`],
          `--backend=${HOST},${port};;proto=${protocol}`,
        ],
        { port: listen },
      );
    const agent = await hop(inner, service.port, service.protocol === "h1" ? "http/1.1" : "h2");
    const relay = await hop(outer, inner, "h2");
    return running({ port: outer }, [relay], [agent]);
  },
};

/** frp encrypts by default; ours is in cleartext here, so this is too. Its type http speaks HTTP/1.1 only up to v0.61, which is compared. */
function frp(type: "http" | "tcp" | "tcpmux", carries: Peer["carries"]): Peer {
  return {
    name: `frp-${type}`,
    title: type === "http" ? "frp, type http (HTTP/1.1 only)" : `frp, type ${type}`,
    needs: ["frps", "frpc"],
    carries,
    async start(service) {
      const [bind, visitors] = [await freePort(), await freePort()];
      const name = `${type}-${bind}`;
      const authority = "bench.test";
      const listen =
        type === "http"
          ? `vhostHTTPPort = ${visitors}`
          : type === "tcpmux"
            ? `tcpmuxHTTPConnectPort = ${visitors}`
            : "";
      const relayFile = await file(
        `frps-${name}.toml`,
        `bindAddr = "${HOST}"\nproxyBindAddr = "${HOST}"\nbindPort = ${bind}\nlog.level = "error"\n${listen}\n`,
      );
      const route =
        type === "tcp"
          ? `remotePort = ${visitors}`
          : `customDomains = ["${authority}"]${type === "tcpmux" ? '\nmultiplexer = "httpconnect"' : ""}`;
      // The type http speaks HTTP/1.1 to services whatever its visitors speak.
      const port = type === "http" ? (service.http1Port ?? service.port) : service.port;
      const agentFile = await file(
        `frpc-${name}.toml`,
        `serverAddr = "${HOST}"\nserverPort = ${bind}\nlog.level = "error"\ntransport.tls.enable = false\n` +
          `[[proxies]]\nname = "${name}"\ntype = "${type}"\nlocalIP = "${HOST}"\nlocalPort = ${port}\n${route}\n`,
      );
      const relay = await startCommand(await required("frps"), ["-c", relayFile], { port: bind });
      const agent = await startCommand(await required("frpc"), ["-c", agentFile], { port: visitors });
      return running(
        {
          port: visitors,
          ...(type === "tcp" ? {} : { authority }),
          ...(type === "tcpmux" ? { connect: true } : {}),
          ...(type === "http" ? { http1Only: true } : {}),
        },
        [relay],
        [agent],
      );
    },
  };
}

export const frpHttp = frp("http", ["h2", "h1"]);
export const frpTcp = frp("tcp", ANY);
export const frpTcpmux = frp("tcpmux", ANY);

export const chisel: Peer = {
  name: "chisel",
  title: "chisel (encrypted)",
  needs: ["chisel"],
  carries: ANY,
  async start(service) {
    const program = await required("chisel");
    const [bind, visitors] = [String(await freePort()), await freePort()];
    const relay = await startCommand(program, ["server", "--host", HOST, "--port", bind, "--reverse"], {
      port: Number(bind),
    });
    const route = `R:${HOST}:${visitors}:${HOST}:${service.port}`;
    const agent = await startCommand(program, ["client", `http://${HOST}:${bind}`, route], { port: visitors });
    return running({ port: visitors }, [relay], [agent]);
  },
};

/** bore's control port is fixed, so each run takes an address of its own from 127.0.0.0/8. */
function ownAddress(): string {
  return `127.${64 + (process.pid % 128)}.${(process.pid >> 7) % 256}.${1 + Math.floor(Math.random() * 250)}`;
}

const BORE_CONTROL_PORT = 7835;

export const bore: Peer = {
  name: "bore",
  title: "bore",
  needs: ["bore"],
  carries: ANY,
  async start(service) {
    const program = await required("bore");
    const [host, visitors] = [ownAddress(), await freePort()];
    const relay = await startCommand(program, ["server", "--bind-addr", host, "--bind-tunnels", HOST], {
      port: BORE_CONTROL_PORT,
      host,
    });
    const args = ["local", String(service.port), "--local-host", HOST, "--to", host, "--port", String(visitors)];
    const agent = await startCommand(program, args, { port: visitors });
    return running({ port: visitors }, [relay], [agent]);
  },
};

export const rathole: Peer = {
  name: "rathole",
  title: "rathole",
  needs: ["rathole"],
  carries: ANY,
  async start(service: Service) {
    const program = await required("rathole");
    const [bind, visitors] = [await freePort(), await freePort()];
    const relayFile = await file(
      `rathole-server-${bind}.toml`,
      `[server]\nbind_addr = "${HOST}:${bind}"\ndefault_token = "bench"\n[server.services.bench]\nbind_addr = "${HOST}:${visitors}"\n`,
    );
    const agentFile = await file(
      `rathole-client-${bind}.toml`,
      `[client]\nremote_addr = "${HOST}:${bind}"\ndefault_token = "bench"\n[client.services.bench]\nlocal_addr = "${HOST}:${service.port}"\n`,
    );
    const relay = await startCommand(program, ["--server", relayFile], { port: bind });
    const agent = await startCommand(program, ["--client", agentFile], { port: visitors });
    return running({ port: visitors }, [relay], [agent]);
  },
};
