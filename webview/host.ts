import type { MessageConnection } from "vscode-jsonrpc/browser";
import { toBase64 } from "./base64.ts";
import { Observable } from "./observable.ts";
import type { HostNotifications, HostRequests, InspectorNotifications, InspectorRequests } from "./protocol.ts";
import { connectSocket, connectVscode, type VscodeApi } from "./rpc.ts";

type Requests = InspectorRequests & HostRequests;
type Notifications = InspectorNotifications & HostNotifications;

/** First wait before the page dials again, doubled up to the longest: a restarted agent is back within seconds. */
const RECONNECT_MS = 250;
const RECONNECT_MAX_MS = 4000;
/** `setState` serialises and posts on every call. */
const REMEMBER_MS = 300;
const MEMORY_KEY = "portlight.inspector";

export type Link = "connecting" | "open" | "lost";

/**
 * Who serves the page: the VS Code extension or the agent's inspector server. Changes are those of `link`; each time it
 * becomes `open` the other end knows nothing of us, and everything is asked for again.
 */
export class Host extends Observable {
  readonly kind: "vscode" | "browser";
  link: Link = "connecting";
  readonly #handlers = new Map<string, (params: unknown) => void>();
  readonly #api: VscodeApi | undefined;
  #connection: MessageConnection | undefined;
  #wait = RECONNECT_MS;
  #remembered: unknown;
  #remembering = false;

  constructor(api: VscodeApi | undefined) {
    super();
    this.#api = api;
    this.kind = api === undefined ? "browser" : "vscode";
  }

  /** After all `on`. */
  start(): void {
    if (this.#api === undefined) this.#dial();
    else this.#opened(connectVscode(this.#api));
  }

  on<M extends keyof Notifications>(method: M, handler: (params: Notifications[M]) => void): void {
    this.#handlers.set(method, (params) => handler(params as Notifications[M]));
  }

  /** Rejects when the link is lost, and with the host's own words when it refuses. */
  async request<M extends keyof Requests>(method: M, params: Requests[M]["params"]): Promise<Requests[M]["result"]> {
    if (this.#connection === undefined) throw new Error("The inspector has no connection to Portlight at the moment.");
    return this.#connection.sendRequest<Requests[M]["result"]>(method, params);
  }

  async copy(text: string): Promise<void> {
    if (this.kind === "vscode") await this.request("host/copy", { text });
    else await navigator.clipboard.writeText(text);
  }

  async save(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.kind === "vscode") {
      await this.request("host/save", { name, base64: toBase64(bytes) });
      return;
    }
    const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    URL.revokeObjectURL(url);
  }

  /** What `remember` kept: survives a hidden or reloaded page. Never traffic. */
  recall(): unknown {
    if (this.#api !== undefined) return this.#api.getState();
    try {
      return JSON.parse(sessionStorage.getItem(MEMORY_KEY) ?? "null") as unknown;
    } catch {
      return undefined;
    }
  }

  remember(state: unknown): void {
    this.#remembered = state;
    if (this.#remembering) return;
    this.#remembering = true;
    setTimeout(() => {
      this.#remembering = false;
      if (this.#api !== undefined) this.#api.setState(this.#remembered);
      else sessionStorage.setItem(MEMORY_KEY, JSON.stringify(this.#remembered));
    }, REMEMBER_MS);
  }

  #dial(): void {
    // Relative to the page, with its query: the server's token may be in either.
    const url = new URL(`rpc${location.search}`, document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    connectSocket(url.href, {
      opened: (connection) => {
        this.#wait = RECONNECT_MS;
        this.#opened(connection);
      },
      closed: () => {
        this.#connection = undefined;
        this.#become("lost");
        setTimeout(() => this.#dial(), this.#wait * (0.5 + Math.random() / 2));
        this.#wait = Math.min(this.#wait * 2, RECONNECT_MAX_MS);
      },
    });
  }

  #opened(connection: MessageConnection): void {
    for (const [method, handler] of this.#handlers) connection.onNotification(method, handler);
    connection.listen();
    this.#connection = connection;
    this.#become("open");
  }

  #become(link: Link): void {
    this.link = link;
    this.changed();
  }
}

/** What went wrong, for people. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
