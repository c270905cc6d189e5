import { strict as assert } from "node:assert";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import type { AddressInfo, Server } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { selfSigned } from "../test/support/self-signed.ts";
import { silentLogger } from "../wire/logger.ts";
import { createAgent } from "./agent.ts";
import type { Agent, ShareOptions } from "./options.ts";
import { OPEN, RelayDouble, field } from "./support/relay-double.ts";
import type { VisitorStream } from "./support/relay-double.ts";

interface Closable {
  close(): void;
}

describe("an exchange through the agent", () => {
  let relay: RelayDouble;
  let agent: Agent;
  const services: Closable[] = [];

  before(async () => {
    relay = await RelayDouble.start();
    agent = createAgent({ log: silentLogger });
  });
  afterEach(async () => {
    for (const share of agent.shares) await agent.unshare(share.id);
    for (const service of services.splice(0)) service.close();
  });
  after(async () => {
    await agent.close();
    await relay.stop();
  });

  /** Listens on a free loopback port; every socket is gone when the test ends. */
  async function listen(server: Server, host = "127.0.0.1"): Promise<number> {
    const sockets = new Set<net.Socket>();
    server.on("connection", (socket: net.Socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    services.push({
      close: () => {
        server.close();
        for (const socket of sockets) socket.destroy();
      },
    });
    return (server.address() as AddressInfo).port;
  }

  async function share(port: number, options: Partial<ShareOptions> = {}): Promise<string> {
    const { info } = await agent.share({ port, kind: "http", relay: { url: relay.url }, ...options });
    return info.id;
  }

  function echoHeads(version: string): http.RequestListener {
    return (request, response) => {
      request.resume();
      request.on("end", () => {
        response.setHeader("x-spoken", version);
        response.end(JSON.stringify({ version: request.httpVersion, headers: request.headers, url: request.url }));
      });
    };
  }

  function http2Handler(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200, "x-spoken": "2" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.pipe(stream, { end: false });
    stream.on("end", () => stream.end(JSON.stringify({ version: "2.0", headers })));
  }

  async function ask(id: string, fields: Record<string, string> = {}, body?: string): Promise<VisitorStream> {
    return relay.exchange(id, fields, body).over();
  }

  const GRPC = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };

  it("speaks to each service what it understands, for each kind of exchange", async () => {
    const both = net.createServer({ pauseOnConnect: false });
    const plain1 = http.createServer(echoHeads("1"));
    const plain2 = http2.createServer();
    plain2.on("stream", http2Handler);
    both.on("connection", (socket: net.Socket) => {
      socket.once("readable", () => {
        const first = socket.read() as Buffer | null;
        if (first === null) return;
        socket.unshift(first);
        (first.toString("latin1").startsWith("PRI ") ? plain2 : plain1).emit("connection", socket);
      });
    });
    const { cert, key } = selfSigned(["localhost"]);
    const secure2 = http2.createSecureServer({ cert, key, allowHTTP1: false });
    secure2.on("stream", http2Handler);
    const secureBoth = http2.createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => {
      response.setHeader("x-spoken", request.httpVersion.slice(0, 1));
      response.end();
    });
    const table: [string, Server, string, { "2": string; "1.1": string; grpc: string }][] = [
      ["node:http", http.createServer(echoHeads("1")), "127.0.0.1", { "2": "1", "1.1": "1", grpc: "1" }],
      ["node:http on ::1 only", http.createServer(echoHeads("1")), "::1", { "2": "1", "1.1": "1", grpc: "1" }],
      ["node:http2", http2.createServer().on("stream", http2Handler), "127.0.0.1", { "2": "2", "1.1": "2", grpc: "2" }],
      ["both in cleartext", both, "127.0.0.1", { "2": "2", "1.1": "1", grpc: "2" }],
      ["https", https.createServer({ cert, key }, echoHeads("1")), "127.0.0.1", { "2": "1", "1.1": "1", grpc: "1" }],
      ["HTTP/2 over TLS", secure2, "::1", { "2": "2", "1.1": "2", grpc: "2" }],
      ["both over TLS", secureBoth, "127.0.0.1", { "2": "2", "1.1": "1", grpc: "2" }],
    ];
    for (const [name, server, host, expected] of table) {
      const port = await listen(server, host);
      // A share of its own for each: each finds out by itself, beginning with another kind of exchange.
      for (const first of ["2", "1.1", "grpc"] as const) {
        const id = await share(port);
        for (const kind of [first, "2", "1.1", "grpc", first] as const) {
          const fields = kind === "grpc" ? GRPC : { "portlight-http": kind };
          const visitor = await ask(id, fields, kind === "grpc" ? "\0\0\0\0\0" : undefined);
          assert.equal(visitor.failure, undefined, name);
          const spoken = field(visitor.head ?? [], "x-spoken");
          assert.equal(spoken, expected[kind], `${name}, ${kind} after ${first}: ${visitor.text}`);
        }
        await agent.unshare(id);
      }
    }
  });

  it("sends the service nothing but the request, once it is known", async () => {
    const seen: string[] = [];
    const server = http.createServer((request, response) => {
      seen.push(`${request.method ?? ""} ${request.url ?? ""}`);
      response.end();
    });
    const id = await share(await listen(server));
    for (const path of ["/a", "/b", "/c"]) await ask(id, { ":path": path });
    assert.deepEqual(seen, ["GET /a", "GET /b", "GET /c"]);
  });

  it("writes the head as the service expects it, and keeps what is the relay's to itself", async () => {
    const id = await share(await listen(http.createServer(echoHeads("1"))));
    const { port } = agent.shares[0] ?? { port: 0 };
    const visitor = await ask(id, {
      ":path": "/path?query",
      origin: "https://bold-otter.example.com",
      referer: "https://bold-otter.example.com/from?x",
      "portlight-other": "x",
      cookie: "a=b",
    });
    const { headers, url } = JSON.parse(visitor.text) as { headers: Record<string, string>; url: string };
    assert.equal(url, "/path?query");
    assert.equal(headers["host"], `localhost:${port}`);
    assert.equal(headers["origin"], `http://localhost:${port}`);
    assert.equal(headers["referer"], `http://localhost:${port}/from?x`);
    assert.equal(headers["x-forwarded-host"], "bold-otter.example.com");
    assert.equal(headers["cookie"], "a=b");
    assert.equal(headers["portlight-hops"], "1");
    assert.deepEqual(
      Object.keys(headers).filter((name) => name.startsWith("portlight-")),
      ["portlight-hops"],
    );
    const kept = await share(port, { keepHost: true });
    const answer = JSON.parse((await ask(kept)).text) as { headers: Record<string, string> };
    assert.equal(answer.headers["host"], "bold-otter.example.com");
  });

  it("turns a redirect to the service's own address to the public one", async () => {
    const server = http.createServer((request, response) => {
      response.writeHead(302, { location: `http://${request.headers.host ?? ""}/login?next=%2F` });
      response.end();
    });
    const id = await share(await listen(server));
    assert.equal(field((await ask(id)).head ?? [], "location"), "https://bold-otter.example.com/login?next=%2F");
  });

  it("answers 502 naming host and port when nothing listens, and works as soon as something does", async () => {
    const server = http.createServer(echoHeads("1"));
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const id = await share(port);
    const refused = await ask(id);
    assert.equal(refused.status, "502");
    assert.match(refused.text, new RegExp(`localhost:${port}`));
    const call = await ask(id, GRPC, "");
    assert.equal(call.status, "200");
    assert.equal(field(call.head ?? [], "grpc-status"), "14");
    assert.match(field(call.head ?? [], "grpc-message") ?? "", new RegExp(`localhost:${port}`));
    const late = http2.createServer().on("stream", http2Handler);
    await new Promise<void>((resolve) => late.listen(port, "127.0.0.1", resolve));
    services.push(late);
    assert.equal(field((await ask(id)).head ?? [], "x-spoken"), "2");
  });

  it("notices a service that comes back speaking something else", async () => {
    const first = http.createServer(echoHeads("1"));
    const port = await listen(first);
    const id = await share(port);
    assert.equal(field((await ask(id)).head ?? [], "x-spoken"), "1");
    first.closeAllConnections();
    await new Promise((resolve) => first.close(resolve));
    const second = http2.createServer().on("stream", http2Handler);
    await new Promise<void>((resolve) => second.listen(port, "127.0.0.1", resolve));
    services.push(second);
    // The one that meets the change may fail; the next must not.
    await ask(id);
    assert.equal(field((await ask(id)).head ?? [], "x-spoken"), "2");
  });

  it("opens several connections to a service that allows one stream on each", async () => {
    let open = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const server = http2.createServer({ settings: { maxConcurrentStreams: 1 } });
    server.on("stream", (stream) => {
      stream.on("error", () => undefined);
      open += 1;
      most = Math.max(most, open);
      waiting.push(() => {
        open -= 1;
        stream.respond({ ":status": 200 });
        stream.end("done");
      });
      if (waiting.length === 12) for (const answer of waiting) answer();
    });
    const id = await share(await listen(server));
    const visitors = Array.from({ length: 12 }, () => relay.exchange(id, {}));
    for (const visitor of visitors) assert.equal((await visitor.over()).text, "done");
    assert.equal(most, 12);
  });

  for (const kill of ["FIN", "RST"] as const)
    for (const framing of ["content-length", "chunked", "http2"] as const)
      it(`passes a service that dies in mid-body (${framing}, ${kill}) on as a failure, never as an end`, async () => {
        const server =
          framing === "http2"
            ? http2.createServer().on("stream", (stream) => {
                stream.on("error", () => undefined);
                stream.respond({ ":status": 200 });
                stream.write("half");
              })
            : http.createServer((_request, response) => {
                if (framing === "content-length") response.setHeader("content-length", "100");
                response.write("half");
              });
        const sockets: net.Socket[] = [];
        server.on("connection", (socket: net.Socket) => sockets.push(socket));
        const id = await share(await listen(server));
        const visitor = relay.exchange(id, {});
        await visitor.until(({ text }) => text === "half");
        for (const socket of sockets) {
          if (kill === "RST") socket.resetAndDestroy();
          else socket.destroy();
        }
        await visitor.over();
        assert.equal(visitor.ended, false);
        assert.notEqual(visitor.failure, undefined);
      });

  it("passes an early 413 on whole while the upload is still under way", async () => {
    const server = http.createServer((_request, response) => {
      response.writeHead(413, { connection: "close" });
      response.end("too large");
    });
    const id = await share(await listen(server));
    const visitor = relay.exchange(id, { ":method": "POST", "content-length": "10000000" }, OPEN);
    visitor.send(Buffer.alloc(100_000));
    await visitor.until(({ ended }) => ended);
    assert.equal(visitor.status, "413");
    assert.equal(visitor.text, "too large");
  });

  it("repeats a GET on a new connection when the kept one turns out to be closed", async () => {
    let connections = 0;
    const server = net.createServer((socket) => {
      const first = ++connections === 2;
      let answered = 0;
      socket.on("error", () => undefined);
      socket.on("data", (data) => {
        if (data.toString("latin1").startsWith("PRI ")) return void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
        // The second request on the first real connection meets a service that just closed it.
        if (first && answered++ === 1) return void socket.destroy();
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
    });
    const id = await share(await listen(server));
    assert.equal((await ask(id)).text, "ok");
    assert.equal((await ask(id)).text, "ok");
    assert.equal(connections, 3);
    const posted = relay.exchange(id, { ":method": "POST" }, "x");
    assert.equal((await posted.over()).text, "ok");
  });

  it("does not repeat what the service may have acted upon", async () => {
    let requests = 0;
    const server = net.createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (data) => {
        if (data.toString("latin1").startsWith("PRI ")) return void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
        requests += 1;
        socket.destroy();
      });
    });
    const id = await share(await listen(server));
    for (const method of ["POST", "GET"]) {
      requests = 0;
      const visitor = await relay.exchange(id, { ":method": method }, method === "POST" ? "" : undefined).over();
      assert.equal(visitor.status, "502", method);
      assert.equal(requests, 1, method);
    }
  });

  it("connects TCP shares byte for byte, with half-close and reset", async () => {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.write("hello\n");
      socket.on("data", (data) => socket.write(data));
      socket.on("end", () => socket.end("bye\n"));
    });
    const id = await share(await listen(server), { kind: "tcp" });
    const connect = { ":method": "CONNECT", ":scheme": "", ":path": "" };
    const visitor = relay.exchange(id, connect, OPEN);
    await visitor.until(({ text }) => text === "hello\n");
    assert.equal(visitor.status, "200");
    visitor.send("echo\n", true);
    assert.equal((await visitor.over()).text, "hello\necho\nbye\n");
    assert.equal(visitor.failure, undefined);
    // HTTP on a TCP share, and TCP on an HTTP share, are refused.
    assert.equal((await ask(id)).status, "501");
    const http_ = await share(agent.shares[0]?.port ?? 0);
    assert.equal((await relay.exchange(http_, connect, OPEN).over()).status, "501");
  });

  it("tells a TCP visitor that nothing listens", async () => {
    const server = net.createServer();
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    const id = await share(port, { kind: "tcp" });
    const visitor = await relay.exchange(id, { ":method": "CONNECT", ":scheme": "", ":path": "" }, OPEN).over();
    assert.equal(visitor.status, "502");
  });

  it("answers 404 for a share that is not, or no longer, there", async () => {
    const id = await share(await listen(http.createServer(echoHeads("1"))));
    assert.equal((await ask("nobody")).status, "404");
    await agent.unshare(id);
    // The last share took the tunnel with it.
    await share(await listen(http.createServer(echoHeads("1"))));
    assert.equal((await ask(id)).status, "404");
  });

  it("connects to the shared port only, whatever a malicious relay asks for", async () => {
    let touched = 0;
    const victim = await listen(http.createServer().on("connection", () => (touched += 1)));
    const server = http.createServer(echoHeads("1"));
    const port = await listen(server);
    const id = await share(port);
    const attempts: Record<string, string>[] = [
      { ":authority": `127.0.0.1:${victim}` },
      { ":authority": "169.254.169.254" },
      { ":path": `http://127.0.0.1:${victim}/` },
      { host: `127.0.0.1:${victim}` },
      { "x-forwarded-host": `127.0.0.1:${victim}` },
      { ":method": "CONNECT", ":authority": `127.0.0.1:${victim}`, ":scheme": "", ":path": "" },
      { ":method": "CONNECT", ":protocol": "connect-udp", ":path": `/${victim}/` },
      { "portlight-port": String(victim), "portlight-host": "127.0.0.1" },
    ];
    for (const fields of attempts) {
      const visitor = await ask(id, fields);
      if (visitor.status !== "200") continue;
      const { headers } = JSON.parse(visitor.text) as { headers: Record<string, string> };
      assert.equal(headers["host"], `localhost:${port}`);
    }
    assert.equal(touched, 0);
  });
});
