/**
 * T-10: Host/authority confusion, coalescing: authority≠host, two hosts, userinfo, trailing dot, upper case, port, NUL,
 * unicode dot: 400 or routed by one canonical value; request for tenant B on a connection opened for A goes to B
 * (wildcard) – never to A.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import http2 from "node:http2";
import { after, before, describe, test } from "node:test";
import { digest } from "../../relay/names.ts";
import { END_STREAM, RawPeer } from "../support/frames.ts";
import { RawVisitor } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path } from "../support/path.ts";
import { headFrames, outcome2, rawRequest1, rawRequest2 } from "../support/raw-request.ts";
import type { Pair } from "../support/raw-request.ts";
import { startRecordingService } from "../support/recording-service.ts";
import type { RecordingService } from "../support/recording-service.ts";
import { selfSigned } from "../support/self-signed.ts";

type Verdict = "A" | "B" | "refused" | "unknown";

/** What stands in Host or `:authority` alone. Each is judged the same by both versions. */
const AUTHORITIES: readonly (readonly [text: string, verdict: Verdict])[] = [
  ["a.localhost", "A"],
  ["b.localhost", "B"],
  ["A.LocalHost", "A"],
  ["a.localhost.", "A"],
  ["a.localhost:1", "A"],
  ["a.localhost.:65535", "A"],
  ["a.localhost..", "refused"],
  ["a..localhost", "refused"],
  [".a.localhost", "refused"],
  ["a.localhost:", "refused"],
  ["a.localhost:65536", "refused"],
  ["a.localhost:b", "refused"],
  ["a.localhost:1:2", "refused"],
  ["a.localhost:-1", "refused"],
  ["user@a.localhost", "refused"],
  ["b.localhost@a.localhost", "refused"],
  ["user:secret@a.localhost", "refused"],
  ["a.localhost, b.localhost", "refused"],
  ["a.localhost,b.localhost", "refused"],
  ["a.localhost b.localhost", "refused"],
  ["a.localhost\tb.localhost", "refused"],
  ["a.localhost\0", "refused"],
  ["a.localhost\0.b.localhost", "refused"],
  ["a\0.localhost", "refused"],
  ["a\xe3\x80\x82localhost", "refused"],
  ["a\xef\xbc\x8elocalhost", "refused"],
  ["\xef\xbd\x81.localhost", "refused"],
  ["\xe1.localhost", "refused"],
  ["a%2elocalhost", "refused"],
  ["%61.localhost", "refused"],
  ["a.localhost/b", "refused"],
  ["a.localhost#b", "refused"],
  ["a.localhost?b", "refused"],
  ["a.localhost\\b", "refused"],
  ["http://a.localhost", "refused"],
  ["[a.localhost]", "refused"],
  ["[::1", "refused"],
  ["*.localhost", "refused"],
  ["c.localhost", "unknown"],
  ["b.a.localhost", "unknown"],
  ["a.localhost.b", "unknown"],
  ["alocalhost", "unknown"],
  ["xn--a.localhost", "unknown"],
  ["a_.localhost", "unknown"],
  ["[::1]", "unknown"],
  ["10.1.2.3", "unknown"],
];

/** Where two things say where it goes: whole requests of HTTP/1. */
const REQUESTS: readonly (readonly [text: string, verdict: Verdict])[] = [
  ["GET /x HTTP/1.1\r\nHost: a.localhost\r\nHost: b.localhost\r\n\r\n", "refused"],
  ["GET /x HTTP/1.1\r\nHost: a.localhost\r\nHost: a.localhost\r\n\r\n", "refused"],
  ["GET /x HTTP/1.1\r\n\r\n", "refused"],
  ["GET /x HTTP/1.1\r\nHost:\r\n\r\n", "refused"],
  ["GET /x HTTP/1.1\r\nHost : a.localhost\r\n\r\n", "refused"],
  ["GET /x HTTP/1.1\r\nX: y\r\n Host: b.localhost\r\nHost: a.localhost\r\n\r\n", "refused"],
  ["GET http://a.localhost/x HTTP/1.1\r\nHost: b.localhost\r\n\r\n", "refused"],
  ["GET http://a.localhost/x HTTP/1.1\r\nHost: a.localhost\r\n\r\n", "A"],
  ["GET http://A.localhost/x HTTP/1.1\r\nHost: a.LOCALHOST\r\n\r\n", "A"],
  ["GET http://a.localhost/x HTTP/1.0\r\n\r\n", "A"],
  ["GET http://b.localhost@a.localhost/x HTTP/1.1\r\nHost: a.localhost\r\n\r\n", "refused"],
  ["GET https://a.localhost/x HTTP/1.1\r\nHost: a.localhost\r\n\r\n", "refused"],
  ["GET ftp://a.localhost/x HTTP/1.1\r\nHost: a.localhost\r\n\r\n", "refused"],
  ["GET //a.localhost/x HTTP/1.1\r\nHost: b.localhost\r\n\r\n", "B"],
  ["GET a.localhost/x HTTP/1.1\r\nHost: a.localhost\r\n\r\n", "refused"],
  ["GET /x HTTP/1.1\r\nHost: a.localhost\r\nX-Forwarded-Host: b.localhost\r\nX-Host: b.localhost\r\n\r\n", "A"],
  ["GET /x HTTP/1.1\r\nHost: a.localhost\r\nForwarded: host=b.localhost\r\nX-Original-Host: b.localhost\r\n\r\n", "A"],
  ["CONNECT b.localhost:80 HTTP/1.1\r\nHost: a.localhost\r\n\r\n", "refused"],
];

const GET: readonly Pair[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/x"],
];

/** The same for HTTP/2: fields behind those of GET. */
const HEADS: readonly (readonly [fields: readonly Pair[], verdict: Verdict])[] = [
  [
    [
      [":authority", "a.localhost"],
      ["host", "b.localhost"],
    ],
    "refused",
  ],
  [
    [
      [":authority", "a.localhost"],
      ["host", "a.localhost"],
    ],
    "A",
  ],
  [
    [
      [":authority", "a.localhost"],
      ["host", "A.localhost:80"],
    ],
    "A",
  ],
  [
    [
      [":authority", "a.localhost"],
      ["host", "a.localhost:81"],
    ],
    "refused",
  ],
  [
    [
      [":authority", "a.localhost"],
      ["host", ""],
    ],
    "refused",
  ],
  [
    [
      [":authority", "a.localhost"],
      [":authority", "b.localhost"],
    ],
    "refused",
  ],
  [
    [
      [":authority", "a.localhost"],
      ["host", "a.localhost"],
      ["host", "b.localhost"],
    ],
    "refused",
  ],
  [[["host", "a.localhost"]], "A"],
  [
    [
      ["host", "a.localhost"],
      ["host", "b.localhost"],
    ],
    "refused",
  ],
  [[], "unknown"],
  [
    [
      [":authority", "a.localhost"],
      ["x-forwarded-host", "b.localhost"],
    ],
    "A",
  ],
];

describe("by name on the main port", () => {
  let path: Path;
  let services: Readonly<Record<"A" | "B", RecordingService>>;
  let main: string;

  before(async () => {
    path = await startPath({ capture: false });
    services = { A: await startRecordingService(1), B: await startRecordingService(1) };
    await path.share(services.A.port, { name: "a" });
    await path.share(services.B.port, { name: "b" });
    main = new URL(path.relay.publicUrl).host;
  });
  after(async () => {
    await path.close();
    await Promise.all([services.A.close(), services.B.close()]);
  });

  function judge(what: string, verdict: Verdict, status: number | "reset", before: readonly number[]): void {
    const counts = [services.A.requests.items.length, services.B.requests.items.length];
    const reached = counts.map((count, index) => count - (before[index] ?? 0)).join();
    assert.equal(reached, verdict === "A" ? "1,0" : verdict === "B" ? "0,1" : "0,0", what);
    if (verdict === "refused") assert.ok([400, 501, "reset"].includes(status), `${what}: ${status}`);
    else assert.equal(status, verdict === "unknown" ? 404 : 200, what);
    if (verdict !== "A" && verdict !== "B") return;
    const fields = services[verdict].requests.items.at(-1)?.fields ?? [];
    const of = (name: string): string[] => fields.filter(([one]) => one === name).map(([, value]) => value);
    assert.deepEqual(of("host"), [`localhost:${services[verdict].port}`], what);
    const said = of("x-forwarded-host").join();
    assert.match(
      said,
      new RegExp(`^${verdict}\\.localhost\\.?(?::\\d+)?$`, "i"),
      `${what}: one value routes and is told`,
    );
  }
  const counts = (): number[] => [services.A.requests.items.length, services.B.requests.items.length];

  for (const [text, verdict] of AUTHORITIES)
    test(`${JSON.stringify(text)}: ${verdict}`, async () => {
      let before = counts();
      const first = await rawRequest1(main, `GET /x HTTP/1.1\r\nHost: ${text}\r\n\r\n`);
      judge("HTTP/1.1", verdict, first.status, before);
      before = counts();
      const second = await rawRequest2(main, [...GET, [":authority", text]]);
      judge("HTTP/2", verdict, second.status, before);
    });

  for (const [text, verdict] of REQUESTS)
    test(`${JSON.stringify(text)}: ${verdict}`, async () => {
      const before = counts();
      judge(text, verdict, (await rawRequest1(main, text)).status, before);
    });

  for (const [fields, verdict] of HEADS)
    test(`${JSON.stringify(fields)}: ${verdict}`, async () => {
      const before = counts();
      judge(JSON.stringify(fields), verdict, (await rawRequest2(main, [...GET, ...fields])).status, before);
    });

  test("one connection, first for A, then for B, in both versions", async () => {
    const begun = counts();
    const peer = await RawPeer.connect(Number(new URL(`http://${main}`).port));
    const visitor = await RawVisitor.connect(main);
    for (const [index, name] of ["a", "b", "a", "b"].entries()) {
      peer.send(
        headFrames(
          2 * index + 1,
          [...GET.slice(0, 2), [":path", `/${name}`], [":authority", `${name}.localhost`]],
          END_STREAM,
        ),
      );
      assert.equal((await outcome2(peer, 2 * index + 1)).body, `seen:/${name}`);
      visitor.send(`GET /${name} HTTP/1.1\r\nHost: ${name}.localhost\r\n\r\n`);
      await visitor.receive(new RegExp(`^(?:[^]*?seen:/[ab]){${index + 1}}$`));
    }
    peer.destroy();
    visitor.close();
    for (const [index, name] of (["A", "B"] as const).entries()) {
      const seen = services[name].requests.items.slice(begun[index]);
      assert.deepEqual(new Set(seen.map(({ target }) => target)), new Set([`/${name.toLowerCase()}`]));
      assert.equal(seen.length, 4);
    }
  });

  test("on the port of A everything is for A, whatever it names", async () => {
    const shared = path.agent.shares.find(({ name }) => name === "a");
    const own = new URL(shared?.url ?? "").host;
    const before = counts();
    assert.equal((await rawRequest1(own, "GET /x HTTP/1.1\r\nHost: b.localhost\r\n\r\n")).status, 200);
    assert.equal((await rawRequest2(own, [...GET, [":authority", "b.localhost"]])).status, 200);
    assert.deepEqual(counts(), [(before[0] ?? 0) + 2, before[1]]);
  });
});

test("a wildcard certificate: B on a connection that was opened for A (SNI, coalescing) is for B", async () => {
  const tls = selfSigned(["portlight.test", "*.portlight.test", "127.0.0.1"]);
  const path = await startPath({
    capture: false,
    relay: { mode: "remote", domain: "portlight.test", tls, tokenDigests: [digest("token").toString("hex")] },
  });
  const pinnedFingerprint = new X509Certificate(tls.cert).fingerprint256;
  const relay = { url: path.relay.tunnelUrl.replace("portlight.test", "127.0.0.1"), token: "token", pinnedFingerprint };
  const services = [await startRecordingService(1), await startRecordingService(1)];
  try {
    for (const [index, service] of services.entries())
      await path.share(service.port, { relay, name: `tenant-${"ab"[index] ?? ""}` });
    const { port } = new URL(path.relay.publicUrl);
    const session = http2.connect(`https://127.0.0.1:${port}`, { ca: tls.cert, servername: "tenant-a.portlight.test" });
    try {
      for (const name of ["a", "b", "a", "b", "b"]) {
        const stream = session.request({ ":authority": `tenant-${name}.portlight.test`, ":path": `/${name}` });
        let body = "";
        for await (const piece of stream.setEncoding("latin1")) body += String(piece);
        assert.equal(body, `seen:/${name}`);
      }
    } finally {
      session.destroy();
    }
    for (const [index, service] of services.entries())
      for (const { target } of service.requests.items) assert.equal(target, `/${"ab"[index] ?? ""}`);
  } finally {
    await path.close();
    for (const service of services) await service.close();
  }
});
