import assert from "node:assert/strict";
import path from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { silentLogger } from "../wire/logger.ts";
import type { Field } from "../wire/stream.ts";
import { createCapture } from "./capture.ts";

const WORKER = path.join(import.meta.dirname, "decoder", "worker.ts");

function fields(text: string): Field[] {
  return text.split(" | ").map((line) => {
    const colon = line.indexOf(": ", 1);
    return { name: line.slice(0, colon), value: line.slice(colon + 2) };
  });
}

const REQUESTS = [
  ":method: POST | :path: /google.rpc.X/Y | content-type: application/grpc | grpc-encoding: gzip",
  ":method: POST | :path: /a/b | content-type: application/grpc-web",
  ":method: POST | :path: /a/b | content-type: application/grpc-web-text",
  ":method: POST | :path: /a/b | content-type: application/connect+proto",
  ":method: POST | :path: /a/b | content-type: application/proto",
  ":method: CONNECT | :protocol: websocket | :path: /ws",
  ":method: CONNECT | :authority: x:1",
  ":method: POST | :path: /?%%% | content-type: application/x-www-form-urlencoded | content-encoding: gzip",
  ":method: POST | :path: /google.rpc.Status | content-type: application/json | content-encoding: br",
];
const RESPONSES = [
  ":status: 200 | content-type: application/grpc | grpc-encoding: deflate | grpc-status-details-bin: AAAA",
  ":status: 200 | content-type: application/grpc-web-text",
  ":status: 200 | content-type: application/connect+json | connect-content-encoding: br",
  ":status: 200 | content-type: text/event-stream",
  ":status: 200 | sec-websocket-extensions: permessage-deflate",
  ":status: 200 | content-type: image/png",
  ":status: 404 | content-type: text/plain; charset=nonsense",
  ":status: 999 | grpc-status: x | grpc-message: %zz%ff",
  ":status: nonsense",
];

/** Octets that look a little like what the readers know. */
const octets = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => new Uint8Array([0, 0, 0, 0, bytes.length, ...bytes])),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => new Uint8Array([1, 0, 0, 0, bytes.length, ...bytes])),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => new Uint8Array([0xc2, bytes.length, ...bytes])),
  fc.constantFrom(
    ...["data: 1\n\n", '{"a":', "AAAAAAA=", "\x80\x00\x00\x00\x0fgrpc-status: 0\r"].map((text) =>
      Buffer.from(text, "latin1"),
    ),
  ),
);

const scenario = fc.record({
  request: fc.constantFrom(...REQUESTS),
  response: fc.constantFrom(...RESPONSES),
  visitor: fc.array(octets, { maxLength: 5 }),
  service: fc.array(octets, { maxLength: 5 }),
  end: fc.constantFrom("ended", "failed", "open"),
});

describe("whatever passes", () => {
  it("is recorded, listed, decoded, exported and copied without an error", async () => {
    const errors: string[] = [];
    const capture = createCapture({
      workspaceFolders: [],
      protoRoots: [],
      workerFile: WORKER,
      log: { ...silentLogger, error: (text) => errors.push(text), warn: (text) => errors.push(text) },
    });
    let records = 0;
    let ended = 0;
    capture.onRecord({ showSecrets: false }, () => records++);
    try {
      await fc.assert(
        fc.asyncProperty(scenario, async ({ request, response, visitor, service, end }) => {
          const tap = capture.tap.opened({ id: "s", port: 1, name: "n" }, fields(request), false);
          for (const bytes of visitor) tap.dataReceived("visitor", bytes, false);
          tap.headReceived(fields(response), false);
          for (const bytes of service) tap.dataReceived("service", bytes, false);
          if (end !== "open") ended++;
          if (end === "ended") tap.ended();
          if (end === "failed") tap.failed({ by: "service", code: "closed", message: "x" });
          const { rows } = await openNewest();
          const id = rows.at(-1)?.id ?? assert.fail();
          assert.notEqual(await capture.request("exchange/detail", { id }), null);
          const page = await capture.request("exchange/messages", { id, index: 0, count: 500 });
          for (const { index } of page?.messages ?? []) {
            for (const as of ["auto", "text", "wire"] as const)
              assert.notEqual(await capture.request("message/decode", { id, index, as }), null);
            await capture.request("message/bytes", { id, index, offset: 0, count: 100, decompressed: true });
          }
          for (const format of ["jsonl", "har"] as const) {
            const { text } = await capture.request("capture/export", { ids: [id], format, showSecrets: false });
            JSON.parse(text);
          }
          for (const format of ["curl", "grpcurl"] as const)
            await capture.request("exchange/copyAs", { id, format, showSecrets: true });
          const { bytes } = await capture.request("capture/clear", null);
          assert.equal(bytes, 0, "everything is given back");
        }),
        { numRuns: 300 },
      );
      await capture.flush();
      assert.deepEqual(errors, []);
      assert.equal(records, ended);
    } finally {
      await capture.close();
    }

    async function openNewest() {
      const { first } = await capture.request("view/open", { view: "v", filter: "" });
      return capture.request("view/rows", { view: "v", position: first, count: 500 });
    }
  });
});
