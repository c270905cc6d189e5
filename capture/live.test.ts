import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import http2 from "node:http2";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import { WebSocket, WebSocketServer } from "ws";
import { silentLogger } from "../wire/logger.ts";
import type { Field, Side } from "../wire/stream.ts";
import { createCapture } from "./capture.ts";
import type { Capture } from "./options.ts";
import type { MessageSummary } from "./protocol.ts";

/**
 * Bytes of real programs: what `ws` and `@grpc/grpc-js` put on a socket is given to the tap as it is, in the chunks in
 * which it came.
 */
const WORKER = path.join(import.meta.dirname, "decoder", "worker.ts");
const SHARE = { id: "s1", port: 8080, name: "live" };

const PROTO = `syntax = "proto3";
package live;
import "google/protobuf/struct.proto";
service Echo { rpc Chat(stream Note) returns (stream Note); rpc Fail(Note) returns (Note); }
message Note { string text = 1; int64 number = 2; map<string, string> labels = 3; }
`;

interface Piece {
  readonly side: Side;
  readonly bytes: Buffer;
}

function fields(values: Readonly<Record<string, string>>): Field[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

/** A TCP pipe to `port` that keeps what passes. */
async function recordingPipe(port: number): Promise<{ port: number; pieces: Piece[]; close(): Promise<void> }> {
  const pieces: Piece[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer((visitor) => {
    const service = net.connect(port, "127.0.0.1");
    for (const socket of [visitor, service]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
    visitor.on("data", (bytes) => {
      pieces.push({ side: "visitor", bytes });
      service.write(bytes);
    });
    service.on("data", (bytes) => {
      pieces.push({ side: "service", bytes });
      visitor.write(bytes);
    });
    visitor.on("end", () => service.end());
    service.on("end", () => visitor.end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    pieces,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** Splits the head off one side's octets: its header lines, and what follows. */
function withoutHead(pieces: readonly Piece[], side: Side): { head: string; rest: Piece[] } {
  const all = Buffer.concat(pieces.filter((piece) => piece.side === side).map(({ bytes }) => bytes));
  const end = all.indexOf("\r\n\r\n") + 4;
  let skip = end;
  const rest: Piece[] = [];
  for (const piece of pieces) {
    if (piece.side !== side) continue;
    const taken = Math.min(skip, piece.bytes.length);
    skip -= taken;
    if (taken < piece.bytes.length) rest.push({ side, bytes: piece.bytes.subarray(taken) });
  }
  return { head: all.toString("latin1", 0, end), rest };
}

interface Talk {
  readonly messages: readonly (string | Buffer)[];
  readonly options: object | boolean;
}

/** A real conversation: the visitor sends each message, the service echoes it. */
async function converse({ messages, options }: Talk): Promise<Piece[]> {
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    perMessageDeflate: options,
    maxPayload: 64 * 1024 * 1024,
  });
  await once(server, "listening");
  server.on("connection", (socket) =>
    socket.on("message", (data: Buffer, binary: boolean) => socket.send(data, { binary })),
  );
  const pipe = await recordingPipe((server.address() as AddressInfo).port);
  const visitor = new WebSocket(`ws://127.0.0.1:${pipe.port}/chat`, { perMessageDeflate: options });
  await once(visitor, "open");
  for (const message of messages) {
    visitor.send(message);
    await once(visitor, "message");
  }
  visitor.close(1000, "done");
  await once(visitor, "close");
  server.close();
  await pipe.close();
  return pipe.pieces;
}

describe("with real peers", () => {
  let folder: string;
  let capture: Capture;
  before(async () => {
    folder = await realpath(await mkdtemp(path.join(tmpdir(), "portlight-live-")));
    await writeFile(path.join(folder, "live.proto"), PROTO);
    capture = createCapture({ workspaceFolders: [folder], protoRoots: [], workerFile: WORKER, log: silentLogger });
  });
  after(async () => {
    await capture.close();
    await rm(folder, { recursive: true });
  });

  /** Gives a recorded conversation to the tap; returns the exchange's id. */
  function replay(pieces: readonly Piece[]): number {
    const request = withoutHead(pieces, "visitor");
    const response = withoutHead(pieces, "service");
    const extension = (head: string): Record<string, string> => {
      const value = /sec-websocket-extensions: (.*)\r/i.exec(head)?.[1];
      return value === undefined ? {} : { "sec-websocket-extensions": value };
    };
    const tap = capture.tap.opened(
      SHARE,
      fields({
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": "http",
        ":authority": "x",
        ":path": "/chat",
        ...extension(request.head),
      }),
      false,
    );
    tap.headReceived(fields({ ":status": "200", ...extension(response.head) }), false);
    for (const { side, bytes } of [...request.rest, ...response.rest]) tap.dataReceived(side, bytes, false);
    tap.ended();
    return capture.state.exchanges;
  }

  async function messagesOf(id: number): Promise<readonly MessageSummary[]> {
    const found: MessageSummary[] = [];
    for (let total = 1; found.length < total;) {
      const page = await capture.request("exchange/messages", { id, index: found.length, count: 500 });
      assert.ok(page !== null);
      total = page.total;
      found.push(...page.messages);
    }
    return found;
  }

  const TEXTS = Array.from(
    { length: 300 },
    (_, index) => `{"number":${index},"text":"${"the same words again and again ".repeat(3)}"}`,
  );
  const LARGE = Buffer.alloc(300_000, "abcdefghij0123456789");
  const VARIANTS: readonly (readonly [name: string, options: object | boolean])[] = [
    ["without compression", false],
    ["with permessage-deflate and context takeover", { threshold: 0 }],
    ["without context takeover", { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }],
    ["with takeover in one direction only", { threshold: 0, serverNoContextTakeover: true }],
    ["with small windows", { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 10 }],
  ];
  for (const [name, options] of VARIANTS) {
    it(`reads WebSocket messages of ws ${name}`, async () => {
      const messages = [...TEXTS.slice(0, 20), LARGE, Buffer.alloc(0), ...TEXTS.slice(20)];
      const id = replay(await converse({ messages, options }));
      const detail = await capture.request("exchange/detail", { id });
      assert.deepEqual(detail?.webSocket?.close, { from: "visitor", code: 1000, reason: "done" });
      assert.equal(detail.row.statusText, "1000");
      for (const side of ["visitor", "service"] as const) {
        const all = (await messagesOf(id)).filter(({ from }) => from === side);
        assert.equal(all.length, messages.length + 1, "and a close");
        assert.deepEqual([...new Set(all.map(({ problem }) => problem))], [undefined]);
        // Backwards: context takeover must not depend on the order of looking.
        for (const at of [301, 200, 22, 20, 21, 3, 0, 150]) {
          const summary = all[at];
          assert.ok(summary !== undefined);
          const wanted = messages[at];
          const bytes = await capture.request("message/bytes", {
            id,
            index: summary.index,
            offset: 0,
            count: 400_000,
            decompressed: true,
          });
          const size = Buffer.from(wanted ?? "").length;
          assert.equal(bytes?.total, size);
          assert.equal(
            Buffer.from(bytes.base64, "base64").compare(Buffer.from(wanted ?? "").subarray(0, 256 * 1024)),
            0,
          );
        }
        const decoded = await capture.request("message/decode", { id, index: all[5]?.index ?? -1 });
        assert.equal(decoded?.view, "json");
        assert.deepEqual(decoded.json, JSON.parse(TEXTS[5] ?? ""));
      }
    });
  }

  it("says that a message cannot be inflated once an earlier one was dropped", async () => {
    const small = createCapture({
      workspaceFolders: [],
      protoRoots: [],
      workerFile: WORKER,
      log: silentLogger,
      maxBytes: 1024 * 1024,
    });
    const outer = capture;
    try {
      const noise = Array.from({ length: 30 }, (_, index) =>
        Buffer.from(Array.from({ length: 60_000 }, (_value, at) => (at * (index + 7919)) % 251)),
      );
      const pieces = await converse({
        messages: noise,
        options: { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
      });
      capture = small;
      const id = replay(pieces);
      const all = await messagesOf(id);
      const dropped = all.filter(({ state }) => state === "dropped");
      const last = all.findLast(({ kind }) => kind === "binary");
      assert.ok(last !== undefined);
      if (dropped.length === 0) assert.fail("the capture was large enough for all: the test says nothing");
      const decoded = await small.request("message/decode", { id, index: last.index });
      assert.match(decoded?.problem ?? "", /earlier message/);
    } finally {
      capture = outer;
      await small.close();
    }
  });

  it("reads binary messages with a type that someone set", async () => {
    const id = replay(
      await converse({
        messages: [Buffer.from("0a0568656c6c6f", "hex"), Buffer.from("0a01611007", "hex")],
        options: false,
      }),
    );
    await assert.rejects(
      capture.request("websocket/setType", { id, from: "visitor", type: "live.Nothing" }),
      /No \.proto file/,
    );
    await capture.request("websocket/setType", { id, from: "visitor", type: "live.Note" });
    const again = await messagesOf(id);
    const shown = again
      .filter(({ kind }) => kind === "binary")
      .map(({ from, type, preview }) => ({ from, type, preview }));
    assert.deepEqual(
      shown.filter(({ from }) => from === "visitor"),
      [
        { from: "visitor", type: "live.Note", preview: '{"text":"hello"}' },
        { from: "visitor", type: "live.Note", preview: '{"text":"a","number":"7"}' },
      ],
    );
    assert.ok(shown.filter(({ from }) => from === "service").every(({ type }) => type === undefined));
    const detail = await capture.request("exchange/detail", { id });
    assert.equal(detail?.webSocket?.visitorType, "live.Note");
    await capture.request("websocket/setType", { id, from: "visitor", type: null });
    assert.equal((await messagesOf(id)).find(({ kind }) => kind === "binary")?.type, undefined);
  });

  /** An HTTP/2 server between client and service that gives what passes to the tap: the agent's place. */
  async function tappedProxy(target: number): Promise<{ port: number; close(): Promise<void> }> {
    const session = http2.connect(`http://127.0.0.1:${target}`);
    const server = http2.createServer();
    server.on("stream", (visitor, headers) => {
      const tap = capture.tap.opened(SHARE, fields(plain(headers)), false);
      const service = session.request(headers, { endStream: false });
      visitor.on("data", (bytes: Buffer) => {
        tap.dataReceived("visitor", bytes, false);
        service.write(bytes);
      });
      visitor.on("end", () => {
        tap.dataReceived("visitor", Buffer.alloc(0), true);
        service.end();
      });
      let trailers: http2.IncomingHttpHeaders | undefined;
      service.on("response", (response, flags) => {
        const ended = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
        tap.headReceived(fields(plain(response)), ended);
        visitor.respond(response, ended ? { endStream: true } : { waitForTrailers: true });
        if (ended) tap.ended();
      });
      service.on("data", (bytes: Buffer) => {
        tap.dataReceived("service", bytes, false);
        visitor.write(bytes);
      });
      service.on("trailers", (received: http2.IncomingHttpHeaders) => {
        trailers = received;
        tap.trailersReceived("service", fields(plain(received)));
        tap.ended();
      });
      service.on("end", () => visitor.writable && visitor.end());
      visitor.on("wantTrailers", () => visitor.sendTrailers(trailers ?? {}));
      for (const stream of [visitor, service]) stream.on("error", () => {});
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return {
      port: (server.address() as AddressInfo).port,
      close: async () => {
        session.destroy();
        server.close();
        await once(server, "close");
      },
    };
  }

  function plain(headers: http2.IncomingHttpHeaders): Record<string, string> {
    return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  }

  it("reads streams, compression, metadata and rich errors of grpc-js", async () => {
    const definition = grpc.loadPackageDefinition(
      protoLoader.loadSync(path.join(folder, "live.proto"), { longs: String }),
    );
    const Echo = (definition["live"] as grpc.GrpcObject)["Echo"] as grpc.ServiceClientConstructor;
    const server = new grpc.Server();
    // google.rpc.Status { code: 9, message: "no", details: [Any(google.rpc.ErrorInfo { reason: "WHY", domain: "d" })] }
    const info = Buffer.concat([Buffer.from("0a03574859", "hex"), Buffer.from("120164", "hex")]);
    const url = Buffer.from("type.googleapis.com/google.rpc.ErrorInfo");
    const any = Buffer.concat([Buffer.of(0x0a, url.length), url, Buffer.of(0x12, info.length), info]);
    const status = Buffer.concat([
      Buffer.from("0809", "hex"),
      Buffer.from("12026e6f", "hex"),
      Buffer.of(0x1a, any.length),
      any,
    ]);
    server.addService(Echo.service, {
      Chat: (call: grpc.ServerDuplexStream<object, object>) => {
        call.on("data", (note: object) => call.write(note));
        call.on("end", () => call.end());
      },
      Fail: (_call: grpc.ServerUnaryCall<object, object>, callback: grpc.sendUnaryData<object>) => {
        const metadata = new grpc.Metadata();
        metadata.set("grpc-status-details-bin", status);
        callback({ code: grpc.status.FAILED_PRECONDITION, details: "not now: é", metadata });
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    const proxy = await tappedProxy(port);
    const client = new Echo(`127.0.0.1:${proxy.port}`, grpc.credentials.createInsecure(), {
      "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip,
    });
    const start = capture.state.exchanges;
    const metadata = new grpc.Metadata();
    metadata.set("trace-bin", Buffer.from([1, 2, 255]));
    const chat = (client["Chat"] as (metadata: grpc.Metadata) => grpc.ClientDuplexStream<object, object>).call(
      client,
      metadata,
    );
    const notes = [
      { text: "one", number: "1", labels: { a: "b" } },
      { text: "two", number: "9007199254740993" },
      { text: "x".repeat(20_000) },
    ];
    for (const note of notes) {
      chat.write(note);
      await once(chat, "data");
    }
    chat.end();
    chat.resume();
    await once(chat, "end");
    await new Promise<void>((resolve) =>
      (client["Fail"] as (note: object, done: () => void) => void).call(client, { text: "f" }, resolve),
    );
    client.close();
    server.forceShutdown();
    await proxy.close();

    const id = start + 1;
    const messages = await messagesOf(id);
    assert.deepEqual(
      messages.map(({ from }) => from),
      ["visitor", "service", "visitor", "service", "visitor", "service"],
      "in order of time",
    );
    assert.equal(messages[0]?.compression, "gzip");
    for (const index of messages.keys()) {
      const decoded = await capture.request("message/decode", { id, index });
      assert.ok(decoded?.view === "protobuf" && decoded.reading === "typed");
      assert.deepEqual(JSON.parse(JSON.stringify(decoded.json)), notes[Math.floor(index / 2)]);
    }
    const detail = await capture.request("exchange/detail", { id });
    assert.equal(detail?.call?.kind, "bidi-streaming");
    assert.equal(detail.row.statusText, "OK");
    assert.equal(detail.heads[0]?.fields.find(({ name }) => name === "trace-bin")?.binary, "AQL/");

    const failed = await capture.request("exchange/detail", { id: id + 1 });
    assert.equal(failed?.row.statusText, "FAILED_PRECONDITION");
    assert.equal(failed.call?.message, "not now: é");
    assert.equal(failed.call.trailersOnly, true);
    const details = failed.call.details?.decoded;
    assert.ok(details?.view === "protobuf");
    assert.deepEqual(JSON.parse(JSON.stringify(details.json)), {
      code: 9,
      message: "no",
      details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "WHY", domain: "d" }],
    });
  });

  it("keeps the octets on their way as they are", async () => {
    const pieces = await converse({ messages: ["hello", LARGE], options: false });
    const before = pieces.map(({ bytes }) => bytes.toString("base64"));
    const id = replay(pieces);
    await messagesOf(id);
    await capture.request("message/decode", { id, index: 0 });
    await capture.request("capture/export", { ids: [id], format: "har", showSecrets: true });
    assert.deepEqual(
      pieces.map(({ bytes }) => bytes.toString("base64")),
      before,
    );
  });
});
