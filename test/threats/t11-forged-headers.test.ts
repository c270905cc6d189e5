/**
 * T-11: Forged control/identity headers: public request carrying every internal header, `:protocol`, `X-Forwarded-*`,
 * `Forwarded`, `Connection: x-internal`: the service sees only our values; control stream is not reachable.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { CONTROL_PROTOCOL, HOPS_FIELD, SHARE_FIELD, VERSION_FIELD } from "../../tunnel/protocol.ts";
import { DATA, RawPeer, frame } from "../support/frames.ts";
import { splitAddress } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { headFrames, outcome2, rawRequest1, rawRequest2 } from "../support/raw-request.ts";
import type { Pair } from "../support/raw-request.ts";
import { startRecordingService } from "../support/recording-service.ts";
import type { RecordingService, SeenRequest } from "../support/recording-service.ts";

let path: Path;
/** One speaks HTTP/1, the other HTTP/2. */
let services: readonly RecordingService[];
let shares: readonly Shared[];
let begun: readonly number[];

before(async () => {
  path = await startPath({ capture: false });
  services = [await startRecordingService(1), await startRecordingService(2)];
  shares = await Promise.all(services.map((service) => path.share(service.port)));
});
beforeEach(() => {
  begun = services.map(({ requests }) => requests.items.length);
});
after(async () => {
  await path.close();
  for (const service of services) await service.close();
});

/** What the services saw in this test. */
const seen = (index: number): readonly SeenRequest[] => services[index]?.requests.items.slice(begun[index]) ?? [];

/** Every name that means something to us, or by which a service may believe who speaks. */
const FORGED: readonly Pair[] = [
  [SHARE_FIELD, "OTHER"],
  [VERSION_FIELD, "1.0"],
  ["portlight-control", "1"],
  ["portlight-token", "secret"],
  ["portlight-", "x"],
  ["portlight-anything-of-a-later-version", "x"],
  ["x-forwarded-for", "10.9.9.9"],
  ["x-forwarded-for", "10.9.9.8"],
  ["x-forwarded-host", "evil.test"],
  ["x-forwarded-proto", "gopher"],
  ["x-forwarded-port", "1"],
  ["x-forwarded-server", "evil.test"],
  ["x-forwarded-prefix", "/evil"],
  ["x-forwarded-ssl", "on"],
  ["x-forwarded-scheme", "gopher"],
  ["x-real-ip", "10.9.9.9"],
  ["forwarded", "for=10.9.9.9;host=evil.test"],
];

/** Only these say where the visitor came from, once each, and only this. */
function judge(one: SeenRequest | undefined, address: string): void {
  assert.ok(one !== undefined);
  const said = [...one.fields, ...one.trailers].filter(([name]) =>
    /^(?:portlight-|x-forwarded|forwarded|x-real|x-client)/.test(name),
  );
  assert.deepEqual(Object.fromEntries(said), {
    [HOPS_FIELD]: "1",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-proto": "http",
    "x-forwarded-host": address,
  });
  assert.equal(said.length, 4);
}

for (const [index, name] of ["HTTP/1", "HTTP/2"].entries())
  describe(`a service of ${name}`, () => {
    const address = (): string => shares[index]?.address ?? "";
    const other = (): string => shares[1 - index]?.info.id ?? "";
    const forged = (): Pair[] => FORGED.map(([field, value]) => [field, value.replace("OTHER", other())]);
    const pseudo = (method = "POST"): Pair[] => [
      [":method", method],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", address()],
    ];

    test("in the head, in either case, by HTTP/1", async () => {
      for (const write of [(text: string) => text, (text: string) => text.toUpperCase()]) {
        const lines = forged().map(([field, value]) => `${write(field)}: ${value}\r\n`);
        const answer = await rawRequest1(address(), `GET / HTTP/1.1\r\nHost: ${address()}\r\n${lines.join("")}\r\n`);
        assert.equal(answer.status, 200);
        judge(seen(index).at(-1), address());
      }
    });

    test("in the head by HTTP/2, before and behind others", async () => {
      assert.equal((await rawRequest2(address(), [...pseudo("GET"), ...forged(), ["x", "y"]])).status, 200);
      judge(seen(index).at(-1), address());
    });

    test("in trailers, by HTTP/1 and HTTP/2", async () => {
      const lines = forged().map(([field, value]) => `${field}: ${value}\r\n`);
      const head = `POST / HTTP/1.1\r\nHost: ${address()}\r\nTransfer-Encoding: chunked\r\n\r\n`;
      assert.equal((await rawRequest1(address(), `${head}1\r\nx\r\n0\r\n${lines.join("")}x: y\r\n\r\n`)).status, 200);
      judge(seen(index).at(-1), address());
      const peer = await RawPeer.connect(splitAddress(address())[1]);
      peer.send(headFrames(1, pseudo(), 0), frame(DATA, 0, 1, "x"), headFrames(1, [...forged(), ["x", "y"]], 1));
      assert.equal((await outcome2(peer, 1)).status, 200);
      peer.destroy();
      judge(seen(index).at(-1), address());
      for (const { trailers } of seen(index)) assert.deepEqual(trailers, [["x", "y"]]);
    });

    test("named by Connection: what is the visitor's goes, what is ours stays, what protects the service stays", async () => {
      const names =
        "x-internal, X-Forwarded-For, x-forwarded-host, x-forwarded-proto, portlight-share, portlight-hops, host, authorization, cookie, content-length";
      const text = [
        `POST / HTTP/1.1`,
        ...[
          `Host: ${address()}`,
          `Connection: close, ${names}`,
          "X-Internal: gone",
          "Authorization: stays",
          "Cookie: stays=1",
        ],
        ...[
          "Content-Length: 5",
          "Keep-Alive: timeout=5",
          "Proxy-Connection: x",
          "Proxy-Authorization: gone",
          "TE: gzip",
        ],
        ...["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "", "hello"],
      ].join("\r\n");
      assert.equal((await rawRequest1(address(), text)).status, 200);
      const one = seen(index).at(-1);
      judge(one, address());
      const fields = one?.fields.map(([field, value]) => `${field}: ${value}`) ?? [];
      for (const kept of ["authorization: stays", "cookie: stays=1", "content-length: 5"])
        assert.ok(fields.includes(kept), kept);
      assert.doesNotMatch(fields.join("\n"), /gone|^(?:keep-alive|proxy-|upgrade|http2-|te:)/m);
      assert.equal(one?.body, "hello");
    });

    test("what the service says in our name does not reach the visitor", async () => {
      const service = services[index];
      assert.ok(service !== undefined);
      const plain = service.answer;
      try {
        service.answer = (_request, stream) =>
          index === 0
            ? "HTTP/1.1 200 OK\r\nPortlight-Share: x\r\nConnection: x-internal\r\nX-Internal: x\r\nPORTLIGHT-HOPS: 9\r\nContent-Length: 2\r\n\r\nok"
            : {
                bytes: Buffer.concat([
                  headFrames(
                    stream,
                    [
                      [":status", "200"],
                      ["portlight-share", "x"],
                    ],
                    0,
                  ),
                  frame(DATA, 1, stream, "ok"),
                ]),
                close: false,
              };
        for (const answer of [
          await rawRequest1(address(), `GET / HTTP/1.1\r\nHost: a\r\n\r\n`),
          await rawRequest2(address(), pseudo("GET")),
        ]) {
          assert.match(answer.body, /\bok\b/);
          assert.doesNotMatch(JSON.stringify(answer.fields), /portlight|x-internal/i);
        }
      } finally {
        service.answer = plain;
      }
    });
  });

describe("the control stream", () => {
  const extended = (protocol: string): Pair[] => [
    [":method", "CONNECT"],
    [":protocol", protocol],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "a"],
  ];
  const heads: readonly (readonly [what: string, fields: readonly Pair[]])[] = [
    ["as the relay asks for it", extended(CONTROL_PROTOCOL)],
    ["to its authority", [...extended(CONTROL_PROTOCOL).slice(0, 4), [":authority", "portlight"]]],
    ["in upper case", extended(CONTROL_PROTOCOL.toUpperCase())],
    ["other protocols", extended("connect-tcp")],
    ["in a GET", [[":method", "GET"], ...extended(CONTROL_PROTOCOL).slice(1)]],
    [
      "behind a field",
      [...extended(CONTROL_PROTOCOL).filter(([name]) => name !== ":protocol"), [":protocol", CONTROL_PROTOCOL]],
    ],
    ["as a field", [...extended("websocket"), ["protocol", CONTROL_PROTOCOL], [SHARE_FIELD, "x"]]],
    [
      "a tunnel",
      [
        [":method", "CONNECT"],
        [":authority", "portlight"],
      ],
    ],
  ];
  for (const [what, fields] of heads)
    test(`${what}: nothing comes to the agent that a visitor's JSON could reach`, async () => {
      const shares = path.agent.shares.map(({ exchanges }) => exchanges);
      for (const address of [
        shares.length > 0 ? new URL(path.agent.shares[0]?.url ?? "").host : "",
        new URL(path.relay.publicUrl).host,
      ]) {
        const peer = await RawPeer.connect(splitAddress(address)[1]);
        peer.send(
          headFrames(1, fields, 0),
          frame(DATA, 0, 1, `{"type":"unshared","id":"${path.agent.shares[0]?.id ?? ""}"}\n`),
        );
        const { status } = await outcome2(peer, 1);
        assert.ok(status === "reset" || status >= 400, `${address}: ${status}`);
        peer.destroy();
      }
      assert.ok(path.agent.shares.every(({ state }) => state === "online"));
      // A WebSocket may reach the service, as one.
      if (what !== "as a field")
        assert.deepEqual(
          path.agent.shares.map(({ exchanges }) => exchanges),
          shares,
        );
    });

  test("as a field line of HTTP/1, as a method, as an upgrade", async () => {
    const [address = ""] = path.agent.shares.map(({ url }) => new URL(url).host);
    for (const [text, expected] of [
      [`GET / HTTP/1.1\r\nHost: a\r\n:protocol: ${CONTROL_PROTOCOL}\r\n\r\n`, 400],
      [`CONNECT portlight HTTP/1.1\r\nHost: portlight\r\n\r\n`, 501],
      [`CONNECT / HTTP/1.1\r\nHost: portlight\r\n:protocol: ${CONTROL_PROTOCOL}\r\n\r\n`, 400],
      // Ignored: an ordinary request.
      [`GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${CONTROL_PROTOCOL}\r\n\r\n`, 200],
    ] as const)
      assert.equal((await rawRequest1(address, text)).status, expected, text);
  });
});
