import { setTimeout as pause } from "node:timers/promises";
import type { ChaosProxy } from "../chaos/proxy.ts";
import { request } from "../support/http.ts";
import { until } from "../support/time.ts";
import { visitors, WrongAnswer } from "./traffic.ts";
import type { Addresses, Visitor } from "./traffic.ts";

/** How many visitors of a kind there are at once, and how long each rests between two exchanges, ms. */
const MIX: Readonly<Record<string, readonly [visitors: number, restMs: number]>> = {
  "GET, HTTP/1.1": [3, 40],
  "GET, HTTP/2": [3, 40],
  "download, HTTP/1.1": [1, 300],
  "download, HTTP/2": [1, 300],
  upload: [1, 400],
  "server-sent events": [2, 50],
  "WebSocket echo": [2, 100],
  "gRPC unary": [2, 40],
  "gRPC bidi": [2, 60],
  "given up": [1, 150],
};

export interface Tally {
  whole: number;
  /** In the tunnel, or on their way to it, when it was cut: an error is the right answer. */
  cut: number;
  /** An error without a cut. */
  failed: number;
  wrong: number;
}

/** What the driver saw. */
export class Load {
  readonly tallies = new Map<string, Tally>();
  /** Of what must not be, the first lines. */
  readonly problems: string[] = [];
  /** From the cut of every tunnel to the first answer after it, ms. */
  readonly recoveries: number[] = [];
  readonly #addresses: Addresses;
  readonly #tunnel: ChaosProxy;
  readonly #outages: { readonly from: number; until: number }[] = [];
  readonly #ending = new AbortController();
  readonly #running: Promise<void>[] = [];

  constructor(addresses: Addresses, tunnel: ChaosProxy) {
    this.#addresses = addresses;
    this.#tunnel = tunnel;
  }

  get exchanges(): number {
    return [...this.tallies.values()].reduce((sum, one) => sum + one.whole + one.cut + one.failed + one.wrong, 0);
  }

  /** @param cutEveryMs all links of the agent are reset this often. */
  start(cutEveryMs: number): void {
    for (const [name, [count, restMs]] of Object.entries(MIX))
      for (let index = 0; index < count; index++) this.#running.push(this.#visit(name, restMs, index));
    this.#running.push(this.#cut(cutEveryMs));
  }

  /** Lets what is under way end. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#running);
  }

  async #rest(ms: number): Promise<boolean> {
    return pause(ms, true, { signal: this.#ending.signal }).catch(() => false);
  }

  async #visit(name: string, restMs: number, index: number): Promise<void> {
    const create = visitors[name];
    if (create === undefined) throw new Error(`No visitor makes ${name}.`);
    const tally = this.tallies.get(name) ?? { whole: 0, cut: 0, failed: 0, wrong: 0 };
    this.tallies.set(name, tally);
    const visitor = create(this.#addresses);
    for (let round = index; await this.#rest(restMs); round++) await this.#exchange(name, visitor, round, tally);
    visitor.close();
  }

  async #exchange(name: string, visitor: Visitor, round: number, tally: Tally): Promise<void> {
    const started = performance.now();
    try {
      await visitor.exchange(round);
      tally.whole++;
    } catch (error) {
      const wrong = error instanceof WrongAnswer;
      const wasCut = this.#outages.some((outage) => started <= outage.until);
      if (wrong) tally.wrong++;
      else if (wasCut) tally.cut++;
      else tally.failed++;
      if ((wrong || !wasCut) && this.problems.length < 20)
        this.problems.push(`${name}, round ${round}: ${String(error)}`);
    }
  }

  async #cut(everyMs: number): Promise<void> {
    while (await this.#rest(everyMs)) {
      const outage = { from: performance.now(), until: Infinity };
      this.#outages.push(outage);
      this.#tunnel.reset();
      await until(15_000, "an answer after the cut", async () => {
        const answer = await request(this.#addresses.http, "/status/204").catch(() => undefined);
        return answer?.status === 204;
      });
      this.recoveries.push(performance.now() - outage.from);
      // Every share is granted in one message; who asked before it was, was told 503 and knows it within this.
      await pause(250);
      outage.until = performance.now();
    }
  }
}
