import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import type { ByteProtocol, Transport } from "../wire/transport.ts";
import { HIGH_WATER_BYTES, attachSocket } from "./socket.ts";
import { onDefect } from "./defects.ts";

/** Two connected sockets; both are destroyed when the test ends. */
async function pair(t: { after: (run: () => void) => void }): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  const [far] = (await once(server, "connection")) as [Socket];
  if (near.connecting) await once(near, "connect");
  server.close();
  far.on("error", () => undefined);
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  return [near, far];
}

class Recorder implements ByteProtocol {
  readonly transport: Transport;
  readonly log: string[] = [];
  readonly closed: Promise<void>;
  readonly ended: Promise<void>;
  onReceive: (bytes: Uint8Array) => void = () => undefined;
  onDrained: () => void = () => undefined;
  #closed = (): void => undefined;
  #ended = (): void => undefined;
  constructor(transport: Transport) {
    this.transport = transport;
    this.closed = new Promise((resolve) => (this.#closed = resolve));
    this.ended = new Promise((resolve) => (this.#ended = resolve));
  }
  receive(bytes: Uint8Array): void {
    this.log.push(`receive ${Buffer.from(bytes).toString("latin1")}`);
    this.onReceive(bytes);
  }
  receiveEnd(): void {
    this.log.push("end");
    this.#ended();
  }
  transportClosed(): void {
    this.log.push("closed");
    this.#closed();
  }
  drained(): void {
    this.onDrained();
  }
  tick(): void {}
}

const attach = (socket: Socket, initial?: Uint8Array): Recorder =>
  attachSocket(socket, (transport) => new Recorder(transport), initial);

test("what was read before comes first, after the caller has the protocol", async (t) => {
  const [near, far] = await pair(t);
  far.write("world");
  const protocol = attach(near, Buffer.from("hello"));
  assert.deepEqual(protocol.log, []);
  await new Promise<void>((resolve) => {
    protocol.onReceive = (bytes) => {
      if (Buffer.from(bytes).includes("world")) resolve();
    };
  });
  assert.deepEqual(protocol.log, ["receive hello", "receive world"]);
});

test("half-close passes both ways and the end comes once", async (t) => {
  const [near, far] = await pair(t);
  const protocol = attach(near);
  far.end();
  await protocol.ended;
  let received = "";
  far.on("data", (chunk: Buffer) => (received += chunk.toString()));
  protocol.transport.outbox.put(Buffer.from("still here"));
  protocol.transport.endWriting();
  protocol.transport.outbox.put(Buffer.from("too late"));
  await once(far, "end");
  assert.equal(received, "still here");
  await protocol.closed;
  assert.deepEqual(protocol.log, ["end", "closed"]);
});

test("one turn costs one write, in order", async (t) => {
  const [near, far] = await pair(t);
  let writes = 0;
  const write = near._write.bind(near);
  const writev = near._writev?.bind(near);
  near._write = (...args) => {
    writes++;
    write(...args);
  };
  near._writev = (...args) => {
    writes++;
    writev?.(...args);
  };
  const protocol = attach(near);
  const big = Buffer.alloc(5000, "b");
  for (const piece of [Buffer.from("a"), big, Buffer.from("c"), Buffer.from("d"), big])
    protocol.transport.outbox.put(piece);
  protocol.transport.close();
  const chunks: Buffer[] = [];
  for await (const chunk of far) chunks.push(chunk as Buffer);
  assert.equal(Buffer.concat(chunks).toString(), `a${big.toString()}cd${big.toString()}`);
  assert.equal(writes, 1);
});

test("a peer who reads nothing blocks the outbox, and unblocks it when he reads", async (t) => {
  const [near, far] = await pair(t);
  far.pause();
  const protocol = attach(near);
  const { outbox } = protocol.transport;
  const chunk = Buffer.alloc(64 * 1024);
  let given = 0;
  // The kernel's buffers hold some megabytes; the bound of the loop is far above them.
  for (let turn = 0; turn < 2000 && !outbox.blocked; turn++) {
    outbox.put(chunk);
    given += chunk.length;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  assert.ok(outbox.blocked);
  assert.ok(
    near.writableLength > HIGH_WATER_BYTES && near.writableLength < 2 * HIGH_WATER_BYTES,
    String(near.writableLength),
  );
  const drained = new Promise<void>((resolve) => (protocol.onDrained = resolve));
  let taken = 0;
  far.on("data", (data: Buffer) => (taken += data.length));
  far.resume();
  await drained;
  assert.equal(outbox.blocked, false);
  protocol.transport.close();
  await once(far, "end");
  assert.equal(taken, given);
});

test("destroy is seen as a reset", async (t) => {
  const [near, far] = await pair(t);
  const protocol = attach(near);
  far.resume();
  const error = new Promise<NodeJS.ErrnoException>((resolve) => far.on("error", resolve));
  protocol.transport.outbox.put(Buffer.from("dropped"));
  protocol.transport.destroy();
  assert.equal((await error).code, "ECONNRESET");
  await protocol.closed;
  assert.deepEqual(protocol.log, ["closed"]);
});

test("a reset of the peer is no end", async (t) => {
  const [near, far] = await pair(t);
  const protocol = attach(near);
  far.resetAndDestroy();
  await protocol.closed;
  assert.deepEqual(protocol.log, ["closed"]);
});

test("paused means paused", async (t) => {
  const [near, far] = await pair(t);
  const protocol = attach(near);
  protocol.transport.pauseReading();
  far.end("x");
  await new Promise<void>((resolve) => setTimeout(resolve, 30));
  assert.deepEqual(protocol.log, []);
  protocol.transport.resumeReading();
  await protocol.ended;
  assert.deepEqual(protocol.log, ["receive x", "end"]);
});

test("an exception costs the connection, never the process, and is reported without payload", async (t) => {
  const [near, far] = await pair(t);
  const defects: string[] = [];
  onDefect((message) => defects.push(message));
  const protocol = attach(near);
  protocol.onReceive = () => {
    throw new Error("boom");
  };
  far.write("secret payload");
  await protocol.closed;
  assert.equal(defects.length, 1);
  assert.match(defects[0] ?? "", /tunnel\/socket: receive: Error: boom/);
  assert.ok(!defects[0]?.includes("secret payload"));
});
