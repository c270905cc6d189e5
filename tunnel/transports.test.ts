import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { selfSigned } from "../test/support/self-signed.ts";
import { DialError, dial, parseTunnelUrl } from "./transports.ts";

test("tunnel URLs", () => {
  const good: [string, unknown][] = [
    ["tcp://127.0.0.1:41001", { scheme: "tcp", host: "127.0.0.1", port: 41001 }],
    ["tcp://localhost:1/", { scheme: "tcp", host: "localhost", port: 1 }],
    ["tcp://[::1]:5", { scheme: "tcp", host: "::1", port: 5 }],
    ["tls://relay.example.com", { scheme: "tls", host: "relay.example.com", port: 443 }],
    ["tls://10.0.0.1:4443", { scheme: "tls", host: "10.0.0.1", port: 4443 }],
  ];
  for (const [url, expected] of good) assert.deepEqual(parseTunnelUrl(url), expected, url);
  const bad = [
    "",
    "http://a",
    "tcp://127.0.0.1",
    "tcp://10.0.0.1:1",
    "tcp://example.com:1",
    "tls://a:0",
    "tls://a:65536",
    "tls://u:p@a:1",
    "tls://a:1/x",
    "tls://a b:1",
    "tcp://127.0.0.1.evil.test:1",
  ];
  for (const url of bad) {
    assert.throws(
      () => parseTunnelUrl(url),
      (error) => error instanceof DialError && error.problem === "invalid",
      url,
    );
  }
});

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const problem = (expected: string) => (error: unknown) => error instanceof DialError && error.problem === expected;

test("nothing listens, nobody answers, the user gives up", async () => {
  // It accepts, and never says anything.
  const server = createServer((socket) => socket.on("error", () => undefined).resume());
  const port = await listen(server);
  await assert.rejects(dial({ url: `tls://127.0.0.1:${port}`, timeoutMs: 50 }), problem("timeout"));
  const reason = new Error("stop");
  await assert.rejects(dial({ url: `tls://127.0.0.1:${port}`, signal: AbortSignal.abort(reason) }), reason);
  const control = new AbortController();
  const dialled = dial({ url: `tls://127.0.0.1:${port}`, signal: control.signal });
  control.abort(reason);
  await assert.rejects(dialled, reason);
  const socket = await dial({ url: `tcp://localhost:${port}` });
  socket.destroy();
  server.close();
  await once(server, "close");
  await assert.rejects(dial({ url: `tcp://127.0.0.1:${port}` }), problem("unreachable"));
});

test("TLS: the CA or the pin must match, and the ALPN", async (t) => {
  const certificate = selfSigned(["localhost", "127.0.0.1"]);
  const server = createTlsServer({ ...certificate, ALPNProtocols: ["portlight/1"] }, (socket) =>
    socket.on("error", () => undefined),
  );
  server.on("tlsClientError", () => undefined);
  const port = await listen(server);
  const other = createTlsServer({ ...certificate }, (socket) => socket.on("error", () => undefined));
  const otherPort = await listen(other);
  t.after(() => {
    server.close();
    other.close();
  });
  const url = `tls://localhost:${port}`;
  await assert.rejects(dial({ url }), problem("untrusted"));
  (await dial({ url, ca: certificate.cert })).destroy();
  const pin = new X509Certificate(certificate.cert).fingerprint256;
  (await dial({ url, pinnedFingerprint: pin })).destroy();
  (await dial({ url: `tls://127.0.0.1:${port}`, pinnedFingerprint: pin.replaceAll(":", "").toLowerCase() })).destroy();
  const wrong = pin.replace(/^../, (start) => (start === "00" ? "01" : "00"));
  await assert.rejects(dial({ url, pinnedFingerprint: wrong }), problem("untrusted"));
  await assert.rejects(dial({ url, pinnedFingerprint: "abc" }), problem("invalid"));
  await assert.rejects(dial({ url: `tls://localhost:${otherPort}`, ca: certificate.cert }), problem("untrusted"));
});
