/**
 * What the capture costs for one small exchange: `node bench/capture-unary.ts [count] [GET|POST|gRPC]`. Feeds the tap as the agent does
 * with a GET and its 16 octets, a gRPC call, and a POST, with the ring as a session has it after a while: full. Prints
 * nanoseconds of CPU (all threads, so with the garbage collector's) an exchange, the median of five rounds.
 */
import { createCapture } from "../capture/capture.ts";
import type { ExchangeTap } from "../capture/tap.ts";
import { silentLogger } from "../wire/logger.ts";
import type { Field } from "../wire/stream.ts";

const count = Number(process.argv[2] ?? 200_000);
const ROUNDS = 5;

const capture = createCapture({ workspaceFolders: [], protoRoots: [], workerFile: "", log: silentLogger });
const share = { id: "s1", port: 50051, name: "sample" };

function fields(values: Readonly<Record<string, string>>): Field[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

const REQUEST = fields({
  ":method": "GET",
  ":scheme": "http",
  ":path": "/x",
  ":authority": "127.0.0.1:4000",
  "user-agent": "h2load nghttp2/1.52.0",
  "x-forwarded-for": "127.0.0.1",
  "x-forwarded-proto": "http",
  "x-forwarded-host": "127.0.0.1:4000",
});
const RESPONSE = fields({
  ":status": "200",
  server: "nghttpd",
  "cache-control": "max-age=3600",
  date: "Sat, 21 Nov 2026 10:00:00 GMT",
  "content-length": "16",
  "last-modified": "Sat, 21 Nov 2026 10:00:00 GMT",
});
const GRPC_REQUEST = [...REQUEST.slice(1), ...fields({ ":method": "POST", "content-type": "application/grpc" })];
const GRPC_RESPONSE = fields({ ":status": "200", "content-type": "application/grpc" });
const TRAILERS = fields({ "grpc-status": "0" });

/** As they arrive: views of a socket's chunk. */
const chunk = new Uint8Array(65_536);
const BODY = chunk.subarray(9, 25);
const ENVELOPE = new Uint8Array(chunk.buffer, 100, 25);
ENVELOPE.set([0, 0, 0, 0, 20]);

const works: Readonly<Record<string, () => void>> = {
  GET() {
    const tap: ExchangeTap = capture.tap.opened(share, [...REQUEST], true);
    tap.headReceived([...RESPONSE], false);
    tap.dataReceived("service", BODY, true);
    tap.ended();
  },
  POST() {
    const tap: ExchangeTap = capture.tap.opened(share, [...REQUEST], false);
    tap.dataReceived("visitor", BODY, true);
    tap.headReceived([...RESPONSE], false);
    tap.dataReceived("service", BODY, true);
    tap.ended();
  },
  gRPC() {
    const tap: ExchangeTap = capture.tap.opened(share, [...GRPC_REQUEST], false);
    tap.dataReceived("visitor", ENVELOPE, true);
    tap.headReceived([...GRPC_RESPONSE], false);
    tap.dataReceived("service", ENVELOPE, false);
    tap.trailersReceived("service", TRAILERS);
    tap.ended();
  },
};

const chosen = process.argv[3];
for (const [name, work] of Object.entries(works)) {
  if (chosen !== undefined && chosen !== name) continue;
  const samples: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let done = 0; done < count;) {
      // As many as one turn of the data path brings.
      for (const end = done + 64; done < end; done++) work();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { user, system } = process.cpuUsage(before);
    // The first round warms up.
    if (round > 0) samples.push(((user + system) * 1000) / count);
  }
  samples.sort((a, b) => a - b);
  console.log(`${name.padEnd(6)} ${String(Math.round(samples[ROUNDS >> 1] ?? 0)).padStart(6)} ns an exchange`);
}
await capture.close();
