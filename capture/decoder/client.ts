import { Worker } from "node:worker_threads";
import type { Logger } from "../../wire/logger.ts";
import type { JobAnswer, JobName, JobRequest, Jobs } from "./jobs.ts";

/** One job may take this long: a reading that takes longer is a bomb, and nobody waits for it. */
export const JOB_MS = 2000;
/** Reading and parsing 2 000 files on a slow disk may; and so may a thread that starts on a busy machine. */
const LOAD_MS = 30_000;
/** Enough for 2 000 files of `.proto` text and one message of 8 MiB with its tree; a bomb ends here. */
const HEAP_MB = 256;
/** Jobs that wait: a page asks for a screenful at a time. Above, the asker is told instead of kept waiting. */
const MAX_WAITING = 2000;

/** The decoder could not do a job. The message is for people. */
export class DecoderError extends Error {
  override readonly name = "DecoderError";
}

interface Waiting {
  readonly name: JobName;
  readonly params: unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: DecoderError) => void;
}

export interface DecoderClientOptions {
  readonly workerFile: string;
  readonly log: Logger;
  /** A fresh worker runs and knows no types yet. */
  readonly started: () => void;
  /** The worker died: what is decoded meanwhile has no types. */
  readonly died: () => void;
  /** Milliseconds for a job but `load`; default 2 000. */
  readonly jobMs?: number;
}

/**
 * Runs the decoder in a worker thread with bounds of memory and time. Jobs are done one after another; one that kills
 * the worker is rejected, and a fresh worker does the rest.
 */
export class DecoderClient {
  readonly #options: DecoderClientOptions;
  readonly #waiting: Waiting[] = [];
  #worker: Worker | undefined;
  /** The worker runs: before that the time of a job does not count. */
  #online = false;
  #current: (Waiting & { readonly id: number; timer: NodeJS.Timeout }) | undefined;
  #nextId = 1;
  #closed = false;
  /** Deaths without a job done in between: a worker that cannot start is not started again and again. */
  #deaths = 0;

  constructor(options: DecoderClientOptions) {
    this.#options = options;
  }

  /** Rejects with `DecoderError`. `first`: before everything that waits. */
  run<N extends JobName>(name: N, params: Jobs[N]["params"], first = false): Promise<Jobs[N]["result"]> {
    return new Promise((resolve, reject: (error: DecoderError) => void) => {
      if (this.#closed) reject(new DecoderError("The decoder is closed."));
      else if (this.#waiting.length >= MAX_WAITING)
        reject(new DecoderError("The decoder has too much to do; try again."));
      else {
        const job: Waiting = { name, params, resolve: (result) => resolve(result as Jobs[N]["result"]), reject };
        if (first) this.#waiting.unshift(job);
        else this.#waiting.push(job);
        this.#next();
      }
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#worker = undefined;
    this.#fail("The decoder is closed.");
    for (const job of this.#waiting.splice(0)) job.reject(new DecoderError("The decoder is closed."));
    await worker?.terminate();
  }

  #next(): void {
    if (this.#current !== undefined || this.#closed) return;
    const worker = this.#worker;
    if (worker === undefined) {
      if (this.#waiting.length === 0) return;
      // `started` puts the loading of types before what waits.
      this.#start();
      this.#next();
      return;
    }
    const job = this.#waiting.shift();
    if (job === undefined) {
      worker.unref();
      return;
    }
    worker.ref();
    const id = this.#nextId++;
    this.#current = { ...job, id, timer: this.#limit(worker, job.name) };
    const request: JobRequest = { id, name: job.name, params: job.params };
    worker.postMessage(request);
  }

  #limit(worker: Worker, name: JobName): NodeJS.Timeout {
    const limit = name === "load" || !this.#online ? LOAD_MS : (this.#options.jobMs ?? JOB_MS);
    return setTimeout(() => this.#died(worker, `took longer than ${limit / 1000} s`), limit).unref();
  }

  #start(): void {
    const worker = new Worker(this.#options.workerFile, {
      name: "portlight-decoder",
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
      // No environment and no arguments: the worker reads schemas and payloads of others.
      env: {},
      argv: [],
      execArgv: process.execArgv.filter((argument) => argument.startsWith("--disable-warning")),
      stdin: false,
    });
    this.#worker = worker;
    this.#online = false;
    worker.on("online", () => {
      if (worker !== this.#worker) return;
      this.#online = true;
      const current = this.#current;
      if (current === undefined) return;
      clearTimeout(current.timer);
      current.timer = this.#limit(worker, current.name);
    });
    worker.on("message", (answer: JobAnswer) => this.#answered(worker, answer));
    worker.on("error", (error: Error & { code?: string }) =>
      this.#died(
        worker,
        error.code === "ERR_WORKER_OUT_OF_MEMORY" ? `needed more than ${HEAP_MB} MB` : `failed (${error.name})`,
      ),
    );
    worker.on("exit", () => this.#died(worker, "ended"));
    this.#options.started();
  }

  #answered(worker: Worker, answer: JobAnswer): void {
    const current = this.#current;
    if (worker !== this.#worker || current?.id !== answer.id) return;
    clearTimeout(current.timer);
    this.#current = undefined;
    this.#deaths = 0;
    if ("problem" in answer) current.reject(new DecoderError(answer.problem));
    else current.resolve(answer.result);
    this.#next();
  }

  #died(worker: Worker, how: string): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#deaths++;
    const name = this.#current?.name ?? "no job";
    this.#options.log.warn(`The decoder's worker ${how} (${name}); it is started again.`);
    this.#fail(`The decoder ${how} on this and was started again.`);
    void worker.terminate();
    this.#options.died();
    if (this.#deaths > 5) {
      for (const job of this.#waiting.splice(0)) job.reject(new DecoderError("The decoder does not start."));
      this.#deaths = 0;
      return;
    }
    this.#next();
  }

  #fail(problem: string): void {
    const current = this.#current;
    if (current === undefined) return;
    clearTimeout(current.timer);
    this.#current = undefined;
    current.reject(new DecoderError(problem));
  }
}
