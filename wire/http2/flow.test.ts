import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { POST as RAW_POST, frame, headers, settings, uint32 } from "../../test/support/frames.ts";
import { GET, Lone, OK, POST, pair } from "../../test/support/http2.ts";

const octets = (size: number): Uint8Array => new Uint8Array(size);
const data = (stream: number, size: number, flags = 0): Uint8Array => frame(0, flags, stream, octets(size));
const windowUpdate = (stream: number, by: number): Uint8Array => frame(8, 0, stream, uint32(by));

test("the connection is credited on receipt, a stream when its data is consumed", () => {
  const lone = new Lone("server", { settings: { initialWindowSize: 100_000 }, connectionWindow: 100_000 });
  lone.feed(headers(1, RAW_POST, 0));
  assert.deepEqual(lone.feed(data(1, 10_000), data(1, 14_999)), []);
  assert.deepEqual(lone.feed(data(1, 1)), ["WINDOW_UPDATE 0 by 25000"]);
  const { stream } = lone.stream(0);
  stream.consume(24_999);
  assert.deepEqual(lone.sent(), []);
  stream.consume(1);
  assert.deepEqual(lone.sent(), ["WINDOW_UPDATE 1 by 25000"]);
});

test("a stream that nobody reads does not hold up another", () => {
  const { pipe, open, requests } = pair();
  const silent = open(POST, false);
  const busy = open(POST, false);
  pipe.run();
  for (const request of requests) request.events.consume = request.stream !== requests[0]?.stream;
  silent.stream?.sendData(octets(3_000_000), true);
  busy.stream?.sendData(octets(3_000_000), true);
  pipe.run();
  assert.equal(requests[1]?.events.bytes, 3_000_000);
  assert.equal(requests[1].events.ended, true);
  assert.equal(requests[0]?.events.bytes, 65_536);
  assert.equal(silent.sent, 65_536);
});

test("more than a stream's window resets it, more than the connection's ends it", () => {
  const small = new Lone("server", { settings: { initialWindowSize: 20_000 } });
  small.feed(headers(1, RAW_POST, 0), data(1, 16_384));
  assert.deepEqual(small.feed(data(1, 3_617)), ["RST_STREAM 1 code 3"]);
  assert.equal(small.stream(0).log.at(-1), "reset visitor malformed");
  assert.equal(small.stream(0).bytes, 16_384);

  // Seven eighths of the window in one frame after it was used up to just below the grant.
  const tight = new Lone("server", {
    settings: { initialWindowSize: 1_000_000, maxFrameSize: 100_000 },
    connectionWindow: 65_535,
  });
  tight.feed(headers(1, RAW_POST, 0));
  assert.deepEqual(tight.feed(data(1, 65_536)), ["GOAWAY last 1 code 3"]);
  assert.deepEqual(tight.log, ["opened :method=POST", "ended visitor malformed"]);
});

test("until our smaller window is acknowledged the peer may use the default", () => {
  const lone = new Lone("server", { settings: { initialWindowSize: 1000 } }, false);
  const start = [frame(4, 0, 0), headers(1, RAW_POST, 0), data(1, 16_384)];
  lone.connection.receive(Uint8Array.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (c) => c.charCodeAt(0)));
  lone.feed(...start, frame(4, 1, 0));
  assert.deepEqual(lone.stream(0).log, ["data 16384"]);
  // 16 384 of 1 000 are used: the window is negative now.
  assert.deepEqual(lone.feed(data(1, 1)), ["RST_STREAM 1 code 3"]);
  assert.deepEqual(lone.feed(headers(3, RAW_POST, 0), data(3, 1001)), ["RST_STREAM 3 code 3"]);
});

test("padding counts, and is given back at once", () => {
  const lone = new Lone("server", { settings: { initialWindowSize: 1000 } });
  lone.feed(headers(1, RAW_POST, 0));
  const padded = frame(0, 0x8, 1, [249, ...octets(300)]);
  assert.deepEqual(lone.feed(padded), ["WINDOW_UPDATE 1 by 250"]);
  assert.deepEqual(lone.stream(0).log, ["data 51"]);
  lone.stream(0).stream.consume(51);
  assert.deepEqual(lone.feed(frame(0, 0x9, 1, [99, ...octets(99)])), []);
  assert.deepEqual(lone.stream(0).log, ["data 51", "data 0 end"]);
});

test("data for a stream that is gone is credited to the connection", () => {
  const lone = new Lone("server", { connectionWindow: 65_536 });
  lone.feed(headers(1, RAW_POST, 0));
  lone.stream(0).stream.reset({ by: "service", code: "cancelled", message: "" });
  lone.sent();
  assert.deepEqual(lone.feed(data(1, 16_384)), ["WINDOW_UPDATE 0 by 16384"]);
});

test("trailers and ends wait behind queued data; a reset drops the queue and reports nothing", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 10]), headers(1), headers(3), headers(5));
  const [one, two, three] = [lone.stream(0), lone.stream(1), lone.stream(2)];
  for (const { stream } of [one, two, three]) stream.sendHead(OK, false);
  one.stream.sendData(octets(25), false);
  one.stream.sendTrailers([{ name: "x", value: "y" }]);
  one.stream.sendData(octets(1), true);
  two.stream.sendData(octets(25), false);
  two.stream.sendData(octets(0), true);
  three.stream.sendData(octets(25), true);
  assert.deepEqual(lone.sent(), ["HEADERS 1", "HEADERS 3", "HEADERS 5", "DATA 1 10", "DATA 3 10", "DATA 5 10"]);
  assert.deepEqual([one.sent, two.sent, three.sent], [10, 10, 10]);
  three.stream.reset({ by: "service", code: "closed", message: "" });
  assert.deepEqual(lone.sent(), ["RST_STREAM 5 code 2"]);
  assert.deepEqual(lone.feed(settings([4, 30])), ["SETTINGS ack", "DATA 1 15", "HEADERS 1 end", "DATA 3 end 15"]);
  assert.deepEqual([one.sent, two.sent, three.sent], [25, 25, 10]);
  assert.equal(lone.connection.openStreams, 0);
});

test("windows below zero: nothing flows until they are positive again", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 10]), headers(1));
  const { stream } = lone.stream(0);
  stream.sendHead(OK, false);
  stream.sendData(octets(20), true);
  lone.sent();
  assert.deepEqual(lone.feed(settings([4, 0])), ["SETTINGS ack"]);
  assert.deepEqual(lone.feed(windowUpdate(1, 10)), []);
  assert.deepEqual(lone.feed(windowUpdate(1, 1)), ["DATA 1 1"]);
  assert.deepEqual(lone.feed(settings([4, 100])), ["SETTINGS ack", "DATA 1 end 9"]);
});

test("frames follow the peer's MAX_FRAME_SIZE, heads too", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 1_000_000]), windowUpdate(0, 1_000_000), headers(1), headers(3));
  lone.stream(0).stream.sendHead([...OK, { name: "x", value: "a".repeat(20_000) }], false);
  lone.stream(0).stream.sendData(octets(40_000), true);
  assert.deepEqual(lone.sent(), ["HEADERS 1", "CONTINUATION 1", "DATA 1 16384", "DATA 1 16384", "DATA 1 end 7232"]);
  lone.feed(settings([5, 100_000]));
  lone.stream(1).stream.sendHead(OK, false);
  lone.stream(1).stream.sendData(octets(40_000), true);
  assert.deepEqual(lone.sent(), ["HEADERS 3", "DATA 3 end 40000"]);
});

test("streams that wait for the connection take turns", () => {
  const lone = new Lone("server");
  lone.feed(settings([4, 10_000_000]), headers(1), headers(3), headers(5));
  for (let index = 0; index < 3; index++) {
    lone.stream(index).stream.sendHead(OK, false);
    lone.stream(index).stream.sendData(octets(index === 0 ? 265_535 : 200_000), true);
  }
  lone.sent();
  const order = lone.feed(windowUpdate(0, 400_000)).map((line) => line.split(" ")[1]);
  // 64 KiB each, in frames of 16 KiB.
  assert.equal(order.join(""), "111133335555".repeat(2) + "1");
});

test("a blocked transport holds DATA back, and nothing else", () => {
  const { pipe, open, requests } = pair();
  const events = open(GET, true);
  pipe.run();
  const stream = requests[0]?.stream;
  pipe.right.outbox.blocked = true;
  stream?.sendHead(OK, false);
  stream?.sendData(octets(1000), false);
  stream?.sendData(octets(1000), true);
  pipe.run();
  assert.deepEqual(events.log, ["head :status=200"]);
  assert.equal(requests[0]?.events.sent, 0);
  pipe.block(pipe.right, false);
  assert.deepEqual(events.log, ["head :status=200", "data 1000", "data 1000 end"]);
  assert.equal(requests[0].events.sent, 2000);
});

test("any sizes, windows, slices and blockings: every octet arrives once, in order", () => {
  const plan = fc.record({
    slice: fc.integer({ min: 1, max: 5000 }),
    window: fc.integer({ min: 1, max: 100_000 }),
    streams: fc.array(fc.array(fc.integer({ min: 0, max: 30_000 }), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 6,
    }),
    blocks: fc.array(fc.boolean(), { maxLength: 12 }),
  });
  fc.assert(
    fc.property(plan, ({ slice, window, streams, blocks }) => {
      const { pipe, open, requests, client, server } = pair({
        slice,
        server: { settings: { initialWindowSize: window } },
      });
      const opened = streams.map(() => open(POST, false));
      pipe.run();
      let next = 0;
      const steps = Math.max(...streams.map((sizes) => sizes.length));
      for (let step = 0; step < steps; step++) {
        pipe.left.outbox.blocked = blocks[next++] ?? false;
        for (const [index, sizes] of streams.entries()) {
          const size = sizes[step];
          if (size === undefined) continue;
          const bytes = Uint8Array.from({ length: size }, (_, at) => index * 31 + step * 7 + at);
          opened[index]?.stream?.sendData(bytes, step === sizes.length - 1);
        }
        pipe.run();
      }
      pipe.block(pipe.left, false);
      for (const [index, sizes] of streams.entries()) {
        const wanted = sizes.flatMap((size, step) =>
          Array.from({ length: size }, (_, at) => (index * 31 + step * 7 + at) & 0xff),
        );
        const request = requests[index];
        const got = Buffer.concat(request?.events.data ?? []);
        assert.ok(got.equals(Uint8Array.from(wanted)), `stream ${index}: ${got.length} of ${wanted.length}`);
        assert.equal(request?.events.ended, true);
        assert.equal(opened[index]?.sent, wanted.length);
        request.stream.sendHead(OK, true);
      }
      pipe.run();
      assert.deepEqual([client.openStreams, server.openStreams], [0, 0]);
    }),
    { numRuns: 25 },
  );
});
