/** What ends a running command. */
export interface Ending {
  /** Aborted when it shall end: by a signal, or because nobody reads its output any more. */
  readonly signal: AbortSignal;
  /** Ends it without a signal. */
  end(): void;
  dispose(): void;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The first signal ends in order, the second calls `now`. */
export function onSignals(now: () => void): Ending {
  const controller = new AbortController();
  const receive = (): void => {
    if (controller.signal.aborted) now();
    else controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, receive);
  return {
    signal: controller.signal,
    end: () => controller.abort(),
    dispose() {
      for (const signal of SIGNALS) process.off(signal, receive);
    },
  };
}

/** Resolves when `signal` is aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
