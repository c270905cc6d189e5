import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import type { Capture } from "../capture/options.ts";
import type { Logger } from "../wire/logger.ts";
import {
  FORWARD_PAGE,
  PAGE_FILES,
  PLAIN_SECURITY_POLICY,
  SECURITY_HEADERS,
  SOCKET_PATH,
  indexPage,
  pageSecurityPolicy,
} from "./inspector-page.ts";
import type { Agent, ShareInfo } from "./options.ts";
import { webSocketConnection } from "./rpc-websocket.ts";

/** 128 bits: not to be guessed, however often a page of another origin tries. */
const TOKEN_BYTES = 16;

/** A request of the page is a few hundred octets; the filter is what the user types. */
const REQUEST_BYTES = 1024 * 1024;

/** Pages open at once: more than anybody looks at, few enough that a script cannot use up memory. */
const MAX_PAGES = 16;

/** A browser opens about six connections for each page. */
const MAX_CONNECTIONS = 128;

/** The head of a request comes at once over loopback; a connection that says nothing is not ours. */
const HEAD_TIMEOUT_MS = 10_000;

export interface InspectorServerOptions {
  readonly capture: Capture;
  readonly agent: Pick<Agent, "shares" | "onChange">;
  /** 0: a free port. */
  readonly port: number;
  /** The folder with the built page (`dist/webview`). */
  readonly webviewRoot: string;
  readonly log: Logger;
}

export interface InspectorServer {
  /** With the token: whoever has this URL can see all captured traffic. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves the inspector page to a browser on this machine: loopback only, and only to who has the token.
 *
 * Any web page the user visits can send requests here, so each one is judged (DNS rebinding, cross-site WebSockets):
 * the `Host` field must be exactly ours, a WebSocket's `Origin` too, and everything needs the token, which comes once in
 * the URL and is then kept in a cookie that no script and no other site can use.
 *
 * Rejects when the port is taken.
 */
export async function startInspectorServer(options: InspectorServerOptions): Promise<InspectorServer> {
  const inspector = new Inspector(options);
  const port = await inspector.listen(options.port);
  return { url: inspector.url(), port, close: () => inspector.close() };
}

class Inspector {
  readonly #options: InspectorServerOptions;
  readonly #token = randomBytes(TOKEN_BYTES).toString("base64url");
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  #port = 0;

  constructor(options: InspectorServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#answer(request, response));
    this.#server.headersTimeout = HEAD_TIMEOUT_MS;
    this.#server.requestTimeout = HEAD_TIMEOUT_MS;
    this.#server.maxConnections = MAX_CONNECTIONS;
    // No compression: secrets of the traffic and what a page of an attacker provokes would share one context.
    this.#sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: REQUEST_BYTES });
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
  }

  listen(port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", () => {
        this.#server.off("error", reject);
        this.#server.on("error", (error) => this.#options.log.error(`Inspector server: ${error.message}`));
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve(this.#port);
      });
    });
  }

  url(): string {
    return `http://127.0.0.1:${this.#port}/?token=${this.#token}`;
  }

  close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    response.setHeader("content-security-policy", PLAIN_SECURITY_POLICY);
    const host = this.#host(request);
    if (host === undefined) {
      refuse(response, 403, "This is not the inspector's address.");
      return;
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      refuse(response, 405, "Only GET is answered here.");
      return;
    }
    const [target, query] = splitTarget(request.url ?? "");
    if (target === "/" && query !== undefined) {
      this.#enter(request, response, query);
      return;
    }
    if (!this.#hasCookie(request)) {
      refuse(response, 403, "Open the inspector with the whole URL that Portlight printed: it carries the token.");
      return;
    }
    if (target === "/") {
      const nonce = randomBytes(TOKEN_BYTES).toString("base64url");
      response.setHeader("content-security-policy", pageSecurityPolicy(host, nonce));
      response.setHeader("content-type", "text/html; charset=utf-8");
      response.end(indexPage(nonce));
      return;
    }
    const entry = PAGE_FILES.get(target);
    if (entry === undefined) {
      refuse(response, 404, "There is no such file here.");
      return;
    }
    const bytes = await readFile(path.join(this.#options.webviewRoot, entry.file)).catch(() => undefined);
    if (bytes === undefined) {
      this.#options.log.error(`Inspector server: ${entry.file} is missing in ${this.#options.webviewRoot}.`);
      refuse(response, 404, `${entry.file} is missing: build the project first.`);
      return;
    }
    response.setHeader("content-type", entry.mediaType);
    response.end(bytes);
  }

  /** The token of the URL becomes a cookie, so that it stays neither in the address bar nor in the history. */
  #enter(request: IncomingMessage, response: ServerResponse, query: string): void {
    if (!this.#isToken(tokenOf(query))) {
      refuse(response, 403, "The token is not of this inspector. Take the URL that Portlight printed last.");
      return;
    }
    response.setHeader("set-cookie", `${this.#cookieName()}=${this.#token}; Path=/; HttpOnly; SameSite=Strict`);
    const site = request.headers["sec-fetch-site"];
    if (site === undefined || site === "none" || site === "same-origin") {
      response.statusCode = 303;
      response.setHeader("location", "/");
      response.end();
      return;
    }
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(FORWARD_PAGE);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const host = this.#host(request);
    const [target, query] = splitTarget(request.url ?? "");
    const origin = request.headers.origin;
    // A browser always sends Origin. A program without one may come with the token in the URL.
    const allowed =
      host !== undefined &&
      target === SOCKET_PATH &&
      (origin === undefined
        ? this.#isToken(tokenOf(query ?? ""))
        : origin === `http://${host}` && (this.#hasCookie(request) || this.#isToken(tokenOf(query ?? ""))));
    if (!allowed) {
      refuseUpgrade(socket, "403 Forbidden");
      return;
    }
    if (this.#sockets.clients.size >= MAX_PAGES) {
      refuseUpgrade(socket, "503 Service Unavailable");
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#serve(webSocket));
  }

  #serve(socket: WebSocket): void {
    const { agent, capture, log } = this.#options;
    const connection = webSocketConnection(socket);
    const state = (): BrowserHostState => hostState(agent.shares);
    connection.onRequest("host/state", state);
    const inspector = capture.serve(connection);
    const unsubscribe = agent.onChange(() => void connection.sendNotification("host/stateChanged", state()));
    connection.onClose(() => {
      unsubscribe();
      inspector.dispose();
      connection.dispose();
    });
    connection.onError(([error]) => log.debug(`Inspector page: ${error.message}`));
    connection.listen();
  }

  /** The `Host` field when it is exactly one of ours. */
  #host(request: IncomingMessage): string | undefined {
    const host = request.headers.host;
    const ours = [`127.0.0.1:${this.#port}`, `localhost:${this.#port}`];
    return host !== undefined && ours.includes(host) ? host : undefined;
  }

  /** Cookies know no ports: without the port in the name, two inspectors would overwrite each other's. */
  #cookieName(): string {
    return `portlight-inspector-${this.#port}`;
  }

  #hasCookie(request: IncomingMessage): boolean {
    const name = this.#cookieName();
    return (request.headers.cookie ?? "").split(";").some((pair) => {
      const at = pair.indexOf("=");
      return at > 0 && pair.slice(0, at).trim() === name && this.#isToken(pair.slice(at + 1).trim());
    });
  }

  #isToken(candidate: string | undefined): boolean {
    return candidate !== undefined && timingSafeEqual(digest(candidate), digest(this.#token));
  }
}

/** The shape of `HostState` in `webview/protocol.ts`, for a browser. */
interface BrowserHostState {
  readonly host: "browser";
  readonly placement: "browser";
  readonly agent: "running";
  readonly shares: readonly {
    readonly id: string;
    readonly port: number;
    readonly kind: ShareInfo["kind"];
    readonly state: ShareInfo["state"];
    readonly url: string;
    readonly problem?: string;
  }[];
}

function hostState(shares: readonly ShareInfo[]): BrowserHostState {
  return {
    host: "browser",
    placement: "browser",
    agent: "running",
    shares: shares.map(({ id, port, kind, state, url, problem }) => ({
      id,
      port,
      kind,
      state,
      url,
      ...(problem === undefined ? {} : { problem: problem.message }),
    })),
  };
}

/** Equal lengths for `timingSafeEqual`, whatever was sent. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function splitTarget(target: string): [path: string, query: string | undefined] {
  const at = target.indexOf("?");
  return at < 0 ? [target, undefined] : [target.slice(0, at), target.slice(at + 1)];
}

function tokenOf(query: string): string | undefined {
  return new URLSearchParams(query).get("token") ?? undefined;
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.statusCode = status;
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(`${message}\n`);
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
