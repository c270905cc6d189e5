import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { promisify } from "node:util";
import { silentLogger } from "../wire/logger.ts";
import { FakeAgent } from "../test/support/fake-agent.ts";
import { selfSigned } from "../test/support/self-signed.ts";
import { digest } from "./names.ts";
import { startRelay } from "./relay.ts";

const run = promisify(execFile);

test("a public relay: TLS for visitors and agents, wildcard names, tokens", async (t) => {
  const tls = selfSigned(["portlight.test", "*.portlight.test", "127.0.0.1"]);
  const relay = await startRelay({
    mode: "remote",
    listen: { host: "127.0.0.1", port: 0 },
    tunnelListen: { host: "127.0.0.1", port: 0 },
    domain: "portlight.test",
    tls,
    tokenDigests: [digest("token").toString("hex")],
    allowLan: true,
    returnMs: 0,
    log: silentLogger,
  });
  t.after(() => relay.close(0));
  const port = new URL(relay.publicUrl).port;
  assert.equal(relay.publicUrl, `https://portlight.test:${port}`);
  assert.match(relay.tunnelUrl, /^tls:\/\/portlight\.test:[0-9]+$/);
  const dialled = relay.tunnelUrl.replace("portlight.test", "127.0.0.1");
  const pinnedFingerprint = new X509Certificate(tls.cert).fingerprint256;
  await assert.rejects(FakeAgent.dial(dialled));
  const { agent, grants } = await FakeAgent.online(
    dialled,
    [
      { id: "a", kind: "http", port: 3000, name: "demo" },
      { id: "b", kind: "http", port: 3001 },
      { id: "c", kind: "tcp", port: 3002 },
      { id: "d", kind: "http", port: 3003, reach: "lan" },
    ],
    { token: "token", pinnedFingerprint },
  );
  assert.deepEqual(
    grants.map((grant) => grant.id),
    ["a", "b", "c"],
  );
  assert.equal((await agent.message("refused")).code, "unsupported");
  assert.equal(grants[0]?.url, `https://demo.portlight.test:${port}`);
  assert.match(grants[1]?.url ?? "", new RegExp(`^https://[a-z2-7]{13}\\.portlight\\.test:${port}$`));
  assert.match(grants[2]?.url ?? "", /^tcp:\/\/portlight\.test:[0-9]+$/);

  agent.handler = (exchange) => {
    const said = ["portlight-share", "portlight-http", "x-forwarded-proto", "x-forwarded-host"].map((name) =>
      exchange.value(name),
    );
    exchange.respond(200, said.join(" "));
  };
  const curl = async (host: string, scheme: string, ...flags: string[]): Promise<string> => {
    const url = `${scheme}://${host}:${port}/`;
    const { stdout } = await run("curl", [
      "-sSk",
      "-w",
      " %{http_version} %{http_code}",
      "--resolve",
      `${host}:${port}:127.0.0.1`,
      ...flags,
      url,
    ]);
    return stdout;
  };
  const host = "demo.portlight.test";
  assert.equal(await curl(host, "https"), `a 2 https ${host}:${port} 2 200`);
  assert.equal(await curl(host, "https", "--http1.1"), `a 1.1 https ${host}:${port} 1.1 200`);
  assert.equal(await curl(host, "http", "--http1.1"), `a 1.1 http ${host}:${port} 1.1 200`);
  assert.equal(await curl(host, "http", "--http2-prior-knowledge"), `a 2 http ${host}:${port} 2 200`);
  assert.match(await curl("nobody.portlight.test", "https"), /No port is shared[^]* 2 404$/);
  assert.match(await curl("portlight.test", "https"), /Portlight relay[^]* 2 200$/);
  assert.match(await curl("demo.localhost", "http"), / 404$/, "another domain than ours");
});
