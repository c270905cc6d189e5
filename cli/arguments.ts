import path from "node:path";
import { parseArgs } from "node:util";
import type { ListenAddress } from "../relay/options.ts";

/** What the user typed is wrong: shown with a hint to `--help`, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface ShareCommand {
  readonly kind: "share";
  readonly ports: readonly number[];
  /** What the agent dials (`tls://host:4443`, `tcp://127.0.0.1:4001`); undefined: embed the local relay. */
  readonly relay?: string;
  readonly tokenFile?: string;
  /** Tunnels to the relay at once; undefined: the agent's default. */
  readonly links?: number;
  readonly name?: string;
  readonly lan: boolean;
  readonly tcp: boolean;
  /** Absolute paths. Empty: the directory the command was started in. */
  readonly protoDirectories: readonly string[];
  readonly keepHost: boolean;
  readonly capture: boolean;
  /** Port of the inspector, 0: a free one; undefined: no inspector. */
  readonly inspect?: number;
  readonly json: boolean;
  readonly showSecrets: boolean;
}

export interface RelayCommand {
  readonly kind: "relay";
  readonly listen: ListenAddress;
  readonly tunnelListen: ListenAddress;
  /** Undefined: a local relay, `name.localhost`. */
  readonly domain?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly tokensFile?: string;
  /** Another relay may listen on the same ports while this one drains. */
  readonly reusePort: boolean;
  readonly json: boolean;
}

export type Command =
  | ShareCommand
  | RelayCommand
  | { readonly kind: "help"; readonly topic: "portlight" | "share" | "relay" }
  | { readonly kind: "version" };

/** Where agents dial when `--relay https://host` names no port, and where `portlight relay` listens for them. */
export const DEFAULT_TUNNEL_PORT = 4443;
/** `portlight relay` without a certificate: unprivileged, and not one of the ports that dev servers like to take. */
const DEFAULT_PUBLIC_PORT = 8480;

const common = { help: { type: "boolean", short: "h" }, json: { type: "boolean" } } as const;

const shareOptions = {
  ...common,
  relay: { type: "string" },
  "token-file": { type: "string" },
  links: { type: "string" },
  name: { type: "string" },
  lan: { type: "boolean" },
  tcp: { type: "boolean" },
  proto: { type: "string", multiple: true },
  "keep-host": { type: "boolean" },
  "no-capture": { type: "boolean" },
  inspect: { type: "string" },
  "show-secrets": { type: "boolean" },
} as const;

const relayOptions = {
  ...common,
  listen: { type: "string" },
  "tunnel-listen": { type: "string" },
  domain: { type: "string" },
  cert: { type: "string" },
  key: { type: "string" },
  "tokens-file": { type: "string" },
  "reuse-port": { type: "boolean" },
} as const;

/** Reads the arguments behind the program's name. `cwd` resolves relative paths. Throws `UsageError`. */
export function parseCommand(argv: readonly string[], cwd: string): Command {
  const [first, ...rest] = argv;
  switch (first) {
    case undefined:
      throw new UsageError("What shall be done? `portlight share PORT` makes a port reachable.");
    case "share":
      return parseShare(rest, cwd);
    case "relay":
      return parseRelay(rest, cwd);
    case "help":
      return { kind: "help", topic: rest[0] === "share" || rest[0] === "relay" ? rest[0] : "portlight" };
    case "-h":
    case "--help":
      return { kind: "help", topic: "portlight" };
    case "-v":
    case "--version":
      return { kind: "version" };
    default:
      throw new UsageError(`There is no command "${first}"; there are "share" and "relay".`);
  }
}

function usage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof UsageError || !(error instanceof Error)) throw error;
    // `parseArgs` explains at length how to pass a positional that looks like an option; its first sentence suffices.
    throw new UsageError(error.message.split(/(?<=\.) /)[0] ?? error.message);
  }
}

function parseShare(args: readonly string[], cwd: string): Command {
  // `parseArgs` knows no optional values: a bare --inspect means "a free port".
  const expanded = args.map((argument) => (argument === "--inspect" ? "--inspect=0" : argument));
  const { values, positionals } = usage(() =>
    parseArgs({ args: expanded, options: shareOptions, allowPositionals: true }),
  );
  if (values.help === true) return { kind: "help", topic: "share" };
  if (positionals.length === 0) throw new UsageError("Which port? For example `portlight share 50051`.");
  const ports = positionals.map((text) => parsePort(text, "A port to share", 1));
  const twice = ports.find((port, index) => ports.indexOf(port) !== index);
  if (twice !== undefined) throw new UsageError(`Port ${twice} is given twice.`);
  if (values.name !== undefined) {
    if (ports.length > 1) throw new UsageError("--name is for one port; share the others with a command of their own.");
    if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(values.name))
      throw new UsageError("--name takes lower-case letters, digits and inner hyphens, at most 63 characters.");
  }
  if (values["token-file"] !== undefined && values.relay === undefined)
    throw new UsageError("--token-file is the token for a remote relay: name it with --relay.");
  if (values.links !== undefined && values.relay === undefined)
    throw new UsageError("--links is the number of connections to a relay: name it with --relay.");
  if (values.links !== undefined && !/^[1-4]$/.test(values.links))
    throw new UsageError(`--links takes a number from 1 to 4, not "${values.links}".`);
  if (values.lan === true && values.relay !== undefined)
    throw new UsageError("--lan is for the embedded relay and cannot be combined with --relay.");
  if (values["no-capture"] === true && values.inspect !== undefined)
    throw new UsageError("--inspect shows what is captured and cannot be combined with --no-capture.");
  return {
    kind: "share",
    ports,
    ...(values.relay === undefined ? {} : { relay: parseRelayUrl(values.relay) }),
    ...(values["token-file"] === undefined ? {} : { tokenFile: path.resolve(cwd, values["token-file"]) }),
    ...(values.links === undefined ? {} : { links: Number(values.links) }),
    ...(values.name === undefined ? {} : { name: values.name }),
    lan: values.lan ?? false,
    tcp: values.tcp ?? false,
    protoDirectories: (values.proto ?? []).map((directory) => path.resolve(cwd, directory)),
    keepHost: values["keep-host"] ?? false,
    capture: values["no-capture"] !== true,
    ...(values.inspect === undefined ? {} : { inspect: parsePort(values.inspect, "--inspect", 0) }),
    json: values.json ?? false,
    showSecrets: values["show-secrets"] ?? false,
  };
}

function parseRelay(args: readonly string[], cwd: string): Command {
  const { values } = usage(() => parseArgs({ args: [...args], options: relayOptions }));
  if (values.help === true) return { kind: "help", topic: "relay" };
  if ((values.cert === undefined) !== (values.key === undefined))
    throw new UsageError("--cert and --key belong together.");
  const domain = values.domain === undefined ? {} : { domain: parseDomain(values.domain) };
  const open = values.domain === undefined ? "127.0.0.1" : "0.0.0.0";
  const listen = parseAddress(values.listen, "--listen", {
    host: open,
    port: values.cert === undefined ? DEFAULT_PUBLIC_PORT : 443,
  });
  const tunnelListen = parseAddress(values["tunnel-listen"], "--tunnel-listen", {
    host: open,
    port: DEFAULT_TUNNEL_PORT,
  });
  if (!isLoopback(tunnelListen.host)) {
    if (values.cert === undefined)
      throw new UsageError(
        "Agents reach this relay from outside: it needs --cert and --key, so that tokens are not sent in the clear.",
      );
    if (values["tokens-file"] === undefined)
      throw new UsageError(
        "Agents reach this relay from outside: it needs --tokens-file, so that not everybody may share.",
      );
  }
  return {
    kind: "relay",
    listen,
    tunnelListen,
    ...domain,
    ...(values.cert === undefined ? {} : { certFile: path.resolve(cwd, values.cert) }),
    ...(values.key === undefined ? {} : { keyFile: path.resolve(cwd, values.key) }),
    ...(values["tokens-file"] === undefined ? {} : { tokensFile: path.resolve(cwd, values["tokens-file"]) }),
    reusePort: values["reuse-port"] ?? false,
    json: values.json ?? false,
  };
}

function parsePort(text: string, what: string, lowest: number): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(port >= lowest && port <= 65_535))
    throw new UsageError(`${what} is a number from ${lowest} to 65535, not "${text}".`);
  return port;
}

function parseDomain(text: string): string {
  const domain = text.toLowerCase().replace(/\.$/, "");
  if (!/^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(domain)) throw new UsageError(`--domain takes a DNS name, not "${text}".`);
  return domain;
}

/** `host:port`, `[::1]:port`, `:port` (every address), `port` (the default host). */
function parseAddress(text: string | undefined, option: string, preset: ListenAddress): ListenAddress {
  if (text === undefined) return preset;
  const match = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):)?(\d+)$/.exec(text);
  if (match === null)
    throw new UsageError(`${option} takes an address such as 0.0.0.0:443, [::1]:443 or :443, not "${text}".`);
  const [, ipv6, host, port = ""] = match;
  const named = ipv6 ?? host;
  return {
    host: named === undefined ? preset.host : named === "" ? "0.0.0.0" : named,
    port: parsePort(port, option, 0),
  };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * What the agent dials for `--relay`: `https://relay.example.com` (its tunnel port 4443, unless the URL names one),
 * `tls://host:port`, or `tcp://127.0.0.1:port` (cleartext, on loopback only).
 */
export function parseRelayUrl(text: string): string {
  const wrong = `--relay takes https://relay.example.com, tls://host:port or tcp://127.0.0.1:port, not "${withoutUserInfo(text)}".`;
  if (!/^(https|tls|tcp):\/\//.test(text)) throw new UsageError(wrong);
  let url: URL;
  try {
    // `tls:` and `tcp:` are no special schemes to URL, which then checks less.
    url = new URL(text.replace(/^(tls|tcp):/, "https:"));
  } catch {
    throw new UsageError(wrong);
  }
  if (url.username !== "" || url.password !== "")
    throw new UsageError("--relay takes no credentials in the URL; put the token into a file and use --token-file.");
  if ((url.pathname !== "/" && url.pathname !== "") || url.search !== "" || url.hash !== "")
    throw new UsageError(wrong);
  const port = /:(\d+)\/?$/.exec(text)?.[1] ?? String(DEFAULT_TUNNEL_PORT);
  if (!text.startsWith("tcp:")) return `tls://${url.hostname}:${port}`;
  if (!isLoopback(url.hostname.replace(/^\[|\]$/g, "")))
    throw new UsageError("--relay tcp:// is not encrypted and therefore for this machine only; use tls://host:port.");
  return `tcp://${url.hostname}:${port}`;
}

/** What the user typed, fit to be repeated: a password in it is not. */
function withoutUserInfo(text: string): string {
  return text.replace(/\/\/[^/@]*@/, "//…@");
}
