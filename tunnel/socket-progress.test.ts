import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { selfSigned } from "../test/support/self-signed.ts";
import type { ByteProtocol, Transport } from "../wire/transport.ts";
import { attachSocket } from "./socket.ts";

test("over TLS, too, what a slow reader's kernel takes of one large write is seen", async (t) => {
  const server = createServer(selfSigned(["localhost"]));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const far = connect({
    port: (server.address() as AddressInfo).port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
  });
  far.pause();
  const [near] = (await once(server, "secureConnection")) as [TLSSocket];
  server.close();
  t.after(() => {
    near.destroy();
    far.destroy();
  });
  far.on("error", () => undefined);

  let transport: Transport | undefined;
  const protocol: ByteProtocol = { receive() {}, receiveEnd() {}, transportClosed() {}, drained() {}, tick() {} };
  attachSocket(near, (given) => {
    transport = given;
    return protocol;
  });
  const below = transport as Transport & Pick<ByteProtocol, "tick">;
  // Far more than the buffers of both kernels hold.
  below.outbox.put(Buffer.alloc(64 * 1024 * 1024));
  const look = async (): Promise<number> => {
    await new Promise<void>((resolve) => setTimeout(resolve, 10));
    below.tick(performance.now());
    return below.outbox.taken;
  };
  // The kernels fill.
  for (let last = await look(), still = 0; still < 20;) {
    const taken = await look();
    still = taken === last ? still + 1 : 0;
    last = taken;
  }
  const before = below.outbox.taken;
  let read = 0;
  const some = new Promise<void>((resolve) => {
    far.on("data", (data: Buffer) => {
      read += data.length;
      if (read < 16 * 1024 * 1024) return;
      far.pause();
      resolve();
    });
  });
  far.resume();
  await some;
  while ((await look()) === before) assert.ok(below.outbox.blocked);
  assert.ok(below.outbox.blocked, "and the write is still under way");
});
