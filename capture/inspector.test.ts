import assert from "node:assert/strict";
import { once } from "node:events";
import { execFile } from "node:child_process";
import path from "node:path";
import { PassThrough } from "node:stream";
import { after, before, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import {
  createMessageConnection,
  ErrorCodes,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from "vscode-jsonrpc/node";
import type { MessageConnection } from "vscode-jsonrpc/node";
import { silentLogger } from "../wire/logger.ts";
import type { Field } from "../wire/stream.ts";
import { createCapture } from "./capture.ts";
import { Inspector } from "./inspector.ts";
import type { Capture, ExchangeRecord } from "./options.ts";
import type { InspectorNotifications, InspectorRequests, Row } from "./protocol.ts";
import type { ExchangeTap } from "./tap.ts";

const WORKER = path.join(import.meta.dirname, "decoder", "worker.ts");
const SHARE = { id: "s1", port: 3000, name: "web" };

function fields(values: Readonly<Record<string, string>>): Field[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

/** Two JSON-RPC connections, joined by pipes in memory: a page and the capture. */
function connected(): { page: MessageConnection; host: MessageConnection } {
  const there = new PassThrough();
  const back = new PassThrough();
  const page = createMessageConnection(new StreamMessageReader(back), new StreamMessageWriter(there));
  const host = createMessageConnection(new StreamMessageReader(there), new StreamMessageWriter(back));
  page.listen();
  host.listen();
  return { page, host };
}

describe("the inspector protocol", { timeout: 30_000 }, () => {
  let capture: Capture;
  let page: MessageConnection;
  let host: MessageConnection;
  let served: { dispose(): void };

  before(() => {
    capture = createCapture({
      workspaceFolders: [],
      protoRoots: [],
      workerFile: WORKER,
      log: silentLogger,
      maxExchanges: 20,
    });
    ({ page, host } = connected());
    served = capture.serve(host);
  });
  after(async () => {
    served.dispose();
    page.dispose();
    host.dispose();
    await capture.close();
  });
  beforeEach(() => capture.request("capture/clear", null));

  function ask<M extends keyof InspectorRequests>(
    method: M,
    params: InspectorRequests[M]["params"],
  ): Promise<InspectorRequests[M]["result"]> {
    return page.sendRequest(method, params);
  }

  /** The next notification of this kind for which the condition holds. */
  function told<M extends keyof InspectorNotifications>(
    method: M,
    condition: (params: InspectorNotifications[M]) => boolean,
  ): Promise<InspectorNotifications[M]> {
    return new Promise((resolve) => {
      const listening = page.onNotification(method, (params: InspectorNotifications[M]) => {
        if (!condition(params)) return;
        listening.dispose();
        resolve(params);
      });
    });
  }

  function get(more: Readonly<Record<string, string>> = {}): ExchangeTap {
    return capture.tap.opened(
      SHARE,
      fields({ ":method": "GET", ":scheme": "https", ":authority": "web.example", ":path": "/a?q=1", ...more }),
      true,
    );
  }

  function finish(tap: ExchangeTap, status = "200"): void {
    tap.headReceived(fields({ ":status": status, "content-type": "application/json" }), false);
    tap.dataReceived("service", Buffer.from('{"ok":true}'), true);
    tap.ended();
  }

  it("refuses wrong parameters with a text that helps", async () => {
    const WRONG: readonly (readonly [keyof InspectorRequests, unknown, RegExp])[] = [
      ["view/open", { view: 1, filter: "" }, /"view" must be a string/],
      ["view/open", { view: "v" }, /"filter" must be a string/],
      ["view/open", { view: "v", filter: "nope:x" }, /no key of the filter/],
      ["view/rows", { view: "unknown", position: 0, count: 1 }, /not open/],
      ["view/rows", { view: "x".repeat(200), position: 0, count: 1 }, /at most 100 characters/],
      ["exchange/detail", { id: "1" }, /"id" must be a whole number/],
      ["exchange/detail", { id: -1 }, /"id" must be a whole number/],
      ["exchange/messages", { id: 1.5, index: 0, count: 1 }, /whole number/],
      ["message/decode", { id: 1, index: 0, as: "xml" }, /one of auto, text, wire/],
      ["capture/pause", { paused: "yes" }, /true or false/],
      ["capture/export", { format: "pdf", showSecrets: false }, /one of jsonl, har/],
      ["capture/export", { format: "har", showSecrets: false, ids: ["1"] }, /list of whole numbers/],
      ["websocket/setType", { id: 99, from: "visitor", type: "x" }, /no longer in the capture/],
      ["capture/state", [1], /not an object/],
    ];
    for (const [method, params, text] of WRONG) {
      await assert.rejects(
        page.sendRequest(method, params),
        (error) =>
          error instanceof ResponseError && error.code === ErrorCodes.InvalidParams && text.test(error.message),
        method,
      );
    }
  });

  it("answers null for what is not there", async () => {
    assert.equal(await ask("exchange/detail", { id: 999 }), null);
    assert.equal(await ask("exchange/messages", { id: 999, index: 0, count: 1 }), null);
    assert.equal(await ask("message/decode", { id: 999, index: 0 }), null);
    assert.equal(await ask("message/bytes", { id: 999, index: 0, offset: 0, count: 1, decompressed: true }), null);
    assert.equal(await ask("exchange/reveal", { id: 999, head: 0, index: 0 }), null);
    assert.equal(await ask("exchange/copyAs", { id: 999, format: "curl", showSecrets: false }), null);
  });

  it("serves every method of the protocol", () => {
    assert.equal(new Set(Inspector.methods).size, 18);
  });

  it("tells a live view what is new, in batches", async () => {
    assert.deepEqual(await ask("view/open", { view: "v", filter: "status:2xx" }), { first: 0, end: 0, total: 0 });
    const change = told("view/changed", ({ view, changed }) => view === "v" && changed.length > 0);
    for (let count = 0; count < 10; count++) finish(get(), count % 2 === 0 ? "200" : "404");
    const { changed, state, stale } = await change;
    assert.deepEqual(
      changed.map(({ position }) => position),
      [0, 1, 2, 3, 4],
    );
    assert.ok(
      changed.every(({ row }) => row.status === 200 && row.state === "ended"),
      "one batch, told once they ended",
    );
    assert.deepEqual([state, stale], [{ first: 0, end: 5, total: 10 }, false]);
    const { rows, position } = await ask("view/rows", { view: "v", position: 3, count: 10 });
    assert.deepEqual([position, rows.length], [3, 2]);
    await ask("view/close", { view: "v" });
  });

  it("keeps positions while exchanges leave the capture", async () => {
    const first = get();
    for (let count = 0; count < 19; count++) finish(get());
    await ask("view/open", { view: "v", filter: "" });
    const rowsAt = async (position: number): Promise<readonly Row[]> =>
      (await ask("view/rows", { view: "v", position, count: 100 })).rows;
    const before = await rowsAt(0);
    // The open one is the oldest: those behind it go, and it stays where it is.
    const change = told("view/changed", ({ state }) => state.end === 25);
    for (let count = 0; count < 5; count++) finish(get());
    await change;
    const now = await rowsAt(0);
    assert.equal(now[0]?.id, before[0]?.id);
    assert.equal(now[7]?.id, before[7]?.id);
    finish(first);
    const shifted = told("view/changed", ({ state }) => state.first > 0);
    finish(get());
    assert.equal((await shifted).state.first, 6);
  });

  it("numbers a view anew when an old open exchange would keep hundreds of rows", async () => {
    get();
    await ask("view/open", { view: "v", filter: "" });
    let last: InspectorNotifications["view/changed"] | undefined;
    // How many of them a batch sees depends on the clock: as many rounds as it takes, within reason.
    for (let round = 0; round < 100 && last?.stale !== true; round++) {
      const change = told("view/changed", () => true);
      for (let count = 0; count < 19; count++) finish(get());
      last = await change;
    }
    assert.ok(last?.stale === true);
    const { state } = last;
    assert.ok(state.first > 250);
    const { rows, position } = await ask("view/rows", { view: "v", position: 0, count: 100 });
    assert.equal(position, state.first);
    assert.ok(rows.length <= 64, String(rows.length));
    assert.equal(new Set(rows.map(({ id }) => id)).size, rows.length);
  });

  it("tells a watched exchange's messages while it is open", async () => {
    const tap = capture.tap.opened(
      SHARE,
      fields({ ":method": "GET", ":scheme": "http", ":authority": "a", ":path": "/events" }),
      true,
    );
    tap.headReceived(fields({ ":status": "200", "content-type": "text/event-stream" }), false);
    const [row] = await openRows();
    assert.ok(row !== undefined);
    await ask("exchange/detail", { id: row.id, watch: true });
    const one = told("exchange/changed", ({ messages }) => messages === 1);
    tap.dataReceived("service", Buffer.from('data: {"n":1}\n\n'), false);
    assert.equal((await one).row.protocol, "sse");
    const two = told("exchange/changed", ({ messages }) => messages === 2);
    tap.dataReceived("service", Buffer.from("data: 2\n"), false);
    assert.equal((await two).row.serviceMessages, 2);
    const list = await ask("exchange/messages", { id: row.id, index: 0, count: 10 });
    assert.deepEqual(
      list?.messages.map(({ kind, state, preview }) => ({ kind, state, preview })),
      [
        { kind: "event", state: "complete", preview: 'message: {"n":1}' },
        { kind: "event", state: "growing", preview: "message: 2" },
      ],
    );
    const decoded = await ask("message/decode", { id: row.id, index: 0 });
    assert.ok(decoded?.view === "json");
    assert.deepEqual(decoded.json, { n: 1 });
    await ask("exchange/unwatch", { id: row.id });
  });

  async function openRows(): Promise<readonly Row[]> {
    await ask("view/open", { view: "rows", filter: "" });
    return (await ask("view/rows", { view: "rows", position: 0, count: 500 })).rows;
  }

  it("pauses, and says so", async () => {
    const change = told("capture/changed", ({ capturing }) => !capturing);
    await ask("capture/pause", { paused: true });
    await change;
    finish(get());
    assert.equal((await ask("capture/state", null)).exchanges, 0);
    await ask("capture/pause", { paused: false });
  });

  it("searches types, and reports the schema", async () => {
    assert.deepEqual(await ask("schema/types", { query: "rpc.retry" }), ["google.rpc.RetryInfo"]);
    const change = told("schema/changed", ({ state }) => state === "ready");
    await ask("schema/reload", null);
    assert.equal((await change).files, 0);
    assert.equal((await ask("schema/status", null)).state, "ready");
  });

  it("exports what ended, masked, as lines and as an archive", async () => {
    finish(get({ authorization: "Bearer abcdef", ":path": "/a?token=abcdef&q=1" }));
    const lines = await ask("capture/export", { format: "jsonl", showSecrets: false });
    assert.ok(!lines.text.includes("abcdef"));
    const record = JSON.parse(lines.text) as ExchangeRecord;
    assert.deepEqual(
      [record.type, record.status, record.path, record.messages[0]?.value],
      ["exchange", 200, "/a?token=••••••&q=1", { ok: true }],
    );
    const har = await ask("capture/export", { format: "har", showSecrets: false });
    assert.ok(!har.text.includes("abcdef"));
    const entry = (
      JSON.parse(har.text) as {
        log: { entries: { request: { url: string }; response: { status: number; content: { text: string } } }[] };
      }
    ).log.entries[0];
    assert.equal(entry?.request.url, "https://web.example/a?token=••••••&q=1");
    assert.deepEqual([entry.response.status, entry.response.content.text], [200, '{"ok":true}']);
    const open = await ask("capture/export", { format: "har", showSecrets: true });
    assert.ok(open.text.includes("abcdef"));
  });

  it("exports WebSocket messages as Chrome does", async () => {
    const tap = capture.tap.opened(
      SHARE,
      fields({ ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":authority": "a", ":path": "/ws" }),
      false,
    );
    tap.headReceived(fields({ ":status": "200" }), false);
    tap.dataReceived("visitor", Buffer.from("818537fa213d7f9f4d5158", "hex"), false);
    tap.dataReceived("service", Buffer.from("8202ff0088021388", "hex"), false);
    tap.ended();
    const { text } = await ask("capture/export", { format: "har", showSecrets: false });
    const entry = (
      JSON.parse(text) as {
        log: {
          entries: { request: { url: string }; _webSocketMessages: { type: string; opcode: number; data: string }[] }[];
        };
      }
    ).log.entries[0];
    assert.equal(entry?.request.url, "ws://a/ws");
    assert.deepEqual(
      entry._webSocketMessages.map(({ type, opcode, data }) => ({ type, opcode, data })),
      [
        { type: "send", opcode: 1, data: "Hello" },
        { type: "receive", opcode: 2, data: "/wA=" },
        { type: "receive", opcode: 8, data: '{"code":5000,"reason":""}' },
      ],
    );
  });

  it("copies as curl so that a shell runs nothing else", async () => {
    const evil = "x'; touch /tmp/owned; echo '$(id)`id`\r\nrm -rf\u001b[201~";
    const tap = capture.tap.opened(
      SHARE,
      fields({
        ":method": "POST",
        ":scheme": "http",
        ":authority": "a",
        ":path": `/p?x=${evil}`,
        "content-type": "text/plain",
        "x-evil": evil,
        authorization: "Bearer abcdef",
      }),
      false,
    );
    tap.dataReceived("visitor", Buffer.from(evil), true);
    tap.headReceived(fields({ ":status": "200" }), true);
    tap.ended();
    const [row] = await openRows();
    const copied = await ask("exchange/copyAs", { id: row?.id ?? 0, format: "curl", showSecrets: false });
    assert.ok(copied !== null);
    assert.ok(!copied.text.includes("abcdef"));
    // What a real shell makes of it: every word is data, and the body arrives as it was.
    const script = `curl() { for word in "$@"; do printf '%s\\n' "$word"; done; printf 'BODY:'; base64; }\n${copied.text}\n`;
    const { stdout } = await promisify(execFile)("sh", ["-c", script]);
    // eslint-disable-next-line no-control-regex
    const stripped = evil.replace(/[\r\n\u001b]/g, "");
    assert.ok(stdout.includes(`http://a/p?x=${stripped}\n`), stdout);
    assert.ok(stdout.includes(`x-evil: ${stripped}\n`));
    const body = Buffer.from(stdout.split("BODY:")[1] ?? "", "base64").toString();
    assert.equal(body, evil);
  });

  it("copies a plain request as one would type it", async () => {
    const tap = capture.tap.opened(
      SHARE,
      fields({
        ":method": "PUT",
        ":scheme": "https",
        ":authority": "a",
        ":path": "/p",
        "content-type": "application/json",
      }),
      false,
    );
    tap.dataReceived("visitor", Buffer.from('{"it\'s":1}'), true);
    const [row] = await openRows();
    const copied = await ask("exchange/copyAs", { id: row?.id ?? 0, format: "curl", showSecrets: false });
    assert.equal(
      copied?.text,
      [
        "curl \\",
        "  --request 'PUT' 'https://a/p' \\",
        "  --header 'content-type: application/json' \\",
        `  --data-binary '{"it'\\''s":1}'`,
      ].join("\n"),
    );
    tap.ended();
  });

  it("copies a call as grpcurl", async () => {
    const tap = capture.tap.opened(
      SHARE,
      fields({
        ":method": "POST",
        ":scheme": "http",
        ":authority": "a:1",
        ":path": "/google.rpc.No/Call",
        "content-type": "application/grpc",
        te: "trailers",
        "x-meta": "v",
      }),
      false,
    );
    tap.dataReceived("visitor", Buffer.from("0000000000", "hex"), true);
    const [row] = await openRows();
    const copied = await ask("exchange/copyAs", { id: row?.id ?? 0, format: "grpcurl", showSecrets: false });
    assert.equal(
      copied?.text,
      ["grpcurl \\", "  -plaintext \\", "  -H 'x-meta: v' \\", "  -d '{}' 'a:1' 'google.rpc.No/Call'"].join("\n"),
    );
    tap.ended();
  });

  it("serves several lookers independently, and stops with each", async () => {
    const other = connected();
    const more = capture.serve(other.host);
    await other.page.sendRequest("view/open", { view: "v", filter: "state:failed" });
    const seen = once(onTold(other.page), "told");
    get().failed({ by: "service", code: "closed", message: "gone" });
    await seen;
    more.dispose();
    await assert.rejects(
      other.page.sendRequest("capture/state", null),
      (error) => error instanceof ResponseError && error.code === ErrorCodes.MethodNotFound,
    );
    assert.equal((await ask("capture/state", null)).exchanges, 1);
    other.page.dispose();
    other.host.dispose();
  });

  function onTold(connection: MessageConnection): PassThrough {
    const emitter = new PassThrough();
    connection.onNotification("view/changed", () => void emitter.emit("told"));
    return emitter;
  }
});
