import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { setImmediate } from "node:timers/promises";

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
  /**
   * As `close`, after what the kernel has accepted for us was taken: where another process listens on the same port as
   * well, a connection that is closed unseen is one that was lost.
   */
  drain(): Promise<void>;
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
  /** Another process may listen on the same port (SO_REUSEPORT); the kernel shares connections out. Default false. */
  readonly reusePort?: boolean | undefined;
  readonly accept: (socket: Socket) => void;
}

/** Turns of the event loop after which connections that still come are left to fate: nobody may keep us listening. */
const DRAIN_TURNS = 1_000;

/** Whether this Node knows `reusePort`: older ones ignore it, and the second process fails with EADDRINUSE. */
export function knowsReusePort(version: string = process.versions.node): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}

/** Rejects with Node's error of `listen` (EADDRINUSE, EACCES, EADDRNOTAVAIL). */
export async function listen(options: ListenOptions): Promise<Listener> {
  for (let attempt = 1; ; attempt++) {
    const servers: Server[] = [];
    const { reusePort = false } = options;
    let accepted = 0;
    const accept = (socket: Socket): void => {
      accepted++;
      options.accept(socket);
    };
    const close = (): void => servers.forEach((server) => server.close());
    try {
      const first = await bind(options.host, options.port, reusePort, accept);
      servers.push(first.server);
      const hosts = [options.host];
      for (const host of options.needed ?? []) {
        if (hosts.includes(host)) continue;
        servers.push((await bind(host, first.port, reusePort, accept)).server);
        hosts.push(host);
      }
      let clash = false;
      for (const host of options.wished ?? []) {
        try {
          servers.push((await bind(host, first.port, reusePort, accept)).server);
          hosts.push(host);
        } catch (error) {
          // EADDRNOTAVAIL: this machine has no IPv6, nothing can be mistaken for us there.
          clash ||= (error as NodeJS.ErrnoException).code === "EADDRINUSE";
        }
      }
      if (clash && options.port === 0 && attempt < ATTEMPTS) throw new Clash();
      const drain = async (): Promise<void> => {
        // Each turn takes one connection of each server: a turn without one has found the queues empty, just now.
        let before = -1;
        for (let turn = 0; turn < DRAIN_TURNS && before !== accepted; turn++) {
          before = accepted;
          await setImmediate();
        }
        close();
      };
      return { port: first.port, hosts, close, drain };
    } catch (error) {
      close();
      const again = error instanceof Clash || (error as NodeJS.ErrnoException).code === "EADDRINUSE";
      if (!again || options.port !== 0 || attempt >= ATTEMPTS) throw error;
    }
  }
}

class Clash extends Error {}

function bind(
  host: string,
  port: number,
  reusePort: boolean,
  accept: (socket: Socket) => void,
): Promise<{ server: Server; port: number }> {
  return new Promise((resolve, reject) => {
    // Half-open, or a visitor's FIN would end our answer. Paused until somebody reads.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: false, noDelay: true }, accept);
    server.once("error", reject);
    server.listen({ host, port, backlog: BACKLOG, ipv6Only: true, reusePort }, () => {
      server.removeListener("error", reject);
      // EMFILE and the like: this connection is lost, the listener goes on.
      server.on("error", () => undefined);
      resolve({ server, port: (server.address() as AddressInfo).port });
    });
  });
}
