import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_LINKS } from "../tunnel/protocol.ts";
import { RESERVATION_MS, Registry } from "./registry.ts";
import type { Dismissal, Holder } from "./registry.ts";
import { isSecret, nameProblem, randomName, randomSecret } from "./names.ts";

class TestHolder implements Holder {
  readonly told: string[] = [];
  dismissed(why: Dismissal): void {
    this.told.push(why);
  }
}

function setUp(maxNames?: number) {
  let now = 1_000_000;
  const registry = new Registry<TestHolder>(() => now, maxNames);
  const claim = (name?: string, secret?: string, claimant?: string) => {
    const holder = new TestHolder();
    const result = registry.claim({ kind: "http", name, secret, claimant, holder });
    if ("refused" in result) throw new Error(result.refused);
    return { ...result, holder };
  };
  return { registry, claim, pass: (ms: number) => (now += ms) };
}

test("a name belongs to its secret, connected or not, for thirty days", () => {
  const { registry, claim, pass } = setUp();
  const first = claim("mine");
  assert.deepEqual(registry.find("mine")?.holders, [first.holder]);
  assert.throws(() => claim("mine"), /name-taken/);
  assert.throws(() => claim("mine", randomSecret()), /name-taken/);
  assert.ok(registry.release(first.record, first.holder));
  assert.deepEqual(registry.find("mine")?.holders, [], "offline, but known");
  pass(RESERVATION_MS - 1);
  assert.throws(() => claim("mine"), /name-taken/);
  const back = claim("mine", first.secret);
  assert.equal(back.record, first.record);
  registry.release(back.record, back.holder);
  pass(RESERVATION_MS);
  assert.equal(registry.find("mine"), undefined, "expired: unknown to visitors");
  assert.throws(() => claim("mine"), /name-taken/, "but nobody else's");
  assert.equal(claim("mine", first.secret).record, first.record);
});

test("whoever was replaced can change nothing any more", () => {
  const { registry, claim } = setUp();
  const old = claim("mine");
  const newer = claim("mine", old.secret);
  assert.deepEqual(old.holder.told, ["replaced"]);
  assert.equal(registry.stop(old.record, old.holder), false);
  assert.equal(registry.release(old.record, old.holder), false);
  assert.deepEqual(registry.find("mine")?.holders, [newer.holder]);
  assert.ok(registry.stop(newer.record, newer.holder));
  assert.equal(registry.release(newer.record, newer.holder), false, "once");
  assert.equal(registry.find("mine"), undefined, "stopped: unknown to visitors");
  assert.ok(registry.knows("mine"));
  assert.throws(() => claim("mine"), /name-taken/, "but not free");
  claim("mine", newer.secret);
  assert.ok(registry.find("mine"));
});

test("the same claimant adds links, and any other replaces them all", () => {
  const { registry, claim } = setUp();
  const first = claim("mine", undefined, "instance-a s1");
  const second = claim("mine", first.secret, "instance-a s1");
  assert.deepEqual(first.record.holders, [first.holder, second.holder]);
  assert.throws(() => claim("mine", randomSecret(), "instance-a s1"), /name-taken/, "an instance proves nothing");
  assert.equal(registry.release(first.record, first.holder), false, "one is left");
  assert.deepEqual(first.record.holders, [second.holder]);
  const other = claim("mine", first.secret, "instance-b s1");
  assert.deepEqual(second.holder.told, ["replaced"]);
  assert.deepEqual(first.record.holders, [other.holder]);
  const old = claim("mine", first.secret);
  const older = claim("mine", first.secret);
  assert.deepEqual(
    [other.holder.told, old.holder.told],
    [["replaced"], ["replaced"]],
    "without an instance: nobody is the same",
  );
  assert.deepEqual(first.record.holders, [older.holder]);
  assert.equal(registry.find("mine"), first.record);
});

test("of more than four links the oldest goes; one that ends the share ends it for all", () => {
  const { registry, claim } = setUp();
  const links = [claim("mine", undefined, "a")];
  for (let count = 2; count <= 6; count++) links.push(claim("mine", links[0]?.secret, "a"));
  assert.deepEqual(
    links.map(({ holder }) => holder.told),
    [["surplus"], ["surplus"], [], [], [], []],
  );
  const [, , third, , fifth] = links;
  assert.ok(third !== undefined && fifth !== undefined);
  assert.equal(third.record.holders.length, MAX_LINKS);
  assert.ok(registry.stop(third.record, fifth.holder));
  assert.deepEqual(
    links.slice(2).map(({ holder }) => holder.told),
    [["stopped"], ["stopped"], [], ["stopped"]],
  );
  assert.deepEqual(third.record.holders, []);
  assert.equal(registry.find("mine"), undefined);
});

test("a name the relay does not know is its bringer's, with his secret", () => {
  const { claim } = setUp();
  const secret = randomSecret();
  assert.equal(claim("after-restart", secret).secret, secret);
  assert.throws(() => claim("after-restart"), /name-taken/);
});

test("names are bounded, and expired ones make room", () => {
  const { registry, claim, pass } = setUp(2);
  const one = claim("one");
  claim("two");
  assert.throws(() => claim("three"), /limit/);
  registry.release(one.record, one.holder);
  assert.throws(() => claim("three"), /limit/);
  pass(RESERVATION_MS);
  assert.equal(registry.size, 2);
  claim("three");
  assert.equal(registry.size, 2);
  assert.throws(() => claim("one"), /limit/, "forgotten, and there is no room");
});

test("names and secrets", () => {
  for (const name of ["a", "a1", "my-app", "x".repeat(63), "123"]) assert.equal(nameProblem(name), undefined, name);
  for (const name of ["", "-a", "a-", "A", "a.b", "a_b", "x".repeat(64), "xn--a", "www", "relay", "a\n", "\u0430"]) {
    assert.ok(nameProblem(name), name);
  }
  const names = new Set(Array.from({ length: 1000 }, () => randomName()));
  assert.equal(names.size, 1000);
  for (const name of names) assert.equal(nameProblem(name), undefined, name);
  assert.ok(isSecret(randomSecret()));
  for (const secret of ["", "a".repeat(21), "a".repeat(129), `${"a".repeat(30)} `])
    assert.equal(isSecret(secret), false);
});
