/** curl in every version it speaks, on the plain port and on the TLS port of a public relay. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import nodePath from "node:path";
import { after, before, describe, test } from "node:test";
import { startHttp } from "../../sample/http/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { selfSignedFiles } from "../support/self-signed.ts";
import type { CertificateFiles } from "../support/self-signed.ts";
import { curl } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path } from "../support/path.ts";

let service: RunningService;
let local: Path;
let remote: Path;
let certificate: CertificateFiles;
let directory: string;
/** Arguments and base URL of each way to come. */
let ways: readonly {
  readonly name: string;
  readonly args: readonly string[];
  readonly url: string;
  readonly version: string;
}[];

before(async () => {
  service = await startHttp();
  certificate = selfSignedFiles(["localhost", "portlight.test", "*.portlight.test", "127.0.0.1"]);
  directory = mkdtempSync(nodePath.join(tmpdir(), "portlight-curl-"));
  writeFileSync(nodePath.join(directory, "five"), Buffer.alloc(5_000_000, "five"));
  local = await startPath();
  const { cert, key } = certificate;
  remote = await startPath({ relay: { mode: "remote", domain: "portlight.test", tls: { cert, key } } });
  const plain = (await local.share(service.port)).url;
  const tunnel = new URL(remote.relay.tunnelUrl.replace("tls:", "https:"));
  const secure = new URL(
    (await remote.share(service.port, { relay: { url: `tls://127.0.0.1:${tunnel.port}`, ca: cert } })).url,
  );
  const tls = ["--cacert", certificate.certFile, "--resolve", `${secure.hostname}:${secure.port}:127.0.0.1`];
  ways = [
    { name: "HTTP/1.1", args: ["--http1.1"], url: plain, version: "1.1" },
    { name: "HTTP/2 with prior knowledge", args: ["--http2-prior-knowledge"], url: plain, version: "2" },
    { name: "HTTP/1.1 over TLS", args: [...tls, "--http1.1"], url: secure.origin, version: "1.1" },
    { name: "HTTP/2 over TLS with ALPN", args: [...tls, "--http2"], url: secure.origin, version: "2" },
  ];
});

after(async () => {
  await local.close();
  await remote.close();
  await service.close();
  certificate.dispose();
  rmSync(directory, { recursive: true });
});

/** Runs curl in each way and gives the outputs to `check`. */
async function each(
  path: string,
  args: readonly string[],
  check: (output: string, way: string) => void,
  which: (name: string) => boolean = () => true,
): Promise<void> {
  for (const way of ways.filter(({ name }) => which(name))) {
    const result = await curl(...way.args, ...args, `${way.url}${path}`);
    assert.deepEqual([result.exitCode, result.stderr], [0, ""], `${way.name}: ${path}`);
    check(result.stdout.toString("latin1"), way.name);
  }
}

describe("curl", () => {
  test("negotiates the version it asked for", async () => {
    for (const way of ways) {
      const result = await curl(...way.args, "--write-out", "|%{http_version}", `${way.url}/status/200`);
      assert.equal(result.stdout.toString(), `|${way.version}`, way.name);
    }
  });

  test("a body, HEAD, 204, 304, a range", async () => {
    await each("/api/products/lamp-7", [], (output) => assert.match(output, /Nordlicht/));
    await each("/download?bytes=3000", ["--head"], (output) => assert.match(output, /content-length: 3000\r\n/i));
    await each("/api/products/x", ["--request", "DELETE", "--write-out", "%{http_code}"], (output) =>
      assert.equal(output, "204"),
    );
    await each(
      "/download?bytes=9",
      ["--header", 'If-None-Match: "pattern-9"', "--write-out", "%{http_code}"],
      (output) => assert.equal(output, "304"),
    );
    await each("/download?bytes=900000", ["--range", "100-199", "--write-out", "|%{http_code}"], (output) => {
      assert.equal(output.length, 100 + "|206".length);
      assert.equal(output.charCodeAt(0), 100);
    });
  });

  // curl 7.88 cannot use a connection twice with --http2-prior-knowledge (exit code 16, with any server).
  test("redirects, when curl follows them", () =>
    each(
      "/redirect",
      ["--location", "--write-out", "|%{num_redirects}"],
      (output) => assert.match(output, /Nordlicht[^]*\|1$/),
      (name) => !name.includes("prior knowledge"),
    ));

  test("chunks and trailers", () =>
    each("/chunked", ["--include"], (output) => assert.match(output, /first second third/)));

  test("uploads of 5 MB, with a length and without, with 100-continue", async () => {
    const file = nodePath.join(directory, "five");
    for (const args of [
      ["--data-binary", `@${file}`],
      ["--upload-file", file, "--header", "Expect: 100-continue"],
      // One octet, so that curl has nothing to wait for.
      ["--header", "Transfer-Encoding: chunked", "--data-binary", "x"],
    ])
      await each("/upload", args, (output, way) =>
        assert.match(output, /"bytes":(5000000|1),/, `${way} ${args.join(" ")}`),
      );
  });

  // curl 7.88 reports an early answer over HTTP/2 as a stream error (exit code 92), also of a server called directly.
  test("413 to an upload that is too large: the answer arrives", () =>
    each(
      "/upload?limit=1000",
      ["--data-binary", `@${nodePath.join(directory, "five")}`, "--write-out", "|%{http_code}"],
      (output) => assert.match(output, /larger than the limit\.\n\|413$/),
      (name) => name.startsWith("HTTP/1.1"),
    ));

  test("server-sent events, the first at once", () =>
    each("/events?count=3&interval=20", ["--no-buffer", "--write-out", "|%{time_starttransfer}"], (output, way) => {
      assert.equal(output.match(/^data:/gm)?.length, 3, way);
      assert.ok(Number(output.split("|")[1]) < 1, way);
    }));

  test("a service that breaks off: curl sees an error in every version", async () => {
    for (const way of ways)
      for (const path of ["/crash", "/crash?chunked"]) {
        const result = await curl(...way.args, `${way.url}${path}`);
        assert.notEqual(result.exitCode, 0, `${way.name} ${path}`);
      }
  });

  test("an unknown name: 404, and nothing about others", async () => {
    const [, , , way] = ways;
    assert.ok(way !== undefined);
    const { port } = new URL(way.url);
    const args = ["--cacert", certificate.certFile, "--resolve", `nobody.portlight.test:${port}:127.0.0.1`];
    const result = await curl(...args, "--write-out", "|%{http_code}", `https://nobody.portlight.test:${port}/`);
    assert.match(result.stdout.toString(), /\|404$/);
  });
});
