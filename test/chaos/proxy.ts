import net from "node:net";
import { Conduit, reset } from "./conduit.ts";
import type { Toxics } from "./conduit.ts";

export type { Toxics } from "./conduit.ts";

/** From who dialled to who listens, or back. */
export type Direction = "forth" | "back";

/** A TCP proxy on loopback whose links a test can make as bad as a network is, at any time and in each direction. */
export interface ChaosProxy {
  readonly port: number;
  /** Connections now open. */
  readonly open: number;
  /** Connections taken so far. */
  readonly accepted: number;
  /** The most octets that one direction of one connection has held. */
  readonly mostQueued: number;
  /** Replaces what is wrong, in one direction or in both: for what is open, and what comes. */
  set(toxics: Toxics, direction?: Direction): void;
  /** Nothing is wrong any more. What was held back passes now. */
  heal(): void;
  /** FIN to both sides of every connection, as when a middlebox closes in order; who still sends is reset. */
  finish(): void;
  /** RST to both sides. */
  reset(): void;
  /**
   * What is open leads nowhere from now on and nobody is told, as when a NAT has lost its table. New connections pass.
   * @param count so many, the oldest first; default all.
   */
  forget(count?: number): void;
  close(): Promise<void>;
}

/** @param port where connections are passed on to, on 127.0.0.1. @param random uniform in [0, 1): for the jitter. */
export async function startChaosProxy(port: number, random: () => number = Math.random): Promise<ChaosProxy> {
  const links = new Set<Link>();
  const toxics: Record<Direction, Toxics> = { forth: {}, back: {} };
  let accepted = 0;
  let mostQueued = 0;
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (dialler) => {
    accepted++;
    const link = new Link(dialler, port, random, (over) => {
      mostQueued = Math.max(mostQueued, over.mostQueued);
      links.delete(over);
    });
    links.add(link);
    link.set(toxics);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const apply = (): void => {
    for (const link of [...links]) link.set(toxics);
  };
  return {
    port: (server.address() as net.AddressInfo).port,
    get open() {
      return links.size;
    },
    get accepted() {
      return accepted;
    },
    get mostQueued() {
      return Math.max(mostQueued, ...[...links].map((link) => link.mostQueued));
    },
    set(changed, direction) {
      if (direction !== "back") toxics.forth = changed;
      if (direction !== "forth") toxics.back = changed;
      apply();
    },
    heal() {
      toxics.forth = toxics.back = {};
      apply();
    },
    finish: () => [...links].forEach((link) => link.finish()),
    reset: () => [...links].forEach((link) => link.reset()),
    forget: (count) => [...links].slice(0, count).forEach((link) => link.forget()),
    close: () =>
      new Promise((resolve) => {
        for (const link of [...links]) link.reset();
        server.close(() => resolve());
      }),
  };
}

/** One connection and the one made for it. */
class Link {
  readonly #dialler: net.Socket;
  readonly #port: number;
  readonly #random: () => number;
  readonly #over: (link: Link) => void;
  #target: net.Socket | undefined;
  #forth: Conduit | undefined;
  #back: Conduit | undefined;
  #open = 0;

  constructor(dialler: net.Socket, port: number, random: () => number, over: (link: Link) => void) {
    this.#dialler = dialler;
    this.#port = port;
    this.#random = random;
    this.#over = over;
    this.#watch(dialler, () => this.#forth);
  }

  get mostQueued(): number {
    return Math.max(this.#forth?.mostQueued ?? 0, this.#back?.mostQueued ?? 0);
  }

  set(toxics: Readonly<Record<Direction, Toxics>>): void {
    this.#forth?.set(toxics.forth);
    this.#back?.set(toxics.back);
    // A handshake takes both directions: who dials into silence is dialled for when it is over.
    if (this.#target !== undefined || toxics.forth.silent === true || toxics.back.silent === true) return;
    const target = net.connect({ host: "127.0.0.1", port: this.#port, allowHalfOpen: true, noDelay: true });
    this.#target = target;
    this.#dialler.setNoDelay(true);
    target.pause();
    this.#watch(target, () => this.#back);
    this.#forth = new Conduit(this.#dialler, target, toxics.forth, this.#random);
    this.#back = new Conduit(target, this.#dialler, toxics.back, this.#random);
  }

  finish(): void {
    this.#detach();
    for (const socket of this.#sockets()) {
      socket.on("data", () => reset(socket));
      socket.end();
      socket.resume();
    }
  }

  reset(): void {
    this.#detach();
    for (const socket of this.#sockets()) reset(socket);
  }

  forget(): void {
    this.#detach();
    for (const socket of this.#sockets()) {
      socket.on("end", () => socket.destroy());
      socket.resume();
    }
  }

  #sockets(): net.Socket[] {
    return this.#target === undefined ? [this.#dialler] : [this.#dialler, this.#target];
  }

  #detach(): void {
    this.#forth?.stop();
    this.#back?.stop();
  }

  #watch(socket: net.Socket, outgoing: () => Conduit | undefined): void {
    this.#open++;
    socket.on("error", () => undefined);
    socket.on("close", (failed) => {
      if (failed) outgoing()?.sourceLost();
      if (--this.#open > 0 && this.#forth !== undefined) return;
      this.#detach();
      this.#over(this);
    });
  }
}
