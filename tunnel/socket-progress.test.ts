import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import tls from "node:tls";
import { selfSigned } from "../test/support/self-signed.ts";
import type { ByteProtocol, Transport } from "../wire/transport.ts";
import { attachSocket } from "./socket.ts";

/** A server, the event with which it gives out the near end, and a way to the far one. */
interface Kind {
  readonly start: () => net.Server;
  readonly accepted: "connection" | "secureConnection";
  readonly connect: (port: number) => Socket;
}

const host = "127.0.0.1";

const KINDS: Readonly<Record<string, Kind>> = {
  TCP: {
    start: () => net.createServer({ allowHalfOpen: true }),
    accepted: "connection",
    connect: (port) => net.connect({ port, host, allowHalfOpen: true }),
  },
  // Below TLS lies another handle.
  TLS: {
    start: () => tls.createServer(selfSigned(["localhost"])),
    accepted: "secureConnection",
    connect: (port) => tls.connect({ port, host, rejectUnauthorized: false }),
  },
};

for (const [name, kind] of Object.entries(KINDS)) {
  test(`${name}: what a slow reader's kernel takes of one large write is seen, long before all of it is gone`, async (t) => {
    const server = kind.start();
    server.listen(0, host);
    await once(server, "listening");
    const far = kind.connect((server.address() as AddressInfo).port);
    far.pause();
    const [near] = (await once(server, kind.accepted)) as [Socket];
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
    const { outbox } = below;
    // Far more than the buffers of both kernels hold.
    outbox.put(Buffer.alloc(64 * 1024 * 1024));
    const look = async (): Promise<number> => {
      await new Promise<void>((resolve) => setTimeout(resolve, 10));
      below.tick(performance.now());
      return outbox.taken;
    };
    // The kernels fill.
    for (let last = await look(), still = 0; still < 20;) {
      const taken = await look();
      still = taken === last ? still + 1 : 0;
      last = taken;
    }
    const before = outbox.taken;
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
    while ((await look()) === before) assert.ok(outbox.blocked);
    assert.ok(outbox.blocked, "and the write is still under way");
  });
}
