import { fork } from "node:child_process";
import { once } from "node:events";
import path from "node:path";

/** What a process of the soak shall be. */
export type Order =
  | { readonly role: "services" }
  | { readonly role: "relay" }
  | { readonly role: "agent"; readonly relay: string; readonly ports: Readonly<Record<string, string>> };

export type Question =
  | { readonly type: "start"; readonly order: Order }
  /** `collect`: after a garbage collection. */
  | { readonly type: "sample"; readonly collect: boolean };

/** Octets, and what is open. */
export interface Sample {
  readonly rss: number;
  readonly heapUsed: number;
  /** Heap and what hangs on it outside, after a garbage collection. */
  readonly live?: number;
  readonly sockets: number;
  readonly timers: number;
  readonly exchanges?: number;
}

export type Answer =
  | { readonly type: "started"; readonly told: Readonly<Record<string, string>> }
  | ({ readonly type: "sample" } & Sample)
  | { readonly type: "defect"; readonly message: string };

export interface SoakProcess {
  readonly pid: number;
  /** Ports, URLs or addresses by name. */
  readonly told: Readonly<Record<string, string>>;
  readonly defects: readonly string[];
  sample(collect: boolean): Promise<Sample>;
  stop(): Promise<void>;
}

/** As the extension forks its children, with a garbage collection on request. */
const NODE_ARGUMENTS = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=1", "--expose-gc"];

export async function startSoakProcess(order: Order): Promise<SoakProcess> {
  const child = fork(path.join(import.meta.dirname, "child.ts"), [order.role], { execArgv: NODE_ARGUMENTS });
  const defects: string[] = [];
  const ended = new Promise<never>((_, reject) => {
    child.once("exit", (code, signal) => reject(new Error(`The ${order.role} ended: ${code ?? signal ?? "?"}`)));
  });
  ended.catch(() => undefined);
  const waiting: ((answer: Exclude<Answer, { type: "defect" }>) => void)[] = [];
  child.on("message", (answer: Answer) => {
    if (answer.type === "defect") defects.push(answer.message);
    else waiting.shift()?.(answer);
  });
  const ask = (question: Question): Promise<Exclude<Answer, { type: "defect" }>> => {
    child.send(question);
    return Promise.race([new Promise<Exclude<Answer, { type: "defect" }>>((resolve) => waiting.push(resolve)), ended]);
  };
  const started = await ask({ type: "start", order });
  if (started.type !== "started") throw new Error(`The ${order.role} did not start: ${defects.join("; ")}`);
  return {
    pid: child.pid ?? 0,
    told: started.told,
    defects,
    async sample(collect) {
      const answer = await ask({ type: "sample", collect });
      if (answer.type !== "sample") throw new Error(`The ${order.role} answered ${answer.type}`);
      return answer;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.disconnect();
      const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
      await gone;
      clearTimeout(timer);
    },
  };
}
