/**
 * What passes the path unchanged, item by item, for visitors and services of both versions. The services are octets and
 * frames by hand (`recording-service.ts`); visitors are Node's clients where those can say it, and octets where not.
 *
 * Elsewhere: uploads and downloads of 1 GiB with bounded memory (bulk.test.ts); 413 in the middle of an upload, also by a
 * service that closes, and 100-continue by HTTP/1.1 (http.test.ts); WebSocket frames, subprotocols, extensions
 * (websocket.test.ts, test/transparency/); gRPC, with trailers-only (grpc.test.ts); every framing cut (cuts.test.ts); TCP shares, 1 000 at once and
 * 10 000 in a row (fidelity-connections.test.ts).
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { DATA, END_STREAM, HEADERS, RawPeer, frame } from "../support/frames.ts";
import { RawVisitor, request, request2, splitAddress } from "../support/http.ts";
import type { Answer } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { headFrames, outcome2, rawRequest1, rawRequest2 } from "../support/raw-request.ts";
import type { Pair } from "../support/raw-request.ts";
import { startRecordingService } from "../support/recording-service.ts";
import type { RawAnswer, RecordingService, SeenRequest } from "../support/recording-service.ts";
import { until } from "../support/time.ts";

interface Said {
  readonly status?: number;
  readonly fields?: readonly Pair[];
  /** Undefined: the head ends it. */
  readonly body?: string;
  readonly trailers?: readonly Pair[];
  readonly interim?: readonly (readonly [status: number, fields: readonly Pair[]])[];
}

const lines = (fields: readonly Pair[]): string => fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");

/** The answer as a service of this version says it. */
function say(
  version: 1 | 2,
  stream: number,
  { status = 200, fields = [], body, trailers, interim = [] }: Said,
): RawAnswer {
  if (version === 1) {
    const heads = interim.map(([code, own]) => `HTTP/1.1 ${code} Interim\r\n${lines(own)}\r\n`).join("");
    const sized = body === undefined || fields.some(([name]) => name === "content-length");
    const coded = `${body === "" ? "" : `${(body ?? "").length.toString(16)}\r\n${body ?? ""}\r\n`}0\r\n${lines(trailers ?? [])}\r\n`;
    return `${heads}HTTP/1.1 ${status} Any\r\n${lines(fields)}${sized ? "" : "transfer-encoding: chunked\r\n"}\r\n${sized ? (body ?? "") : coded}`;
  }
  const parts = interim.map(([code, own]) => headFrames(stream, [[":status", String(code)], ...own], 0));
  parts.push(
    headFrames(
      stream,
      [[":status", String(status)], ...fields],
      body === undefined && trailers === undefined ? END_STREAM : 0,
    ),
  );
  if (body !== undefined) parts.push(frame(DATA, trailers === undefined ? END_STREAM : 0, stream, body));
  if (trailers !== undefined) parts.push(headFrames(stream, trailers, END_STREAM));
  return { bytes: Buffer.concat(parts), close: false };
}

const OURS = /^(?:host|x-forwarded-(?:for|host|proto)|portlight-hops|connection|content-length|transfer-encoding|te)$/;
const sentFields = (seen: SeenRequest | undefined): readonly Pair[] =>
  seen?.fields.filter(([name]) => !OURS.test(name)) ?? [];
const show = (fields: readonly Pair[]): string[] => fields.map(([name, value]) => `${name}: ${value}`);

let path: Path;

before(async () => {
  path = await startPath();
});
after(() => path.close());

for (const version of [1, 2] as const)
  describe(`a service of HTTP/${version}`, () => {
    let service: RecordingService;
    let shared: Shared;
    let plain: RecordingService["answer"];
    const last = (): SeenRequest | undefined => service.requests.items.at(-1);

    before(async () => {
      service = await startRecordingService(version);
      shared = await path.share(service.port);
      plain = service.answer;
    });
    after(async () => {
      await service.close();
      assert.deepEqual(service.doubts, []);
    });

    /** What both versions of visitors make of an answer. */
    async function both(said: Said, check: (answer: Answer, visitor: 1 | 2) => void, method = "GET"): Promise<void> {
      service.answer = (_seen, stream) => say(version, stream, said);
      try {
        check(await request(shared.address, "/x", { method }), 1);
        check(await request2(shared.address, "/x", { method }), 2);
      } finally {
        service.answer = plain;
      }
    }

    const pseudo = (method: string, target = "/x"): Pair[] => [
      [":method", method],
      [":scheme", "http"],
      [":path", target],
      [":authority", "a.test"],
    ];

    test("HTTP/1.0: without Host, without keep-alive, with both; never chunks", async () => {
      for (const [text, count] of [
        ["GET /x HTTP/1.0\r\n\r\n", 1],
        ["GET /x HTTP/1.0\r\nHost: a\r\n\r\n", 1],
        ["POST /x HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", 1],
        ["GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /x HTTP/1.0\r\n\r\n", 2],
      ] as const) {
        service.answer = (_seen, stream) => say(version, stream, { body: "seen" });
        const answer = await rawRequest1(shared.address, text);
        assert.equal(answer.status, 200);
        assert.doesNotMatch(answer.text, /transfer-encoding/i);
        // An answer without a length ends the connection, whatever was asked for.
        assert.match(answer.text, /\r\n\r\nseen$/);
        assert.ok(count > 0);
        service.answer = plain;
      }
    });

    // RFC 9110, WebDAV and its extensions, UPnP, and what nobody has registered: methods are tokens, in their case.
    const METHODS = [
      ...[
        "GET",
        "POST",
        "PUT",
        "DELETE",
        "OPTIONS",
        "PATCH",
        "TRACE",
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
      ],
      ...[
        "SEARCH",
        "REPORT",
        "MKACTIVITY",
        "CHECKOUT",
        "MERGE",
        "M-SEARCH",
        "NOTIFY",
        "SUBSCRIBE",
        "PURGE",
        "LINK",
        "ACL",
        "QUERY",
      ],
      ...["BREW", "get", "Post", "X", "!#$%&'*+-.^_`|~", "A".repeat(64)],
    ];
    test(`${METHODS.length} methods, unknown ones too, and as they are written`, async () => {
      for (const method of METHODS) {
        assert.equal(
          (await rawRequest1(shared.address, `${method} /x HTTP/1.1\r\nHost: a\r\n\r\n`)).status,
          200,
          method,
        );
        assert.equal(last()?.method, method);
        assert.equal((await rawRequest2(shared.address, pseudo(method))).status, 200, method);
        assert.equal(last()?.method, method);
      }
      assert.equal((await rawRequest1(shared.address, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")).status, 200);
      assert.deepEqual([last()?.method, last()?.target], ["OPTIONS", "*"]);
    });

    test("HEAD: the fields of the answer, with its length, and no body", () =>
      both(
        {
          fields: [
            ["content-length", "12345"],
            ["x", "y"],
          ],
        },
        (answer) =>
          assert.deepEqual([answer.status, answer.fields, answer.body], [200, ["content-length: 12345", "x: y"], ""]),
        "HEAD",
      ));

    test("204, 205 and 304 without a body", async () => {
      for (const status of [204, 304])
        await both({ status, fields: [["etag", '"x"']] }, (answer) =>
          assert.deepEqual([answer.status, answer.fields, answer.body], [status, ['etag: "x"'], ""]),
        );
      await both({ status: 304, fields: [["content-length", "77"]] }, (answer) =>
        assert.deepEqual([answer.status, answer.body, answer.fields], [304, "", ["content-length: 77"]]),
      );
      await both({ status: 205, fields: [["content-length", "0"]] }, (answer) =>
        assert.deepEqual([answer.status, answer.body], [205, ""]),
      );
    });

    test("statuses that nobody knows", async () => {
      for (const status of [299, 399, 418, 444, 499, 599, 600, 799, 999])
        await both({ status, body: "x" }, (answer) => assert.deepEqual([answer.status, answer.body], [status, "x"]));
    });

    test("interim heads: 103 twice with fields, 102, then the answer", () =>
      both(
        {
          interim: [
            [
              103,
              [
                ["link", "</a.css>; rel=preload"],
                ["link", "</b.js>; rel=preload"],
              ],
            ],
            [102, []],
            [103, [["link", "</c>"]]],
          ],
          body: "done",
        },
        (answer) => {
          assert.deepEqual(
            answer.interim.map(({ status, fields }) => [status, ...fields]),
            [[103, "link: </a.css>; rel=preload", "link: </b.js>; rel=preload"], [102], [103, "link: </c>"]],
          );
          assert.deepEqual([answer.status, answer.body], [200, "done"]);
        },
      ));

    test("100-continue by HTTP/2: it is the service that says 100, and the visitor then sends", async () => {
      const peer = await RawPeer.connect(splitAddress(shared.address)[1]);
      service.answer = plain;
      peer.send(headFrames(1, [...pseudo("POST"), ["expect", "100-continue"], ["content-length", "5"]], 0));
      // Neither the relay nor the agent says it in the service's place.
      peer.send(frame(0x6, 0, 0, Buffer.alloc(8)));
      await peer.frame(0x6);
      assert.ok(!peer.frames.some(({ type }) => type === HEADERS));
      peer.send(frame(DATA, END_STREAM, 1, "hello"));
      assert.equal((await outcome2(peer, 1)).body, "seen:/x");
      assert.ok(show(sentFields(last())).includes("expect: 100-continue"));
      assert.equal(last()?.body, "hello");
      peer.destroy();
      await both({ interim: [[100, []]], body: "ok" }, (answer) =>
        assert.deepEqual([answer.status, answer.body], [200, "ok"]),
      );
    });

    test("trailers of answers, behind a body and without one, and of requests", async () => {
      const trailers: Pair[] = [
        ["x-checksum", "abc"],
        ["x-twice", "1"],
        ["x-twice", "2"],
        ["grpc-status", "0"],
      ];
      for (const body of ["content", ""])
        await both({ body, trailers, fields: [["trailer", "x-checksum, x-twice"]] }, (answer) =>
          assert.deepEqual([answer.body, answer.trailers], [body, show(trailers)]),
        );
      const text = `POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-checksum\r\n\r\n5\r\nhello\r\n0\r\n${lines(trailers)}\r\n`;
      assert.equal((await rawRequest1(shared.address, text)).status, 200);
      assert.deepEqual([last()?.body, last()?.trailers], ["hello", trailers]);
      const peer = await RawPeer.connect(splitAddress(shared.address)[1]);
      peer.send(headFrames(1, pseudo("POST"), 0), frame(DATA, 0, 1, "hello"), headFrames(1, trailers, END_STREAM));
      assert.equal((await outcome2(peer, 1)).status, 200);
      assert.deepEqual([last()?.body, last()?.trailers], ["hello", trailers]);
      peer.destroy();
    });

    test("trailers-only: an answer whose head ends it, with what would be trailers", () =>
      both(
        {
          fields: [
            ["content-type", "application/grpc"],
            ["grpc-status", "5"],
            ["grpc-message", "not%20found"],
            ...(version === 1 ? [["content-length", "0"] as const] : []),
          ],
        },
        (answer) => {
          const fields = answer.fields.filter((field) => !field.startsWith("content-length"));
          assert.deepEqual(
            [answer.status, fields, answer.body, answer.trailers],
            [200, ["content-type: application/grpc", "grpc-status: 5", "grpc-message: not%20found"], "", []],
          );
        },
      ));

    const FIELDS: readonly Pair[] = [
      ["x-a", "1"],
      ["x-b", "2"],
      ["x-a", "3"],
      ["x-a", "1"],
      ["x-empty", ""],
      ["x-list", "a, b,,c"],
      ["x-inner", "a  b\tc"],
      ["x-quoted", '"a, \\"b\\""'],
      ["x-latin", "caf\xe9 \xa0\xff"],
      ["x-utf8", Buffer.from("日本語 ✓ é").toString("latin1")],
      ["x-percent", "%00%zz"],
      ["x!#$%&'*+-.^_`|~0", "any token"],
      ["accept-encoding", "gzip, deflate, br, zstd"],
      ["authorization", "Basic YTpi"],
      ["date", "Thu, 01 Jan 1970 00:00:00 GMT"],
      ["via", "1.1 other"],
      ["cache-control", "no-cache"],
      ["x-a", "last"],
    ];

    test("fields: repeated ones in their order, empty, latin-1 and UTF-8 values, odd names: as they are, both ways", async () => {
      const begun = service.requests.items.length;
      service.answer = (_seen, stream) => say(version, stream, { fields: FIELDS, body: "x" });
      const answers = [
        await rawRequest1(shared.address, `GET /x HTTP/1.1\r\nHost: a\r\n${lines(FIELDS)}\r\n`),
        await rawRequest2(shared.address, [...pseudo("GET"), ...FIELDS]),
      ];
      service.answer = plain;
      for (const { fields } of answers)
        assert.deepEqual(
          fields.filter(([name]) => !/^(?::status|transfer-encoding|connection)$/.test(name)),
          FIELDS,
        );
      for (const seen of service.requests.items.slice(begun)) assert.deepEqual(sentFields(seen), FIELDS);
    });

    test("cookies: several Set-Cookie stay several, in order; crumbs of HTTP/2 are one Cookie for HTTP/1", async () => {
      const cookies: Pair[] = [
        ["set-cookie", "a=1; Path=/; Expires=Thu, 01 Jan 2099 00:00:00 GMT"],
        ["set-cookie", "b=2; HttpOnly"],
        ["set-cookie", "a=3"],
      ];
      await both({ fields: cookies, body: "" }, (answer) =>
        assert.deepEqual(
          answer.fields.filter((field) => field.startsWith("set-cookie")),
          show(cookies),
        ),
      );
      await rawRequest2(shared.address, [
        ...pseudo("GET"),
        ["cookie", "a=1"],
        ["cookie", "b=2"],
        ["x", "y"],
        ["cookie", "c=3"],
      ]);
      const seen = sentFields(last())
        .filter(([name]) => name === "cookie")
        .map(([, value]) => value);
      assert.equal(seen.join("; "), "a=1; b=2; c=3");
      if (version === 1) assert.equal(seen.length, 1);
    });

    test("a field of 16 KiB and a path of 8 KiB pass in both directions; one octet more is 431 or 414, never less", async () => {
      const value = "v".repeat(16 * 1024);
      // The path as `urlBytes` counts it: with its slash.
      const target = `/${"p".repeat(8 * 1024 - 1)}`;
      for (const [own, uri, statuses] of [
        [value, "/x", [200]],
        ["v", target, [200]],
        [`${value}v`, "/x", [431]],
        ["v", `${target}p`, [414, 431]],
      ] as const) {
        const begun = service.requests.items.length;
        const first = await rawRequest1(shared.address, `GET ${uri} HTTP/1.1\r\nHost: a\r\nx-large: ${own}\r\n\r\n`);
        const second = await rawRequest2(shared.address, [...pseudo("GET", uri), ["x-large", own]]);
        for (const { status } of [first, second])
          assert.ok(
            statuses.some((one) => one === status),
            `${status} to ${own.length}, ${uri.length}`,
          );
        const seen = service.requests.items.slice(begun);
        assert.equal(seen.length, statuses[0] === 200 ? 2 : 0);
        for (const one of seen) assert.deepEqual([one.target, sentFields(one)], [uri, [["x-large", own]]]);
      }
      service.answer = (_seen, stream) => say(version, stream, { fields: [["x-large", value]], body: "x" });
      for (const answer of [
        await rawRequest1(shared.address, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        await rawRequest2(shared.address, pseudo("GET")),
      ])
        assert.deepEqual(
          answer.fields.filter(([name]) => name === "x-large"),
          [["x-large", value]],
        );
      service.answer = plain;
    });

    test("targets are not normalised", async () => {
      for (const target of [
        "/a/../b",
        "/a/./b",
        "//a//b",
        "/%2e%2e/%2F",
        "/a;b=c",
        "/?",
        "/??a=b&&c",
        "/a?b#c".slice(0, 4),
        "/%zz",
        "/~'()!*[]|^`{}\\\"<>",
        "/caf\xe9",
      ]) {
        await rawRequest1(shared.address, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
        const byHttp1 = last()?.target;
        await rawRequest2(shared.address, pseudo("GET", target));
        assert.deepEqual([byHttp1, last()?.target], [target, target]);
      }
    });

    test("gzip passes as octets, whatever the visitor accepts", async () => {
      const packed = gzipSync("content ".repeat(1000)).toString("latin1");
      const fields: Pair[] = [
        ["content-type", "text/plain"],
        ["content-encoding", "gzip"],
        ["etag", '"packed"'],
        ["content-length", String(packed.length)],
      ];
      await both({ fields, body: packed }, (answer) =>
        assert.deepEqual([answer.fields, answer.body], [show(fields), packed]),
      );
    });

    test("ranges: the request's fields and a 206 of two parts, as they are", async () => {
      const type = "multipart/byteranges; boundary=B";
      const body =
        "--B\r\nContent-Range: bytes 0-1/9\r\n\r\nab\r\n--B\r\nContent-Range: bytes 4-5/9\r\n\r\nef\r\n--B--\r\n";
      const fields: Pair[] = [
        ["content-type", type],
        ["accept-ranges", "bytes"],
        ["content-length", String(body.length)],
      ];
      await both({ status: 206, fields, body }, (answer) =>
        assert.deepEqual([answer.status, answer.fields, answer.body], [206, show(fields), body]),
      );
      const range: Pair[] = [
        ["range", "bytes=0-1, 4-5"],
        ["if-range", '"x"'],
      ];
      await rawRequest2(shared.address, [...pseudo("GET"), ...range]);
      assert.deepEqual(sentFields(last()), range);
    });

    test("20 pipelined requests, with bodies among them, are answered in order", async () => {
      const visitor = await RawVisitor.connect(shared.address);
      const order = Array.from({ length: 20 }, (_, index) => `/${index}`);
      visitor.send(
        order
          .map((target, index) =>
            index % 3 === 0
              ? `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`
              : `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`,
          )
          .join(""),
      );
      const text = await visitor.receive(/seen:\/19/);
      assert.deepEqual(text.match(/(?<=seen:)\/\d+?(?=HTTP|\r|$)/g), order);
      visitor.close();
    });

    test("an answer in pieces: each reaches the visitor before the service says the next", async () => {
      for (const visitor of [1, 2]) {
        let stream = 0;
        service.answer = (_seen, id) => {
          stream = id;
          return version === 1
            ? "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            : {
                bytes: headFrames(
                  id,
                  [
                    [":status", "200"],
                    ["content-type", "text/event-stream"],
                  ],
                  0,
                ),
                close: false,
              };
        };
        const begun = service.requests.items.length;
        const raw = await RawVisitor.connect(shared.address);
        if (visitor === 1) raw.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
        else {
          raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
          raw.send(Buffer.concat([frame(4, 0, 0), headFrames(1, pseudo("GET", "/events"), END_STREAM)]));
        }
        const seen = (await service.requests.count(begun + 1, 5000, "request"))[begun];
        const socket = service.connections[seen?.connection ?? -1];
        assert.ok(socket !== undefined);
        const delays: number[] = [];
        for (let piece = 0; piece < 30; piece++) {
          const text = `data: ${"-".repeat(piece % 3)}${piece}.\n\n`;
          const started = performance.now();
          if (version === 1) socket.write(`${text.length.toString(16)}\r\n${text}\r\n`);
          else socket.write(frame(DATA, 0, stream, text));
          await raw.receive(new RegExp(`data: -*${piece}\\.`));
          delays.push(performance.now() - started);
        }
        // Of the machine more than of the path, so only the middle is judged.
        const [, median = 0] = [delays.length, delays.sort((left, right) => left - right)[15]];
        assert.ok(median < 50, `a median of ${median} ms`);
        raw.close();
      }
      service.answer = plain;
    });

    test("an upload in pieces: each reaches the service before the visitor sends the next; half-closed, the answer still comes", async () => {
      const octets = (): string => service.connections.map((socket) => String(socket.bytesRead)).join();
      const visitor = await RawVisitor.connect(shared.address);
      visitor.send("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (const piece of ["one", "two", "three"]) {
        const seen = octets();
        visitor.send(`${piece.length}\r\n${piece}\r\n`);
        await until(5000, `${piece} at the service`, () => octets() !== seen);
      }
      visitor.send("0\r\n\r\n");
      visitor.socket.end();
      assert.match(await visitor.rest(), /seen:\/upload/);
      assert.equal(last()?.body, "onetwothree");
      visitor.close();
    });

    test("a WebSocket that the service refuses is an ordinary answer, with its body, in both versions", async () => {
      for (const status of [400, 401, 403, 404, 426]) {
        service.answer = (_seen, stream) =>
          say(version, stream, {
            status,
            fields: [
              ["content-type", "text/plain"],
              ["www-authenticate", "Basic"],
              ["content-length", "7"],
            ],
            body: "refused",
          });
        const upgrade =
          "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        const visitor = await RawVisitor.connect(shared.address);
        visitor.send(upgrade);
        const text = await visitor.receive(/refused$/);
        assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} [^]*www-authenticate: Basic\\r\\n`));
        visitor.close();
        const fields: Pair[] = [
          [":method", "CONNECT"],
          [":protocol", "websocket"],
          ...pseudo("GET", "/socket").slice(1),
          ["sec-websocket-version", "13"],
        ];
        const peer = await RawPeer.connect(splitAddress(shared.address)[1]);
        peer.send(headFrames(1, fields, 0));
        const answer = await outcome2(peer, 1);
        assert.deepEqual([answer.status, answer.body], [status, "refused"]);
        peer.destroy();
      }
      service.answer = plain;
    });
  });

test("HTTP/2 to HTTP/2: the request goes on after the answer has ended, and the service gets all of it", async () => {
  const service = await startRecordingService(2);
  const shared = await path.share(service.port);
  const peer = await RawPeer.connect(splitAddress(shared.address)[1]);
  try {
    peer.send(
      headFrames(
        1,
        [
          [":method", "POST"],
          [":scheme", "http"],
          [":path", "/late"],
          [":authority", "a"],
        ],
        0,
      ),
    );
    peer.send(frame(DATA, 0, 1, "before "));
    const { stream, connection } = await service.opened.next(
      5000,
      "the request at the service",
      ({ target }) => target === "/late",
    );
    const early = [headFrames(stream, [[":status", "200"]], 0), frame(DATA, END_STREAM, stream, "early")];
    service.connections[connection]?.write(Buffer.concat(early));
    assert.equal((await outcome2(peer, 1)).body, "early");
    peer.send(frame(DATA, 0, 1, "and "), frame(DATA, END_STREAM, 1, "after"));
    const seen = await service.requests.next(5000, "the whole request", ({ target }) => target === "/late");
    assert.deepEqual([seen.body, seen.cut], ["before and after", false]);
    assert.ok(!peer.frames.some(({ type }) => type === 3));
  } finally {
    peer.destroy();
    await service.close();
  }
});
