/**
 * What the operating systems say about listening sockets, turned into one shape. Pure: text in, records out, so that
 * each platform is tested on every other one.
 */

/** One listening TCP socket. */
export interface ListeningSocket {
  readonly port: number;
  /** As text: `0.0.0.0`, `127.0.0.1`, `::`, `::1`. An IPv4 address mapped into IPv6 is given as IPv4. */
  readonly address: string;
  readonly pid?: number;
  readonly process?: string;
  /** Linux: the socket's inode, by which its process is found. */
  readonly inode?: string;
}

/** Names longer than this say nothing more in a list of ports. */
export const PROCESS_NAME_LENGTH = 80;

/** State `LISTEN` in /proc/net/tcp (include/net/tcp_states.h). */
const LINUX_LISTEN = "0A";

/** /proc/net/tcp and /proc/net/tcp6 (proc(5)): addresses are words of 32 bits in the machine's byte order. */
export function parseProcNetTcp(text: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  for (const line of text.split("\n").slice(1)) {
    const columns = line.trim().split(/\s+/);
    const [, local, , state] = columns;
    const inode = columns[9];
    if (local === undefined || state !== LINUX_LISTEN || inode === undefined) continue;
    const [hexAddress, hexPort] = local.split(":");
    const address = hexAddress === undefined ? undefined : addressOfWords(hexAddress);
    const port = Number.parseInt(hexPort ?? "", 16);
    if (address !== undefined && port > 0) sockets.push({ port, address, inode });
  }
  return sockets;
}

function addressOfWords(hex: string): string | undefined {
  const octets: number[] = [];
  for (let at = 0; at + 8 <= hex.length; at += 8)
    for (let octet = 6; octet >= 0; octet -= 2) octets.push(Number.parseInt(hex.slice(at + octet, at + octet + 2), 16));
  if (octets.length === 4) return octets.join(".");
  if (octets.length !== 16) return undefined;
  if (octets.every((octet) => octet === 0)) return "::";
  if (octets.slice(0, 15).every((octet) => octet === 0) && octets[15] === 1) return "::1";
  if (octets.slice(0, 10).every((octet) => octet === 0) && octets[10] === 0xff && octets[11] === 0xff)
    return octets.slice(12).join(".");
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push((((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)).toString(16));
  return groups.join(":");
}

/** `lsof -nP -iTCP -sTCP:LISTEN -F pcn`: one field a line, its letter first; `p` begins a process, `n` is a socket. */
export function parseLsof(text: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  let pid: number | undefined;
  let process: string | undefined;
  for (const line of text.split("\n")) {
    const value = line.slice(1);
    if (line.startsWith("p")) {
      pid = Number.parseInt(value, 10);
      process = undefined;
    } else if (line.startsWith("c")) {
      process = value.slice(0, PROCESS_NAME_LENGTH);
    } else if (line.startsWith("n")) {
      const parsed = parseHostAndPort(value);
      if (parsed !== undefined)
        sockets.push({
          ...parsed,
          ...(pid === undefined || Number.isNaN(pid) ? {} : { pid }),
          ...(process === undefined ? {} : { process }),
        });
    }
  }
  return sockets;
}

/**
 * `netstat -ano -p TCP` and `-p TCPv6` of Windows. The word for LISTENING is translated on a translated Windows, so a
 * listening socket is known by its foreign address, which has port 0.
 */
export function parseNetstat(text: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  for (const line of text.split(/\r?\n/)) {
    const columns = line.trim().split(/\s+/);
    const [protocol, local, foreign] = columns;
    if (protocol?.toUpperCase() !== "TCP" || local === undefined || !(foreign ?? "").endsWith(":0")) continue;
    const parsed = parseHostAndPort(local);
    const pid = Number.parseInt(columns.at(-1) ?? "", 10);
    if (parsed !== undefined) sockets.push({ ...parsed, ...(Number.isNaN(pid) ? {} : { pid }) });
  }
  return sockets;
}

/** `tasklist /FO CSV /NH`: process names by process id. */
export function parseTasklist(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^"([^"]*)","(\d+)"/.exec(line);
    if (match?.[1] !== undefined) names.set(Number(match[2]), match[1].slice(0, PROCESS_NAME_LENGTH));
  }
  return names;
}

function parseHostAndPort(text: string): { address: string; port: number } | undefined {
  const match = /^(.*):(\d+)$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || !(port > 0 && port < 65536)) return undefined;
  const host = match[1].replace(/^\[|\]$/g, "").replace(/%.*$/, "");
  return { address: host === "*" ? "0.0.0.0" : host, port };
}

/**
 * A program's name for people: `node server.js`, never its other arguments, which may hold secrets.
 *
 * @param argv the arguments as the process was started with, the program first.
 */
export function processName(argv: readonly string[]): string | undefined {
  const [program, ...rest] = argv;
  if (program === undefined || program === "") return undefined;
  const name = baseName(program);
  // The script or the module that an interpreter runs says which program it is; arguments of other programs do not.
  const interpreter = /^(node|nodejs|bun|deno|python[\d.]*|ruby|java|php|perl|dotnet)(\.exe)?$/i.test(name);
  const script = interpreter
    ? rest[0] === "-m"
      ? rest[1]
      : rest.find((argument) => /^[^-].*(\.[a-z]{1,4}$|[\\/][^=]*$)/i.test(argument))
    : undefined;
  return (script === undefined ? name : `${name} ${baseName(script)}`).slice(0, PROCESS_NAME_LENGTH);
}

function baseName(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? path;
}

/** Addresses that the agent can reach: it connects to `127.0.0.1` and `::1` only. The order is the one shown. */
const REACHABLE = ["0.0.0.0", "::", "127.0.0.1", "::1"];

/** One entry for each port that can be shared, ordered by port: IPv4 and IPv6 sockets of one port are one. */
export function mergeListening(sockets: readonly ListeningSocket[]): ListeningSocket[] {
  const ports = new Map<number, ListeningSocket>();
  for (const socket of sockets) {
    const rank = REACHABLE.indexOf(socket.address);
    if (rank < 0) continue;
    const known = ports.get(socket.port);
    if (known === undefined) {
      ports.set(socket.port, socket);
    } else {
      const better = rank < REACHABLE.indexOf(known.address) ? socket : known;
      // Either may lack the process: another user's, or gone in between.
      const named = better.pid === undefined ? (better === socket ? known : socket) : better;
      ports.set(socket.port, {
        port: socket.port,
        address: better.address,
        ...(named.pid === undefined ? {} : { pid: named.pid }),
        ...(named.process === undefined ? {} : { process: named.process }),
      });
    }
  }
  return [...ports.values()].sort((left, right) => left.port - right.port);
}
