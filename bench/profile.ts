/** Where relay and agent spend their time under load: V8's CPU profiles, by function of the sources. */
import { readFile } from "node:fs/promises";
import { SourceMap } from "node:module";
import type { SourceMapPayload } from "node:module";
import path from "node:path";
import { EXTENSION_FLAGS, startPrograms } from "./peers/portlight.ts";
import { http1Requests, http2Requests, transfer } from "./load/generators.ts";
import type { Sample } from "./load/generators.ts";
import type { Public } from "./peers/peer.ts";
import { root, scratch } from "./scratch.ts";
import { http1Service, http2Service, largeFile } from "./services/services.ts";
import type { RunningService } from "./services/services.ts";
import type { Options, Table } from "./works/work.ts";

/** As V8 writes it. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
      readonly columnNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  readonly name: string;
  /** `wire/http2/connection.ts`, or `node` for what is not ours. */
  readonly place: string;
  /** Of the time in which the process was not idle. */
  readonly share: number;
}

const TOP = 10;
const END_NAMES = ["relay", "agent"] as const;

/** Self time by function, the most first; `locate` names the source of a place in the bundle. */
export function selfTimes(
  { nodes, samples, timeDeltas }: CpuProfile,
  locate: (line: number, column: number) => string | undefined,
): readonly SelfTime[] {
  const byNode = new Map<number, number>();
  for (const [index, id] of samples.entries()) byNode.set(id, (byNode.get(id) ?? 0) + (timeDeltas[index] ?? 0));
  const byPlace = new Map<string, { name: string; place: string; time: number }>();
  let busy = 0;
  for (const { id, callFrame } of nodes) {
    const time = byNode.get(id) ?? 0;
    const { functionName, url, lineNumber, columnNumber } = callFrame;
    if (time <= 0 || functionName === "(idle)" || functionName === "(root)") continue;
    busy += time;
    const name = functionName === "" ? "(anonymous)" : functionName;
    const place = url.includes("portlight.js") ? (locate(lineNumber, columnNumber) ?? "dist") : placeOutside(url, name);
    const key = `${name} ${place}`;
    const known = byPlace.get(key);
    if (known === undefined) byPlace.set(key, { name, place, time });
    else known.time += time;
  }
  return [...byPlace.values()]
    .sort((a, b) => b.time - a.time)
    .map(({ name, place, time }) => ({ name, place, share: time / busy }));
}

function placeOutside(url: string, name: string): string {
  if (name === "(garbage collector)") return "V8";
  if (name === "(program)") return "native code: libuv, system calls";
  return url === "" ? "native" : url;
}

async function locator(): Promise<(line: number, column: number) => string | undefined> {
  const file = path.join(root, "dist/portlight.js.map");
  const map = new SourceMap(JSON.parse(await readFile(file, "utf8")) as SourceMapPayload);
  return (line, column) => {
    const entry = map.findEntry(line, column);
    if (!("originalSource" in entry)) return undefined;
    return path.relative(root, path.join(root, "dist", entry.originalSource));
  };
}

interface Load {
  readonly title: string;
  readonly unit: string;
  readonly service: () => Promise<RunningService>;
  readonly run: (target: Public, seconds: number) => Promise<Sample>;
}

const LOADS: Readonly<Record<string, Load>> = {
  h2: {
    title: "HTTP/2 requests",
    unit: "requests/s",
    service: http2Service,
    run: (target, seconds) => http2Requests(target, { clients: 4, streams: 32, seconds }),
  },
  h1: {
    title: "HTTP/1.1 requests",
    unit: "requests/s",
    service: http1Service,
    run: (target, seconds) => http1Requests(target, { connections: 64, seconds }),
  },
  download: {
    title: "four downloads at once",
    unit: "MB/s",
    service: http1Service,
    run: async (target, seconds) =>
      transfer(target, { direction: "download", path: "/large", file: await largeFile(), parallel: 4, seconds }),
  },
};

export interface Profile {
  readonly title: string;
  /** Relay, agent. */
  readonly tables: readonly Table[];
}

/** The ten functions with the most self time, for each of the two processes; under all loads, or those named. */
export async function profile(names: readonly string[], options: Options): Promise<readonly Profile[]> {
  const profiles: Profile[] = [];
  for (const name of names.length === 0 ? Object.keys(LOADS) : names) {
    const load = LOADS[name];
    if (load === undefined) throw new Error(`No such profile: ${name}. There are: ${Object.keys(LOADS).join(", ")}`);
    profiles.push(await profileUnder(name, load, options));
  }
  return profiles;
}

async function profileUnder(name: string, load: Load, { seconds, say }: Options): Promise<Profile> {
  const folder = await scratch();
  const service = await load.service();
  const fileOf = (end: string): string => `${end}-${name}.cpuprofile`;
  try {
    const flags = (end: string): readonly string[] => [
      ...EXTENSION_FLAGS,
      ...["--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${fileOf(end)}`],
    ];
    const { relay, agent, url } = await startPrograms(service.port, { relay: flags("relay"), agent: flags("agent") });
    // Long beside the start, which is in the profile too.
    const { value } = await load.run({ port: Number(new URL(url).port) }, Math.max(15, seconds));
    say(`profile ${name}: ${Math.round(value)} ${load.unit} while profiled`);
    await agent.stop();
    await relay.stop();
  } finally {
    await service.stop();
  }
  const locate = await locator();
  const tables = END_NAMES.map(async (end) => {
    const text = await readFile(path.join(folder, fileOf(end)), "utf8");
    const top = selfTimes(JSON.parse(text) as CpuProfile, locate).slice(0, TOP);
    return {
      head: [`${end}: function`, "where", "self time"],
      rows: top.map((one) => [`\`${one.name}\``, one.place, `${(one.share * 100).toFixed(1)} %`]),
    };
  });
  return { title: load.title, tables: await Promise.all(tables) };
}
