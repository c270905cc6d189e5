import assert from "node:assert/strict";
import { test } from "node:test";
import { networkOf } from "./addresses.ts";
import { Guesses } from "./guesses.ts";
import type { GuessLimits } from "./guesses.ts";

const HERE = "192.0.2.1";
const THERE = "192.0.2.2";

function counting(limits: Partial<GuessLimits> = {}) {
  const clock = { now: 0 };
  const guesses = new Guesses(() => clock.now, { limit: 3, windowMs: 1000, ...limits });
  /** Wrong guesses as a relay meets them: what is not allowed is not looked at. */
  const guess = (address: string, ...names: string[]): string =>
    names
      .map((name) => {
        if (!guesses.allows(address, name)) return "refused";
        guesses.wrong(address, name);
        return "wrong";
      })
      .join(" ");
  return { clock, guesses, guess };
}

test("after the limit nothing is looked at, for the window that begins with the last one; other networks do not notice", () => {
  const { clock, guess } = counting();
  assert.equal(guess(HERE, "a", "b"), "wrong wrong");
  clock.now = 900;
  assert.equal(guess(HERE, "c", "d", "e"), "wrong refused refused");
  assert.equal(guess(THERE, "d"), "wrong");
  clock.now = 1899;
  assert.equal(guess(HERE, "d"), "refused");
  clock.now = 1900;
  assert.equal(guess(HERE, "d", "e", "f", "g"), "wrong wrong wrong refused");
});

test("few in each window are never refused", () => {
  const { clock, guess } = counting();
  for (let round = 0; round < 10; round++) {
    assert.equal(guess(HERE, `a${round}`, `b${round}`), "wrong wrong");
    clock.now += 1000;
  }
});

test("the same again is no new guess", () => {
  const { guess } = counting();
  for (let round = 0; round < 100; round++) assert.equal(guess(HERE, "gone", "old"), "wrong wrong");
  assert.equal(guess(HERE, "x", "y"), "wrong refused");
});

test("what an address has used rightly goes on, and its end is no guess either", () => {
  const { guesses, guess } = counting();
  guesses.right(HERE, "mine");
  assert.equal(guess(HERE, "a", "b", "c", "d"), "wrong wrong wrong refused");
  assert.ok(guesses.allows(HERE, "mine"));
  assert.ok(!guesses.allows(HERE, "yours"));
  assert.equal(guess(THERE, "mine", "b"), "wrong wrong");
  for (let round = 0; round < 9; round++) guesses.wrong(HERE, "mine");
  assert.ok(guesses.allows(HERE, "mine"));
});

test("exempt addresses are not counted", () => {
  const { guesses, guess } = counting({ exempt: (address) => address === HERE });
  assert.equal(guess(HERE, "a", "b", "c", "d", "e"), "wrong wrong wrong wrong wrong");
  assert.equal(guesses.size, 0);
});

test("memory is bounded: the network that began longest ago is forgotten, as is what was used longest ago", () => {
  const { clock, guesses, guess } = counting({ maxAddresses: 10, maxKnown: 2, limit: 1 });
  for (let index = 0; index < 1000; index++) guess(`10.0.${index >> 8}.${index & 255}`, "a");
  assert.equal(guesses.size, 10);
  guesses.right("10.0.3.231", "first");
  guesses.right("10.0.3.231", "second");
  guesses.right("10.0.3.231", "first");
  guesses.right("10.0.3.231", "third");
  const known = ["first", "second", "third"].filter((name) => guesses.allows("10.0.3.231", name));
  assert.deepEqual(known, ["first", "third"]);
  clock.now = 1000;
  guesses.sweep();
  assert.equal(guesses.size, 0);
});

test("a network is an IPv4 address or the /64 of an IPv6 address", () => {
  const same: readonly (readonly [string, string])[] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:1:2::6", "2001:db8:1:2::/64"],
    ["2001:0db8:0001:0002::", "2001:db8:1:2::/64"],
    ["2001:db8::5:6", "2001:db8:0:0::/64"],
    ["2001:db8::1:2:3:4:5", "2001:db8:0:1::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["unknown", "unknown"],
  ];
  for (const [address, network] of same) assert.equal(networkOf(address), network, address);
});
