import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import net from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { createHash } from "node:crypto";
import { WebSocketServer } from "ws";
import type { RunningService } from "../../sample/service.ts";
import { openByHttp2 } from "../transparency/http2-wire.ts";
import type { End } from "../transparency/end.ts";
import { TcpEnd, headFields, readHead } from "../transparency/tcp-end.ts";
import { command, lastLine } from "./command.ts";
import { through } from "./lab.ts";
import { outcome } from "./suite.ts";
import type { Outcome, Row, Suite } from "./suite.ts";

/** How many cases Autobahn 0.8.2 has: fewer would mean that some were not run. */
const ALL_CASES = 517;

/**
 * The cases of compression, sections 12 and 13, each with 1 000 messages: all 216 take a quarter of an hour, and say the
 * same of a path that knows no compression. So unless all is wanted there are those of 16 and of 1 024 octets, with each offer.
 */
const COMPRESSION = ["12.1", "12.2", "12.3", "12.4", "12.5", "13.1", "13.2", "13.3", "13.4", "13.5", "13.6", "13.7"];
const SOME_CASES = [
  ...Array.from({ length: 10 }, (_, index) => `${index + 1}.*`),
  ...COMPRESSION.flatMap((group) => [`${group}.1`, `${group}.4`]),
];

/** What Autobahn judged of one case. */
interface Verdict {
  readonly behavior: string;
  readonly behaviorClose: string;
  readonly remoteCloseCode: number | null;
}

/**
 * The Autobahn test suite against an echo service of `ws`, directly and through the tunnel: a path that changes nothing
 * changes no verdict, also where `ws` itself is not perfect.
 */
export const autobahn: Suite = {
  name: "autobahn",
  programs: ["wstest"],
  async run(bench) {
    const { lab, full } = bench;
    const service = await startEcho();
    try {
      const judge = (port: number): Promise<ReadonlyMap<string, Verdict>> =>
        fuzz(bench.program("wstest"), lab.folder, port, full);
      const direct = await judge(service.port);
      bench.say(`directly: ${tally(direct)}`);
      const rows: Row[] = [];
      const add = (where: string, verdicts: ReadonlyMap<string, Verdict>): void => {
        bench.say(`${where}: ${tally(verdicts)}`);
        rows.push(compare(where, direct, verdicts, full));
      };
      add("cleartext, Upgrade, capture on", await through(lab.local(service.port), ({ port }) => judge(port)));
      add(
        "cleartext, Upgrade, capture off",
        await through(lab.local(service.port, { capture: false }), ({ port }) => judge(port)),
      );
      add(
        "cleartext, extended CONNECT, capture on",
        await through(lab.local(service.port), async ({ port }) => {
          const bridge = await startBridge(port);
          try {
            return await judge(bridge.port);
          } finally {
            await bridge.close();
          }
        }),
      );
      return rows;
    } finally {
      await service.close();
    }
  },
};

async function startEcho(): Promise<RunningService> {
  const server = new WebSocketServer({
    host: "127.0.0.1",
    port: 0,
    perMessageDeflate: true,
    maxPayload: 2 ** 26,
    // 9.3.1 and 9.4.1 send 4 MiB in frames of 64 octets.
    maxFragments: 2 ** 17,
  });
  server.on("connection", (socket) => {
    // Most cases are wrong on purpose.
    socket.on("error", () => undefined);
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await new Promise<void>((resolve) => server.on("listening", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of server.clients) socket.terminate();
        server.close(() => resolve());
      }),
  };
}

/** Autobahn speaks only HTTP/1.1: this carries each of its WebSockets on to `port` by extended CONNECT (RFC 8441). */
async function startBridge(port: number): Promise<RunningService> {
  const ends = new Set<{ close(): void }>();
  const carry = async (socket: net.Socket): Promise<void> => {
    const { head, rest } = await readHead(socket);
    const fields = headFields(head).map((field) => {
      const at = field.indexOf(": ");
      return [field.slice(0, at), field.slice(at + 2)] as const;
    });
    const key = fields.find(([name]) => name === "sec-websocket-key")?.[1] ?? "";
    const passed = fields.filter(([name]) => name.startsWith("sec-websocket-") && name !== "sec-websocket-key");
    const far = await openByHttp2(port, head.split(" ")[1] ?? "/", passed);
    ends.add(far);
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const chosen = far.fields
      .filter(([name]) => name.startsWith("sec-websocket-"))
      .map(([name, value]) => `${name}: ${value}`);
    const answer = [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${accept}`,
      ...chosen,
      "\r\n",
    ];
    socket.write(answer.join("\r\n"));
    socket.write(far.octets);
    far.forward = (bytes) => socket.write(bytes);
    const near = new TcpEnd(socket, Buffer.alloc(0));
    ends.add(near);
    near.forward = (bytes) => far.write(bytes);
    if (rest.length > 0) far.write(rest);
    const close = async (from: End, to: End): Promise<void> => {
      if ((await from.ended(Infinity)) === "end") to.finish();
      else to.reset();
    };
    await Promise.all([close(near, far), close(far, near)]);
    far.close();
    ends.delete(far);
    ends.delete(near);
  };
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    carry(socket).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const end of ends) end.close();
        server.close(() => resolve());
      }),
  };
}

/** Runs Autobahn's fuzzing client against the service at `port`. */
async function fuzz(
  program: string,
  folder: string,
  port: number,
  full: boolean,
): Promise<ReadonlyMap<string, Verdict>> {
  const place = await mkdtemp(path.join(folder, "autobahn-"));
  const specification = {
    outdir: path.join(place, "report"),
    servers: [{ agent: "echo", url: `ws://127.0.0.1:${port}` }],
    cases: full ? ["*"] : SOME_CASES,
    "exclude-cases": [],
    "exclude-agent-cases": {},
  };
  const file = path.join(place, "specification.json");
  await writeFile(file, JSON.stringify(specification));
  const finished = await command(program, ["-m", "fuzzingclient", "-s", file], {
    ms: full ? 3_600_000 : 600_000,
    cwd: place,
  });
  const report = await readFile(path.join(specification.outdir, "index.json"), "utf8").catch(() => {
    throw new Error(`wstest wrote no report: ${finished.late ? "it did not end" : lastLine(finished)}`);
  });
  const { echo } = JSON.parse(report) as { readonly echo: Readonly<Record<string, Verdict>> };
  return new Map(Object.entries(echo));
}

function tally(verdicts: ReadonlyMap<string, Verdict>): string {
  const counts = new Map<string, number>();
  for (const { behavior } of verdicts.values()) counts.set(behavior, (counts.get(behavior) ?? 0) + 1);
  return `${verdicts.size} cases: ${[...counts].map(([name, count]) => `${count} ${name}`).join(", ")}`;
}

function compare(
  where: string,
  direct: ReadonlyMap<string, Verdict>,
  verdicts: ReadonlyMap<string, Verdict>,
  full: boolean,
): Outcome {
  const shown = (one: Verdict | undefined): string =>
    one === undefined ? "not run" : `${one.behavior}/${one.behaviorClose}/${one.remoteCloseCode ?? "no code"}`;
  const all = new Map<string, string | undefined>();
  for (const [name, verdict] of direct) {
    const [expected, got] = [shown(verdict), shown(verdicts.get(name))];
    all.set(name, expected === got ? undefined : `${got} instead of ${expected}`);
  }
  if (full && direct.size !== ALL_CASES) all.set("all cases", `${direct.size} were run, there are ${ALL_CASES}`);
  return outcome(where, all);
}
