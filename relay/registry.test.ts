import assert from "node:assert/strict";
import { test } from "node:test";
import { RESERVATION_MS, Registry } from "./registry.ts";
import type { Holder } from "./registry.ts";
import { isSecret, nameProblem, randomName, randomSecret } from "./names.ts";

class TestHolder implements Holder {
  lost = 0;
  replaced(): void {
    this.lost++;
  }
}

function setUp(maxNames?: number) {
  let now = 1_000_000;
  const registry = new Registry<TestHolder>(() => now, maxNames);
  const claim = (name?: string, secret?: string, holder = new TestHolder()) => {
    const result = registry.claim({ kind: "http", name, secret, holder });
    if ("refused" in result) throw new Error(result.refused);
    return { ...result, holder };
  };
  return { registry, claim, pass: (ms: number) => (now += ms) };
}

test("a name belongs to its secret, connected or not, for thirty days", () => {
  const { registry, claim, pass } = setUp();
  const first = claim("mine");
  assert.equal(registry.find("mine")?.holder, first.holder);
  assert.throws(() => claim("mine"), /name-taken/);
  assert.throws(() => claim("mine", randomSecret()), /name-taken/);
  assert.ok(registry.release(first.record, first.generation, false));
  assert.equal(registry.find("mine")?.holder, undefined, "offline, but known");
  pass(RESERVATION_MS - 1);
  assert.throws(() => claim("mine"), /name-taken/);
  const back = claim("mine", first.secret);
  assert.equal(back.record, first.record);
  registry.release(back.record, back.generation, false);
  pass(RESERVATION_MS);
  assert.equal(registry.find("mine"), undefined);
  const stranger = claim("mine");
  assert.notEqual(stranger.secret, first.secret);
});

test("whoever was replaced can change nothing any more", () => {
  const { registry, claim } = setUp();
  const old = claim("mine");
  const newer = claim("mine", old.secret);
  assert.equal(old.holder.lost, 1);
  assert.equal(registry.release(old.record, old.generation, true), false);
  assert.equal(registry.find("mine")?.holder, newer.holder);
  assert.ok(registry.release(newer.record, newer.generation, true));
  assert.equal(registry.release(newer.record, newer.generation, false), false, "once");
  assert.equal(registry.find("mine"), undefined, "stopped: unknown to visitors");
  assert.throws(() => claim("mine"), /name-taken/, "but not free");
  claim("mine", newer.secret);
  assert.ok(registry.find("mine"));
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
  registry.release(one.record, one.generation, false);
  assert.throws(() => claim("three"), /limit/);
  pass(RESERVATION_MS);
  claim("three");
  assert.equal(registry.size, 2);
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
