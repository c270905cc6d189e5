import { execFile } from "node:child_process";
import { readFile, readdir, readlink } from "node:fs/promises";
import type { ListeningPort } from "../protocol.ts";
import type { ListeningSocket } from "./parse.ts";
import { mergeListening, parseLsof, parseNetstat, parseProcNetTcp, parseTasklist, processName } from "./parse.ts";

/** A list that takes longer than this is of no use to somebody who waits for a menu. What is known by then is returned. */
const TIME_LIMIT_MS = 3_000;

/** The output of `lsof` and `netstat` for thousands of sockets stays far below. */
const OUTPUT_BYTES = 8 * 1024 * 1024;

/** Processes whose descriptors are read at once: each costs a few system calls in the thread pool of four. */
const PROCESSES_AT_ONCE = 16;

export interface ListeningPortsOptions {
  /** Our own programs: the relay, the agent, the inspector. */
  readonly excludedPids?: readonly number[];
  readonly excludedPorts?: readonly number[];
}

/**
 * The ports of this machine on which something listens that a share can reach (any address, `127.0.0.1`, `::1`), ordered
 * by port. Processes of other users have no `pid`. Takes at most about 3 s; rejects when the system's tool is missing.
 */
export async function listeningPorts(options: ListeningPortsOptions = {}): Promise<readonly ListeningPort[]> {
  const sockets = mergeListening(await listeningSockets(Date.now() + TIME_LIMIT_MS));
  const listening: ListeningPort[] = [];
  for (const { port, address, pid, process } of sockets) {
    if (options.excludedPorts?.includes(port) === true) continue;
    if (pid !== undefined && options.excludedPids?.includes(pid) === true) continue;
    listening.push({
      port,
      address,
      ...(pid === undefined ? {} : { pid }),
      ...(process === undefined ? {} : { process }),
    });
  }
  return listening;
}

async function listeningSockets(deadline: number): Promise<ListeningSocket[]> {
  switch (process.platform) {
    case "linux":
      return linuxSockets(deadline);
    case "win32":
      return windowsSockets();
    default:
      // macOS and the BSDs. lsof ends with 1 when it found nothing.
      return parseLsof(await run("lsof", ["-nP", "-iTCP", "-sTCP:LISTEN", "-F", "pcn"], true));
  }
}

async function windowsSockets(): Promise<ListeningSocket[]> {
  const [ipv4, ipv6, tasks] = await Promise.all([
    run("netstat", ["-ano", "-p", "TCP"]),
    run("netstat", ["-ano", "-p", "TCPv6"]),
    // Names are a help, ports are the answer.
    run("tasklist", ["/FO", "CSV", "/NH"]).catch(() => ""),
  ]);
  const names = parseTasklist(tasks);
  return [...parseNetstat(ipv4), ...parseNetstat(ipv6)].map((socket) => {
    const name = socket.pid === undefined ? undefined : names.get(socket.pid);
    return name === undefined ? socket : { ...socket, process: name };
  });
}

async function linuxSockets(deadline: number): Promise<ListeningSocket[]> {
  const [ipv4, ipv6] = await Promise.all(
    ["/proc/net/tcp", "/proc/net/tcp6"].map((file) => readFile(file, "latin1").catch(() => "")),
  );
  const sockets = [...parseProcNetTcp(ipv4 ?? ""), ...parseProcNetTcp(ipv6 ?? "")];
  const owners = await socketOwners(
    new Set(sockets.flatMap(({ inode }) => (inode === undefined ? [] : [inode]))),
    deadline,
  );
  const names = new Map<number, string | undefined>();
  for (const pid of new Set(owners.values())) names.set(pid, await linuxProcessName(pid));
  return sockets.map((socket) => {
    const pid = socket.inode === undefined ? undefined : owners.get(socket.inode);
    if (pid === undefined) return socket;
    const name = names.get(pid);
    return { ...socket, pid, ...(name === undefined ? {} : { process: name }) };
  });
}

/** Which process holds a socket, by inode, for the processes we may look into. */
async function socketOwners(inodes: ReadonlySet<string>, deadline: number): Promise<Map<string, number>> {
  const owners = new Map<string, number>();
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name)).map(Number);
  const lookInto = async (pid: number): Promise<void> => {
    const directory = `/proc/${pid}/fd`;
    for (const descriptor of await readdir(directory).catch(() => [])) {
      if (owners.size === inodes.size || Date.now() > deadline) return;
      const target = await readlink(`${directory}/${descriptor}`).catch(() => "");
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      // A socket that a parent shares with its workers belongs to the parent, which has the lower id.
      if (inode !== undefined && inodes.has(inode) && pid < (owners.get(inode) ?? Infinity)) owners.set(inode, pid);
    }
  };
  for (let at = 0; at < pids.length; at += PROCESSES_AT_ONCE)
    await Promise.all(pids.slice(at, at + PROCESSES_AT_ONCE).map(lookInto));
  return owners;
}

async function linuxProcessName(pid: number): Promise<string | undefined> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  // Programs that write their own title leave one argument with blanks in it.
  const argv = commandLine.split("\0");
  return processName(argv.length <= 2 ? (argv[0] ?? "").split(" ") : argv.slice(0, -1));
}

function run(program: string, args: readonly string[], anyExitCode = false): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      { timeout: TIME_LIMIT_MS, maxBuffer: OUTPUT_BYTES, windowsHide: true, encoding: "utf8" },
      (error, stdout) => {
        if (error === null || (anyExitCode && typeof error.code === "number")) resolve(stdout);
        else reject(new Error(`Cannot list the listening ports: ${program} failed (${String(error.code)}).`));
      },
    );
  });
}
