/** What a request says where it wants to go, in one canonical form: routing and forwarding both use this and nothing else. */
export interface Authority {
  /** Lower case, no trailing dot. An IPv6 address keeps its brackets. */
  readonly host: string;
  readonly port: number | undefined;
}

const PATTERN =
  /^([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]{0,252}[A-Za-z0-9.]|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?$/;

/**
 * Undefined for what is no plain authority: userinfo, other than letters, digits, hyphens and dots (a Unicode dot, NUL),
 * empty labels, a port that is none. Underscores pass, since some people's machines have them.
 */
export function parseAuthority(text: string): Authority | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  let host = (match[1] ?? "").toLowerCase();
  if (host.endsWith(".")) host = host.slice(0, -1);
  if (host === "" || host.startsWith(".") || host.endsWith(".") || (!host.startsWith("[") && host.includes(".."))) {
    return undefined;
  }
  const port = match[2] === undefined ? undefined : Number(match[2]);
  if (port !== undefined && port > 65_535) return undefined;
  return { host, port };
}

/** The label of `host` directly below `domain`; undefined when it is not exactly one level below. */
export function labelBelow(host: string, domain: string): string | undefined {
  const cut = host.length - domain.length - 1;
  if (cut < 1 || host[cut] !== "." || !host.endsWith(domain)) return undefined;
  const label = host.slice(0, cut);
  return label.includes(".") ? undefined : label;
}
