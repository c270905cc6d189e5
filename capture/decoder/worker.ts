import { parentPort } from "node:worker_threads";
import { Decoder } from "./decoder.ts";
import type { JobAnswer, JobRequest } from "./jobs.ts";

/** The worker's entry: one job at a time, each answered once. */
const decoder = new Decoder();

parentPort?.on("message", (request: JobRequest) => {
  decoder.run(request.name, request.params).then(
    (result) => answer({ id: request.id, result }),
    // Only the kind of error: its text could hold payload.
    (error: unknown) =>
      answer({ id: request.id, problem: `The decoder failed (${error instanceof Error ? error.name : "unknown"}).` }),
  );
});

function answer(message: JobAnswer): void {
  parentPort?.postMessage(message);
}
