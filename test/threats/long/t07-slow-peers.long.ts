/** T-7 in full length: idle SSE and WS with no pending data survive 10 min; 500 heads at one octet in ten seconds, again and again. */
import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { GrpcClient } from "../../support/grpc.ts";
import { RawVisitor, splitAddress } from "../../support/http.ts";
import { memory, startSampleProcess } from "../../support/process.ts";
import type { Program } from "../../support/process.ts";
import { startProcesses } from "../../support/processes.ts";
import type { Processes } from "../../support/processes.ts";

const MINUTES = 10;

let services: Program;
let processes: Processes;
let http: string;
let webSocket: string;
let grpc: string;

before(async () => {
  const sample = await startSampleProcess();
  services = sample.program;
  // A small heap, so that the collector's liberty does not look like a leak.
  processes = await startProcesses([sample.ports.http, sample.ports.websocket, sample.ports.grpc], {
    relayNodeOptions: "--max-old-space-size=40 --max-semi-space-size=1",
  });
  [http = "", webSocket = "", grpc = ""] = processes.addresses;
});

after(async () => {
  await processes.close();
  await services.stop();
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("for ten minutes", { concurrency: true, timeout: (MINUTES + 3) * 60_000 }, () => {
  test("idle events, WebSocket and gRPC stay", async () => {
    const events = await RawVisitor.connect(http);
    events.send(`GET /events?interval=${MINUTES * 60_000} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await events.receive(/"sequence":0/);
    const socket = new WebSocket(`ws://${webSocket}/echo`);
    await new Promise((resolve) => socket.once("open", resolve));
    const client = new GrpcClient(grpc, "diagnostics.v1.Diagnostics");
    const call = client.start("Converse");
    call.write({ payload: Buffer.from("first") });
    await call.message(0);

    await events.receive(/"sequence":1/, (MINUTES + 1) * 60_000);
    const echo = new Promise((resolve) => socket.once("message", (data) => resolve((data as Buffer).toString())));
    socket.send("still there");
    assert.equal(await echo, "still there");
    call.write({ payload: Buffer.from("second") });
    await call.message(1);
    events.close();
    socket.terminate();
    call.cancel();
    client.close();
  });

  test("500 heads of one octet in ten seconds, each tried again when it is closed: no memory is lost", async (t) => {
    const [host, port] = splitAddress(http);
    const head = Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let over = false;
    let closed = 0;
    const seen: number[] = [];
    const attackers = Array.from({ length: 500 }, async () => {
      while (!over) {
        const socket = net.connect({ host, port, noDelay: true });
        socket.on("error", () => undefined);
        socket.resume();
        let at = 0;
        const drip = setInterval(() => {
          if (at < head.length) socket.write(head.subarray(at, ++at));
        }, 10_000);
        socket.write(head.subarray(at, ++at));
        await new Promise((resolve) => socket.once("close", resolve));
        clearInterval(drip);
        closed++;
      }
    });
    for (let minute = 0; minute < MINUTES; minute++) {
      await pause(60_000);
      seen.push(memory(processes.relay.pid));
    }
    over = true;
    await Promise.all(attackers);
    t.diagnostic(`${closed} connections closed; MiB each minute: ${seen.map(Math.round).join(" ")}`);
    // Ten seconds for a head, and one or two turns of the wheel.
    assert.ok(closed > (500 * MINUTES * 60) / 15, `${closed} connections were closed`);
    assert.ok((seen.at(-1) ?? 0) - (seen[2] ?? 0) < 8, `MiB each minute: ${seen.map(Math.round).join(" ")}`);
  });
});
