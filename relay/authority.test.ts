import assert from "node:assert/strict";
import { test } from "node:test";
import { lanAddress } from "./addresses.ts";
import { labelBelow, parseAuthority } from "./authority.ts";

test("one canonical form, or none", () => {
  const good: [string, string, number | undefined][] = [
    ["Demo.Example.COM", "demo.example.com", undefined],
    ["demo.example.com.", "demo.example.com", undefined],
    ["demo.example.com.:8080", "demo.example.com", 8080],
    ["a:1", "a", 1],
    ["127.0.0.1:80", "127.0.0.1", 80],
    ["[::1]:80", "[::1]", 80],
    ["[FE80::1]", "[fe80::1]", undefined],
    ["my_machine:1", "my_machine", 1],
  ];
  for (const [text, host, port] of good) assert.deepEqual(parseAuthority(text), { host, port }, text);
  const bad = [
    "",
    ".",
    "..",
    "a..b",
    ".a",
    "a..",
    "u@a.b",
    "u:p@a",
    "a b",
    "a\0.b",
    "a\u3002b",
    "a/b",
    "a:",
    "a:x",
    "a:65536",
    "a:1:2",
    "::1",
    "[::1",
    "a\r\n",
    "-a",
    "a#b",
    "a?b",
    "x".repeat(300),
  ];
  for (const text of bad) assert.equal(parseAuthority(text), undefined, JSON.stringify(text));
});

test("exactly one level below the domain", () => {
  const cases: [string, string | undefined][] = [
    ["demo.localhost", "demo"],
    ["localhost", undefined],
    [".localhost", undefined],
    ["a.demo.localhost", undefined],
    ["demolocalhost", undefined],
    ["demo.localhost.evil", undefined],
  ];
  for (const [host, label] of cases) assert.equal(labelBelow(host, "localhost"), label, host);
});

test("the address that other machines of the network most likely reach", () => {
  const address = (text: string, internal = false) => [
    { address: text, family: "IPv4" as const, internal, netmask: "", mac: "", cidr: null },
  ];
  assert.equal(lanAddress({ lo: address("127.0.0.1", true) }), undefined);
  assert.equal(lanAddress({ docker0: address("172.17.0.1"), eth0: address("10.0.0.5") }), "10.0.0.5");
  assert.equal(lanAddress({ eth0: address("10.0.0.5"), wlan0: address("192.168.1.5") }), "192.168.1.5");
  assert.equal(lanAddress({ eth0: address("169.254.1.1") }), undefined);
  assert.equal(lanAddress({ docker0: address("172.17.0.1") }), "172.17.0.1");
});
