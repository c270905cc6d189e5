import { strict as assert } from "node:assert";
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { within } from "../../test/support/time.ts";
import type { Failure } from "../../wire/stream.ts";
import { Service } from "./service.ts";
import type { Waiter } from "./service.ts";
import type { ServiceConnection } from "./connection.ts";

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

/** A GET as soon as there is a connection; `over` resolves with the connection when the answer has ended. */
class Getting extends Waiting {
  readonly over: Promise<ServiceConnection>;
  #ended: (connection: ServiceConnection) => void = () => undefined;

  constructor() {
    super();
    this.over = new Promise((resolve) => (this.#ended = resolve));
  }

  override connected(connection?: ServiceConnection): boolean {
    const ended = (end: boolean): void => {
      // The connection is free again once it has told this.
      if (end && connection !== undefined) queueMicrotask(() => this.#ended(connection));
    };
    const stream = connection?.open(
      [":method GET", ":scheme http", ":authority localhost", ":path /"].map((line) => {
        const [name = "", value = ""] = line.split(" ");
        return { name, value };
      }),
      true,
      {
        headReceived: (_fields, end) => ended(end),
        dataReceived: (_bytes, end) => ended(end),
        trailersReceived: () => ended(true),
        resetReceived() {},
        dataSent() {},
      },
    );
    return stream !== undefined;
  }
}

it("closes connections that are idle for longer than a service may keep them, and only then", async () => {
  const sockets = new Set<net.Socket>();
  const server = http.createServer((_request, response) => response.end());
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const service = new Service({ host: "localhost", addresses: ["127.0.0.1"], port });
  try {
    const get = (): Promise<ServiceConnection> => {
      const waiter = new Getting();
      service.acquire(waiter);
      return within(5_000, "the answer", waiter.over);
    };
    const first = await get();
    service.tick(performance.now() + 2_500);
    assert.equal(await get(), first);
    const closed = new Promise<void>((resolve) => {
      for (const socket of sockets) socket.once("close", resolve);
    });
    service.tick(performance.now() + 3_500);
    await within(5_000, "the end of the idle connection", closed);
    assert.notEqual(await get(), first);
  } finally {
    service.close();
    server.closeAllConnections();
    server.close();
  }
});
