import { setTimeout as pause } from "node:timers/promises";
import { until, within } from "../support/time.ts";
import { kinds } from "./exchanges.ts";
import type { Exchange, KindName } from "./exchanges.ts";
import { startProcessRig } from "./process-rig.ts";
import type { ProcessRig } from "./process-rig.ts";
import { startRig } from "./rig.ts";
import type { Link, Rig } from "./rig.ts";
import { ending } from "./service.ts";
import type { ChaosService } from "./service.ts";
import { NOTICED_MS, troubles } from "./toxics.ts";
import type { Trouble, TroubleName } from "./toxics.ts";

/** A tunnel is back this long after the network is, at most. */
const RECOVERED_MS = 15_000;

/** What comes through does so within this, however bad the link. */
const SLOW_MS = 60_000;

/** The first half passes before anything is wrong: a bound for a machine with much other work. */
const HALF_MS = 30_000;

export interface Figures {
  /** From the cut until the visitor was told. */
  readonly noticedMs?: number;
  /** From healing until an exchange passed as a whole. */
  readonly recoveredMs?: number;
}

/** A cell that does not hold, with every reason that was found. */
export class CellError extends Error {
  override readonly name = "CellError";
}

/** Collects what is wrong, so that one look shows all of it. */
class Findings {
  readonly wrong: string[] = [];

  check(holds: boolean, what: string): void {
    if (!holds) this.wrong.push(what);
  }

  throw(): void {
    if (this.wrong.length > 0) throw new CellError(this.wrong.join("; "));
  }
}

interface Stage {
  readonly kind: KindName;
  readonly service: ChaosService;
  readonly rig: Rig;
  readonly octets: number;
  readonly findings: Findings;
}

/** The exchange comes through, whole and right, at both ends. */
async function completes({ service, findings }: Stage, exchange: Exchange, index: number, when: string): Promise<void> {
  const { visitor, wrong } = await within(SLOW_MS, `the end of the exchange ${when}`, exchange.outcome);
  findings.check(visitor === "complete", `${when}: the visitor was ${visitor}`);
  findings.check(wrong === undefined, `${when}: ${wrong ?? ""}`);
  const atService = await ending(service, index, 5000);
  findings.check(atService === "complete", `${when}: the service was ${atService}`);
}

/** A whole exchange, begun now. */
async function another(stage: Stage, when: string): Promise<void> {
  const { kind, service, rig, octets } = stage;
  const index = service.endings.length;
  const exchange = await within(SLOW_MS, `half an exchange ${when}`, kinds[kind].begin(rig.address, service, octets));
  exchange.proceed();
  try {
    await completes(stage, exchange, index, when);
  } finally {
    exchange.close();
  }
}

/** Exchanges are tried until one passes as a whole. */
async function recovers({ kind, service, rig, octets, findings }: Stage): Promise<number> {
  const healed = performance.now();
  service.proceed();
  await until(RECOVERED_MS, "an exchange passes again", async () => {
    let exchange: Exchange | undefined;
    try {
      exchange = await within(5000, "half of it", kinds[kind].begin(rig.address, service, octets));
      exchange.proceed();
      const { visitor, wrong } = await within(10_000, "its end", exchange.outcome);
      findings.check(wrong === undefined, `while it came back: ${wrong ?? ""}`);
      return visitor === "complete";
    } catch {
      return false;
    } finally {
      exchange?.close();
    }
  });
  return performance.now() - healed;
}

/** Both ends are told of the cut, and what came until then is right. */
async function isCut(stage: Stage, exchange: Exchange, index: number, noticedMs: number): Promise<number> {
  const { service, findings } = stage;
  const began = performance.now();
  const { visitor, wrong } = await within(noticedMs, "the visitor is told", exchange.outcome);
  const noticed = performance.now() - began;
  findings.check(visitor === "cut", `what was cut looked whole to the visitor`);
  findings.check(wrong === undefined, wrong ?? "");
  const atService = await ending(service, index, Math.max(noticedMs, 5000)).catch(() => "not told");
  findings.check(atService === "cut", `the service was ${atService}`);
  return noticed;
}

async function withStage<R extends Rig>(
  kind: KindName,
  octets: number,
  start: (service: ChaosService) => Promise<R>,
  run: (stage: Stage, rig: R, exchange: Exchange) => Promise<Figures>,
  bystands = true,
): Promise<Figures> {
  const findings = new Findings();
  const service = await kinds[kind].startService(octets);
  const rig = await start(service);
  let exchange: Exchange | undefined;
  let figures: Figures = {};
  try {
    exchange = await within(HALF_MS, "the first half", kinds[kind].begin(rig.address, service, octets));
    figures = await run({ kind, service, rig, octets, findings }, rig, exchange);
  } catch (error) {
    findings.check(false, String(error));
  }
  exchange?.close();
  const left = await rig.close();
  findings.check(left.length === 0, `left: ${left.join(", ")}`);
  findings.check(service.wrong === undefined, `at the service: ${service.wrong ?? ""}`);
  if (bystands) {
    const { touched, answered } = rig.bystander;
    findings.check(touched.length === 0, `the bystander noticed: ${touched[0] ?? ""} (${touched.length} times)`);
    findings.check(answered > 0, "the bystander got no answer");
  }
  await service.close();
  findings.throw();
  return figures;
}

/** One link, made bad in the middle of one exchange. Rejects with `CellError`. */
export async function runLinkCell(link: Link, name: TroubleName, kind: KindName): Promise<Figures> {
  const trouble: Trouble = troubles[name];
  return withStage(
    kind,
    trouble.octets,
    (service) => startRig(link, service),
    async (stage, { proxy }, exchange) => {
      const { service } = stage;
      trouble.act(proxy);
      if (trouble.must === "cut") {
        const noticedMs = await isCut(stage, exchange, 0, trouble.noticedMs ?? 5000);
        proxy.heal();
        return { noticedMs, recoveredMs: await recovers(stage) };
      }
      exchange.proceed();
      if (trouble.must === "complete after healing") {
        await pause(trouble.holdMs);
        proxy.heal();
      }
      await completes(stage, exchange, 0, "in the middle of which it came");
      service.wait();
      await another(stage, "begun in it");
      return {};
    },
  );
}

type Event = (rig: ProcessRig, stage: Stage, exchange: Exchange) => Promise<Figures>;

interface ProcessTrouble {
  readonly event: Event;
  /** The bystander is in the same boat. */
  readonly all?: true;
  readonly long?: true;
}

/** The agent stands still for so long, and goes on. */
const stop =
  (ms: number, must: "complete" | "cut"): Event =>
  async ({ agent }, stage, exchange) => {
    agent.child.kill("SIGSTOP");
    const resumed = pause(ms).then(() => agent.child.kill("SIGCONT"));
    if (must === "complete") {
      exchange.proceed();
      await completes(stage, exchange, 0, "while the agent stood still");
      await resumed;
      return {};
    }
    const noticedMs = await isCut(stage, exchange, 0, ms + NOTICED_MS).finally(() => resumed);
    stage.findings.check(noticedMs < NOTICED_MS, `the visitor was told after ${Math.round(noticedMs)} ms`);
    return { noticedMs, recoveredMs: await recovers(stage) };
  };

/** What happens to the programs themselves. */
export const processTroubles = {
  "relay killed, back after 1 s": {
    all: true,
    async event(rig, stage, exchange) {
      const restarted = rig.restartRelay(1000);
      const noticedMs = await isCut(stage, exchange, 0, 5000);
      await restarted;
      return { noticedMs, recoveredMs: await recovers(stage) };
    },
  },
  "agent killed": {
    async event(rig, stage, exchange) {
      const restarted = rig.restartAgent();
      const noticedMs = await isCut(stage, exchange, 0, 5000);
      await restarted;
      return { noticedMs, recoveredMs: await recovers(stage) };
    },
  },
  "agent stopped for 4 s": { event: stop(4_000, "complete") },
  "agent stopped for 20 s": { event: stop(20_000, "cut"), long: true },
} as const satisfies Readonly<Record<string, ProcessTrouble>>;

export type ProcessTroubleName = keyof typeof processTroubles;

/** One program, hit in the middle of one exchange. Rejects with `CellError`. */
export async function runProcessCell(name: ProcessTroubleName, kind: KindName): Promise<Figures> {
  const trouble: ProcessTrouble = processTroubles[name];
  return withStage(
    kind,
    256 * 1024,
    startProcessRig,
    (stage, rig, exchange) => trouble.event(rig, stage, exchange),
    trouble.all !== true,
  );
}
