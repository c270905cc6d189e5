import { setTimeout as sleep } from "node:timers/promises";

/** How often a condition is looked at that nothing announces (another process, a page). */
const LOOK_MS = 100;

/** Waits for `condition` to return something other than undefined or false. Throws with `what` after `seconds`. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  seconds = 30,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + seconds * 1000;
  let problem = "";
  while (performance.now() < deadline) {
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
      problem = "";
    } catch (error) {
      problem = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    await sleep(LOOK_MS);
  }
  throw new Error(`${what}: not within ${seconds} s${problem}`);
}
