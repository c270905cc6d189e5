import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import type { IncomingMessage } from "node:http";
import type { TestContext } from "node:test";
import type { RelayOptions } from "../../relay/options.ts";
import { startRelay } from "../../relay/relay.ts";
import { silentLogger } from "../../wire/logger.ts";
import { FakeAgent } from "./fake-agent.ts";

export const LOCAL: RelayOptions = {
  mode: "local",
  listen: { host: "127.0.0.1", port: 0 },
  tunnelListen: { host: "127.0.0.1", port: 0 },
  domain: "localhost",
  allowLan: false,
  // Tests of what is refused need not wait for an agent that might come back.
  returnMs: 0,
  log: silentLogger,
};

export async function relayFor(t: TestContext, options: Partial<RelayOptions> = {}) {
  const relay = await startRelay({ ...LOCAL, ...options });
  t.after(() => relay.close(0));
  const mainPort = Number(new URL(relay.publicUrl).port);
  return { relay, mainPort };
}

/** A relay with one http share `demo` and an agent for it. */
export async function shared(t: TestContext, options: Partial<RelayOptions> = {}) {
  const { relay, mainPort } = await relayFor(t, options);
  const { agent, grants } = await FakeAgent.online(relay.tunnelUrl, [
    { id: "s1", kind: "http", port: 3000, name: "demo" },
  ]);
  const grant = grants[0];
  assert.ok(grant !== undefined);
  return { relay, mainPort, agent, grant, port: grant.publicPort ?? 0 };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export function get(
  port: number,
  path = "/",
  headers: Record<string, string> = {},
  method = "GET",
  body = "",
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}
