/** The value below which `share` (0 to 1) of the samples lie, by nearest rank. NaN for none. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? NaN;
}

/** The middle sample; of an even number the mean of the two in the middle. NaN for none. */
export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** Median and extremes of what was measured several times. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spread(samples: readonly number[]): Spread {
  return { median: median(samples), min: Math.min(...samples), max: Math.max(...samples) };
}

/**
 * Ours to a peer's, round by round: both were measured within seconds of each other, so what else the machine did then
 * is in both. Rounds that miss one of the two are left out.
 */
export function ratios(ours: readonly number[], peer: readonly number[]): Spread | undefined {
  const each: number[] = [];
  for (const [round, value] of ours.entries()) {
    const other = peer[round];
    if (other !== undefined && Number.isFinite(value / other)) each.push(value / other);
  }
  return each.length === 0 ? undefined : spread(each);
}
