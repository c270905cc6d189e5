/** One of two links goes dead without a word: who notices, when, and who does not notice at all. */
import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { startCuttable } from "../support/cuttable.ts";
import type { Cuttable } from "../support/cuttable.ts";
import { startPath } from "../support/path.ts";
import type { Path } from "../support/path.ts";
import { answerTo, startVisitors } from "../support/returning-visitors.ts";
import { until } from "../support/time.ts";

/** What `tunnel/keepalive.ts` promises: ten seconds of silence, and five for the answer. */
const NOTICED_MS = 15_000;

let path: Path;
let tunnel: Cuttable;
let service: http.Server;

before(async () => {
  service = http.createServer((request, response) => response.end(answerTo(request.url ?? "")));
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  path = await startPath({ capture: false });
  tunnel = await startCuttable(Number(new URL(path.relay.tunnelUrl).port));
});

after(async () => {
  await path.close();
  await tunnel.close();
  service.closeAllConnections();
  await new Promise((resolve) => service.close(resolve));
});

test("noticed within 15 s, dialled again at once; the other link serves, and nobody else notices", async (t) => {
  const relay = { url: `tcp://127.0.0.1:${tunnel.port}`, links: 2 };
  const { address } = await path.share((service.address() as AddressInfo).port, { relay });
  await until(8_000, "both links", () => tunnel.open === 2 && path.agent.shares[0]?.rttMs !== undefined);
  const states = new Set<string>();
  path.agent.onChange(() => path.agent.shares.forEach(({ state }) => states.add(state)));
  const visitors = startVisitors({ address, host: address, http1: 6, http2: 6 });
  t.after(() => visitors.stop());
  await visitors.reached(500);
  const from = performance.now();
  tunnel.swallowOldest();
  // Those that went into the dead link wait; the others find the good one, since it carries fewer.
  await until(NOTICED_MS, "answers meanwhile", () => visitors.answered >= 1_500);
  assert.deepEqual(visitors.failures, []);
  await until(NOTICED_MS + 1_000, "the next link", () => tunnel.accepted === 3);
  const noticed = performance.now() - from;
  // The agent's end; the relay's has its own clock.
  await until(NOTICED_MS + 1_000 - noticed, "the relay's word to who waited", () => visitors.failures.length > 0);
  const told = performance.now() - from;
  const stuck = visitors.failures.length;
  t.diagnostic(`dialled again after ${Math.round(noticed)} ms, ${stuck} visitors told after ${Math.round(told)} ms`);
  assert.ok(noticed <= NOTICED_MS + 250, "the first wait is 250 ms at most");
  assert.ok(told <= NOTICED_MS, "the bound of the relay");
  assert.ok(stuck <= 12, "each visitor can wait for one answer only");
  await visitors.reached(visitors.answered + 1_000);
  await visitors.stop();
  assert.equal(visitors.failures.length, stuck, "and none after that");
  assert.deepEqual([...states], ["online"]);
});
