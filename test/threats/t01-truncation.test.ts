/**
 * T-1, silent truncation when tunnel, agent or origin dies mid-body: for {content-length, chunked, h2, SSE, gRPC} ×
 * {agent FIN, agent RST, kill -9, relay link blackhole, origin FIN, origin RST} the public client sees an error (h1: no
 * terminating chunk and socket reset or short content-length; h2: RST ≠ 0), never a clean end; same for truncated uploads
 * seen by the origin.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { TestContext } from "node:test";
import type { RunningService } from "../../sample/service.ts";
import { startCuttable } from "../support/cuttable.ts";
import type { Cuttable } from "../support/cuttable.ts";
import {
  begin,
  beginHttp2,
  beginUpload,
  beginUpload2,
  startHalfGrpc,
  startHalfHttp2,
  startHalfService,
} from "../support/half.ts";
import type { HalfAddresses, HalfService, HalfVisitor } from "../support/half.ts";
import { request } from "../support/http.ts";
import { startPath } from "../support/path.ts";
import type { Path } from "../support/path.ts";
import { startProcesses } from "../support/processes.ts";
import type { Processes } from "../support/processes.ts";
import { until, within } from "../support/time.ts";

type Addresses = HalfAddresses & { readonly http2: string };

let service: HalfService;
let service2: HalfService;
let grpc: RunningService;

before(async () => {
  service = await startHalfService();
  service2 = await startHalfHttp2();
  grpc = await startHalfGrpc();
});

after(async () => {
  await service.close();
  await service2.close();
  await grpc.close();
});

const uploads: Readonly<Record<string, (addresses: Addresses) => Promise<HalfVisitor>>> = {
  "HTTP/1.1 with a length": ({ http }) => beginUpload(http, service, false),
  "HTTP/1.1 in chunks": ({ http }) => beginUpload(http, service, true),
  "HTTP/2 with a length": ({ http }) => beginUpload2(http, service, true),
  "HTTP/2 to a service of HTTP/1.1": ({ http }) => beginUpload2(http, service, false),
  "HTTP/2 from end to end": ({ http2 }) => beginUpload2(http2, service2, false),
  "HTTP/1.1 to a service of HTTP/2": ({ http2 }) => beginUpload(http2, service2, true),
};

interface Expectation {
  readonly addresses: Addresses;
  readonly act: () => void;
  /** How long the visitors may take to learn of it. */
  readonly visitorMs?: number;
  /** And the service; undefined: it is not asked, since what was cut was its own connection's other end. */
  readonly serviceMs?: number;
}

/** Begins everything at once, cuts once, and looks at each: a cell of the table is a test of its own. */
async function cut(t: TestContext, { addresses, act, visitorMs = 5000, serviceMs = 5000 }: Expectation): Promise<void> {
  const known = [service.uploads.items.length, service2.uploads.items.length] as const;
  const visitors = new Map<string, HalfVisitor>();
  for (const [what, start] of Object.entries({ ...begin, ...beginHttp2 }))
    visitors.set(what, await within(10_000, `the first half of ${what}`, start(addresses)));
  // One after the other: each waits until its octets are at the service.
  for (const [what, start] of Object.entries(uploads))
    visitors.set(`an upload, ${what}`, await within(10_000, `the first half of an upload, ${what}`, start(addresses)));
  act();
  for (const [what, visitor] of visitors)
    await t.test(`${what}: the visitor sees an error`, async () => {
      assert.equal(await within(visitorMs, "the visitor is told", visitor.outcome), "error");
    });
  await t.test("each upload: the service sees that it is cut", async () => {
    await service.uploads.count(known[0] + 4, serviceMs, "end of an upload at the service");
    await service2.uploads.count(known[1] + 2, serviceMs, "end of an upload at the service of HTTP/2");
    assert.deepEqual(service.uploads.items.slice(known[0]), Array(4).fill("cut"));
    assert.deepEqual(service2.uploads.items.slice(known[1]), Array(2).fill("cut"));
  });
  for (const visitor of visitors.values()) visitor.close();
}

describe("one process, cut at the links", () => {
  let path: Path;
  let tunnel: Cuttable;
  let toServices: readonly Cuttable[];
  let addresses: Addresses;

  before(async () => {
    toServices = await Promise.all([service.port, service2.port, grpc.port].map((port) => startCuttable(port)));
    const [toService, toService2, toGrpc] = toServices;
    assert.ok(toService !== undefined && toService2 !== undefined && toGrpc !== undefined);
    path = await startPath();
    tunnel = await startCuttable(Number(new URL(path.relay.tunnelUrl).port));
    const relay = { url: `tcp://127.0.0.1:${tunnel.port}` };
    addresses = {
      http: (await path.share(toService.port, { relay })).address,
      http2: (await path.share(toService2.port, { relay })).address,
      grpc: (await path.share(toGrpc.port, { relay })).address,
    };
  });

  after(async () => {
    await path.close();
    await tunnel.close();
    for (const one of toServices) await one.close();
  });

  /** The agent dials again by itself; until then visitors are told to come again. */
  async function online(): Promise<void> {
    await until(10_000, "the agent is back", () => path.agent.shares.every(({ state }) => state === "online"));
  }
  afterEach(online);

  const cuts: Readonly<Record<string, () => void>> = {
    "the agent's connection is closed (FIN)": () => tunnel.finish(),
    "the agent's connection is reset (RST)": () => tunnel.reset(),
    "the service's connection is closed (FIN)": () => {
      for (const one of toServices) one.finish();
    },
    "the service's connection is reset (RST)": () => {
      for (const one of toServices) one.reset();
    },
  };
  for (const [what, act] of Object.entries(cuts)) test(what, async (t) => cut(t, { addresses, act }));

  test("the link becomes a black hole: noticed within 16 s, and replaced", { timeout: 60_000 }, async (t) => {
    await cut(t, {
      addresses,
      act: () => {
        tunnel.blackhole();
        tunnel.restore();
      },
      visitorMs: 16_500,
      serviceMs: 16_500,
    });
    await online();
    const answer = await until(5000, "a request passes again", async () => {
      const { status } = await request(addresses.http, "/whole").catch(() => ({ status: 0 }));
      return status === 200 ? status : undefined;
    });
    assert.equal(answer, 200);
  });

  test("the capture says who cut what", async () => {
    const known = path.records.items.length;
    const visitor = await begin["HTTP/1.1 chunked"]?.(addresses);
    toServices[0]?.reset();
    await visitor?.outcome;
    const record = await path.record((one) => one.path === "/chunked" && one.failure !== undefined, known);
    assert.equal(record.failure?.by, "service");
    visitor?.close();
  });

  for (const [what, start] of Object.entries(uploads))
    test(`the visitor leaves in the middle of an upload, ${what}: the service sees an error`, async () => {
      const at = what.includes("of HTTP/2") || what.includes("end to end") ? service2 : service;
      const known = at.uploads.items.length;
      const visitor = await start(addresses);
      visitor.close();
      assert.equal(await at.uploads.next(5000, "the end of the upload at the service", () => true, known), "cut");
    });

  test("a service that is not there: 502 that says so", async () => {
    const [toService] = toServices;
    assert.ok(toService !== undefined);
    await toService.close();
    const answer = await request(addresses.http, "/length");
    assert.equal(answer.status, 502);
    assert.match(answer.body, new RegExp(String(toService.port)));
  });
});

for (const victim of ["agent", "relay"] as const) {
  describe(`relay and agent in processes of their own, the ${victim} dies`, () => {
    let processes: Processes;
    let addresses: Addresses;

    before(async () => {
      processes = await startProcesses([service.port, service2.port, grpc.port]);
      const [http = "", http2 = "", rpc = ""] = processes.addresses;
      addresses = { http, http2, grpc: rpc };
    });
    after(() => processes.close());

    test(`kill -9 of the ${victim}`, async (t) => {
      await cut(t, { addresses, act: () => processes[victim].child.kill("SIGKILL") });
      assert.equal((await processes[victim].exited).signal, "SIGKILL");
    });
  });
}
