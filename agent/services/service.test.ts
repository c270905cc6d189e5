import { strict as assert } from "node:assert";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import type { Failure } from "../../wire/stream.ts";
import { Service } from "./service.ts";
import type { Waiter } from "./service.ts";

class Waiting implements Waiter {
  readonly wants = { kind: "http", visitorVersion: 2 } as const;
  readonly repeatable = true;
  abandoned = false;
  failure: Failure | undefined;
  connected(): boolean {
    return false;
  }
  failed(failure: Failure): void {
    this.failure = failure;
  }
}

function codeOf(waiter: Waiting): string | undefined {
  return waiter.failure?.code;
}

/** A service that accepts and says nothing, so that whoever comes has to wait. */
async function silent(run: (service: Service) => void): Promise<void> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const service = new Service({ host: "localhost", addresses: ["127.0.0.1"], port });
  try {
    run(service);
  } finally {
    service.close();
    server.close();
    for (const socket of sockets) socket.destroy();
  }
}

describe("the line of those who wait for a service", () => {
  it("is bounded in length", () =>
    silent((service) => {
      const waiters = Array.from({ length: 1_025 }, () => new Waiting());
      for (const waiter of waiters) service.acquire(waiter);
      assert.deepEqual(
        waiters.map(({ failure }) => failure?.code),
        [...Array.from({ length: 1_024 }, () => undefined), "limit"],
      );
      assert.match(waiters.at(-1)?.failure?.message ?? "", /More than 1024 requests wait for localhost:\d+/);
    }));

  it("is bounded in time, and forgets who went away", () =>
    silent((service) => {
      const [stays, gone] = [new Waiting(), new Waiting()];
      service.acquire(stays);
      service.acquire(gone);
      gone.abandoned = true;
      const now = performance.now();
      service.tick(now + 9_000);
      assert.equal(codeOf(stays), undefined);
      service.tick(now + 11_000);
      assert.equal(codeOf(stays), "limit");
      assert.equal(codeOf(gone), undefined);
    }));

  it("ends with the share", () =>
    silent((service) => {
      const [early, late] = [new Waiting(), new Waiting()];
      service.acquire(early);
      service.close();
      service.acquire(late);
      assert.equal(codeOf(early), "closed");
      assert.equal(codeOf(late), "closed");
    }));
});
