/** Services behind the path: nghttpd (HTTP/2), nginx (HTTP/1.1), and small Node programs for the rest. */
import { chmod, mkdir, open, writeFile } from "node:fs/promises";
import path from "node:path";
import { required } from "../../scripts/peers.ts";
import type { Child } from "../child.ts";
import { freePort } from "../../test/support/ports.ts";
import { startCommand, startNode } from "../child.ts";
import { scratch } from "../scratch.ts";

export const SMALL_BYTES = 16;
/** A gigabyte, sparse: reading zeros costs what reading the page cache costs. */
export const LARGE_BYTES = 1e9;
/** Bodies with which a capture is filled. */
export const FILLING_BYTES = 128 * 1024;

export interface RunningService {
  readonly port: number;
  /** A second way to the same, where there is one. */
  readonly http1Port?: number;
  readonly ports?: readonly number[];
  stop(): Promise<void>;
}

/** `/index.html` has 16 octets, `/filling` 128 KiB, `/large` a gigabyte. */
async function files(): Promise<string> {
  const folder = path.join(await scratch(), "public");
  await mkdir(folder, { recursive: true });
  // Both servers give up root for a user of their own when root starts them.
  await chmod(await scratch(), 0o755);
  await writeFile(path.join(folder, "index.html"), "x".repeat(SMALL_BYTES));
  await writeFile(path.join(folder, "filling"), Buffer.alloc(FILLING_BYTES, "filling "));
  const large = await open(path.join(folder, "large"), "w");
  await large.truncate(LARGE_BYTES);
  await large.close();
  return folder;
}

export async function largeFile(): Promise<string> {
  return path.join(await files(), "large");
}

async function nginx(folder: string): Promise<Child & { readonly port: number }> {
  const port = await freePort();
  const own = path.join(await scratch(), `nginx-${port}`);
  await mkdir(own);
  const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${own}/${name};`,
  );
  await writeFile(
    path.join(own, "nginx.conf"),
    `daemon off; master_process off; worker_processes 1; pid ${own}/pid; error_log stderr error;
    events { worker_connections 4096; }
    http {
      access_log off; sendfile on; tcp_nopush off; tcp_nodelay on; default_type text/plain;
      open_file_cache max=16; keepalive_requests 1000000000; keepalive_timeout 1h; ${places.join(" ")}
      server { listen 127.0.0.1:${port} backlog=4096; root ${folder}; }
    }`,
  );
  const child = await startCommand(
    await required("nginx"),
    ["-p", own, "-c", path.join(own, "nginx.conf"), "-e", "stderr"],
    { port },
  );
  return { ...child, port };
}

/** nghttpd, with nginx beside it for a peer that speaks HTTP/1.1 to services. */
export async function http2Service(): Promise<RunningService> {
  const folder = await files();
  const port = await freePort();
  const windows = ["--window-bits=30", "--connection-window-bits=30"];
  const nghttpd = await startCommand(
    await required("nghttpd"),
    ["--no-tls", "--address=127.0.0.1", "--max-concurrent-streams=1000", ...windows, "-d", folder, String(port)],
    { port },
  );
  const http1 = await nginx(folder);
  return {
    port,
    http1Port: http1.port,
    async stop() {
      await nghttpd.stop();
      await http1.stop();
    },
  };
}

export async function http1Service(): Promise<RunningService> {
  const child = await nginx(await files());
  return { port: child.port, stop: () => child.stop() };
}

/** One of the Node programs beside this file. */
export async function nodeService(
  name: "grpc" | "websocket" | "sink",
  args: readonly string[] = [],
): Promise<RunningService> {
  const program = startNode(`bench/services/${name}.ts`, args);
  const { port, ports } = await program.nextJson("listening");
  return {
    port: Number(port),
    ...(Array.isArray(ports) ? { ports: ports as readonly number[] } : {}),
    async stop() {
      await program.stop();
    },
  };
}
