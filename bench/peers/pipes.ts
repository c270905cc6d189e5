/**
 * Two Node TCP pipes in series: no protocol, the ceiling for anything written in Node. As a program:
 * `pipes.ts listen-tls|listen connect-tls|connect PORT`, prints its port.
 */
import { readFileSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
import { selfSignedFiles } from "../../test/support/self-signed.ts";
import { startNode } from "../child.ts";
import { running } from "./peer.ts";
import type { Peer, Service } from "./peer.ts";

const FILE = "bench/peers/pipes.ts";

async function startPipe(args: readonly string[]) {
  const program = startNode(FILE, args);
  const { port } = await program.nextJson("listening");
  return { program, port: Number(port) };
}

function pipes(name: string, title: string, secure: boolean): Peer {
  return {
    name,
    title,
    needs: [],
    carries: ["h2", "h1", "raw"],
    async start(service: Service) {
      const files = secure ? selfSignedFiles(["localhost", "127.0.0.1"]) : undefined;
      const pair = files === undefined ? [] : [files.certFile, files.keyFile];
      try {
        const inner = await startPipe([secure ? "listen-tls" : "listen", "connect", String(service.port), ...pair]);
        const outer = await startPipe(["listen", secure ? "connect-tls" : "connect", String(inner.port), ...pair]);
        return running({ port: outer.port }, [outer.program], [inner.program]);
      } finally {
        files?.dispose();
      }
    },
  };
}

export const nodePipes = pipes("pipes", "two Node TCP pipes", false);
export const nodeTlsPipes = pipes("pipes-tls", "two Node TCP pipes, TLS between", true);

function serve([listening, connecting, port, certFile, keyFile]: readonly string[]): void {
  const pair =
    certFile === undefined || keyFile === undefined
      ? {}
      : { cert: readFileSync(certFile), ca: readFileSync(certFile), key: readFileSync(keyFile) };
  const accept = (visitor: net.Socket): void => {
    const target = { host: "127.0.0.1", port: Number(port) };
    const service = connecting === "connect-tls" ? tls.connect({ ...target, ...pair }) : net.connect(target);
    service.setNoDelay(true);
    visitor.pipe(service).pipe(visitor);
    visitor.on("error", () => service.destroy());
    service.on("error", () => visitor.destroy());
    visitor.on("close", () => service.destroy());
    service.on("close", () => visitor.destroy());
  };
  const server =
    listening === "listen-tls"
      ? tls.createServer({ ...pair, noDelay: true }, accept)
      : net.createServer({ noDelay: true }, accept);
  server.listen({ port: 0, host: "127.0.0.1", backlog: 511 }, () => {
    console.log(JSON.stringify({ type: "listening", port: (server.address() as net.AddressInfo).port }));
  });
}

if (import.meta.filename === process.argv[1]) serve(process.argv.slice(2));
