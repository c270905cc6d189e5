import assert from "node:assert/strict";
import { test } from "node:test";
import {
  leavesMachine,
  nameProblem,
  parsePort,
  parseRelayUrl,
  portOfArgument,
  type ShareRequest,
} from "./share-request.ts";

test("a port is a whole number from 1 to 65535", () => {
  const table: readonly [string, number | undefined][] = [
    ["1", 1],
    [" 8080 ", 8080],
    ["65535", 65535],
    ["65536", undefined],
    ["0", undefined],
    ["-1", undefined],
    ["80.5", undefined],
    ["1e3", undefined],
    ["0x50", undefined],
    ["", undefined],
    ["８０", undefined],
  ];
  for (const [text, port] of table) {
    const parsed = parsePort(text);
    assert.equal(typeof parsed === "number" ? parsed : undefined, port, JSON.stringify(text));
  }
});

test("the URL of a relay is that of the README, and goes unencrypted only to this machine", () => {
  const good: readonly [string, string][] = [
    ["https://relay.example.com", "tls://relay.example.com:4443"],
    ["https://relay.example.com/", "tls://relay.example.com:4443"],
    ["https://relay.example.com:443", "tls://relay.example.com:443"],
    ["https://[2001:db8::1]:9", "tls://[2001:db8::1]:9"],
    ["tls://relay.example.com", "tls://relay.example.com:4443"],
    ["tls://relay.example.com:4443", "tls://relay.example.com:4443"],
    ["tls://10.0.0.7:1", "tls://10.0.0.7:1"],
    ["tcp://127.0.0.1:41001", "tcp://127.0.0.1:41001"],
    ["tcp://[::1]:4000", "tcp://[::1]:4000"],
    ["tcp://localhost:1", "tcp://localhost:1"],
  ];
  const bad: readonly [string, RegExp][] = [
    ["relay.example.com", /is no URL/],
    ["http://relay.example.com", /is no URL of a relay/],
    ["https://", /is no URL/],
    ["tls://relay.example.com:99999", /is no URL/],
    ["https://relay.example.com/path", /more than a host and a port/],
    ["tls://user:pass@relay.example.com:1", /no user name or password/],
    ["tcp://relay.example.com:4443", /unencrypted/],
    ["tcp://127.0.0.1.example.com:4443", /unencrypted/],
    ["tcp://10.0.0.1:4443", /unencrypted/],
  ];
  for (const [text, url] of good) assert.deepEqual(parseRelayUrl(text), { url });
  for (const [text, expected] of bad) {
    const parsed = parseRelayUrl(text);
    assert.match("problem" in parsed ? parsed.problem : "", expected, text);
  }
});

test("a name is a DNS label or nothing", () => {
  for (const name of ["", "a", "quiet-otter", "a1", "x".repeat(63)]) assert.equal(nameProblem(name), undefined, name);
  for (const name of ["-a", "a-", "A", "a.b", "a b", "ä", "x".repeat(64)])
    assert.notEqual(nameProblem(name), undefined, name);
});

test("a command takes the port from whatever it is given", () => {
  const table: readonly [unknown, number | undefined][] = [
    [3000, 3000],
    [{ port: 3000 }, 3000],
    [{ tunnelType: "Forwarded", remoteHost: "localhost", remotePort: 3000, localPort: 9, source: { source: 1 } }, 3000],
    [{ request: { port: 3000 }, info: { port: 3000 } }, 3000],
    [undefined, undefined],
    [null, undefined],
    ["3000", undefined],
    [{}, undefined],
    [{ remotePort: "3000" }, undefined],
    [{ port: 0 }, undefined],
    [{ port: 70_000 }, undefined],
    [{ port: 1.5 }, undefined],
    [Number.NaN, undefined],
    [[3000], undefined],
  ];
  for (const [argument, port] of table) assert.equal(portOfArgument(argument), port, JSON.stringify(argument));
});

test("a share leaves the machine through a remote relay or into the local network", () => {
  const local: ShareRequest = { port: 1, kind: "http", reach: "loopback", keepHost: false, relay: { kind: "local" } };
  assert.equal(leavesMachine(local), false);
  assert.equal(leavesMachine({ ...local, reach: "lan" }), true);
  assert.equal(leavesMachine({ ...local, relay: { kind: "remote", url: "tcp://127.0.0.1:4000" } }), true);
});
