import { randomUUID } from "node:crypto";
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  createMessageConnection,
  Disposable,
  ErrorCodes,
  ResponseError,
  type CancellationToken,
  type DataCallback,
  type Message,
  type MessageConnection,
} from "vscode-jsonrpc";
import type {
  HostNotifications,
  HostRequests,
  InspectorNotifications,
  InspectorRequests,
} from "../webview/protocol.ts";

/** Names of views are chosen by the page; more than this has no reader. */
const VIEW_NAME_CHARACTERS = 64;

/** What a page may ask the agent. A record, so that the compiler misses none. */
const INSPECTOR_METHODS: Readonly<Record<keyof InspectorRequests, true>> = {
  "capture/state": true,
  "capture/pause": true,
  "capture/clear": true,
  "view/open": true,
  "view/rows": true,
  "view/close": true,
  "exchange/detail": true,
  "exchange/unwatch": true,
  "exchange/messages": true,
  "message/decode": true,
  "message/bytes": true,
  "exchange/reveal": true,
  "capture/export": true,
  "exchange/copyAs": true,
  "schema/status": true,
  "schema/reload": true,
  "schema/types": true,
  "websocket/setType": true,
};

/** What the agent tells; every page gets it, but `view/changed` and `exchange/changed` only the page that asked. */
export const INSPECTOR_NOTIFICATIONS: readonly (keyof InspectorNotifications)[] = [
  "view/changed",
  "exchange/changed",
  "capture/changed",
  "schema/changed",
];

export type HostHandlers = {
  readonly [M in keyof HostRequests]: (params: unknown) => Promise<HostRequests[M]["result"]>;
};

export interface SessionOptions {
  /** Posts to the page. */
  readonly post: (message: Message) => void;
  /** The connection to the agent; starts it, or waits for it. */
  readonly agent: () => Promise<MessageConnection>;
  readonly handlers: HostHandlers;
  /** The page has loaded and asked for its first state. */
  readonly onReady: () => void;
}

/**
 * One load of one inspector page. The agent has a single connection with this extension, so several pages share it:
 * view ids get the session's prefix, and a watched exchange is unwatched for the agent when the last page let go of it.
 */
export class InspectorSession {
  readonly #options: SessionOptions;
  readonly #id = randomUUID().slice(0, 8);
  readonly #reader = new PageReader();
  readonly #connection: MessageConnection;
  readonly #views = new Set<string>();
  readonly #watched = new Set<number>();
  readonly #watches: WatchCounter;
  #lastAgent: MessageConnection | undefined;
  #disposed = false;

  constructor(options: SessionOptions, watches: WatchCounter) {
    this.#options = options;
    this.#watches = watches;
    this.#connection = createMessageConnection(this.#reader, new PageWriter(options.post));
    this.#connection.onError(() => {});
    this.#connection.onRequest((method, params, token) => this.#request(method, params, token));
    this.#connection.listen();
  }

  /** Anything the page posted. What is no JSON-RPC request or notification is ignored. */
  receive(message: unknown): void {
    if (isMessage(message)) this.#reader.deliver(message);
  }

  /** Passes on what the agent told, if it concerns this page. */
  fromAgent(method: keyof InspectorNotifications, params: unknown): void {
    if (!isRecord(params)) return;
    if (method === "view/changed") {
      const view = typeof params["view"] === "string" ? params["view"] : "";
      if (view.startsWith(`${this.#id}.`)) this.#notify(method, { ...params, view: view.slice(this.#id.length + 1) });
    } else if (method === "exchange/changed") {
      if (typeof params["id"] === "number" && this.#watched.has(params["id"])) this.#notify(method, params);
    } else this.#notify(method, params);
  }

  notify<M extends keyof HostNotifications>(method: M, params: HostNotifications[M]): void {
    this.#notify(method, params);
  }

  /** The page is gone, or will be loaded anew: its views and watches in the agent end. */
  dispose(): void {
    const agent = this.#lastAgent;
    const tell = (method: keyof InspectorRequests, params: object): void => void passOn(agent, method, params);
    for (const view of this.#views) tell("view/close", { view });
    for (const id of this.#watched) if (this.#watches.release(id)) tell("exchange/unwatch", { id });
    this.#views.clear();
    this.#watched.clear();
    this.#disposed = true;
    this.#connection.dispose();
  }

  #notify(method: string, params: object): void {
    if (this.#disposed) return;
    this.#connection.sendNotification(method, params).catch(() => {});
  }

  async #request(method: string, given: object | unknown[] | undefined, token: CancellationToken): Promise<unknown> {
    // vscode-jsonrpc writes a single null as a list of one.
    const params: unknown = Array.isArray(given) ? given[0] : given;
    if (Object.hasOwn(this.#options.handlers, method)) {
      if (method === "host/state") this.#options.onReady();
      return this.#options.handlers[method as keyof HostRequests](params);
    }
    if (!Object.hasOwn(INSPECTOR_METHODS, method))
      throw new ResponseError(ErrorCodes.MethodNotFound, `The inspector has no request "${method.slice(0, 64)}".`);
    const agent = await this.#options.agent();
    this.#lastAgent = agent;
    const passed = this.#translate(method as keyof InspectorRequests, params);
    return agent.sendRequest(method, passed, token);
  }

  /** The page's parameters as the agent is to see them; keeps account of views and watches. */
  #translate(method: keyof InspectorRequests, params: unknown): unknown {
    if (!isRecord(params)) return null;
    const { id, view } = params;
    if (method === "exchange/detail" && params["watch"] === true && typeof id === "number" && !this.#watched.has(id)) {
      this.#watched.add(id);
      this.#watches.take(id);
    }
    if (
      method === "exchange/unwatch" &&
      typeof id === "number" &&
      this.#watched.delete(id) &&
      !this.#watches.release(id)
    )
      // Another page still watches it: an exchange that does not exist is unwatched instead.
      return { ...params, id: 0 };
    if (view === undefined) return params;
    if (typeof view !== "string" || view === "" || view.length > VIEW_NAME_CHARACTERS)
      throw new ResponseError(ErrorCodes.InvalidParams, "A view needs a name of 1 to 64 characters.");
    const prefixed = `${this.#id}.${view}`;
    if (method === "view/open") this.#views.add(prefixed);
    if (method === "view/close") this.#views.delete(prefixed);
    return { ...params, view: prefixed };
  }
}

/** How many pages watch each exchange. */
export class WatchCounter {
  readonly #counts = new Map<number, number>();

  take(id: number): void {
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
  }

  /** True when that was the last one. */
  release(id: number): boolean {
    const count = (this.#counts.get(id) ?? 1) - 1;
    if (count > 0) this.#counts.set(id, count);
    else this.#counts.delete(id);
    return count <= 0;
  }
}

/** Nobody waits for the answer, and an agent that is gone has let go of everything by itself. */
async function passOn(agent: MessageConnection | undefined, method: string, params: object): Promise<void> {
  try {
    // Throws, rather than rejects, when the connection is gone.
    await agent?.sendRequest(method, params);
  } catch {
    // As said.
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMessage(value: unknown): value is Message {
  return isRecord(value) && value["jsonrpc"] === "2.0" && typeof value["method"] === "string";
}

class PageReader extends AbstractMessageReader {
  #callback: DataCallback | undefined;

  override listen(callback: DataCallback): Disposable {
    this.#callback = callback;
    return Disposable.create(() => {
      this.#callback = undefined;
    });
  }

  deliver(message: Message): void {
    this.#callback?.(message);
  }
}

class PageWriter extends AbstractMessageWriter {
  readonly #post: (message: Message) => void;

  constructor(post: (message: Message) => void) {
    super();
    this.#post = post;
  }

  write(message: Message): Promise<void> {
    this.#post(message);
    return Promise.resolve();
  }

  end(): void {}
}
