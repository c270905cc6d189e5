import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommand, parseRelayUrl, UsageError } from "./arguments.ts";
import type { RelayCommand, ShareCommand } from "./arguments.ts";

const CWD = process.platform === "win32" ? "C:\\project" : "/project";

function share(...args: string[]): ShareCommand {
  const command = parseCommand(["share", ...args], CWD);
  assert.equal(command.kind, "share");
  return command;
}

function relay(...args: string[]): RelayCommand {
  const command = parseCommand(["relay", ...args], CWD);
  assert.equal(command.kind, "relay");
  return command;
}

test("share: what is said, and what holds when nothing is", () => {
  assert.deepEqual(share("50051"), {
    kind: "share",
    ports: [50051],
    lan: false,
    tcp: false,
    protoDirectories: [],
    keepHost: false,
    capture: true,
    json: false,
    showSecrets: false,
  });
  const all = share(
    "1",
    "65535",
    "--relay",
    "https://r.example",
    "--token-file",
    "t",
    "--links",
    "3",
    "--tcp",
    "--proto",
    "a",
    "--proto=b",
    "--keep-host",
    "--no-capture",
    "--json",
    "--show-secrets",
  );
  assert.equal(all.relay, "tls://r.example:4443");
  assert.match(all.tokenFile ?? "", /project.t$/);
  assert.equal(all.links, 3);
  assert.equal(all.protoDirectories.length, 2);
  assert.deepEqual([all.tcp, all.keepHost, all.capture, all.json, all.showSecrets], [true, true, false, true, true]);
});

test("share: --inspect with and without a port, before and after the ports", () => {
  assert.equal(share("--inspect", "8080").inspect, 0);
  assert.deepEqual(share("--inspect", "8080").ports, [8080]);
  assert.equal(share("8080", "--inspect=4000").inspect, 4000);
  assert.equal(share("8080").inspect, undefined);
});

test("relay URLs", () => {
  for (const [text, expected] of [
    ["https://relay.example.com", "tls://relay.example.com:4443"],
    ["https://relay.example.com/", "tls://relay.example.com:4443"],
    ["https://relay.example.com:443", "tls://relay.example.com:443"],
    ["tls://relay.example.com:443", "tls://relay.example.com:443"],
    ["tls://relay.example.com", "tls://relay.example.com:4443"],
    ["tcp://127.0.0.1:4001", "tcp://127.0.0.1:4001"],
    ["tcp://localhost:4001", "tcp://localhost:4001"],
    ["tcp://[::1]:4001", "tcp://[::1]:4001"],
  ] as const)
    assert.equal(parseRelayUrl(text), expected, text);
});

test("relay: addresses and defaults", () => {
  assert.deepEqual(relay().listen, { host: "127.0.0.1", port: 8480 });
  assert.deepEqual(relay().tunnelListen, { host: "127.0.0.1", port: 4443 });
  const open = relay("--domain", "Example.COM.", "--cert", "c", "--key", "k", "--tokens-file", "t");
  assert.deepEqual(
    [open.domain, open.listen, open.tunnelListen],
    ["example.com", { host: "0.0.0.0", port: 443 }, { host: "0.0.0.0", port: 4443 }],
  );
  assert.deepEqual(relay("--listen", "[::1]:0").listen, { host: "::1", port: 0 });
  assert.deepEqual(relay("--listen", ":80").listen, { host: "0.0.0.0", port: 80 });
  assert.deepEqual([relay().reusePort, relay("--reuse-port").reusePort], [false, true]);
  assert.deepEqual(relay("--listen", "81").listen, { host: "127.0.0.1", port: 81 });
});

test("help and version", () => {
  for (const [args, topic] of [
    [["--help"], "portlight"],
    [["help"], "portlight"],
    [["help", "share"], "share"],
    [["share", "--help"], "share"],
    [["share", "80", "-h"], "share"],
    [["relay", "-h"], "relay"],
  ] as const)
    assert.deepEqual(parseCommand(args, CWD), { kind: "help", topic });
  assert.deepEqual(parseCommand(["--version"], CWD), { kind: "version" });
});

test("wrong usage says what is wrong, and repeats no password", () => {
  for (const [args, message] of [
    [[], /What shall be done/],
    [["shrae", "80"], /no command "shrae"/],
    [["share"], /Which port/],
    [["share", "0"], /from 1 to 65535, not "0"/],
    [["share", "65536"], /not "65536"/],
    [["share", "8080x"], /not "8080x"/],
    [["share", "80", "80"], /given twice/],
    [["share", "80", "--fast"], /--fast/],
    [["share", "80", "81", "--name", "a"], /one port/],
    [["share", "80", "--name", "A b"], /lower-case/],
    [["share", "80", "--token-file", "t"], /--relay/],
    [["share", "80", "--links", "2"], /--relay/],
    [["share", "80", "--links", "5", "--relay", "https://r.example"], /1 to 4/],
    [["share", "80", "--lan", "--relay", "https://r.example"], /--lan/],
    [["share", "80", "--no-capture", "--inspect"], /--no-capture/],
    [["share", "80", "--inspect=http"], /--inspect/],
    [["share", "80", "--relay", "http://r.example"], /--relay takes/],
    [["share", "80", "--relay", "https://r.example/path"], /--relay takes/],
    [["share", "80", "--relay", "tcp://10.0.0.1:80"], /this machine only/],
    [["share", "80", "--relay", "https://user:hunter2@r.example"], /no credentials/],
    [["share", "80", "--relay", "ftp://user:hunter2@r.example"], /--relay takes/],
    [["relay", "extra"], /extra/],
    [["relay", "--cert", "c"], /belong together/],
    [["relay", "--listen", "a:b:c"], /--listen takes/],
    [["relay", "--domain", "a b"], /DNS name/],
    [["relay", "--tunnel-listen", ":4443"], /--cert/],
    [["relay", "--tunnel-listen", ":4443", "--cert", "c", "--key", "k"], /--tokens-file/],
  ] as const)
    assert.throws(
      () => parseCommand(args, CWD),
      (error) => error instanceof UsageError && message.test(error.message) && !error.message.includes("hunter2"),
      args.join(" "),
    );
});
