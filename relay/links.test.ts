import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { FakeAgent, until } from "../test/support/fake-agent.ts";
import { get, relayFor } from "../test/support/local-relay.ts";
import type { RelayOptions } from "./options.ts";

const INSTANCE = "instance-of-the-agent-1";

/** A relay with the share `demo`, and `count` links of one agent to it. */
async function linked(t: TestContext, count: number, options: Partial<RelayOptions> = {}) {
  const { relay, mainPort } = await relayFor(t, options);
  const links: FakeAgent[] = [];
  let secret: string | undefined;
  const join = async (instance = INSTANCE): Promise<FakeAgent> => {
    const share = { id: "s1", kind: "http", port: 3000, name: "demo" } as const;
    const shares = [{ ...share, ...(secret === undefined ? {} : { secret }) }];
    const { agent, grants } = await FakeAgent.online(relay.tunnelUrl, shares, { instance });
    t.after(() => agent.cut("fin"));
    assert.equal(grants[0]?.name, "demo");
    secret = grants[0].secret;
    links.push(agent);
    return agent;
  };
  for (let index = 0; index < count; index++) await join();
  const ask = (name = "demo") => get(mainPort, "/", { host: `${name}.localhost` });
  const counts = (): number[] => links.map(({ exchanges }) => exchanges.length);
  return { relay, links, join, ask, counts, secret: () => secret ?? "" };
}

test("exchanges go through the links in turn, and past one that is busy", async (t) => {
  const { links, ask, counts } = await linked(t, 3);
  for (let index = 0; index < 9; index++) assert.equal((await ask()).status, 200);
  assert.deepEqual(counts(), [3, 3, 3]);
  const [busy] = links;
  assert.ok(busy !== undefined);
  // It answers nothing any more, as a link that is dead without our knowing.
  busy.handler = () => undefined;
  const answers = Array.from({ length: 12 }, () => ask());
  await until(() => links.reduce((sum, { exchanges }) => sum + exchanges.length, 0) === 21, "all on their way");
  assert.ok(busy.exchanges.length - 3 <= 4, "no more than its part");
  const stuck = busy.exchanges.length;
  for (let index = 0; index < 6; index++) assert.equal((await ask()).status, 200);
  assert.equal(busy.exchanges.length, stuck, "who already carries some gets none");
  for (const exchange of busy.exchanges.slice(3)) exchange.respond(200, "late");
  assert.ok((await Promise.all(answers)).every(({ status }) => status === 200));
});

test("one link is lost or drains: its own exchanges end, those of the other and all new ones go on", async (t) => {
  for (const how of ["cut", "drain"] as const) {
    const { links, ask } = await linked(t, 2);
    const [one, two] = links;
    assert.ok(one !== undefined && two !== undefined);
    for (const link of links)
      link.handler = (exchange) => exchange.stream.sendHead([{ name: ":status", value: "200" }], false);
    const open = [ask(), ask()];
    const outcomes = Promise.allSettled(open);
    await until(() => one.exchanges.length === 1 && two.exchanges.length === 1, "one on each");
    for (const link of links) link.handler = (exchange) => exchange.respond(200, "new");
    if (how === "cut") one.cut("rst");
    else one.send({ type: "draining" });
    const before = two.exchanges.length;
    await until(
      async () => ((await ask()).body === "new" ? two.exchanges.length - before >= 3 : undefined),
      "new ones",
    );
    two.exchanges[0]?.stream.sendData(Buffer.from("ended"), true);
    if (how === "drain") one.exchanges[0]?.stream.sendData(Buffer.from("ended"), true);
    const ended = (await outcomes).map((outcome) => (outcome.status === "fulfilled" ? outcome.value.body : "cut"));
    assert.deepEqual(ended.sort(), how === "cut" ? ["cut", "ended"] : ["ended", "ended"]);
    two.cut("fin");
    await until(async () => (await ask()).status === 503, "offline");
  }
});

test("unshare on one link ends the share on all; another instance takes the name from all", async (t) => {
  const { links, join, ask } = await linked(t, 2);
  links[1]?.send({ type: "unshare", id: "s1" });
  for (const link of links) assert.equal((await link.message("unshared")).id, "s1");
  assert.equal((await ask()).status, 404);
  const [back, again] = [await join(), await join()];
  assert.equal((await ask()).status, 200);
  const other = await join("instance-of-another-agent");
  for (const link of [back, again]) assert.equal((await link.message("unshared")).id, "s1");
  for (let index = 0; index < 4; index++) assert.equal((await ask()).status, 200);
  assert.equal(other.exchanges.length, 4);
});

test("a link that asks for what cannot be is refused alone", async (t) => {
  const { relay, ask, secret } = await linked(t, 1);
  const wrong = { id: "s1", kind: "http", port: 3000, name: "demo", secret: secret(), reach: "lan" } as const;
  const { agent } = await FakeAgent.online(relay.tunnelUrl, [wrong], { instance: INSTANCE });
  assert.equal((await agent.message("refused")).code, "unsupported");
  for (let index = 0; index < 4; index++) assert.equal((await ask()).status, 200);
  assert.equal(agent.exchanges.length, 0);
});

test("requests wait for a share whose last link was lost, and for any just after the start", async (t) => {
  // Longer than the test, so that only a link ends the wait.
  const { links, join, ask } = await linked(t, 0, { returnMs: 60_000 });
  const early = [ask(), ask()];
  await join();
  assert.deepEqual(
    (await Promise.all(early)).map(({ status }) => status),
    [200, 200],
  );
  await join();
  for (const link of links) link.cut("rst");
  await until(() => links.every(({ over }) => over), "the loss");
  const lost = Array.from({ length: 20 }, () => ask());
  const back = await join();
  assert.ok((await Promise.all(lost)).every(({ status }) => status === 200));
  // In order: nobody is waited for.
  back.send({ type: "draining" });
  assert.equal(
    (
      await until(async () => {
        const answer = await ask();
        return answer.status === 200 ? undefined : answer;
      }, "offline")
    ).status,
    503,
  );
  await join();
  links.at(-1)?.send({ type: "unshare", id: "s1" });
  await links.at(-1)?.message("unshared");
  assert.equal((await ask()).status, 404);
});

test("who waits in vain gets what he would have got at once", async (t) => {
  const { links, ask } = await linked(t, 1, { returnMs: 1_500 });
  const unknown = ask("nobody");
  links[0]?.cut("fin");
  await until(() => links[0]?.over, "the loss");
  const answer = await ask();
  assert.equal(answer.status, 503);
  assert.ok(Number(answer.headers["retry-after"]) > 0);
  assert.equal((await unknown).status, 404);
  assert.equal((await ask()).status, 503);
  assert.equal((await ask("nobody")).status, 404);
});
