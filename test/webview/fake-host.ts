import { createServer, type Server } from "node:http";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { WebSocketServer, type WebSocket } from "ws";
import type { HostState, InspectorNotifications } from "../../webview/protocol.ts";
import type { CaptureState, SchemaStatus } from "../../webview/store.ts";
import { Peer, type Handlers, type Notifications } from "./json-rpc.ts";
import { makeExchange, type Exchange } from "./traffic.ts";

const TYPES: Readonly<Record<string, string>> = { ".js": "text/javascript", ".css": "text/css", ".ttf": "font/ttf" };
const NONCE = "dGVzdC1ub25jZQ==";

interface View {
  readonly peer: Peer;
  readonly id: string;
  readonly filter: string;
  readonly rows: number[];
}

/** A host of the page that has no traffic but what a test makes: serves the page, the protocol, and keeps account. */
export class FakeHost {
  readonly exchanges = new Map<number, Exchange>();
  shares: HostState["shares"] = [
    { id: "s1", port: 50051, kind: "http", state: "online", url: "http://127.0.0.1:41234" },
    {
      id: "s2",
      port: 8080,
      kind: "http",
      state: "reconnecting",
      url: "http://127.0.0.1:41235",
      problem: "the relay closed the connection",
    },
  ];
  capture: CaptureState = {
    capturing: true,
    exchanges: 0,
    maxExchanges: 20_000,
    bytes: 12_345_678,
    maxBytes: 67_108_864,
    droppedExchanges: 0,
    droppedBytes: 0,
  };
  schema: SchemaStatus = {
    state: "ready",
    files: 12,
    types: 84,
    services: 5,
    roots: [{ path: "proto", from: "buf.yaml" }],
    problems: [{ file: "proto/shop/v1/broken.proto", line: 7, message: "expected ';'" }],
    revision: 1,
  };
  /** Requests that were made, by method. */
  readonly requests = new Map<string, number>();
  /** What the page asked its host to do. */
  readonly done: { readonly method: string; readonly params: unknown }[] = [];
  host: HostState["host"] = "browser";
  readonly #pageRoot: string;
  readonly #views = new Map<string, View>();
  readonly #watched = new Map<Peer, Set<number>>();
  readonly #sockets = new Set<WebSocket>();
  #http: Server | undefined;
  #port = 0;
  #next = 1;

  constructor(pageRoot: string) {
    this.#pageRoot = pageRoot;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** Listens; again on the same port after `stop`. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      void this.#serve(request.url ?? "/").then(
        ({ body, headers }) => response.writeHead(200, headers).end(body),
        () => response.writeHead(404).end(),
      );
    });
    const sockets = new WebSocketServer({ server, path: "/rpc" });
    sockets.on("connection", (socket) => {
      this.#sockets.add(socket);
      const peer = this.attach((message) => {
        socket.send(JSON.stringify(message));
      });
      socket.on("message", (data: Buffer) => void peer.receive(JSON.parse(data.toString("utf8")) as unknown));
      socket.on("close", () => {
        this.#sockets.delete(socket);
        this.#watched.delete(peer);
        for (const [id, view] of this.#views) if (view.peer === peer) this.#views.delete(id);
      });
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#http = server;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.terminate();
    const server = this.#http;
    this.#http = undefined;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }

  attach(send: (message: object) => void): Peer {
    const peer = new Peer(this.#counted(), send);
    this.#watched.set(peer, new Set());
    return peer;
  }

  /** Adds exchanges made by `make`, and tells the views as a capture would: at once, in batches. */
  add(count: number, make: (id: number) => Exchange = makeExchange): void {
    const added: Exchange[] = [];
    for (let index = 0; index < count; index++) {
      const exchange = make(this.#next++);
      this.exchanges.set(exchange.row.id, exchange);
      added.push(exchange);
    }
    this.capture = { ...this.capture, exchanges: this.exchanges.size };
    for (const view of this.#views.values()) {
      const changed = added
        .filter(({ row }) => matches(row, view.filter))
        .map(({ row }) => ({ position: view.rows.push(row.id) - 1, row }));
      view.peer.notify("view/changed", {
        view: view.id,
        state: this.#state(view),
        changed: changed.slice(-500),
        stale: changed.length > 500,
      });
    }
    this.#broadcast("capture/changed", this.capture);
  }

  /** Replaces the row of an exchange, and tells who sees it. */
  change(id: number, part: Partial<Exchange["row"]>): void {
    const exchange = this.exchanges.get(id);
    if (exchange === undefined) throw new Error(`no exchange ${id}`);
    exchange.row = { ...exchange.row, ...part };
    const { row } = exchange;
    for (const view of this.#views.values()) {
      const position = view.rows.indexOf(id);
      if (position >= 0)
        view.peer.notify("view/changed", {
          view: view.id,
          state: this.#state(view),
          changed: [{ position, row }],
          stale: false,
        });
    }
    for (const [peer, ids] of this.#watched)
      if (ids.has(id))
        peer.notify("exchange/changed", { id, row, messages: row.visitorMessages + row.serviceMessages });
  }

  setState(part: Partial<HostState>): void {
    if (part.shares !== undefined) this.shares = part.shares;
    this.#broadcast("host/stateChanged", { ...this.#hostState(), ...part });
  }

  setSchema(part: Partial<SchemaStatus>): void {
    this.schema = { ...this.schema, ...part };
    this.#broadcast("schema/changed", this.schema);
  }

  reveal(params: { readonly filter?: string; readonly exchange?: number }): void {
    this.#broadcast("host/reveal", params);
  }

  #broadcast<M extends keyof Notifications>(method: M, params: Notifications[M]): void {
    for (const peer of this.#watched.keys()) peer.notify(method, params);
  }

  #hostState(): HostState {
    return {
      host: this.host,
      placement: this.host === "browser" ? "browser" : "panel",
      agent: "running",
      shares: this.shares,
    };
  }

  #state(view: View): InspectorNotifications["view/changed"]["state"] {
    return { first: 0, end: view.rows.length, total: this.exchanges.size };
  }

  #counted(): Handlers {
    const handlers = this.#handlers();
    for (const method of Object.keys(handlers) as (keyof Handlers)[]) {
      const handler = handlers[method] as (params: unknown, peer: Peer) => unknown;
      Object.assign(handlers, {
        [method]: (params: unknown, peer: Peer) => {
          this.requests.set(method, (this.requests.get(method) ?? 0) + 1);
          return handler(params, peer);
        },
      });
    }
    return handlers;
  }

  #handlers(): Handlers {
    const record =
      (method: string) =>
      (params: unknown): null => {
        this.done.push({ method, params });
        return null;
      };
    const total = ({ row }: Exchange): number => row.visitorMessages + row.serviceMessages;
    return {
      "capture/state": () => this.capture,
      "capture/pause": ({ paused }) => (this.capture = { ...this.capture, capturing: !paused }),
      "capture/clear": () => {
        this.exchanges.clear();
        this.capture = { ...this.capture, exchanges: 0, bytes: 0 };
        for (const view of this.#views.values()) {
          const end = view.rows.length;
          view.peer.notify("view/changed", {
            view: view.id,
            state: { first: end, end, total: 0 },
            changed: [],
            stale: true,
          });
        }
        return this.capture;
      },
      "view/open": ({ view: id, filter }, peer) => {
        const problem = /\bstatus:(\d\d)(?!\d)/.exec(filter);
        if (problem !== null) throw new Error(`"${problem[0]}" is no status: write 404, 5xx or NOT_FOUND.`);
        const view: View = {
          peer,
          id,
          filter,
          rows: [...this.exchanges.values()].filter(({ row }) => matches(row, filter)).map(({ row }) => row.id),
        };
        this.#views.set(id, view);
        return this.#state(view);
      },
      "view/rows": ({ view, position, count }) => ({
        position,
        rows: (this.#views.get(view)?.rows ?? [])
          .slice(position, position + count)
          .flatMap((id) => this.exchanges.get(id)?.row ?? []),
      }),
      "view/close": ({ view }) => {
        this.#views.delete(view);
        return null;
      },
      "exchange/detail": ({ id, watch }, peer) => {
        const exchange = this.exchanges.get(id);
        if (exchange === undefined) return null;
        if (watch === true) this.#watched.get(peer)?.add(id);
        return { row: exchange.row, ...exchange.detail };
      },
      "exchange/unwatch": ({ id }, peer) => {
        this.#watched.get(peer)?.delete(id);
        return null;
      },
      "exchange/messages": ({ id, index, count }) => {
        const exchange = this.exchanges.get(id);
        if (exchange === undefined) return null;
        const end = Math.min(total(exchange), index + count);
        return {
          total: total(exchange),
          index,
          messages: Array.from({ length: Math.max(0, end - index) }, (_, at) => ({
            index: index + at,
            ...exchange.message(index + at),
          })),
        };
      },
      "message/decode": ({ id, index, as }) => this.exchanges.get(id)?.decode(index, as ?? "auto") ?? null,
      "message/bytes": ({ id, index, offset, count }) => {
        const bytes = this.exchanges.get(id)?.bytes(index);
        return bytes === undefined
          ? null
          : {
              base64: Buffer.from(bytes.subarray(offset, offset + count)).toString("base64"),
              offset,
              total: bytes.length,
            };
      },
      "exchange/reveal": ({ id, head, index }) => {
        const value = this.exchanges.get(id)?.secrets?.[`${head}/${index}`];
        return value === undefined ? null : { value };
      },
      "capture/export": () => ({ text: '{"type":"exchange"}\n', truncated: false }),
      "exchange/copyAs": ({ id, format }) => ({ text: `${format} # exchange ${id}` }),
      "schema/status": () => this.schema,
      "schema/reload": record("schema/reload"),
      "schema/types": ({ query }) => ["shop.v1.Order", "shop.v1.Tick"].filter((name) => name.includes(query)),
      "websocket/setType": record("websocket/setType"),
      "host/state": () => this.#hostState(),
      "host/copy": record("host/copy"),
      "host/openSource": record("host/openSource"),
      "host/openUntitled": record("host/openUntitled"),
      "host/save": record("host/save"),
      "host/sharePort": record("host/sharePort"),
      "host/openInEditor": record("host/openInEditor"),
    };
  }

  async #serve(target: string): Promise<{ body: string | Buffer; headers: Record<string, string> }> {
    const { pathname, searchParams } = new URL(target, this.url);
    if (pathname === "/") {
      const host = searchParams.get("host") === "vscode" ? "vscode" : "browser";
      return {
        body: html(host, searchParams.get("class") ?? ""),
        headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": policy(host) },
      };
    }
    const type = TYPES[path.extname(pathname)];
    if (type === undefined) throw new Error("no such file");
    return {
      body: await readFile(path.join(this.#pageRoot, path.basename(pathname))),
      headers: { "content-type": type },
    };
  }
}

function matches(row: Exchange["row"], filter: string): boolean {
  const text = `${row.method} ${row.path} ${row.statusText} ${row.protocol}`.toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "")
    .every((word) => text.includes(word.replace(/^\w+:/, "")));
}

/** The HTML that `webview/main.ts` asks of its hosts, with the policies that they use. */
function html(host: HostState["host"], bodyClass: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Portlight Inspector</title>
<link rel="stylesheet" href="codicon.css"><link rel="stylesheet" href="main.css"><link rel="icon" href="data:,"></head>
<body class="${bodyClass}" data-host="${host}" data-placement="${host === "browser" ? "browser" : "panel"}"><script nonce="${NONCE}" src="main.js"></script></body>
</html>`;
}

function policy(host: HostState["host"]): string {
  const connect = host === "browser" ? "; connect-src 'self'" : "";
  return `default-src 'none'; img-src data:; font-src 'self'; style-src 'self'; script-src 'nonce-${NONCE}'${connect}`;
}
