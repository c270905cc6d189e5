/** The program `portlight` in processes of its own, as built: output, exit codes, two processes, restarts, kills. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import nodePath from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { startGrpc } from "../../sample/grpc/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { freePort } from "../support/ports.ts";
import { selfSignedFiles } from "../support/self-signed.ts";
import { GrpcClient } from "../support/grpc.ts";
import { begin, beginUpload, startHalfService } from "../support/half.ts";
import type { HalfService } from "../support/half.ts";
import { curl, request } from "../support/http.ts";
import { startPortlight } from "../support/process.ts";
import type { Program } from "../support/process.ts";
import { until, within } from "../support/time.ts";

let state: string;
let service: HalfService;
let grpc: RunningService;
const running: Program[] = [];

before(async () => {
  service = await startHalfService();
  grpc = await startGrpc();
});

beforeEach(() => {
  state = mkdtempSync(nodePath.join(tmpdir(), "portlight-cli-"));
});

after(async () => {
  await service.close();
  await grpc.close();
});

/** Runs `use` and ends every program it started. */
async function programs(use: () => Promise<void>): Promise<void> {
  try {
    await use();
  } finally {
    for (const program of running.splice(0)) if (program.child.exitCode === null) program.child.kill("SIGKILL");
    rmSync(state, { recursive: true });
  }
}

function portlight(args: readonly string[], options = {}): Program {
  const program = startPortlight(args, state, options);
  running.push(program);
  return program;
}

const addressOf = (url: unknown): string => new URL(String(url)).host;

test("help, version, wrong usage: exit codes 0 and 2", () =>
  programs(async () => {
    const version = portlight(["--version"]);
    assert.deepEqual(await version.exited, { code: 0, signal: null });
    const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    assert.deepEqual(version.lines.items, [manifest.version]);
    const help = portlight(["share", "--help"]);
    assert.equal((await help.exited).code, 0);
    assert.match(help.lines.items.join("\n"), /--inspect\[=PORT\]/);
    for (const args of [
      ["share"],
      ["share", "99999"],
      ["share", "80", "--nonsense"],
      ["frobnicate"],
      ["relay", "extra"],
    ]) {
      const wrong = portlight(args);
      assert.equal((await wrong.exited).code, 2, args.join(" "));
      assert.deepEqual(wrong.lines.items, []);
      assert.match(wrong.errorLines.items.join("\n"), /^portlight: .*\nSee: portlight --help$/);
    }
  }));

describe("share", () => {
  test("--json: shares, inspector, exchanges, and an end by SIGINT", () =>
    programs(async () => {
      const program = portlight([
        "share",
        String(grpc.port),
        String(service.port),
        "--json",
        "--inspect",
        "--proto",
        "sample",
      ]);
      const inspector = await program.nextJson("inspector");
      const [first, second] = program.json();
      assert.ok(first !== undefined && second !== undefined);
      assert.deepEqual(
        [first.type, first["port"], second.type, second["port"]],
        ["shared", grpc.port, "shared", service.port],
      );
      assert.match(String(first["url"]), /^http:\/\/127\.0\.0\.1:\d+$/);
      assert.equal(typeof first["name"], "string");
      assert.match(String(inspector["url"]), /^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{20,}$/);
      const client = new GrpcClient(addressOf(first["url"]), "shop.v1.Orders");
      const result = await client.call("GetOrder", [{ id: "order-7" }], {
        metadata: { authorization: "Bearer canary" },
      });
      client.close();
      assert.equal(result.code, "NOT_FOUND");
      const exchange = await program.nextJson("exchange");
      assert.deepEqual(
        [exchange["protocol"], exchange["method"], exchange["path"], exchange["status"], exchange["grpcStatus"]],
        ["grpc", "POST", "/shop.v1.Orders/GetOrder", 200, 5],
      );
      assert.equal(exchange["grpcMessage"], result.details);
      assert.ok(Number(exchange["startedAt"]) > 1_700_000_000_000 && Number(exchange["durationMs"]) >= 0);
      const [message] = exchange["messages"] as Record<string, unknown>[];
      assert.deepEqual(
        [message?.["from"], message?.["type"], message?.["value"]],
        ["visitor", "shop.v1.GetOrderRequest", { id: "order-7" }],
      );
      assert.ok(!program.lines.items.join("").includes("canary"));
      assert.deepEqual(await program.stop("SIGINT"), { code: 0, signal: null });
      assert.deepEqual(program.errorLines.items, []);
    }));

  test("SIGTERM waits for what is open; a second signal does not", () =>
    programs(async () => {
      const program = portlight(["share", String(grpc.port), "--json"]);
      const shared = await program.nextJson("shared");
      const client = new GrpcClient(addressOf(shared["url"]), "diagnostics.v1.Diagnostics");
      const call = client.start("Spread");
      call.write({ sizes: [1, 1], delay: { nanos: 900_000_000 } });
      call.end();
      await call.message(0);
      program.child.kill("SIGTERM");
      assert.equal((await call.result).code, "OK");
      assert.equal((await within(5000, "the end", program.exited)).code, 0);
      client.close();

      const impatient = portlight(["share", String(service.port), "--json"]);
      const again = await impatient.nextJson("shared");
      const visitor = await begin["server-sent events"]?.({ http: addressOf(again["url"]), grpc: "" });
      impatient.child.kill("SIGTERM");
      await impatient.errorLines.next(3000, "it says what it waits for", (line) => line.includes("Waiting"));
      impatient.child.kill("SIGTERM");
      assert.equal((await within(2000, "the end at once", impatient.exited)).code, 1);
      assert.equal(await visitor?.outcome, "error");
    }));

  test("the same URL after a restart; the file of names is for this user only", () =>
    programs(async () => {
      const urls: unknown[] = [];
      for (let round = 0; round < 2; round++) {
        const program = portlight(["share", String(service.port), "--json"]);
        urls.push((await program.nextJson("shared"))["url"]);
        await program.stop();
      }
      assert.equal(urls[1], urls[0]);
      assert.equal(statSync(nodePath.join(state, "portlight/names.json")).mode & 0o777, 0o600);
    }));

  test("a reader that goes away ends it; a reader that sleeps does not slow the traffic", () =>
    programs(async () => {
      const left = portlight(["share", String(service.port), "--json"]);
      const shared = await left.nextJson("shared");
      left.child.stdout?.destroy();
      await request(addressOf(shared["url"]), "/whole");
      assert.equal((await within(10_000, "the end", left.exited)).code, 0);

      const asleep = portlight(["share", String(grpc.port), "--json"], { read: false });
      const file = nodePath.join(state, "portlight/names.json");
      const port = await until(10_000, "the share is granted", () => {
        try {
          const names = JSON.parse(readFileSync(file, "utf8")) as Record<string, { publicPort?: number }>;
          return names[`local http ${grpc.port} `]?.publicPort;
        } catch {
          return undefined;
        }
      });
      const client = new GrpcClient(`127.0.0.1:${port}`, "diagnostics.v1.Diagnostics");
      for (let round = 0; round < 20; round++)
        assert.equal(
          (await within(5000, "a call", client.call("Echo", [{ payload: Buffer.alloc(400_000, round) }]))).code,
          "OK",
        );
      client.close();
      await asleep.stop("SIGTERM", 15_000);
    }));

  test("human output: addresses and a line for each exchange", () =>
    programs(async () => {
      const program = portlight(["share", String(service.port)]);
      const line = await program.lines.next(10_000, "the URL", (text) => text.includes("http://"));
      const url = /http:\/\/\S+/.exec(line)?.[0];
      await request(addressOf(url), "/whole");
      await program.lines.next(5000, "the exchange", (text) => /GET \/whole {2}200/.test(text));
      assert.equal((await program.stop("SIGINT")).code, 0);
    }));

  test("what is wrong is said: no service, no relay, the local network", () =>
    programs(async () => {
      const unused = await freePort();
      const program = portlight(["share", String(unused), "--lan"]);
      await program.errorLines.next(5000, "no service", (line) =>
        line.startsWith(`Nothing seems to listen on port ${unused} `),
      );
      await program.lines.next(5000, "who can reach it", (line) => line.includes("network"));
      await program.stop("SIGINT");

      const waiting = portlight(["share", String(service.port), "--relay", `tcp://127.0.0.1:${unused}`]);
      await waiting.errorLines.next(5000, "no relay", (line) =>
        /no connection to the relay .* trying until there is one\. .*ECONNREFUSED\)\.$/.test(line),
      );
      assert.equal((await waiting.stop("SIGINT")).code, 0);
    }));

  test("--tcp: any bytes, both ends half-closing", () =>
    programs(async () => {
      const echo = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
      await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
      const program = portlight(["share", String((echo.address() as net.AddressInfo).port), "--tcp", "--json"]);
      const { port } = new URL(String((await program.nextJson("shared"))["url"]).replace("tcp:", "http:"));
      const socket = net.connect({ port: Number(port), host: "127.0.0.1", allowHalfOpen: true });
      const sent = Buffer.from([0, 255, 10, 13, 80, 82, 73]);
      socket.end(sent);
      const received: Buffer[] = [];
      for await (const chunk of socket) received.push(chunk as Buffer);
      assert.deepEqual(Buffer.concat(received), sent);
      await program.stop();
      echo.close();
    }));
});

describe("relay and share as two processes", () => {
  /** A relay on the ports of `before`, or on free ones. */
  async function relay(before?: {
    readonly visitors: string;
    readonly tunnel: string;
  }): Promise<{ program: Program; visitors: string; tunnel: string }> {
    const program = portlight([
      ...["relay", "--json", "--listen", before === undefined ? "127.0.0.1:0" : before.visitors],
      ...["--tunnel-listen", before === undefined ? "127.0.0.1:0" : addressOf(before.tunnel.replace("tcp:", "http:"))],
    ]);
    const line = await program.nextJson("listening");
    return { program, visitors: `127.0.0.1:${new URL(String(line["public"])).port}`, tunnel: String(line["tunnel"]) };
  }

  for (const victim of ["relay", "agent"] as const)
    test(`kill -9 of the ${victim} in the middle of every kind of body: an error on both ends`, () =>
      programs(async () => {
        const first = await relay();
        const agent = portlight(["share", String(service.port), String(grpc.port), "--json", "--relay", first.tunnel]);
        await agent.lines.count(2, 10_000, "share");
        const [http, rpc] = agent.json().map((line) => addressOf(line["url"]));
        assert.ok(http !== undefined && rpc !== undefined);
        const visitors = await Promise.all(Object.values(begin).map((start) => start({ http, grpc: rpc })));
        const known = service.uploads.items.length;
        visitors.push(await beginUpload(http, service, false), await beginUpload(http, service, true));
        (victim === "relay" ? first.program : agent).child.kill("SIGKILL");
        const outcomes = await within(
          5000,
          "every visitor is told",
          Promise.all(visitors.map(({ outcome }) => outcome)),
        );
        assert.deepEqual(
          outcomes,
          visitors.map(() => "error"),
        );
        await service.uploads.count(known + 2, 5000, "upload ended");
        assert.deepEqual(service.uploads.items.slice(known), ["cut", "cut"]);
        for (const visitor of visitors) visitor.close();
      }));

  test("the agent is back within 3 s of the relay's return, at the same URL", () =>
    programs(async () => {
      const first = await relay();
      const agent = portlight(["share", String(service.port), "--json", "--relay", first.tunnel]);
      const url = String((await agent.nextJson("shared"))["url"]);
      assert.equal((await request(addressOf(url), "/whole")).body, "whole");
      first.program.child.kill("SIGKILL");
      await first.program.exited;
      const down = await agent.nextJson("state");
      assert.equal(down["state"], "reconnecting");
      // Dialled in vain at least once: the pause before the next attempt has begun to grow.
      await agent.lines.next(10_000, "a dial in vain", (line) => line.includes('"code":"unreachable"'));
      await relay(first);
      const started = performance.now();
      await until(3000, `an answer at ${url}`, async () => {
        const answer = await request(addressOf(url), "/whole").catch(() => undefined);
        return answer?.body === "whole";
      });
      assert.ok(performance.now() - started < 3000);
      assert.equal((await agent.stop()).code, 0);
    }));

  test("a public relay: TLS, tokens, wildcard names, the same name after a restart", () =>
    programs(async () => {
      const certificate = selfSignedFiles(["localhost", "portlight.test", "*.portlight.test", "127.0.0.1"]);
      try {
        const token = "a-token-of-the-test-0123456789";
        const tokens = nodePath.join(state, "tokens");
        writeFileSync(tokens, `# test\n${token}\n`, { mode: 0o600 });
        const wrong = nodePath.join(state, "wrong");
        writeFileSync(wrong, "another-token-0123456789\n", { mode: 0o644 });
        const server = portlight([
          ...[
            "relay",
            "--json",
            "--domain",
            "portlight.test",
            "--listen",
            "127.0.0.1:0",
            "--tunnel-listen",
            "127.0.0.1:0",
          ],
          ...["--cert", certificate.certFile, "--key", certificate.keyFile, "--tokens-file", tokens],
        ]);
        const listening = await server.nextJson("listening");
        assert.match(String(listening["public"]), /^https:\/\/portlight\.test/);
        assert.match(String(listening["tunnel"]), /^tls:/);
        const tunnel = `tls://127.0.0.1:${/:(\d+)$/.exec(String(listening["tunnel"]))?.[1] ?? ""}`;
        const environment = { NODE_EXTRA_CA_CERTS: certificate.certFile };
        const args = ["share", String(service.port), "--json", "--relay", tunnel];

        const refused = portlight([...args, "--token-file", wrong], { environment });
        assert.equal((await within(10_000, "the refusal", refused.exited)).code, 1);
        assert.match(refused.errorLines.items.join("\n"), /chmod 600 wrong[^]*token/i);
        const untrusted = portlight([...args, "--token-file", tokens]);
        assert.equal((await within(10_000, "the refusal", untrusted.exited)).code, 1);
        assert.match(untrusted.errorLines.items.join("\n"), /could not be authenticated/);

        const urls: string[] = [];
        for (let round = 0; round < 2; round++) {
          const agent = portlight([...args, "--token-file", tokens], { environment });
          const url = new URL(String((await agent.nextJson("shared"))["url"]));
          urls.push(url.href);
          for (const version of ["--http1.1", "--http2"]) {
            const answer = await curl(
              ...["--cacert", certificate.certFile, version, "--resolve", `${url.hostname}:${url.port}:127.0.0.1`],
              ...["--write-out", " %{http_version}", `${url.origin}/whole`],
            );
            assert.equal(answer.stderr, "");
            assert.equal(answer.stdout.toString(), version === "--http2" ? "whole 2" : "whole 1.1");
          }
          await agent.stop();
        }
        assert.equal(urls[1], urls[0]);
        for (const program of running) {
          const said = [...program.lines.items, ...program.errorLines.items].join("\n");
          assert.ok(!said.includes(token) && !said.includes("another-token"), "no token in any output");
        }
      } finally {
        certificate.dispose();
      }
    }));
});
