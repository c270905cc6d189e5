/** Numbers and times as people read them. English, whatever the locale: the interface is. */

const SIZE_UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Octets, in steps of 1000 as other network tools count: `0 B`, `532 B`, `1.2 kB`, `34 MB`. */
export function formatSize(octets: number): string {
  let value = octets;
  let unit = 0;
  while (value >= 999.5 && unit < SIZE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${SIZE_UNITS[unit] ?? ""}`;
}

/** Milliseconds: `0.4 ms`, `123 ms`, `1.23 s`, `2 min 3 s`, `1 h 2 min`, `3 d 4 h`. */
export function formatDuration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms === 0) return "0 ms";
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9_995) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** Local time of day with milliseconds: `14:03:07.052`. */
export function formatTime(at: number): string {
  const date = new Date(at);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

const COUNT = new Intl.NumberFormat("en-US");

/** `12,345`. */
export function formatCount(value: number): string {
  return COUNT.format(value);
}

/** `1 message`, `2 messages`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${formatCount(value)} ${value === 1 ? one : many}`;
}

/** `pkg.sub.Name` → `Name`. */
export function shortName(fullName: string): string {
  return fullName.slice(fullName.lastIndexOf(".") + 1);
}
