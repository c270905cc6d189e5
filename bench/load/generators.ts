/** Load generators of others, and what they print as numbers. */
import { readFile, rm } from "node:fs/promises";
import { required } from "../../scripts/peers.ts";
import { output } from "../child.ts";
import type { Public } from "../peers/peer.ts";
import { percentile } from "../statistics.ts";

/** What one run measured. */
export interface Sample {
  /** In the unit of the work. */
  readonly value: number;
  /** How many of the unit's things were done in all: requests, messages, megabytes. */
  readonly done: number;
  /** Requests that failed. */
  readonly failed?: number;
  /** Further values by name, e.g. `p99`. */
  readonly more?: Readonly<Record<string, number>>;
}

/** A program that should end after `seconds` gets so much more: connections, warm-up, a busy machine. */
const GRACE_MS = 20_000;

export interface Http2Load {
  readonly clients: number;
  readonly streams: number;
  readonly seconds: number;
  /** Requests per second of each client; as many as possible when absent. */
  readonly rate?: number;
  readonly path?: string;
}

/** Requests/s over HTTP/2 in cleartext. */
export async function http2Requests(target: Public, load: Http2Load): Promise<Sample> {
  const printed = await output(
    await required("h2load"),
    [
      ...["-c", String(load.clients), "-m", String(load.streams), "-D", String(load.seconds)],
      ...(load.rate === undefined ? [] : ["--rps", String(load.rate)]),
      ...authority(target),
      `http://127.0.0.1:${target.port}${load.path ?? "/"}`,
    ],
    load.seconds * 1000 + GRACE_MS,
  );
  const { done, failed } = http2Summary(printed);
  return { value: done / load.seconds, done, failed };
}

/** A fixed number of requests of `path`: to fill, not to measure. */
export async function http2Fill(target: Public, path: string, count: number): Promise<void> {
  const args = ["-c", "4", "-m", "8", "-n", String(count), ...authority(target)];
  const printed = await output(
    await required("h2load"),
    [...args, `http://127.0.0.1:${target.port}${path}`],
    60_000 + GRACE_MS,
  );
  const { done } = http2Summary(printed);
  if (done < count) throw new Error(`${done} of ${count} requests succeeded`);
}

function authority(target: Public): readonly string[] {
  return target.authority === undefined ? [] : ["-H", `:authority: ${target.authority}`];
}

function http2Summary(printed: string): { done: number; failed: number } {
  const counts = /(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(printed);
  const statuses = /status codes: (\d+) 2xx/.exec(printed);
  if (counts === null || statuses === null) throw new Error(`h2load printed no summary: ${printed.slice(-300)}`);
  const [succeeded = 0, failed = 0, errored = 0] = counts.slice(1).map(Number);
  // An answer is counted at its head, a success at its end.
  const done = Math.min(succeeded, Number(statuses[1]));
  if (done === 0) throw new Error("no request succeeded");
  return { done, failed: failed + errored };
}

/** gRPC unary calls, one at a time on one connection: microseconds. */
export async function unaryLatency(
  target: Public,
  files: { readonly request: string; readonly log: string },
  seconds: number,
): Promise<Sample> {
  // h2load appends.
  await rm(files.log, { force: true });
  const printed = await output(
    await required("h2load"),
    [
      ...["-c", "1", "-m", "1", "-D", String(seconds), "-d", files.request, "--log-file", files.log],
      ...["-H", "content-type: application/grpc", "-H", "te: trailers", ...authority(target)],
      `http://127.0.0.1:${target.port}/bench.Bench/Echo`,
    ],
    seconds * 1000 + GRACE_MS,
  );
  const { done, failed } = http2Summary(printed);
  const lines = (await readFile(files.log, "utf8")).trim().split("\n");
  // The first tenth finds caches and translations cold.
  const times = lines.slice(Math.floor(lines.length / 10)).map((line) => Number(line.split("\t")[2]));
  return { value: percentile(times, 0.5), done, failed, more: { p99: percentile(times, 0.99) } };
}

export interface Http1Load {
  readonly connections: number;
  readonly seconds: number;
  readonly script?: string;
}

/** Requests/s over HTTP/1.1 with keep-alive. */
export async function http1Requests(target: Public, load: Http1Load): Promise<Sample> {
  const printed = await output(
    await required("wrk"),
    [
      ...["-t", "1", "-c", String(load.connections), "-d", `${load.seconds}s`],
      ...(load.script === undefined ? [] : ["-s", load.script]),
      ...(target.authority === undefined ? [] : ["-H", `Host: ${target.authority}`]),
      `http://127.0.0.1:${target.port}/`,
    ],
    load.seconds * 1000 + GRACE_MS,
  );
  const done = Number(/(\d+) requests in/.exec(printed)?.[1] ?? 0);
  const value = Number(/Requests\/sec:\s+([\d.]+)/.exec(printed)?.[1] ?? 0);
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(printed)?.[1] ?? 0);
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(printed);
  const failed = refused + (sockets?.slice(1).reduce((sum, count) => sum + Number(count), 0) ?? 0);
  if (done - refused <= 0) throw new Error("no request succeeded");
  return { value: (value * (done - refused)) / done, done: done - refused, failed };
}

export interface Transfer {
  readonly direction: "download" | "upload";
  /** Of the service. */
  readonly path: string;
  /** What is uploaded. */
  readonly file: string;
  readonly parallel: number;
  /** A slow peer need not bring it to the end: the rate is taken from what passed by then. */
  readonly seconds: number;
}

/** "Operation timed out": the rate is known by then. */
const CURL_TIMED_OUT = 28;

/** Megabytes (10^6) a second over HTTP/1.1. */
export async function transfer(
  target: Public,
  { direction, path, file, parallel, seconds }: Transfer,
): Promise<Sample> {
  const curl = await required("curl");
  const host = target.authority ?? `127.0.0.1:${target.port}`;
  const args = [
    ...["-q", "-s", "-S", "-o", "/dev/null", "--http1.1", "--max-time", String(seconds)],
    ...["-w", `%{http_code} %{size_${direction}} %{time_total}`, "-H", "Expect:"],
    ...(direction === "upload" ? ["-T", file] : []),
    ...(target.connect === true
      ? ["-x", `http://127.0.0.1:${target.port}`, "-p", `http://${host}${path}`]
      : ["-H", `Host: ${host}`, `http://127.0.0.1:${target.port}${path}`]),
  ];
  const printed = await Promise.all(
    Array.from({ length: parallel }, () => output(curl, args, seconds * 1000 + GRACE_MS, [0, CURL_TIMED_OUT])),
  );
  let bytes = 0;
  let longest = 0;
  for (const line of printed) {
    const [status, size = 0, time = 0] = line.split(" ").map(Number);
    // 000: an upload that was still under way.
    if (status !== 200 && !(status === 0 && direction === "upload")) throw new Error(`status ${status ?? "none"}`);
    bytes += size;
    longest = Math.max(longest, time);
  }
  if (bytes === 0) throw new Error("nothing passed");
  return { value: bytes / 1e6 / longest, done: bytes / 1e6 };
}
