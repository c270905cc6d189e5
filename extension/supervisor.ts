import { Emitter, type MessageConnection } from "vscode-jsonrpc";
import type { Child, Exit } from "./child.ts";

/** First pause before a restart; doubled each time, up to the cap: long enough for a port to be free again. */
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;
/** A process that lived this long was healthy: the next death starts counting anew. */
const HEALTHY_MS = 30_000;
/** So many deaths in a row are no accident: a person must look. */
const MAX_DEATHS = 6;

/** `failed`: it died too often, or could not be prepared; `acquire` tries again. */
export type SupervisorState = "stopped" | "starting" | "running" | "restarting" | "failed";

export interface SupervisorOptions {
  /** For messages: "agent", "relay". */
  readonly name: string;
  readonly fork: () => Child;
  /** Brings a new process to work (configures it, restores what it held). Rejecting counts as a death. */
  readonly prepare: (connection: MessageConnection) => Promise<void>;
}

export interface Death {
  readonly exit: Exit;
  readonly deaths: number;
  readonly willRestart: boolean;
}

/** Thrown when there is no process to ask and none will come by itself. */
export class NotRunningError extends Error {
  override readonly name = "NotRunningError";
}

interface Waiter {
  resolve(connection: MessageConnection): void;
  reject(error: Error): void;
}

/** Keeps one child process running: starts it on demand, restarts it with growing pauses when it dies. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #stateChanged = new Emitter<SupervisorState>();
  readonly #died = new Emitter<Death>();
  #state: SupervisorState = "stopped";
  #child: Child | undefined;
  /** The connection is gone; that the process has ended is heard a moment later. */
  #lost = false;
  #deaths = 0;
  #timer: NodeJS.Timeout | undefined;
  #waiters: Waiter[] = [];

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  readonly onStateChanged = this.#stateChanged.event;
  /** It ended without being told to. */
  readonly onDied = this.#died.event;

  get state(): SupervisorState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The connection, when the process is ready now. */
  get connection(): MessageConnection | undefined {
    return this.#state === "running" && !this.#lost ? this.#child?.connection : undefined;
  }

  /** The connection of the running process; starts it, or waits for its restart. Rejects with `NotRunningError`. */
  acquire(): Promise<MessageConnection> {
    const connection = this.connection;
    if (connection !== undefined) return Promise.resolve(connection);
    const acquired = new Promise<MessageConnection>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    if (this.#state === "stopped" || this.#state === "failed") {
      this.#deaths = 0;
      this.#start();
    }
    return acquired;
  }

  /** Ends the process: `ask` tells it to finish, then it is killed after `graceMs`. */
  async stop(graceMs: number, ask?: (connection: MessageConnection) => Promise<unknown>): Promise<void> {
    clearTimeout(this.#timer);
    const child = this.#child;
    this.#child = undefined;
    this.#setState("stopped");
    this.#rejectWaiters(`The ${this.#options.name} was stopped.`);
    if (child === undefined) return;
    const kill = setTimeout(() => child.kill(), graceMs);
    if (ask === undefined) child.kill();
    else void attempt(() => ask(child.connection));
    await child.exited;
    clearTimeout(kill);
  }

  /** Ends the process at once, for a window that is closing. */
  kill(): void {
    clearTimeout(this.#timer);
    this.#child?.kill();
    this.#child = undefined;
    this.#setState("stopped");
    this.#rejectWaiters(`The ${this.#options.name} was stopped.`);
  }

  #start(): void {
    this.#setState(this.#deaths === 0 ? "starting" : "restarting");
    const started = performance.now();
    const child = this.#options.fork();
    this.#child = child;
    this.#lost = false;
    child.connection.onDispose(() => {
      if (this.#child === child) this.#lost = true;
    });
    void child.exited.then((exit) => {
      if (this.#child === child) this.#ended(exit, performance.now() - started);
    });
    this.#options.prepare(child.connection).then(
      () => {
        if (this.#child !== child) return;
        this.#setState("running");
        const waiters = this.#waiters;
        this.#waiters = [];
        for (const waiter of waiters) waiter.resolve(child.connection);
      },
      () => child.kill(),
    );
  }

  #ended(exit: Exit, livedMs: number): void {
    this.#child = undefined;
    this.#deaths = livedMs >= HEALTHY_MS ? 1 : this.#deaths + 1;
    const willRestart = this.#deaths < MAX_DEATHS;
    this.#setState(willRestart ? "restarting" : "failed");
    if (willRestart) this.#timer = setTimeout(() => this.#start(), restartDelay(this.#deaths));
    else this.#rejectWaiters(`The ${this.#options.name} process ended ${this.#deaths} times in a row.`);
    this.#died.fire({ exit, deaths: this.#deaths, willRestart });
  }

  #rejectWaiters(message: string): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(new NotRunningError(message));
  }

  #setState(state: SupervisorState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#stateChanged.fire(state);
  }
}

/** A process that ends before it answers, or has ended already, did what it was asked. */
async function attempt(ask: () => Promise<unknown>): Promise<void> {
  try {
    await ask();
  } catch {
    // As said.
  }
}

/** Milliseconds before the restart after the `deaths`-th death in a row (counted from 1). */
export function restartDelay(deaths: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** (deaths - 1), LONGEST_DELAY_MS);
}
