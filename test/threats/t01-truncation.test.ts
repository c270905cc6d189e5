/** A cut is never an end: whatever breaks in the middle of an exchange, both ends learn that it was broken. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { RunningService } from "../../sample/service.ts";
import { startCuttable } from "../support/cuttable.ts";
import type { Cuttable } from "../support/cuttable.ts";
import { begin, beginUpload, startHalfGrpc, startHalfService } from "../support/half.ts";
import type { HalfAddresses, HalfService } from "../support/half.ts";
import { request } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path } from "../support/path.ts";
import { until, within } from "../support/time.ts";

let path: Path;
let tunnel: Cuttable;
let service: HalfService;
let toService: Cuttable;
let grpc: RunningService;
let toGrpc: Cuttable;
let addresses: HalfAddresses;

before(async () => {
  service = await startHalfService();
  grpc = await startHalfGrpc();
  toService = await startCuttable(service.port);
  toGrpc = await startCuttable(grpc.port);
  path = await startPath();
  tunnel = await startCuttable(Number(new URL(path.relay.tunnelUrl).port));
  const relay = { url: `tcp://127.0.0.1:${tunnel.port}` };
  addresses = {
    http: (await path.share(toService.port, { relay })).address,
    grpc: (await path.share(toGrpc.port, { relay })).address,
  };
});

after(async () => {
  await path.close();
  await tunnel.close();
  await toService.close();
  await toGrpc.close();
  await service.close();
  await grpc.close();
});

/** The agent dials again by itself; until then visitors are told to come again. */
async function online(): Promise<void> {
  await until(10_000, "the agent is back", () => path.agent.shares.every(({ state }) => state === "online"));
}

const cuts: Readonly<Record<string, () => void>> = {
  "the tunnel is closed (FIN)": () => tunnel.finish(),
  "the tunnel is reset (RST)": () => tunnel.reset(),
  "the service's connection is closed (FIN)": () => {
    toService.finish();
    toGrpc.finish();
  },
  "the service's connection is reset (RST)": () => {
    toService.reset();
    toGrpc.reset();
  },
};

for (const [cut, act] of Object.entries(cuts))
  describe(cut, () => {
    for (const [what, start] of Object.entries(begin))
      test(`${what}: the visitor sees an error`, async () => {
        await online();
        const visitor = await within(10_000, `the first half of ${what}`, start(addresses));
        act();
        assert.equal(await within(5000, "the visitor is told", visitor.outcome), "error");
        visitor.close();
      });

    for (const chunked of [false, true])
      test(`an upload ${chunked ? "in chunks" : "with a length"}: service and visitor see an error`, async () => {
        await online();
        const known = service.uploads.items.length;
        const visitor = await within(
          10_000,
          "the first half of the upload",
          beginUpload(addresses.http, service, chunked),
        );
        act();
        assert.equal(await within(5000, "the visitor is told", visitor.outcome), "error");
        assert.equal(
          await service.uploads.next(5000, "the end of the upload at the service", () => true, known),
          "cut",
        );
        visitor.close();
      });
  });

describe("the visitor leaves", () => {
  for (const chunked of [false, true])
    test(`in the middle of an upload ${chunked ? "in chunks" : "with a length"}: the service sees an error`, async () => {
      await online();
      const known = service.uploads.items.length;
      const visitor = await beginUpload(addresses.http, service, chunked);
      visitor.close();
      assert.equal(await service.uploads.next(5000, "the end of the upload at the service", () => true, known), "cut");
    });
});

test("the capture says who cut what", async () => {
  await online();
  const known = path.records.items.length;
  const visitor = await begin["HTTP/1.1 chunked"]?.(addresses);
  toService.reset();
  await visitor?.outcome;
  const record = await path.record((one) => one.path === "/chunked" && one.failure !== undefined, known);
  assert.equal(record.failure?.by, "service");
  visitor?.close();
});

test("a tunnel into which everything vanishes is noticed within 16 s, and replaced", { timeout: 40_000 }, async () => {
  await online();
  const visitor = await begin["HTTP/1.1 chunked"]?.(addresses);
  assert.ok(visitor !== undefined);
  const started = performance.now();
  tunnel.blackhole();
  tunnel.restore();
  assert.equal(await within(17_000, "the visitor is told", visitor.outcome), "error");
  const noticed = performance.now() - started;
  assert.ok(noticed < 16_500, `noticed after ${Math.round(noticed)} ms`);
  await online();
  const answer = await until(5000, "a request passes again", async () => {
    const { status } = await request(addresses.http, "/whole").catch(() => ({ status: 0 }));
    return status === 200 ? status : undefined;
  });
  assert.equal(answer, 200);
  visitor.close();
});

test("a service that is not there: 502 that says so, or grpc-status 14", async () => {
  await online();
  await toService.close();
  const answer = await request(addresses.http, "/length");
  assert.equal(answer.status, 502);
  assert.match(answer.body, new RegExp(String(toService.port)));
});
