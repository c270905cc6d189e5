import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as http2 from "node:http2";
import * as net from "node:net";
import { after, before, test } from "node:test";
import { attachSocket } from "../../tunnel/socket.ts";
import type { Failure, Fields, Stream, StreamEvents } from "../stream.ts";
import { Http2Connection } from "./connection.ts";

/** Our engine as a server that echoes: 200, the request's content, and trailers with its size. */
function echo(stream: Stream, fields: Fields, end: boolean): StreamEvents {
  const path = fields.find((field) => field.name === ":path")?.value ?? "";
  let size = 0;
  const finish = (): void => stream.sendTrailers([{ name: "x-size", value: String(size) }]);
  if (path === "/big") {
    stream.sendHead([{ name: ":status", value: "200" }], false);
    stream.sendData(new Uint8Array(5_000_000).fill(0x61), true);
    return handlers({});
  }
  if (path === "/reset") {
    stream.reset({ by: "service", code: "cancelled", message: "" });
    return handlers({});
  }
  stream.sendHead(
    [
      { name: ":status", value: "200" },
      { name: "content-type", value: "text/plain" },
      ...fields.filter((field) => field.name.startsWith("x-")),
    ],
    false,
  );
  if (end) finish();
  return handlers({
    dataReceived(bytes, last) {
      size += bytes.length;
      stream.sendData(bytes, false);
      if (last) finish();
    },
    trailersReceived: finish,
    dataSent: (bytes) => stream.consume(bytes),
  });
}

function handlers(events: Partial<StreamEvents>): StreamEvents {
  const nothing = (): void => undefined;
  return {
    headReceived: nothing,
    dataReceived: nothing,
    trailersReceived: nothing,
    resetReceived: nothing,
    dataSent: nothing,
    ...events,
  };
}

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  attachSocket(
    socket,
    (transport) =>
      new Http2Connection({
        role: "server",
        transport,
        peer: "visitor",
        party: "relay",
        events: {
          streamOpened: echo,
          capacityChanged() {},
          draining() {},
          ended() {},
          pingAnswered() {},
        },
      }),
  );
});
let port = 0;

before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  port = (server.address() as net.AddressInfo).port;
});
after(() => server.close());

function run(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { encoding: "latin1", maxBuffer: 20_000_000, timeout: 20_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout + stderr);
      else reject(new Error(`${program}: ${stderr}`, { cause: error }));
    });
  });
}

test("curl reads 5 MB and gets its upload back", async () => {
  const url = `http://127.0.0.1:${port}`;
  const big = await run("curl", ["-sS", "--http2-prior-knowledge", `${url}/big`]);
  assert.equal(big.length, 5_000_000);
  const body = "b".repeat(100_000);
  const back = await run("curl", ["-sS", "--http2-prior-knowledge", "-H", "x-a: 1", "-i", "-d", body, `${url}/echo`]);
  assert.match(back, /^HTTP\/2 200/);
  assert.match(back, /x-a: 1/);
  assert.match(back, /x-size: 100000/);
  assert.ok(back.includes(body));
});

/** Debian's nghttp2-client, which other systems may not have. Where it must be there (CI) its absence is a failure. */
const nghttpMissing = process.env["CI"] === undefined && spawnSync("nghttp", ["--version"]).status !== 0;

test("nghttp finds nothing to complain about", { skip: nghttpMissing && "nghttp is not installed" }, async () => {
  const trace = await run("nghttp", ["-nv", `http://127.0.0.1:${port}/one`, `http://127.0.0.1:${port}/two`]);
  assert.match(trace, /x-size: 0/);
  assert.doesNotMatch(trace, /INVALID|[^O]_ERROR\(/);
});

test("node:http2 as client: echo, cancel, reset, and the session lives on", async () => {
  const client = http2.connect(`http://127.0.0.1:${port}`);
  const request = client.request({ ":method": "POST", ":path": "/echo", "x-b": "2" });
  const body = Buffer.alloc(400_000, 0x63);
  request.end(body);
  const chunks: Buffer[] = [];
  let trailers: http2.IncomingHttpHeaders = {};
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("trailers", (fields: http2.IncomingHttpHeaders) => (trailers = fields));
  const head = await new Promise<http2.IncomingHttpHeaders>((resolve) => request.on("response", resolve));
  await once(request, "end");
  assert.equal(head["x-b"], "2");
  assert.equal(trailers["x-size"], "400000");
  assert.ok(Buffer.concat(chunks).equals(body));

  const cancelled = client.request({ ":path": "/big" });
  await once(cancelled, "response");
  cancelled.close(http2.constants.NGHTTP2_CANCEL);
  await once(cancelled, "close");

  const reset = client.request({ ":path": "/reset" });
  await once(reset, "close");
  assert.equal(reset.rstCode, http2.constants.NGHTTP2_CANCEL);

  const many = await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const one = client.request({ ":method": "POST", ":path": `/echo/${index}`, "x-index": String(index) });
      one.end(`body ${index}`);
      one.setEncoding("utf8");
      let text = "";
      one.on("data", (chunk: string) => (text += chunk));
      await once(one, "end");
      return text;
    }),
  );
  many.forEach((text, index) => assert.equal(text, `body ${index}`));
  client.close();
  await once(client, "close");
});

test("node:http2 as server: content both ways, interim heads, trailers, GOAWAY", async () => {
  const service = http2.createServer();
  service.on("stream", (stream, fields) => {
    stream.on("error", () => undefined);
    if (fields[":path"] === "/cut") {
      stream.respond({ ":status": 200 });
      stream.write("partial", () => stream.session?.destroy());
      return;
    }
    stream.additionalHeaders({ ":status": 103, link: "</style.css>" });
    stream.respond({ ":status": 200, "set-cookie": ["a=1", "b=2"] }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-done": "yes" }));
    stream.pipe(stream);
  });
  service.listen(0, "127.0.0.1");
  await once(service, "listening");
  const log: string[] = [];
  const socket = net.connect({
    port: (service.address() as net.AddressInfo).port,
    host: "127.0.0.1",
    allowHalfOpen: true,
  });
  await once(socket, "connect");
  let capacity = (): void => undefined;
  let finished: (failure: Failure | undefined) => void = () => undefined;
  const ended = new Promise<Failure | undefined>((resolve) => (finished = resolve));
  const client = attachSocket(
    socket,
    (transport) =>
      new Http2Connection({
        role: "client",
        transport,
        peer: "service",
        party: "agent",
        events: {
          streamOpened: () => handlers({}),
          capacityChanged: () => capacity(),
          draining: () => log.push("draining"),
          ended: (failure) => finished(failure),
          pingAnswered() {},
        },
      }),
  );
  await new Promise<void>((resolve) => (capacity = resolve));
  assert.ok(client.settingsReceived);
  const exchange = (path: string, body: Uint8Array): Promise<{ size: number; log: string[] }> =>
    new Promise((resolve) => {
      const seen: string[] = [];
      let size = 0;
      const done = (): void => resolve({ size, log: seen });
      const head: Fields = [
        { name: ":method", value: "POST" },
        { name: ":scheme", value: "http" },
        { name: ":authority", value: "localhost" },
        { name: ":path", value: path },
      ];
      const stream = client.open(
        head,
        false,
        handlers({
          headReceived: (fields) =>
            seen.push(
              fields
                .filter((field) => field.name !== "date")
                .map((field) => field.value)
                .join(" "),
            ),
          dataReceived(bytes, end) {
            size += bytes.length;
            stream?.consume(bytes.length);
            if (end) done();
          },
          trailersReceived(fields) {
            seen.push(fields.map((field) => `${field.name} ${field.value}`).join());
            done();
          },
          resetReceived(failure) {
            seen.push(failure.code);
            done();
          },
        }),
      );
      stream?.sendData(body, true);
    });
  const result = await exchange("/echo", new Uint8Array(2_000_000).fill(1));
  assert.deepEqual(result, { size: 2_000_000, log: ["103 </style.css>", "200 a=1 b=2", "x-done yes"] });
  const cut = await exchange("/cut", new Uint8Array(0));
  assert.notEqual(cut.log.at(-1), "x-done yes");
  assert.match(cut.log.at(-1) ?? "", /^(closed|cancelled)$/);
  await ended;
  assert.equal(client.openStreams, 0);
  service.close();
});
