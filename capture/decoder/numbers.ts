/** The shortest decimal that reads back as the same 32-bit float; `String` would print the 64-bit one's digits. */
export function shortestFloat32(value: number): number {
  if (!Number.isFinite(value)) return value;
  for (let precision = 6; precision <= 9; precision++) {
    const candidate = Number(value.toPrecision(precision));
    if (Math.fround(candidate) === value) return candidate;
  }
  return value;
}

/** proto3 JSON: numbers, but the three that JSON has no number for. */
export function jsonNumber(value: number): number | string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Infinity) return "Infinity";
  if (value === -Infinity) return "-Infinity";
  // JSON.stringify prints -0 as 0; protobuf prints -0 and other readers take it as a number.
  return value;
}
