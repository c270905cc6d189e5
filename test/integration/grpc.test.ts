/**
 * @grpc/grpc-js → relay → agent → @grpc/grpc-js. The oracle is the same call made directly: what the caller learns must
 * be equal, field by field.
 */
import assert from "node:assert/strict";
import { constants } from "node:http2";
import { after, before, describe, test } from "node:test";
import { decodeStatus } from "../../sample/grpc/rich-error.ts";
import { startGrpc } from "../../sample/grpc/server.ts";
import type { RunningService } from "../../sample/service.ts";
import { GrpcClient } from "../support/grpc.ts";
import type { CallResult } from "../support/grpc.ts";
import { startGzipServer, startResettingServer, startWatchedServer } from "../support/grpc-server.ts";
import { startPath } from "../support/path.ts";
import type { Path, Shared } from "../support/path.ts";
import { Arrivals, within } from "../support/time.ts";

const CATALOGUE_ORDER = "order-1";
const MEBIBYTE = 1024 * 1024;

let path: Path;
let service: RunningService;
let shared: Shared;
const log = new Arrivals<string>();

before(async () => {
  service = await startGrpc({ log: (line) => log.add(line) });
  path = await startPath();
  shared = await path.share(service.port);
});

after(async () => {
  await path.close();
  await service.close();
});

/** Makes the same observation directly and through the path, and compares. `check` guards against two equal failures. */
function same<T>(name: string, observe: (address: string) => Promise<T>, check: (seen: T) => void): void {
  test(name, async () => {
    const direct = await observe(`127.0.0.1:${service.port}`);
    const through = await observe(shared.address);
    check(direct);
    assert.deepEqual(through, direct);
  });
}

async function using<T>(
  address: string,
  name: "shop.v1.Orders" | "diagnostics.v1.Diagnostics",
  use: (client: GrpcClient) => Promise<T>,
  options = {},
): Promise<T> {
  const client = new GrpcClient(address, name, options);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

const metadata = {
  "x-request-id": ["first", "second"],
  "x-trace-bin": [Buffer.from([0, 1, 127, 128, 255]), Buffer.alloc(0), Buffer.from("ünïcode")],
};

describe("all four modes", () => {
  same(
    "unary with every kind of field, metadata both ways",
    (address) =>
      using(address, "shop.v1.Orders", (client) =>
        client.call("GetOrder", [{ id: CATALOGUE_ORDER, fields: { paths: ["id", "lines"] } }], { metadata }),
      ),
    (seen) => {
      assert.equal(seen.code, "OK");
      assert.equal((seen.messages[0] as { id: string }).id, CATALOGUE_ORDER);
      assert.deepEqual(seen.initial["x-trace-bin"], ["base64:AAF/gP8=", "base64:", "base64:w7xuw69jb2Rl"]);
      assert.deepEqual(seen.trailing["x-shop-checksum-bin"], ["base64:AAEC/f7/"]);
    },
  );

  same(
    "client streaming",
    (address) =>
      using(address, "shop.v1.Orders", (client) =>
        client.call(
          "PlaceOrders",
          Array.from({ length: 50 }, (_, index) => ({
            sku: `s${index}`,
            quantity: index,
            price: { currencyCode: "EUR", units: "2", nanos: 500_000_000 },
          })),
          { metadata },
        ),
      ),
    (seen) => {
      const [summary] = seen.messages as [{ orders: number; total: { units: string } }];
      assert.equal(summary.orders, 50);
      assert.equal(summary.total.units, "3062");
    },
  );

  same(
    "server streaming",
    (address) =>
      using(address, "shop.v1.Orders", (client) =>
        client.call("WatchOrder", [{ id: CATALOGUE_ORDER, events: 12, intervalMs: 10 }], { metadata }),
      ),
    (seen) => assert.equal(seen.messages.length, 12),
  );

  same(
    "bidirectional, each message answered before the next is sent",
    (address) =>
      using(address, "shop.v1.Orders", async (client) => {
        const call = client.start("Negotiate", { metadata });
        for (let round = 0; round < 20; round++) {
          call.write({ from: "visitor", price: { currencyCode: "EUR", units: String(round * 3) } });
          await within(2000, `answer ${round}`, call.message(round));
        }
        call.end();
        return call.result;
      }),
    (seen) => {
      assert.equal(seen.code, "OK");
      assert.equal(seen.messages.length, 20);
    },
  );

  same(
    "no message at all: an empty stream both ways",
    (address) => using(address, "diagnostics.v1.Diagnostics", (client) => client.call("Converse", [])),
    (seen) => assert.deepEqual([seen.code, seen.messages], ["OK", []]),
  );

  same(
    "empty messages",
    (address) => using(address, "shop.v1.Orders", (client) => client.call("ClearCart", [{}])),
    (seen) => assert.deepEqual(seen.messages, [{}]),
  );
});

describe("nothing is held back", () => {
  test("each message of a client stream reaches the service before the next is sent", async () => {
    const watched = await startWatchedServer();
    try {
      const target = await path.share(watched.port);
      await using(target.address, "diagnostics.v1.Diagnostics", async (client) => {
        const call = client.start("Collect");
        for (let index = 0; index < 10; index++) {
          call.write({ payload: Buffer.alloc(10 + index) });
          await watched.received.count(index + 1, 2000, "message at the service");
        }
        call.end();
        assert.equal((await call.result).code, "OK");
      });
    } finally {
      await watched.close();
    }
  });

  test("the first message of a server stream arrives while the stream goes on", async () => {
    await using(shared.address, "diagnostics.v1.Diagnostics", async (client) => {
      const call = client.start("Spread");
      const seen = log.items.length;
      call.write({ sizes: [3, 4, 5], delay: { seconds: 30 } });
      call.end();
      const first = (await within(2000, "the first message", call.message(0))) as { payload: Buffer };
      assert.equal(first.payload.length, 3);
      call.cancel();
      assert.equal((await call.result).code, "CANCELLED");
      await log.next(2000, "the cancellation at the service", (line) => line === "cancelled Spread", seen);
    });
  });
});

describe("sizes and compression", () => {
  same(
    "4 MiB each way",
    (address) =>
      using(address, "diagnostics.v1.Diagnostics", async (client) => {
        const result = await client.call("Echo", [{ payload: Buffer.alloc(4 * MEBIBYTE, "abcdefg") }]);
        const [answer] = result.messages as [{ payload: Buffer; requestSize: number }];
        return {
          code: result.code,
          size: answer.requestSize,
          equal: answer.payload.equals(Buffer.alloc(4 * MEBIBYTE, "abcdefg")),
        };
      }),
    (seen) => assert.deepEqual(seen, { code: "OK", size: 4 * MEBIBYTE, equal: true }),
  );

  same(
    "the sizes of the interoperability tests",
    (address) =>
      using(address, "diagnostics.v1.Diagnostics", async (client) => {
        const collected = await client.call(
          "Collect",
          [27182, 8, 1828, 45904].map((size) => ({ payload: Buffer.alloc(size) })),
        );
        const spread = await client.call("Spread", [{ sizes: [31415, 9, 2653, 58979] }]);
        const large = await client.call("Echo", [{ payload: Buffer.alloc(271_828), responseSize: 314_159 }]);
        return { collected, spread, large };
      }),
    ({ collected, spread }) => {
      assert.deepEqual(collected.messages, [{ messages: 4, octets: "74922" }]);
      assert.deepEqual(
        spread.messages.map((message) => (message as { payload: Buffer }).payload.length),
        [31415, 9, 2653, 58979],
      );
    },
  );

  same(
    "gzip requests, well and badly compressible",
    (address) =>
      using(
        address,
        "diagnostics.v1.Diagnostics",
        (client) =>
          client.call(
            "Converse",
            [1, 5, 1000, 300_000].map((size) => ({
              payload: Buffer.from(Uint8Array.from({ length: size }, (_, index) => (index * index) % 256)),
            })),
          ),
        { "grpc.default_compression_algorithm": 2 },
      ),
    (seen) => assert.equal(seen.messages.length, 4),
  );

  test("gzip responses; what the service sees of the request head", async () => {
    // diagnostics.v1.EchoResponse { request_size: 7 }, and one of 100 000 octets.
    const small = Buffer.from([0x10, 0x07]);
    const large = Buffer.concat([Buffer.from([0x0a, 0xa0, 0x8d, 0x06]), Buffer.alloc(100_000, "z")]);
    const raw = await startGzipServer([small, large]);
    try {
      const target = await path.share(raw.port);
      const results: CallResult[] = [];
      for (const address of [`127.0.0.1:${raw.port}`, target.address])
        results.push(
          await using(address, "diagnostics.v1.Diagnostics", (client) =>
            client.call("Spread", [{ sizes: [] }], { metadata, deadlineMs: 60_000 }),
          ),
        );
      const [direct, through] = results;
      assert.equal(direct?.code, "OK");
      assert.equal((direct.messages[1] as { payload: Buffer }).payload.length, 100_000);
      assert.equal(direct.details, "all ök");
      assert.deepEqual(through, direct);

      const [directHead, throughHead] = raw.heads.map((head) => ({ ...head }));
      assert.ok(directHead !== undefined && throughHead !== undefined);
      assert.equal(throughHead["x-forwarded-for"], "127.0.0.1");
      assert.equal(throughHead["x-forwarded-proto"], "http");
      assert.equal(throughHead["x-forwarded-host"], target.address);
      assert.match(throughHead["grpc-timeout"] as string, /^\d+[mun]$/i);
      const kept = (head: typeof directHead) =>
        Object.entries(head)
          .filter(([name]) => !/^(x-forwarded-|portlight-|grpc-timeout$|:authority$)/.test(name))
          .sort();
      assert.deepEqual(kept(throughHead), kept(directHead));
    } finally {
      await raw.close();
    }
  });
});

describe("how calls end", () => {
  same(
    "rich errors",
    (address) =>
      using(address, "shop.v1.Orders", async (client) => [
        await client.call("GetOrder", [{ id: "order-999" }], { metadata }),
        await client.call("GetOrder", [{ id: "nonsense" }]),
      ]),
    ([missing, invalid]) => {
      assert.equal(missing?.code, "NOT_FOUND");
      assert.equal(missing.details, "No order “order-999” – it may have been deleted.");
      assert.deepEqual(missing.trailing["x-shop-region"], ["eu-north"]);
      const [octets] = missing.trailing["grpc-status-details-bin"] as [string];
      const status = decodeStatus(Buffer.from(octets.slice("base64:".length), "base64"));
      assert.equal(status.details[0]?.["@type"], "type.googleapis.com/google.rpc.ResourceInfo");
      assert.equal(invalid?.code, "INVALID_ARGUMENT");
    },
  );

  same(
    "every status code, with messages that need escaping",
    async (address) =>
      using(address, "diagnostics.v1.Diagnostics", async (client) => {
        const results = [];
        for (let code = 1; code <= 16; code++)
          results.push(
            await client.call("Echo", [
              { status: { code, message: `\t%2F ${code}\r\n Unicode ☺ and 🎉 and % and ~\n` } },
            ]),
          );
        return results;
      }),
    (seen) => {
      assert.equal(seen.length, 16);
      assert.equal(seen[4]?.code, "NOT_FOUND");
      assert.match(seen[4].details, /Unicode ☺ and 🎉/);
    },
  );

  same(
    "an error after messages: status in trailers",
    (address) =>
      using(address, "diagnostics.v1.Diagnostics", (client) =>
        client.call("Spread", [{ sizes: [1, 2], status: { code: 8, message: "out of lamps" } }]),
      ),
    (seen) => assert.deepEqual([seen.code, seen.messages.length], ["RESOURCE_EXHAUSTED", 2]),
  );

  same(
    "an error while the request stream is open",
    async (address) =>
      using(address, "diagnostics.v1.Diagnostics", async (client) => {
        const call = client.start("Converse");
        call.write({ payload: Buffer.from("a"), status: { code: 3, message: "not like that" } });
        return within(3000, "the status", call.result);
      }),
    (seen) =>
      assert.deepEqual([seen.code, seen.details, seen.messages.length], ["INVALID_ARGUMENT", "not like that", 1]),
  );

  same(
    "methods and services that are not there: trailers only",
    async (address) => {
      const missing = await using(address, "diagnostics.v1.Diagnostics", (client) => client.call("Missing", [{}]));
      return { missing };
    },
    ({ missing }) => {
      assert.equal(missing.code, "UNIMPLEMENTED");
      assert.deepEqual(missing.initial, {});
    },
  );

  same(
    "a deadline on a service that sleeps",
    (address) =>
      using(
        address,
        "diagnostics.v1.Diagnostics",
        async (client) => (await client.call("Echo", [{ delay: { seconds: 20 } }], { deadlineMs: 300 })).code,
      ),
    (seen) => assert.equal(seen, "DEADLINE_EXCEEDED"),
  );

  same(
    "timeout_on_sleeping_server: one millisecond",
    (address) =>
      using(
        address,
        "diagnostics.v1.Diagnostics",
        async (client) =>
          (
            await client.call("Converse", [{ payload: Buffer.alloc(27_182), delay: { seconds: 20 } }], {
              deadlineMs: 1,
            })
          ).code,
      ),
    (seen) => assert.equal(seen, "DEADLINE_EXCEEDED"),
  );

  for (const [what, method, request] of [
    ["before any answer", "Echo", { delay: { seconds: 20 } }],
    ["after the first answer", "Converse", { payload: Buffer.from("x") }],
  ] as const) {
    test(`cancelled by the visitor ${what}: the service is told at once`, async () => {
      await using(shared.address, "diagnostics.v1.Diagnostics", async (client) => {
        const seen = log.items.length;
        // The record of an earlier call of this method may still be on its way.
        const call = client.start(method, { metadata: { "x-case": what } });
        call.write(request);
        if (method === "Converse") await call.message(0);
        else call.end();
        await log.next(3000, "the call at the service", (line) => line === `called ${method}`, seen);
        call.cancel();
        assert.equal((await call.result).code, "CANCELLED");
        await log.next(2000, "the cancellation at the service", (line) => line === `cancelled ${method}`, seen);
        const record = await path.record(({ request }) =>
          request.headers.some(([name, value]) => name === "x-case" && value === what),
        );
        assert.equal(record.failure?.code, "cancelled");
        assert.equal(record.failure.by, "visitor");
      });
    });
  }
});

describe("RST_STREAM by the service: the same status as directly", () => {
  // diagnostics.v1.EchoResponse { request_size: 7 }
  const message = Buffer.from([0x10, 0x07]);
  for (const [when, messages] of [
    ["before the head", undefined],
    ["after the head", []],
    ["after two messages", [message, message]],
  ] as const)
    for (const [name, expected] of [
      ["NGHTTP2_CANCEL", "CANCELLED"],
      ["NGHTTP2_INTERNAL_ERROR", "INTERNAL"],
      ["NGHTTP2_ENHANCE_YOUR_CALM", "RESOURCE_EXHAUSTED"],
      ["NGHTTP2_INADEQUATE_SECURITY", "PERMISSION_DENIED"],
    ] as const)
      test(`${name.slice("NGHTTP2_".length)} ${when}`, async () => {
        const known = path.records.items.length;
        const server = await startResettingServer(constants[name], messages);
        try {
          const target = await path.share(server.port);
          const results: CallResult[] = [];
          for (const address of [`127.0.0.1:${server.port}`, target.address])
            results.push(
              await using(address, "diagnostics.v1.Diagnostics", (client) =>
                client.call("Converse", [{ payload: Buffer.from("x") }], { deadlineMs: 5000 }),
              ),
            );
          const [direct, through] = results;
          assert.deepEqual([direct?.code, direct?.messages.length], [expected, messages?.length ?? 0]);
          assert.deepEqual(through, direct);
          const record = await path.record(({ port }) => port === server.port, known);
          assert.equal(record.failure?.by, "service");
        } finally {
          await server.close();
        }
      });
});

describe("many at once", () => {
  same(
    "100 unary calls on one connection",
    (address) =>
      using(address, "diagnostics.v1.Diagnostics", async (client) => {
        const results = await Promise.all(
          Array.from({ length: 100 }, (_, index) =>
            client.call("Echo", [{ payload: Buffer.alloc(20_000, index), delay: { nanos: (index % 10) * 1e6 } }]),
          ),
        );
        return results.map(({ code, messages }) => [code, (messages[0] as { payload: Buffer }).payload[0]]);
      }),
    (seen) =>
      assert.deepEqual(
        seen,
        Array.from({ length: 100 }, (_, index) => ["OK", index]),
      ),
  );

  same(
    "30 bidirectional streams at once, none mixed up",
    (address) =>
      using(address, "diagnostics.v1.Diagnostics", (client) =>
        Promise.all(
          Array.from({ length: 30 }, async (_, stream) => {
            const call = client.start("Converse");
            for (let round = 0; round < 10; round++) {
              call.write({ payload: Buffer.from(`${stream}/${round}`) });
              await call.message(round);
            }
            call.end();
            return (await call.result).messages.map((message) => (message as { payload: Buffer }).payload.toString());
          }),
        ),
      ),
    (seen) => assert.deepEqual(seen[29]?.slice(8), ["29/8", "29/9"]),
  );
});
