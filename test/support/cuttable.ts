import net from "node:net";

/** A TCP proxy whose connections a test can break in every way a network does. */
export interface Cuttable {
  readonly port: number;
  /** Connections now open. */
  readonly open: number;
  /** Connections taken so far. */
  readonly accepted: number;
  /** FIN to both sides, as when a middlebox closes in order. */
  finish(): void;
  /** RST to both sides. */
  reset(): void;
  /** From now on nothing passes, and nobody is told; new connections too. */
  blackhole(): void;
  /** New connections pass again; those in the black hole stay there. */
  restore(): void;
  close(): Promise<void>;
}

/** Passes connections on to `port` on loopback. */
export async function startCuttable(port: number): Promise<Cuttable> {
  const pairs = new Set<readonly [net.Socket, net.Socket]>();
  const swallowed = new Set<net.Socket>();
  let dark = false;
  let accepted = 0;
  const server = net.createServer((left) => {
    accepted++;
    left.on("error", () => undefined);
    if (dark) {
      swallowed.add(left);
      left.resume();
      return;
    }
    const right = net.connect(port, "127.0.0.1");
    right.on("error", () => left.destroy());
    left.setNoDelay(true);
    right.setNoDelay(true);
    left.pipe(right);
    right.pipe(left);
    const pair = [left, right] as const;
    pairs.add(pair);
    const gone = (): void => {
      pairs.delete(pair);
      left.destroy();
      right.destroy();
    };
    left.on("close", gone);
    right.on("close", gone);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const each = (act: (socket: net.Socket) => void): void => {
    for (const [left, right] of [...pairs]) {
      left.unpipe();
      right.unpipe();
      act(left);
      act(right);
    }
  };
  return {
    port: (server.address() as net.AddressInfo).port,
    get open() {
      return pairs.size;
    },
    get accepted() {
      return accepted;
    },
    finish: () => each((socket) => socket.end()),
    reset: () => each((socket) => socket.resetAndDestroy()),
    blackhole() {
      dark = true;
      each((socket) => {
        swallowed.add(socket);
        socket.resume();
      });
    },
    restore() {
      dark = false;
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of swallowed) socket.destroy();
        each((socket) => socket.destroy());
        server.close(() => resolve());
      }),
  };
}
