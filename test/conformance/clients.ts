import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { startGrpc } from "../../sample/grpc/server.ts";
import { pattern } from "../../sample/http/routes.ts";
import { startHttp } from "../../sample/http/server.ts";
import { command, succeeds } from "./command.ts";
import { through } from "./lab.ts";
import type { Tunnel } from "./lab.ts";
import { judge } from "./suite.ts";
import type { Bench, Row, Suite } from "./suite.ts";

const SIZE = 5_000_000;
/** curl's exit codes for an answer that was cut: HTTP/1 with and without a length, HTTP/2. */
const CUT = [18, 56, 92];

type Cases = ReadonlyMap<string, () => Promise<void>>;

/** Programs of every day, with their results checked. */
export const clients: Suite = {
  name: "clients",
  programs: ["curl", "nghttp", "h2load", "grpcurl"],
  async run(bench) {
    const { lab, say } = bench;
    const rows: Row[] = [];
    const run = async (where: string, cases: Cases): Promise<void> => {
      const outcome = await judge(where, cases);
      rows.push(outcome);
      say(`${where}: ${outcome.passed} of ${cases.size} cases`);
    };
    const [http, grpc] = [await startHttp(), await startGrpc()];
    try {
      for (const way of ["cleartext", "TLS"] as const) {
        const open = (port: number): Promise<Tunnel> => (way === "TLS" ? lab.remote(port) : lab.local(port));
        await through(open(http.port), async (tunnel) => {
          await run(`curl, ${way}`, curlCases(bench, tunnel));
          await run(`nghttp, ${way}`, nghttpCases(bench, tunnel));
          await run(`h2load, ${way}`, h2loadCases(bench, tunnel));
        });
        await through(open(grpc.port), (tunnel) => run(`grpcurl, ${way}`, grpcurlCases(bench, tunnel)));
      }
    } finally {
      await Promise.all([http.close(), grpc.close()]);
    }
    return rows;
  },
};

function octets(): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < SIZE;) {
    const part = pattern(at, SIZE);
    parts.push(part);
    at += part.length;
  }
  return Buffer.concat(parts);
}

const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

function curlCases({ lab, program }: Bench, { url, secure }: Tunnel): Cases {
  const file = path.join(lab.folder, "octets");
  const body = octets();
  writeFileSync(file, body);
  const cases = new Map<string, () => Promise<void>>();
  for (const [version, ...option] of [
    ["1.1", "--http1.1"],
    ["2", secure ? "--http2" : "--http2-prior-knowledge"],
  ] as const) {
    const common = ["--silent", "--show-error", "--max-time", "20", ...option, "--cacert", lab.certificate.certFile];
    const ask = async (...args: readonly string[]): Promise<string> =>
      (await succeeds(program("curl"), [...common, ...args])).stdout;
    cases.set(`HTTP/${version}: the version`, async () => {
      assert.equal(await ask("--write-out", "|%{http_version} %{http_code}", `${url}/status/201`), `|${version} 201`);
    });
    cases.set(`HTTP/${version}: download`, async () => {
      const target = path.join(lab.folder, `downloaded-${version}`);
      const told = await ask("--output", target, "--write-out", "%{size_download}", `${url}/download?bytes=${SIZE}`);
      assert.equal(told, String(SIZE));
      await succeeds("cmp", [file, target]);
    });
    cases.set(`HTTP/${version}: upload`, async () => {
      const told = JSON.parse(await ask("--data-binary", `@${file}`, `${url}/upload`)) as { readonly sha256: string };
      assert.equal(told.sha256, sha256(body));
    });
    cases.set(`HTTP/${version}: a cut is an error`, async () => {
      const { code } = await command(program("curl"), [...common, "--output", "/dev/null", `${url}/crash?chunked=1`]);
      assert.ok(CUT.includes(code ?? 0), `exit code ${code ?? "none"}`);
    });
  }
  return cases;
}

function nghttpCases({ program }: Bench, { url }: Tunnel): Cases {
  const ask = (...args: readonly string[]) =>
    succeeds(program("nghttp"), ["--no-verify-peer", ...args], { encoding: "latin1" });
  return new Map([
    [
      "30 downloads at once",
      async () => {
        const size = 100_000;
        const { stdout } = await ask("--multiply=30", `${url}/download?bytes=${size}`);
        assert.equal(stdout.length, 30 * size);
      },
    ],
    [
      "upload with a trailer",
      async () => {
        const { stdout } = await ask(
          "--data=package.json",
          "--no-content-length",
          "--trailer=x-sum: 7",
          `${url}/upload`,
        );
        assert.match(stdout, /"x-sum":"7"/);
      },
    ],
    [
      // Below 256 octets the relay takes it for an attack (CVE-2019-9511).
      "a window of 1 023 octets",
      async () => {
        const { stdout } = await ask("--window-bits=10", `${url}/download?bytes=${SIZE}`);
        assert.equal(stdout.length, SIZE);
      },
    ],
    [
      "padding, and a dependency",
      async () => {
        const { stdout } = await ask("--padding=200", "--weight=7", `${url}/api/products`);
        assert.match(stdout, /Nordlicht/);
      },
    ],
    [
      "no HPACK table",
      async () => {
        const { stdout } = await ask("--header-table-size=0", "--encoder-header-table-size=0", `${url}/api/products`);
        assert.match(stdout, /Nordlicht/);
      },
    ],
  ]);
}

function h2loadCases({ program }: Bench, { url }: Tunnel): Cases {
  const requests = 3000;
  const load = async (...args: readonly string[]): Promise<void> => {
    const { stdout } = await succeeds(program("h2load"), [`--requests=${requests}`, ...args], { ms: 60_000 });
    const told = /(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored/.exec(stdout)?.slice(1).map(Number);
    assert.deepEqual(told, [requests, requests, 0, 0]);
    assert.match(stdout, new RegExp(`status codes: ${requests} 2xx`));
  };
  return new Map([
    ["HTTP/2, 4 x 32 at once", () => load("--clients=4", "--max-concurrent-streams=32", `${url}/api/products`)],
    ["HTTP/1.1, 16 connections", () => load("--h1", "--clients=16", `${url}/api/products`)],
    [
      "HTTP/2, small windows",
      () => load("--clients=2", "-m8", "--window-bits=14", "--connection-window-bits=15", `${url}/download?bytes=4000`),
    ],
    ["HTTP/2, uploads", () => load("--clients=4", "-m8", "--data=package.json", `${url}/upload`)],
  ]);
}

function grpcurlCases({ lab, program }: Bench, { address, secure }: Tunnel): Cases {
  const way = secure ? ["-cacert", lab.certificate.certFile] : ["-plaintext"];
  const protos = ["-import-path", "sample/proto", "-proto", "shop/v1/orders.proto"];
  const more = ["-proto", "diagnostics/v1/diagnostics.proto"];
  const args = (method: string, options: readonly string[]): string[] => [
    ...[...way, ...protos, ...more, "-max-time", "20", ...options],
    ...[address, method],
  ];
  const ask = async (method: string, input: string, ...options: readonly string[]): Promise<string> =>
    (await succeeds(program("grpcurl"), args(method, ["-d", "@", ...options]), { input })).stdout;
  /** grpcurl prints messages as JSON, one after the other. */
  const count = (output: string): number => output.match(/^\{/gm)?.length ?? 0;
  return new Map([
    [
      "unary, with metadata and headers",
      async () => {
        const told = await ask("shop.v1.Orders/GetOrder", '{"id":"order-1"}', "-v", "-H", "x-request-id: r-7");
        assert.match(told, /"id": "order-1"/);
        assert.match(told, /x-request-id: r-7/);
        assert.match(told, /x-shop-checksum-bin: /);
      },
    ],
    [
      "server streaming",
      async () => {
        const told = await ask("shop.v1.Orders/WatchOrder", '{"id":"order-1","events":5,"interval_ms":10}');
        assert.equal(count(told), 5);
      },
    ],
    [
      "client streaming",
      async () => {
        const told = await ask("shop.v1.Orders/PlaceOrders", '{"sku":"a","quantity":1}'.repeat(20));
        assert.match(told, /"orders": 20/);
      },
    ],
    [
      "bidi",
      async () => {
        const told = await ask("shop.v1.Orders/Negotiate", '{"price":{"units":10}}{"price":{"units":50}}');
        assert.equal(count(told), 2);
        assert.match(told, /"accepted": true/);
      },
    ],
    [
      "a status with details",
      async () => {
        const options = args("shop.v1.Orders/GetOrder", ["-d", '{"id":"order-99"}']);
        const { code, stderr } = await command(program("grpcurl"), options);
        assert.equal(code, 64 + 5);
        assert.match(stderr, /NotFound[^]*ORDER_UNKNOWN|NotFound[^]*ResourceInfo/);
      },
    ],
  ]);
}
