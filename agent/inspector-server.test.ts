import { strict as assert } from "node:assert";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import type { Capture, InspectorConnection } from "../capture/options.ts";
import { silentLogger } from "../wire/logger.ts";
import { startInspectorServer } from "./inspector-server.ts";
import type { InspectorServer } from "./inspector-server.ts";
import type { Agent, ShareInfo } from "./options.ts";

const SHARE: ShareInfo = {
  id: "s1",
  port: 8080,
  kind: "http",
  state: "online",
  name: "bold-otter",
  url: "http://127.0.0.1:41000",
  alternativeUrls: [],
  relayUrl: "tcp://127.0.0.1:41001",
  reach: "loopback",
  exchanges: 0,
  openExchanges: 0,
  visitorBytes: 0,
  serviceBytes: 0,
};

/** Only what the server uses: answers one request of the inspector protocol. */
function captureDouble(served: { now: number; disposed: () => void }): Capture {
  const capture: Pick<Capture, "serve"> = {
    serve(connection: InspectorConnection) {
      served.now += 1;
      connection.onRequest("capture/state", () => ({ capturing: true }));
      return {
        dispose: () => {
          served.now -= 1;
          served.disposed();
        },
      };
    },
  };
  return capture as Capture;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe("inspector server", () => {
  let server: InspectorServer;
  let root: string;
  let host: string;
  let token: string;
  let cookie: string;
  let changed: () => void = () => undefined;
  const served = { now: 0, disposed: (): void => undefined };

  before(async () => {
    root = await mkdtemp(path.join(tmpdir(), "portlight-inspector-"));
    await writeFile(path.join(root, "main.js"), "// the page\n");
    await writeFile(path.join(root, "secret.txt"), "secret");
    const agent: Pick<Agent, "shares" | "onChange"> = {
      shares: [SHARE],
      onChange(listener) {
        changed = listener;
        return () => (changed = () => undefined);
      },
    };
    server = await startInspectorServer({
      capture: captureDouble(served),
      agent,
      port: 0,
      webviewRoot: root,
      log: silentLogger,
    });
    host = `127.0.0.1:${server.port}`;
    token = new URL(server.url).searchParams.get("token") ?? "";
    cookie = `portlight-inspector-${server.port}=${token}`;
  });
  after(async () => {
    await server.close();
    await rm(root, { recursive: true });
  });

  function ask(target: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request({
        port: server.port,
        host: "127.0.0.1",
        path: target,
        method,
        headers: { host, ...headers },
      });
      sent.on("response", (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      });
      sent.on("error", reject);
      sent.end();
    });
  }

  /** Resolves with the open WebSocket, or with the status of the refusal. */
  function connect(target: string, headers: Record<string, string>): Promise<WebSocket | number> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}${target}`, { headers: { host, ...headers } });
      socket.on("open", () => resolve(socket));
      socket.on("unexpected-response", (_request, response) => {
        response.resume();
        socket.terminate();
        resolve(response.statusCode ?? 0);
      });
      socket.on("error", reject);
    });
  }

  it("has a token of 128 bits in its URL and listens on loopback", () => {
    assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/\?token=[A-Za-z0-9_-]{22}$/);
  });

  it("exchanges the token for a cookie that scripts and other sites cannot use", async () => {
    const answer = await ask(`/?token=${token}`);
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.location, "/");
    assert.deepEqual(answer.headers["set-cookie"], [`${cookie}; Path=/; HttpOnly; SameSite=Strict`]);
    const fromOtherSite = await ask(`/?token=${token}`, { "sec-fetch-site": "cross-site" });
    assert.equal(fromOtherSite.status, 200);
    assert.match(fromOtherSite.body, /http-equiv="refresh" content="0; url=\/"/);
  });

  it("serves the page with a policy that allows its own files only", async () => {
    const { status, body, headers } = await ask("/", { cookie });
    assert.equal(status, 200);
    assert.match(body, /<body data-host="browser"/);
    const nonce = /<script nonce="([^"]+)" src="main.js">/.exec(body)?.[1];
    assert.ok(nonce !== undefined && nonce.length >= 22);
    const policy = headers["content-security-policy"] as string;
    assert.match(policy, /^default-src 'none'; /);
    assert.ok(policy.includes(`script-src 'nonce-${nonce}';`));
    assert.ok(policy.includes(`connect-src ws://${host}/rpc;`));
    assert.ok(policy.includes("frame-ancestors 'none'"));
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["referrer-policy"], "no-referrer");
    assert.equal(headers["access-control-allow-origin"], undefined);
    assert.notEqual(/nonce="([^"]+)"/.exec((await ask("/", { cookie })).body)?.[1], nonce);
    const script = await ask("/main.js", { cookie });
    assert.equal(script.body, "// the page\n");
    assert.equal(script.headers["content-type"], "text/javascript; charset=utf-8");
    assert.equal((await ask("/main.css", { cookie })).status, 404);
  });

  it("refuses what is not exactly ours", async () => {
    const wrong = token.startsWith("A") ? `B${token.slice(1)}` : `A${token.slice(1)}`;
    const table: [string, string, Record<string, string>, number][] = [
      ["no token", "/", {}, 403],
      ["wrong token", `/?token=${wrong}`, {}, 403],
      ["empty token", "/?token=", {}, 403],
      ["wrong token beside a right cookie", `/?token=${wrong}`, { cookie }, 403],
      ["token in the wrong place", "/", { authorization: `Bearer ${token}` }, 403],
      ["token in the wrong cookie", "/", { cookie: `portlight-inspector-1=${token}` }, 403],
      ["wrong cookie", "/", { cookie: `portlight-inspector-${server.port}=${wrong}` }, 403],
      ["a file without cookie", "/main.js", {}, 403],
      ["a file with the token in its URL", `/main.js?token=${token}`, {}, 403],
      ["rebound name", "/", { host: "evil.test", cookie }, 403],
      ["rebound name with port", `/?token=${token}`, { host: `evil.test:${server.port}` }, 403],
      ["host without port", "/", { host: "127.0.0.1", cookie }, 403],
      ["host with a trailing dot", "/", { host: `localhost.:${server.port}`, cookie }, 403],
      ["traversal", "/../secret.txt", { cookie }, 404],
      ["encoded traversal", "/%2e%2e/secret.txt", { cookie }, 404],
      ["a file that is not of the page", "/secret.txt", { cookie }, 404],
      ["inherited name", "/__proto__", { cookie }, 404],
      ["absolute form", `http://${host}/main.js`, { cookie }, 404],
    ];
    for (const [title, target, headers, status] of table) {
      const answer = await ask(target, headers);
      assert.equal(answer.status, status, title);
      assert.ok(!answer.body.includes("secret") && !answer.body.includes(token), title);
      assert.equal(answer.headers["set-cookie"], undefined, title);
    }
    assert.equal((await ask("/", { cookie }, "POST")).status, 405);
    assert.equal((await ask("/", { cookie, host: `localhost:${server.port}` })).status, 200);
  });

  it("refuses WebSockets of other origins, and without token", async () => {
    const origin = `http://${host}`;
    const table: [string, string, Record<string, string>][] = [
      ["other origin", "/rpc", { origin: "https://evil.test", cookie }],
      ["other port of this machine", "/rpc", { origin: "http://127.0.0.1:1", cookie }],
      ["null origin", "/rpc", { origin: "null", cookie }],
      ["null origin with the token", `/rpc?token=${token}`, { origin: "null" }],
      ["same name, other scheme", "/rpc", { origin: `https://${host}`, cookie }],
      ["rebound name", "/rpc", { host: "evil.test", origin: "http://evil.test", cookie }],
      ["origin of the other name of ours", "/rpc", { origin: `http://localhost:${server.port}`, cookie }],
      ["no token", "/rpc", { origin }],
      ["no origin, only a cookie", "/rpc", { cookie }],
      ["other path", "/", { origin, cookie }],
    ];
    for (const [title, target, headers] of table) assert.equal(await connect(target, headers), 403, title);
    assert.equal(served.now, 0);
  });

  it("carries JSON-RPC, one message in each WebSocket message", async () => {
    const socket = await connect("/rpc", { origin: `http://${host}`, cookie });
    assert.ok(typeof socket === "object");
    const replies: Record<string, unknown>[] = [];
    let arrived: () => void = () => undefined;
    socket.on("message", (data: Buffer) => {
      replies.push(JSON.parse(data.toString()) as Record<string, unknown>);
      arrived();
    });
    const reply = async (): Promise<Record<string, unknown>> => {
      while (replies.length === 0) await new Promise<void>((resolve) => (arrived = resolve));
      return replies.shift() ?? {};
    };
    socket.send('{"jsonrpc":"2.0","id":1,"method":"capture/state","params":null}');
    assert.deepEqual((await reply())["result"], { capturing: true });
    const expected = {
      host: "browser",
      placement: "browser",
      agent: "running",
      shares: [{ id: "s1", port: 8080, kind: "http", state: "online", url: SHARE.url }],
    };
    socket.send('{"jsonrpc":"2.0","id":2,"method":"host/state","params":null}');
    assert.deepEqual((await reply())["result"], expected);
    changed();
    assert.deepEqual(await reply(), { jsonrpc: "2.0", method: "host/stateChanged", params: expected });
    socket.send('{"jsonrpc":"2.0","id":3,"method":"host/save","params":{}}');
    assert.equal(((await reply())["error"] as { code: number }).code, -32601);
    const disposed = new Promise<void>((resolve) => (served.disposed = resolve));
    const closed = new Promise<number>((resolve) => socket.on("close", resolve));
    socket.send("no JSON");
    assert.equal(await closed, 1007);
    await disposed;
    assert.equal(served.now, 0);
  });

  it("lets a program without Origin in with the token", async () => {
    const socket = await connect(`/rpc?token=${token}`, {});
    assert.ok(typeof socket === "object");
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.terminate();
    await closed;
  });
});
