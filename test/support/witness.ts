import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { startGrpc } from "../../sample/grpc/server.ts";
import { startHttp } from "../../sample/http/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { startWebSocket } from "../../sample/websocket.ts";
import { startCuttable } from "./cuttable.ts";
import { GrpcClient } from "./grpc.ts";
import type { GrpcCall } from "./grpc.ts";
import { RawVisitor } from "./http.ts";
import type { Path } from "./path.ts";
import { Arrivals, within } from "./time.ts";

/**
 * Visitor B of the threats: an event stream, a WebSocket and a gRPC call, open for the whole time in the tunnel through
 * which visitor A attacks. `check` fails when one of them noticed anything.
 */
export interface Witness {
  /** What is shared through this endpoint shares the witness's tunnel. */
  readonly endpoint: { readonly url: string };
  /** The address at which the HTTP service of the sample is shared. */
  readonly http: string;
  /** Each of the three still moves, without a gap; and the tunnel is the one it was. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Shares the services of the sample by the agent of `path`, and begins the three exchanges. */
export async function startWitness(path: Path): Promise<Witness> {
  const services: RunningService[] = [await startHttp(), await startWebSocket(), await startGrpc()];
  const tunnel = await startCuttable(Number(new URL(path.relay.tunnelUrl).port));
  const addresses: string[] = [];
  const endpoint = { url: `tcp://127.0.0.1:${tunnel.port}` };
  for (const { port } of services) addresses.push((await path.share(port, { relay: endpoint })).address);
  const [http = "", webSocket = "", grpc = ""] = addresses;

  const events = await RawVisitor.connect(http);
  events.send("GET /events?interval=20 HTTP/1.1\r\nHost: a\r\n\r\n");
  await events.receive(/"sequence":0/);

  const errors: string[] = [];
  const socket = new WebSocket(`ws://${webSocket}/echo`);
  const echoes = new Arrivals<string>();
  socket.on("message", (data) => echoes.add((data as Buffer).toString()));
  socket.on("error", (error) => errors.push(`WebSocket: ${error.message}`));
  socket.on("close", (code) => errors.push(`WebSocket closed with ${code}`));
  await within(5000, "the WebSocket", new Promise((resolve) => socket.once("open", resolve)));

  const client = new GrpcClient(grpc, "diagnostics.v1.Diagnostics");
  const call: GrpcCall = client.start("Converse");
  void call.result.then(({ code, details }) => errors.push(`gRPC ended with ${code}: ${details}`));

  let round = 0;
  return {
    endpoint,
    http,
    async check() {
      const numbers = (): number[] =>
        [...events.received.matchAll(/"sequence":(\d+)/g)].map(([, digits]) => Number(digits));
      await events.receive(new RegExp(`"sequence":${numbers().length + 1},`), 10_000);
      assert.deepEqual(
        numbers(),
        numbers().map((_, index) => index),
      );
      socket.send(`round ${round}`);
      assert.equal(await echoes.next(10_000, "an echo", () => true, round), `round ${round}`);
      call.write({ payload: Buffer.from(`round ${round}`) });
      await within(10_000, "a message of the gRPC call", call.message(round));
      round++;
      assert.deepEqual(errors, []);
      assert.equal(tunnel.open, tunnel.accepted, "no connection of the tunnel ever ended");
    },
    async close() {
      events.close();
      socket.terminate();
      call.cancel();
      client.close();
      await tunnel.close();
      for (const service of services) await service.close();
    },
  };
}
