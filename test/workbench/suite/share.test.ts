import assert from "node:assert/strict";
import { commands } from "vscode";
import { isGone, visit } from "../visit.ts";
import { share, startService, type Service } from "./support.ts";

describe("sharing", () => {
  let service: Service;

  before(async () => {
    service = await startService("hello from the service");
  });
  after(async () => {
    await commands.executeCommand("portlight.stopAll");
    await service.close();
  });

  it("gives a URL that reaches the service, and ends with Stop Sharing", async () => {
    const shared = await share(service.port);
    assert.match(shared.url, /^http:\/\/127\.0\.0\.1:\d+\/?$/);
    assert.notEqual(new URL(shared.url).port, String(service.port));
    assert.deepEqual(await visit(new URL("/some/path?x=1", shared.url).href), {
      status: 200,
      text: "hello from the service",
    });
    assert.ok(service.seen.includes("/some/path?x=1"));
    await commands.executeCommand("portlight.stopSharing", service.port);
    assert.equal(await isGone(shared.url), true);
  });

  it("takes a row of the Ports view as its argument", async () => {
    const row = {
      tunnelType: "Forwarded",
      remoteHost: "127.0.0.1",
      remotePort: service.port,
      source: { source: 1, description: "Auto Forwarded" },
      hasRunningProcess: true,
      protocol: "http",
      closeable: true,
      localAddress: "http://127.0.0.1:1/",
      _privacy: "private",
    };
    const shared = await share(row);
    assert.equal(shared.port, service.port);
    assert.equal((await visit(shared.url)).status, 200);
  });

  it("gives the same URL when the port is shared already", async () => {
    const first = await share(service.port);
    const second = await share({ port: service.port });
    assert.deepEqual(second, first);
  });

  it("gives the same URL when the port is shared again later", async () => {
    const first = await share(service.port);
    await commands.executeCommand("portlight.stopSharing", service.port);
    const second = await share(service.port);
    assert.equal(second.url, first.url);
    assert.equal(second.name, first.name);
  });

  it("answers for a service that is not there", async () => {
    const gone = await startService("");
    await gone.close();
    const shared = await share(gone.port);
    const { status, text } = await visit(shared.url);
    assert.equal(status, 502);
    assert.match(text, new RegExp(String(gone.port)));
    await commands.executeCommand("portlight.stopSharing", gone.port);
  });

  it("carries any TCP protocol", async () => {
    const shared = await share({ port: service.port, kind: "tcp" }).catch((error: unknown) => error);
    // The port is shared by HTTP: replacing it asks first, and dialogs are refused in tests.
    assert.ok(shared instanceof Error);
    await commands.executeCommand("portlight.stopSharing", service.port);
    const tcp = await share({ port: service.port, kind: "tcp" });
    assert.match(tcp.url, /^tcp:\/\//);
    const { text } = await visit(`http://${new URL(tcp.url).host}/raw`);
    assert.equal(text, "hello from the service");
  });
});
