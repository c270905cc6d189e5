import type {
  HostRequests,
  InspectorNotifications,
  InspectorRequests,
  HostNotifications,
} from "../../webview/protocol.ts";

type Requests = InspectorRequests & HostRequests;
export type Notifications = InspectorNotifications & HostNotifications;
export type Handlers = {
  readonly [M in keyof Requests]: (
    params: Requests[M]["params"],
    peer: Peer,
  ) => Requests[M]["result"] | Promise<Requests[M]["result"]>;
};

/** InvalidParams of JSON-RPC 2.0. */
const INVALID_PARAMS = -32602;

interface Message {
  readonly jsonrpc: "2.0";
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: unknown;
}

/** One page that is connected: the serving end of JSON-RPC, written out, so that the page's own library is tested against the standard. */
export class Peer {
  readonly send: (message: object) => void;
  readonly #handlers: Handlers;

  constructor(handlers: Handlers, send: (message: object) => void) {
    this.#handlers = handlers;
    this.send = send;
  }

  notify<M extends keyof Notifications>(method: M, params: Notifications[M]): void {
    this.send({ jsonrpc: "2.0", method, params });
  }

  async receive(message: unknown): Promise<void> {
    const { id, method, params } = message as Message;
    if (method === undefined || id === undefined) return;
    const handler = (
      this.#handlers as Readonly<Record<string, ((params: unknown, peer: Peer) => unknown) | undefined>>
    )[method];
    if (handler === undefined) {
      this.send({ jsonrpc: "2.0", id, error: { code: -32601, message: `No such method: ${method}` } });
      return;
    }
    try {
      const result = await handler(Array.isArray(params) ? (params[0] as unknown) : params, this);
      this.send({ jsonrpc: "2.0", id, result: result ?? null });
    } catch (error) {
      this.send({
        jsonrpc: "2.0",
        id,
        error: { code: INVALID_PARAMS, message: error instanceof Error ? error.message : String(error) },
      });
    }
  }
}
