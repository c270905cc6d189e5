import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import { selfSigned } from "../test/support/self-signed.ts";
import { until } from "../test/support/fake-agent.ts";
import { Edge, guess } from "./edge.ts";
import type { Arrival, EdgeOptions } from "./edge.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

test("what speaks is known by the first octets", () => {
  const cases: [string | Buffer, string][] = [
    ["GET / HTTP/1.1\r\n", "http/1"],
    ["P", "undecided"],
    ["PO", "http/1"],
    ["PRI /x HTTP/1.1", "http/1"],
    ["PRI * HTTP/1.1", "http/1"],
    [PREFACE, "http/2"],
    [Buffer.concat([PREFACE, Buffer.alloc(9)]), "http/2"],
    [Buffer.from([0x16]), "tls"],
    [Buffer.from([0x16, 3, 1]), "tls"],
    ["", "undecided"],
    ["\0", "http/1"],
  ];
  for (const [bytes, expected] of cases)
    assert.equal(guess(Buffer.from(bytes)), expected, JSON.stringify(bytes.toString()));
  for (let size = 0; size < PREFACE.length; size++) assert.equal(guess(PREFACE.subarray(0, size)), "undecided");
});

async function edgeFor(t: TestContext, options: EdgeOptions = {}) {
  const edge = new Edge(options);
  const arrivals: Arrival[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) =>
    edge.accept(socket, (arrival) => arrivals.push(arrival)),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const sockets: Socket[] = [];
  t.after(() => {
    server.close();
    for (const socket of [...sockets, ...edge.sockets]) socket.destroy();
  });
  const open = async (): Promise<Socket> => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.on("error", () => undefined);
    sockets.push(socket);
    await once(socket, "connect");
    return socket;
  };
  return { edge, arrivals, open, port };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("the preface arrives octet by octet, and all of it is handed on", async (t) => {
  const { arrivals, open } = await edgeFor(t);
  for (const [text, protocol] of [
    [PREFACE.toString(), "http/2"],
    ["PRI * HTTQ", "http/1"],
    ["PUT / HTTP/1.1\r\n", "http/1"],
  ] as const) {
    const socket = await open();
    for (const octet of Buffer.from(text)) {
      socket.write(Uint8Array.of(octet));
      await turn();
      await turn();
    }
    const arrival = await until(() => arrivals.shift(), text);
    assert.equal(arrival.protocol, protocol);
    let rest = Buffer.from(arrival.initial ?? []);
    arrival.socket.on("data", (chunk: Buffer) => (rest = Buffer.concat([rest, chunk])));
    arrival.socket.resume();
    await until(() => rest.length === text.length, "all octets");
    assert.equal(rest.toString(), text);
  }
});

test("TLS and its ALPN on the same port", async (t) => {
  const { cert, key } = selfSigned(["localhost"]);
  const { arrivals, open, edge } = await edgeFor(t, { tls: { cert, key } });
  for (const [offered, protocol] of [
    [["h2", "http/1.1"], "http/2"],
    [["http/1.1"], "http/1"],
    [undefined, "http/1"],
  ] as const) {
    const socket: TLSSocket = connectTls({
      socket: await open(),
      ca: cert,
      servername: "localhost",
      ...(offered === undefined ? {} : { ALPNProtocols: [...offered] }),
    });
    await once(socket, "secureConnect");
    const arrival = await until(() => arrivals.shift(), "the arrival");
    assert.equal(arrival.protocol, protocol);
    assert.equal(arrival.secure, true);
    assert.equal(arrival.socket.allowHalfOpen, true, "a visitor's FIN must not end the answer");
    socket.write("hello");
    const [chunk] = (await once(arrival.socket, "data")) as [Buffer];
    assert.equal(chunk.toString(), "hello");
    socket.destroy();
    arrival.socket.destroy();
  }
  await until(() => edge.sockets.size === 0, "the end of the sockets");
  const plain = await open();
  plain.write("GET / HTTP/1.1\r\n");
  assert.equal((await until(() => arrivals.shift(), "cleartext")).secure, false);
});

test("bad handshakes, and TLS where there is no certificate, cost the socket only", async (t) => {
  const { cert, key } = selfSigned(["localhost"]);
  const { open, arrivals, edge } = await edgeFor(t, { tls: { cert, key } });
  const socket = await open();
  socket.write(Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5]));
  await new Promise((resolve) => socket.once("close", resolve).resume());
  const none = await edgeFor(t);
  const other = await none.open();
  other.write(Buffer.from([0x16, 3, 1, 0, 5]));
  await new Promise((resolve) => other.once("close", resolve).resume());
  assert.equal(arrivals.length + none.arrivals.length, 0);
  await until(() => edge.sockets.size + none.edge.sockets.size === 0, "the end of the sockets");
});

test("silent sockets are closed, and there are never too many", async (t) => {
  const { open, edge } = await edgeFor(t, { silentMs: 0, maxSockets: 2 });
  const first = await open();
  first.write("P");
  const second = await open();
  await until(() => edge.sockets.size === 2, "two sockets");
  const third = await open();
  await new Promise((resolve) => third.once("close", resolve).resume());
  // By the tick, twice: the first one starts the time.
  await Promise.all([first, second].map((socket) => new Promise((resolve) => socket.once("close", resolve).resume())));
  await until(() => edge.sockets.size === 0, "no socket left");
});
