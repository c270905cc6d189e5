import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** Connections the kernel may hold for us while a turn of the event loop takes long. */
const BACKLOG = 511;

/** A port that is free on the first address may be taken on a further one that matters as much; then another is tried. */
const ATTEMPTS = 5;

export interface Listener {
  readonly port: number;
  /** The addresses really bound. */
  readonly hosts: readonly string[];
  /** Accepts nothing more. Connections accepted before are not touched. */
  close(): void;
}

export interface ListenOptions {
  /** Must be bound. */
  readonly host: string;
  /** Bound on the same port if possible: `::1` beside `127.0.0.1`, so that `localhost` leads here whichever it means. */
  readonly wished?: readonly string[];
  /** Must be bound on the same port too: the LAN address. */
  readonly needed?: readonly string[];
  /** 0: a free one. */
  readonly port: number;
  readonly accept: (socket: Socket) => void;
}

/** Rejects with Node's error of `listen` (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
export async function listen(options: ListenOptions): Promise<Listener> {
  for (let attempt = 1; ; attempt++) {
    const servers: Server[] = [];
    try {
      const first = await bind(options.host, options.port, options.accept);
      servers.push(first.server);
      const hosts = [options.host];
      for (const host of options.needed ?? []) {
        if (hosts.includes(host)) continue;
        servers.push((await bind(host, first.port, options.accept)).server);
        hosts.push(host);
      }
      let clash = false;
      for (const host of options.wished ?? []) {
        try {
          servers.push((await bind(host, first.port, options.accept)).server);
          hosts.push(host);
        } catch (error) {
          // EADDRNOTAVAIL: this machine has no IPv6, nothing can be mistaken for us there.
          clash ||= (error as NodeJS.ErrnoException).code === "EADDRINUSE";
        }
      }
      if (clash && options.port === 0 && attempt < ATTEMPTS) throw new Clash();
      return { port: first.port, hosts, close: () => servers.forEach((server) => server.close()) };
    } catch (error) {
      for (const server of servers) server.close();
      const again = error instanceof Clash || (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      if (!again || options.port !== 0 || attempt >= ATTEMPTS) throw error;
    }
  }
}

class Clash extends Error {}

function bind(host: string, port: number, accept: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  return new Promise((resolve, reject) => {
    // Half-open, or a visitor's FIN would end our answer. Paused until somebody reads.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: false, noDelay: true }, accept);
    server.once("error", reject);
    server.listen({ host, port, backlog: BACKLOG, ipv6Only: true }, () => {
      server.removeListener("error", reject);
      // EMFILE and the like: this connection is lost, the listener goes on.
      server.on("error", () => undefined);
      resolve({ server, port: (server.address() as AddressInfo).port });
    });
  });
}
