/**
 * T-12: SSRF through the agent: relay (malicious) sends CONNECT/requests for 169.254.169.254:80, localhost:22,
 * absolute-form, other local port, redirect: agent connects only to the shared port (asserted with a connect hook);
 * sharing own control/relay port refused; loops → 508.
 */
import assert from "node:assert/strict";
import diagnostics from "node:diagnostics_channel";
import http from "node:http";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { createAgent } from "../../agent/agent.ts";
import { RelayDouble } from "../../agent/support/relay-double.ts";
import { silentLogger } from "../../wire/logger.ts";
import { request, request2 } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import { startProgram } from "../support/process.ts";
import { startRecordingService, text1 } from "../support/recording-service.ts";
import type { RecordingService } from "../support/recording-service.ts";

/** Every connection that this process begins, as the system is asked for it. */
class ConnectHook {
  readonly attempts: string[] = [];
  readonly #subscription = (message: unknown): void => {
    const { socket } = message as { socket: net.Socket };
    socket.on("connectionAttempt", (address: string, port: number) => this.attempts.push(`${address}:${port}`));
    socket.on("lookup", (_error: Error | null, _address: string, _family: unknown, host: string) =>
      this.attempts.push(`lookup ${host}`),
    );
  };
  constructor() {
    diagnostics.subscribe("net.client.socket", this.#subscription);
  }
  stop(): void {
    diagnostics.unsubscribe("net.client.socket", this.#subscription);
  }
}

function listening(server: net.Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as net.AddressInfo).port)),
  );
}

type Head = Readonly<Record<string, string>>;

describe("a malicious relay", () => {
  const hook = new ConnectHook();
  const agent = createAgent({ log: silentLogger });
  let relay: RelayDouble;
  let services: readonly RecordingService[];
  let echo: net.Server;
  let echoPort = 0;
  let trap: net.Server;
  let trapPort = 0;
  let trapped = 0;
  let ids: string[];
  let tcp = "";

  before(async () => {
    relay = await RelayDouble.start();
    services = [await startRecordingService(1), await startRecordingService(2)];
    trap = net.createServer((socket) => {
      trapped++;
      socket.destroy();
    });
    trapPort = await listening(trap);
    echo = net.createServer((socket) => socket.on("error", () => undefined).pipe(socket));
    echoPort = await listening(echo);
    const share = async (port: number, kind: "http" | "tcp"): Promise<string> =>
      (await agent.share({ port, kind, host: "127.0.0.1", relay: { url: relay.url } })).info.id;
    ids = await Promise.all(services.map(({ port }) => share(port, "http")));
    tcp = await share(echoPort, "tcp");
  });
  after(async () => {
    hook.stop();
    await agent.close();
    await relay.stop();
    for (const service of services) await service.close();
    echo.close();
    trap.close();
  });

  /** Nothing was dialled, resolved or reached but the relay and what is shared. */
  function reached(): void {
    const shared = [...services.map(({ port }) => port), echoPort, relay.port];
    const others = hook.attempts.filter((one) => !shared.some((port) => one === `127.0.0.1:${port}`));
    assert.deepEqual(others, []);
    assert.equal(trapped, 0);
    assert.ok(hook.attempts.length > 0, "the hook sees something");
  }

  const targets = (): string[] => [
    ...[
      "169.254.169.254:80",
      "169.254.169.254",
      "localhost:22",
      "[::1]:22",
      "[fe80::1]:80",
      "0.0.0.0:80",
      "10.0.0.1:80",
    ],
    ...[
      "metadata.google.internal",
      "evil.test:443",
      `127.0.0.1:${trapPort}`,
      `localhost:${trapPort}`,
      "unix:/var/run/docker.sock",
    ],
  ];

  test("requests whose authority, host or path names another place go to the shared port or nowhere", async () => {
    for (const [index, id] of ids.entries())
      for (const target of targets()) {
        const heads: Head[] = [
          { ":authority": target },
          { ":authority": "a", host: target },
          { ":authority": "", host: target },
          { ":authority": target, "x-forwarded-host": target, forwarded: `host=${target}` },
          { ":path": `http://${target}/latest/meta-data` },
          { ":path": `//${target}/` },
          { ":path": `/\\${target}/` },
          { ":path": `@${target}/` },
          { ":path": "*", ":method": "OPTIONS", ":authority": target },
          { ":scheme": "ftp", ":authority": target },
          { ":scheme": "file", ":path": "/etc/passwd" },
          { "portlight-port": "22", "portlight-host": target, "portlight-target": target },
          { ":method": "CONNECT", ":scheme": "", ":path": "", ":authority": target },
          { ":method": "CONNECT", ":protocol": "connect-tcp", ":authority": target },
          { ":method": "CONNECT", ":protocol": "connect-udp", ":authority": target },
          { ":method": "CONNECT", ":protocol": "websocket", ":authority": target },
          { "portlight-share": target },
          { "portlight-share": `${id}:22` },
          { "portlight-share": `${id}/../${trapPort}` },
          { "portlight-share": "" },
        ];
        for (const head of heads) {
          const visitor = relay.exchange(id, head);
          // Our own service does not do WebSockets: all that matters is where it is asked for.
          if (head[":protocol"] !== "websocket") await visitor.over();
          else visitor.reset();
          const { failure, status } = visitor;
          if (status === "200") assert.equal(visitor.text.slice(0, 5), "seen:", JSON.stringify(head));
          else
            assert.ok(
              failure !== undefined || status === undefined || Number(status) >= 400,
              `${index}: ${JSON.stringify(head)}: ${status ?? ""}`,
            );
        }
      }
    reached();
    for (const { doubts } of services) assert.deepEqual(doubts, []);
  });

  test("a TCP share is a connection to its port, whatever the CONNECT says", async () => {
    // A path is no authority: HTTP/2 refuses it.
    for (const target of targets().filter((one) => !one.includes("/"))) {
      const visitor = relay.exchange(
        tcp,
        { ":method": "CONNECT", ":scheme": "", ":path": "", ":authority": target },
        "(open)",
      );
      visitor.send("ping", true);
      await visitor.until(({ text }) => text === "ping", "the echo");
      await visitor.over();
    }
    for (const head of [{}, { ":method": "CONNECT", ":protocol": "websocket" }]) {
      const visitor = await relay.exchange(tcp, head).over();
      assert.equal(visitor.status, "501");
    }
    reached();
  });

  test("redirects and alternative services are not followed", async () => {
    const [service] = services;
    const [id = ""] = ids;
    assert.ok(service !== undefined);
    const plain = service.answer;
    const lines = targets().flatMap((target) => [
      `Location: http://${target}/`,
      `Location: //${target}/`,
      `Refresh: 0; url=http://${target}/`,
      `Alt-Svc: h2="${target}"; ma=3600`,
      `Link: <http://${target}/>; rel=preload`,
    ]);
    for (const line of lines)
      for (const status of [301, 302, 307, 308]) {
        service.answer = () => text1(status, "", line);
        const visitor = await relay.exchange(id, {}).over();
        assert.equal(visitor.status, String(status));
        const [name = "", value = ""] = line.split(/: (.*)/);
        assert.equal(visitor.head?.find((field) => field.name === name.toLowerCase())?.value, value);
      }
    service.answer = plain;
    await relay.exchange(id, {}).over();
    reached();
  });

  test("control messages cannot move a share: unknown ones are ignored, a grant names no port", async () => {
    const [id = ""] = ids;
    const { session } = relay;
    const shared = agent.shares.find((share) => share.id === id);
    const grant = {
      id,
      kind: "tcp" as const,
      name: "x",
      url: `tcp://127.0.0.1:${trapPort}`,
      alternativeUrls: [],
      secret: "s".repeat(22),
    };
    session.send({
      type: "shared",
      share: { ...grant, port: trapPort, host: "169.254.169.254", publicPort: trapPort } as never,
    });
    session.send({ type: "shared", share: { ...grant, id: "unknown" } });
    const visitor = await relay.exchange(id, {}).over();
    assert.equal(visitor.text, "seen:/");
    assert.equal(agent.shares.find((share) => share.id === id)?.port, shared?.port);
    const connect = await relay.exchange(id, { ":method": "CONNECT", ":scheme": "", ":path": "" }).over();
    assert.notEqual(connect.status, "200");
    reached();
  });

  test("only loopback can be shared, and no port of ours", async () => {
    for (const host of [
      "169.254.169.254",
      "10.0.0.1",
      "0.0.0.0",
      "::",
      "evil.test",
      "localhost.evil.test",
      "127.0.0.1.evil.test",
      "127.1",
      "2130706433",
      "::ffff:127.0.0.1",
      "localhost\0",
    ])
      await assert.rejects(
        agent.share({ port: 80, kind: "http", host, relay: { url: relay.url } }),
        { code: "invalid" },
        host,
      );
    await assert.rejects(agent.share({ port: relay.port, kind: "http", relay: { url: relay.url } }), {
      code: "invalid",
    });
    reached();
  });
});

test("our own ports: relay, tunnel and inspector are refused", async () => {
  const path = await startPath({ capture: false });
  const ports = [path.relay.publicUrl, path.relay.tunnelUrl].map((url) =>
    Number(new URL(url.replace("tcp:", "http:")).port),
  );
  const agent = createAgent({ log: silentLogger, forbiddenPorts: ports });
  try {
    for (const port of ports)
      for (const kind of ["http", "tcp"] as const)
        await assert.rejects(agent.share({ port, kind, relay: { url: path.relay.tunnelUrl } }), { code: "invalid" });
  } finally {
    await agent.close();
    await path.close();
  }
  const free = net.createServer();
  const port = await listening(free);
  await new Promise((resolve) => free.close(resolve));
  const program = startProgram("cli/main.ts", ["share", String(port), "--inspect", String(port)]);
  try {
    assert.notEqual((await program.exited).code, 0);
    assert.match(program.errorLines.items.join("\n"), /given twice/);
  } finally {
    program.child.kill("SIGKILL");
  }
});

test("a service that calls its own public URL: 508 after 8 rounds, in both versions", async () => {
  const path = await startPath({ capture: false });
  let url = "";
  let rounds = 0;
  // As a gateway does it: the head as it came, to where it is configured to go.
  const gateway = http.createServer((incoming, outgoing) => {
    rounds++;
    const onward = http.request(
      `${url}${incoming.url ?? ""}`,
      { method: incoming.method, headers: { ...incoming.headers, host: new URL(url).host }, agent: false },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(outgoing);
      },
    );
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  const port = await listening(gateway);
  try {
    const shared = await path.share(port);
    url = shared.url;
    for (const send of [request, request2])
      for (const method of ["GET", "POST"]) {
        rounds = 0;
        assert.equal((await send(shared.address, "/loop", { method })).status, 508);
        assert.equal(rounds, 8);
      }
  } finally {
    await path.close();
    gateway.closeAllConnections();
    gateway.close();
  }
});
