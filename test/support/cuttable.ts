import { startChaosProxy } from "../chaos/proxy.ts";

/** A TCP proxy whose connections a test can break: the few things of `ChaosProxy` that a test of a cut needs. */
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
  /** Nothing passes on the oldest connection any more, and nobody is told; the others are as before. */
  swallowOldest(): void;
  /** New connections pass again; those in the black hole stay there. */
  restore(): void;
  close(): Promise<void>;
}

/** Passes connections on to `port` on loopback. */
export async function startCuttable(port: number): Promise<Cuttable> {
  const proxy = await startChaosProxy(port);
  return {
    port: proxy.port,
    get open() {
      return proxy.open;
    },
    get accepted() {
      return proxy.accepted;
    },
    finish: () => proxy.finish(),
    reset: () => proxy.reset(),
    blackhole: () => proxy.set({ silent: true }),
    swallowOldest: () => proxy.forget(1),
    restore() {
      proxy.forget();
      proxy.heal();
    },
    close: () => proxy.close(),
  };
}
