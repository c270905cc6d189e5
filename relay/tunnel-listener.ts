import type { Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Server as TlsServer } from "node:tls";
import { TUNNEL_ALPN } from "../tunnel/protocol.ts";
import { listen } from "./listener.ts";
import type { Listener } from "./listener.ts";
import type { ListenAddress } from "./options.ts";

/** Sockets of agents at once, welcomed or not: the sessions a relay takes and as many again that are on their way. */
const MAX_SOCKETS = 4_000;

const HANDSHAKE_MS = 10_000;

export interface TunnelListenerOptions {
  readonly address: ListenAddress;
  /** Undefined: cleartext. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly reusePort?: boolean | undefined;
  readonly accept: (socket: Socket) => void;
}

/** Where agents dial. */
export interface TunnelListener extends Listener {
  readonly sockets: ReadonlySet<Socket>;
}

export async function listenForAgents(options: TunnelListenerOptions): Promise<TunnelListener> {
  const sockets = new Set<Socket>();
  const tls = options.tls === undefined ? undefined : secure(options.tls, options.accept);
  const accept = (socket: Socket): void => {
    socket.on("error", () => undefined);
    if (sockets.size >= MAX_SOCKETS) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    if (tls === undefined) options.accept(socket);
    else tls.emit("connection", socket);
  };
  const { host, port } = options.address;
  const listener = await listen({ host, port, reusePort: options.reusePort, accept });
  return { ...listener, sockets };
}

function secure(tls: { readonly cert: string; readonly key: string }, accept: (socket: Socket) => void): TlsServer {
  const server = createTlsServer({
    ...tls,
    ALPNProtocols: [TUNNEL_ALPN],
    minVersion: "TLSv1.2",
    handshakeTimeout: HANDSHAKE_MS,
  });
  server.on("secureConnection", (socket) => {
    socket.on("error", () => undefined);
    // Without the ALPN it is no agent: a browser, a scanner, or a visitor at the wrong port.
    if (socket.alpnProtocol === TUNNEL_ALPN) accept(socket);
    else socket.destroy();
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}
