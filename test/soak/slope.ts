export interface Slope {
  /** Per unit of x. */
  readonly perUnit: number;
  /** Half of the 95 % confidence interval. */
  readonly margin: number;
}

/**
 * The straight line of least squares. Neighbouring samples of memory resemble each other (a heap grows until it is
 * collected), so the margin counts as many independent samples as the residuals' correlation leaves, not all of them.
 */
export function slope(points: readonly (readonly [x: number, y: number])[]): Slope {
  const n = points.length;
  if (n < 3) return { perUnit: 0, margin: Infinity };
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  const perUnit = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread;
  const residuals = points.map(([x, y]) => y - meanY - perUnit * (x - meanX));
  const squares = residuals.reduce((sum, one) => sum + one * one, 0);
  if (squares === 0) return { perUnit, margin: 0 };
  const lagged = residuals.slice(1).reduce((sum, one, index) => sum + one * (residuals[index] ?? 0), 0);
  const correlation = Math.min(0.95, Math.max(0, lagged / squares));
  const independent = Math.max(3, n * ((1 - correlation) / (1 + correlation)));
  const error = Math.sqrt(squares / (independent - 2) / (spread * (independent / n)));
  return { perUnit, margin: studentT(independent - 2) * error };
}

/** The 97.5 % point of Student's distribution, to a few percent. */
function studentT(degrees: number): number {
  return 1.96 + 2.4 / degrees + 8.4 / degrees ** 3;
}
