import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Message, MessageConnection } from "vscode-jsonrpc";
import { InspectorSession, WatchCounter, type HostHandlers } from "./inspector-session.ts";
import { FakeChild } from "./testing/fake-child.ts";

interface Posted extends Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

/** A page, played here. */
class Page {
  readonly posted: Posted[] = [];
  readonly session: InspectorSession;
  ready = 0;
  #waiting: { until: (message: Posted) => boolean; resolve: (message: Posted) => void }[] = [];
  #id = 0;

  constructor(agent: MessageConnection, watches: WatchCounter, handlers: Partial<HostHandlers> = {}) {
    const post = (message: Message): void => {
      const posted = message as Posted;
      this.posted.push(posted);
      this.#waiting = this.#waiting.filter(({ until, resolve }) => {
        if (!until(posted)) return true;
        resolve(posted);
        return false;
      });
    };
    const options = {
      post,
      agent: () => Promise.resolve(agent),
      handlers: handlers as HostHandlers,
      onReady: () => this.ready++,
    };
    this.session = new InspectorSession(options, watches);
  }

  request(method: string, params: unknown): Promise<Posted> {
    const id = ++this.#id;
    const answer = new Promise<Posted>((resolve) =>
      this.#waiting.push({ until: (message) => message.id === id && message.method === undefined, resolve }),
    );
    this.session.receive({ jsonrpc: "2.0", id, method, params });
    return answer;
  }

  notified(method: string): unknown[] {
    return this.posted.filter((message) => message.method === method).map(({ params }) => params);
  }
}

function startAgent(): { agent: FakeChild; asked: [string, unknown][] } {
  const asked: [string, unknown][] = [];
  const agent = new FakeChild(1, (inside) => {
    inside.onRequest((method, params) => {
      asked.push([method, params]);
      return { method };
    });
  });
  return { agent, asked };
}

describe("an inspector session", () => {
  test("passes on the requests of the inspector protocol, and no other", async () => {
    const { agent, asked } = startAgent();
    const page = new Page(agent.connection, new WatchCounter());
    assert.deepEqual((await page.request("capture/state", null)).result, { method: "capture/state" });
    for (const method of ["agent/share", "agent/shutdown", "agent/configure", "relay/start", "constructor", "toString"])
      assert.equal((await page.request(method, { port: 1 })).error?.code, -32601, method);
    assert.deepEqual(
      asked.map(([method]) => method),
      ["capture/state"],
    );
    agent.kill();
  });

  test("ignores what is no JSON-RPC message", async () => {
    const { agent, asked } = startAgent();
    const page = new Page(agent.connection, new WatchCounter());
    for (const message of [
      undefined,
      null,
      1,
      "text",
      [],
      {},
      { jsonrpc: "2.0" },
      { jsonrpc: "1.0", method: "capture/state" },
    ])
      page.session.receive(message);
    await page.request("capture/state", null);
    assert.equal(asked.length, 1);
    agent.kill();
  });

  test("answers what only the host can do itself", async () => {
    const { agent, asked } = startAgent();
    const copied: unknown[] = [];
    const page = new Page(agent.connection, new WatchCounter(), {
      "host/copy": (params) => {
        copied.push(params);
        return Promise.resolve(null);
      },
      "host/openSource": () => Promise.reject(new Error("a.proto is not in this workspace any more.")),
    });
    assert.equal((await page.request("host/copy", { text: "x" })).result, null);
    assert.deepEqual(copied, [{ text: "x" }]);
    const refused = await page.request("host/openSource", { file: "a.proto", line: 1 });
    assert.match(refused.error?.message ?? "", /not in this workspace/);
    assert.deepEqual(asked, []);
    agent.kill();
  });

  test("keeps the views of two pages apart", async () => {
    const { agent, asked } = startAgent();
    const watches = new WatchCounter();
    const pages = [new Page(agent.connection, watches), new Page(agent.connection, watches)] as const;
    for (const page of pages) await page.request("view/open", { view: "main", filter: "" });
    const [first, second] = asked.map(([, params]) => (params as { view: string }).view);
    assert.notEqual(first, second);
    for (const { session } of pages) session.fromAgent("view/changed", { view: first, changed: [] });
    assert.deepEqual(pages[0].notified("view/changed"), [{ view: "main", changed: [] }]);
    assert.deepEqual(pages[1].notified("view/changed"), []);
    agent.kill();
  });

  test("refuses a view without a usable name", async () => {
    const { agent } = startAgent();
    const page = new Page(agent.connection, new WatchCounter());
    for (const view of ["", 5, "x".repeat(65)])
      assert.equal((await page.request("view/open", { view, filter: "" })).error?.code, -32602);
    agent.kill();
  });

  test("lets an exchange be watched until the last page let go of it", async () => {
    const { agent, asked } = startAgent();
    const watches = new WatchCounter();
    const [one, two] = [new Page(agent.connection, watches), new Page(agent.connection, watches)];
    await one.request("exchange/detail", { id: 7, watch: true });
    await two.request("exchange/detail", { id: 7, watch: true });
    await one.request("exchange/unwatch", { id: 7 });
    assert.deepEqual(asked.at(-1), ["exchange/unwatch", { id: 0 }]);
    one.session.fromAgent("exchange/changed", { id: 7 });
    two.session.fromAgent("exchange/changed", { id: 7 });
    assert.deepEqual([one.notified("exchange/changed").length, two.notified("exchange/changed").length], [0, 1]);
    await two.request("exchange/unwatch", { id: 7 });
    assert.deepEqual(asked.at(-1), ["exchange/unwatch", { id: 7 }]);
    agent.kill();
  });

  test("closes its views and watches with the page", async () => {
    const { agent, asked } = startAgent();
    const page = new Page(agent.connection, new WatchCounter());
    await page.request("view/open", { view: "main", filter: "" });
    await page.request("exchange/detail", { id: 3, watch: true });
    page.session.dispose();
    // The requests of `dispose` go before this one.
    await agent.connection.sendRequest("last");
    assert.deepEqual(
      asked.slice(2).map(([method]) => method),
      ["view/close", "exchange/unwatch", "last"],
    );
    agent.kill();
  });

  test("is disposed also when the agent is gone, and says nothing after that", async () => {
    const { agent } = startAgent();
    const page = new Page(agent.connection, new WatchCounter());
    await page.request("view/open", { view: "main", filter: "" });
    agent.kill();
    page.session.dispose();
    const before = page.posted.length;
    page.session.notify("host/reveal", { filter: "x" });
    page.session.fromAgent("capture/changed", {});
    assert.equal(page.posted.length, before);
  });

  test("knows when the page is ready", async () => {
    const { agent } = startAgent();
    const page = new Page(agent.connection, new WatchCounter(), {
      "host/state": () => Promise.resolve({ host: "vscode", placement: "panel", agent: "running", shares: [] }),
    });
    assert.equal(page.ready, 0);
    await page.request("host/state", [null]);
    assert.equal(page.ready, 1);
    agent.kill();
  });
});
