import type { ShareInfo } from "../agent/options.ts";

export function isLoopbackUrl(url: string): boolean {
  const host = hostOf(url);
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.[0-9]+){3}$/.test(host);
}

/** The URL by which another machine reaches the share; undefined when none can. */
export function externalUrl({ url, alternativeUrls }: Pick<ShareInfo, "url" | "alternativeUrls">): string | undefined {
  return [url, ...alternativeUrls].find((candidate) => candidate !== "" && !isLoopbackUrl(candidate));
}

/** The URL to give to others: in the local network not that of loopback. */
export function mainUrl(info: Pick<ShareInfo, "url" | "alternativeUrls" | "reach">): string {
  return info.reach === "lan" ? (externalUrl(info) ?? info.url) : info.url;
}

/** The share's further URLs. */
export function otherUrls(info: Pick<ShareInfo, "url" | "alternativeUrls" | "reach">): readonly string[] {
  const main = mainUrl(info);
  return [info.url, ...info.alternativeUrls].filter((url) => url !== main && url !== "");
}

/** Whether a browser can open it. */
export function isWebUrl(url: string): boolean {
  return url.startsWith("http://") || url.startsWith("https://");
}

function hostOf(url: string): string {
  try {
    // `tcp:` is no special scheme: its host is kept as written.
    return new URL(url).hostname.toLowerCase();
  } catch {
    return "";
  }
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** Octets for people: `0 B`, `12 kB`, `3.4 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit > 0 && value < 10 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit] ?? ""}`;
}
