import type { ChaosProxy, Toxics } from "./proxy.ts";
import type { Link } from "./rig.ts";

/** What a cell does to its link, and what must come of it. */
export interface Trouble {
  readonly links: readonly Link[];
  readonly act: (proxy: ChaosProxy) => void;
  /**
   * `complete`: it is bad, but nothing is lost: the second half comes through, and a whole exchange begun in it too.
   * `complete after healing`: nothing passes until it is healed after `holdMs`, and then all of it does.
   * `cut`: both ends are told within `noticedMs`; healed after that, a new exchange passes.
   */
  readonly must: "complete" | "complete after healing" | "cut";
  readonly holdMs?: number;
  readonly noticedMs?: number;
  /** Octets of the exchange, a multiple of 32. */
  readonly octets: number;
  /** Longer than half a minute may take: only in `npm run chaos`. */
  readonly long?: true;
}

const EVERY: readonly Link[] = ["visitor-relay", "agent-relay", "agent-service"];
const KIB = 1024;

/** A link is dead within 15 s; one more for the wheel that judges it, on a machine with other work. */
export const NOTICED_MS = 16_500;

/** Below what ends a tunnel, so nothing may be lost. */
const SHORT_MS = 3_000;

const degraded = (toxics: Toxics, octets: number): Trouble => ({
  links: EVERY,
  act: (proxy) => proxy.set(toxics),
  must: "complete",
  octets,
});

export const troubles = {
  "latency 300 ± 200 ms": degraded({ latencyMs: 300, jitterMs: 200 }, 128 * KIB),
  "bandwidth 64 KB/s": degraded({ bytesPerSecond: 64_000 }, 128 * KIB),
  "slices of 1 octet": degraded({ sliceBytes: 1 }, 4 * KIB),
  "black hole, short": {
    links: EVERY,
    act: (proxy) => proxy.set({ silent: true }),
    must: "complete after healing",
    holdMs: SHORT_MS,
    octets: 512 * KIB,
  },
  "black hole": {
    links: ["agent-relay"],
    act: (proxy) => proxy.set({ silent: true }),
    must: "cut",
    noticedMs: NOTICED_MS,
    octets: 512 * KIB,
  },
  // Neither a service nor a visitor has to say anything: silence there is no reason to end an exchange.
  "black hole, 20 s": {
    links: ["visitor-relay", "agent-service"],
    act: (proxy) => proxy.set({ silent: true }),
    must: "complete after healing",
    holdMs: 20_000,
    octets: 512 * KIB,
    long: true,
  },
  "half-open, forth": {
    links: ["agent-relay"],
    act: (proxy) => proxy.set({ silent: true }, "forth"),
    must: "cut",
    noticedMs: NOTICED_MS,
    octets: 512 * KIB,
  },
  "half-open, back": {
    links: ["agent-relay"],
    act: (proxy) => proxy.set({ silent: true }, "back"),
    must: "cut",
    noticedMs: NOTICED_MS,
    octets: 512 * KIB,
  },
  "half-open, forth, short": {
    links: ["visitor-relay", "agent-service"],
    act: (proxy) => proxy.set({ silent: true }, "forth"),
    must: "complete after healing",
    holdMs: SHORT_MS,
    octets: 512 * KIB,
  },
  "half-open, back, short": {
    links: ["visitor-relay", "agent-service"],
    act: (proxy) => proxy.set({ silent: true }, "back"),
    must: "complete after healing",
    holdMs: SHORT_MS,
    octets: 512 * KIB,
  },
  "NAT entry lost": {
    links: ["agent-relay"],
    act: (proxy) => proxy.forget(),
    must: "cut",
    noticedMs: NOTICED_MS,
    octets: 512 * KIB,
  },
  RST: { links: EVERY, act: (proxy) => proxy.reset(), must: "cut", noticedMs: 10_000, octets: 1024 * KIB },
  FIN: { links: EVERY, act: (proxy) => proxy.finish(), must: "cut", noticedMs: 10_000, octets: 1024 * KIB },
} as const satisfies Readonly<Record<string, Trouble>>;

export type TroubleName = keyof typeof troubles;
