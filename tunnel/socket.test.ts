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
  attachSocket(socket, (transport) => new Recorder(transport), { initial });

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

test("a gathering socket writes once for all that one turn brings, but holds back no large piece", async (t) => {
  const [near, far] = await pair(t);
  const protocol = attachSocket(near, (transport) => new Recorder(transport), { gathers: true });
  let writes = 0;
  const write = near.write.bind(near);
  near.write = ((...arguments_: Parameters<typeof write>) => {
    writes++;
    return write(...arguments_);
  }) as typeof near.write;
  const put = (text: string): void => protocol.transport.outbox.put(Buffer.from(text));
  // Each in a job of its own, as other sockets' data comes.
  for (const text of ["a", "b", "c"]) process.nextTick(put, text);
  const [bytes] = (await once(far, "data")) as [Buffer];
  assert.equal(String(bytes), "abc");
  assert.equal(writes, 1);
  put("x".repeat(20_000));
  await new Promise<void>((resolve) => queueMicrotask(resolve));
  assert.equal(writes, 2, "not at the end of the turn");
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

test("destroy is seen as a reset, after what the socket took at once", async (t) => {
  const [near, far] = await pair(t);
  const protocol = attach(near);
  const seen: string[] = [];
  far.on("data", (chunk: Buffer) => seen.push(chunk.toString()));
  const error = new Promise<NodeJS.ErrnoException>((resolve) => far.on("error", resolve));
  protocol.transport.outbox.put(Buffer.from("last words"));
  protocol.transport.destroy();
  protocol.transport.outbox.put(Buffer.from("too late"));
  assert.equal((await error).code, "ECONNRESET");
  assert.deepEqual(seen, ["last words"]);
  await protocol.closed;
  assert.deepEqual(protocol.log, ["closed"]);
});

test("a reset in the turn of the FIN leaves no descriptor open, and is a reset", async (t) => {
  const [near, far] = await pair(t);
  far.on("data", () => undefined);
  const protocol = attach(near);
  await new Promise<void>((resolve) => setImmediate(resolve));
  const told = new Promise<string>((resolve) => {
    far.on("end", () => far.write("still here"));
    far.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
  });
  protocol.transport.endWriting();
  protocol.transport.destroy();
  await protocol.closed;
  assert.ok(near.closed);
  assert.match(await told, /^(ECONNRESET|EPIPE)$/);
});

test("a reset of the peer is no end", async (t) => {
  const [near, far] = await pair(t);
  const protocol = attach(near);
  far.resetAndDestroy();
  await protocol.closed;
  assert.deepEqual(protocol.log, ["closed"]);
});

/** Wants to be told of a failed write. */
class Listener extends Recorder {
  readonly failed: Promise<void>;
  #failed = (): void => undefined;
  constructor(transport: Transport) {
    super(transport);
    this.failed = new Promise((resolve) => (this.#failed = resolve));
  }
  writingFailed(): void {
    this.log.push("failed");
    this.#failed();
  }
}

const LAST_WORDS = Buffer.concat([Buffer.alloc(64 * 1024, "."), Buffer.from("last words")]);

/** The peer says something and resets; then we write. */
async function writeAfterReset<P extends Recorder>(
  t: { after: (run: () => void) => void },
  make: (transport: Transport) => P,
): Promise<{ near: Socket; protocol: P }> {
  const [near, far] = await pair(t);
  const protocol = attachSocket(near, make);
  protocol.transport.pauseReading();
  far.write(LAST_WORDS);
  // A socket whose buffer is full reads no more: it cannot learn of the reset but by writing.
  while (near.readableLength < near.readableHighWaterMark) await new Promise(setImmediate);
  far.resetAndDestroy();
  await once(far, "close");
  const write = setInterval(() => protocol.transport.outbox.put(Buffer.from("more")), 1);
  t.after(() => clearInterval(write));
  return { near, protocol };
}

async function failedWrite(t: { after: (run: () => void) => void }): Promise<{ near: Socket; protocol: Listener }> {
  const { near, protocol } = await writeAfterReset(t, (transport) => new Listener(transport));
  await Promise.race([protocol.failed, protocol.closed]);
  assert.deepEqual(protocol.log, ["failed"]);
  return { near, protocol };
}

test("after a failed write what the peer sent before is received, and its end is no end", async (t) => {
  const { near, protocol } = await failedWrite(t);
  assert.equal(near.destroyed, false);
  assert.equal(protocol.transport.outbox.blocked, true);
  protocol.transport.resumeReading();
  await protocol.closed;
  assert.equal(protocol.log.at(-1), "closed");
  const received = protocol.log.slice(1, -1).map((line) => line.slice("receive ".length));
  assert.equal(received.join(""), LAST_WORDS.toString());
});

test("after a failed write `close` waits for nothing", async (t) => {
  const { near, protocol } = await failedWrite(t);
  protocol.transport.close();
  assert.equal(near.destroyed, true);
  await protocol.closed;
  assert.deepEqual(protocol.log, ["failed", "closed"]);
});

test("after a failed write a protocol that does not read keeps the socket for 30 s, not longer", async (t) => {
  const { near, protocol } = await failedWrite(t);
  const transport = protocol.transport as Transport & Pick<ByteProtocol, "tick">;
  for (const [now, destroyed] of [
    [1_000_000, false],
    [1_029_000, false],
    [1_031_000, true],
  ] as const) {
    transport.tick(now);
    assert.equal(near.destroyed, destroyed);
  }
  await protocol.closed;
});

test("a protocol that has no use for last words is closed by the failed write", async (t) => {
  const { protocol } = await writeAfterReset(t, (transport) => new Recorder(transport));
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
