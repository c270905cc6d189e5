import { strict as assert } from "node:assert";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { listeningPorts } from "./listening-ports.ts";
import { mergeListening, parseLsof, parseNetstat, parseProcNetTcp, parseTasklist, processName } from "./parse.ts";

describe("listening ports as the systems tell them", () => {
  it("reads /proc/net/tcp: listening sockets only, addresses in the machine's byte order", () => {
    const text = [
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0",
      "   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0",
      "   2: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0 100 0 0 10 0",
      "",
    ].join("\n");
    assert.deepEqual(parseProcNetTcp(text), [
      { port: 8080, address: "127.0.0.1", inode: "4711" },
      { port: 80, address: "0.0.0.0", inode: "4712" },
    ]);
  });

  it("reads /proc/net/tcp6", () => {
    const line = (address: string): string =>
      `0: ${address}:0BB8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1`;
    const text = ["header", line("0".repeat(32)), line("00000000000000000000000001000000")]
      .concat(line("0000000000000000FFFF00000100007F"), line("B80D0120000000000000000001000000"))
      .join("\n");
    assert.deepEqual(
      parseProcNetTcp(text).map(({ address }) => address),
      ["::", "::1", "127.0.0.1", "2001:db8:0:0:0:0:0:1"],
    );
  });

  it("reads lsof", () => {
    const text = "p501\ncnode\nf21\nn*:3000\nf22\nn[::1]:3001\np777\ncPython\nf4\nn127.0.0.1:8000\n";
    assert.deepEqual(parseLsof(text), [
      { address: "0.0.0.0", port: 3000, pid: 501, process: "node" },
      { address: "::1", port: 3001, pid: 501, process: "node" },
      { address: "127.0.0.1", port: 8000, pid: 777, process: "Python" },
    ]);
  });

  it("reads netstat of a German Windows", () => {
    const text = [
      "Aktive Verbindungen",
      "  Proto  Lokale Adresse         Remoteadresse          Status           PID",
      "  TCP    0.0.0.0:135            0.0.0.0:0              ABHÖREN         1016",
      "  TCP    127.0.0.1:50051        127.0.0.1:49999        HERGESTELLT     4",
      "  TCP    [::1]:8080             [::]:0                 ABHÖREN         99",
    ].join("\r\n");
    assert.deepEqual(parseNetstat(text), [
      { address: "0.0.0.0", port: 135, pid: 1016 },
      { address: "::1", port: 8080, pid: 99 },
    ]);
    assert.deepEqual([...parseTasklist('"node.exe","99","Console","1","42 K"\r\n')], [[99, "node.exe"]]);
  });

  it("names programs without arguments that may be secret", () => {
    const table: [string[], string | undefined][] = [
      [["/usr/bin/node", "--inspect", "/home/me/server.js", "--password=x"], "node server.js"],
      [["/usr/bin/python3", "-m", "http.server"], "python3 http.server"],
      [["/opt/greeter", "secret.txt"], "greeter"],
      [["C:\\Program Files\\nodejs\\node.exe", "C:\\app\\main.mjs"], "node.exe main.mjs"],
      [["node", "/app/node_modules/.bin/vite", "--token=/x/y"], "node vite"],
      [[""], undefined],
    ];
    for (const [argv, name] of table) assert.equal(processName(argv), name);
    assert.equal(processName(["x".repeat(300)])?.length, 80);
  });

  it("merges families and leaves out what loopback cannot reach", () => {
    assert.deepEqual(
      mergeListening([
        { port: 3000, address: "::1", pid: 7, process: "node" },
        { port: 3000, address: "127.0.0.1" },
        { port: 53, address: "127.0.0.53" },
        { port: 80, address: "::" },
      ]),
      [
        { port: 80, address: "::" },
        { port: 3000, address: "127.0.0.1", pid: 7, process: "node" },
      ],
    );
  });

  it("finds a server of this process, with its process id and name, unless it is excluded", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const found = (await listeningPorts()).find((entry) => entry.port === port);
      assert.equal(found?.address, "127.0.0.1");
      assert.equal(found.pid, process.pid);
      assert.match(found.process ?? "", /^node/);
      const without = async (options: Parameters<typeof listeningPorts>[0]): Promise<boolean> =>
        (await listeningPorts(options)).every((entry) => entry.port !== port);
      assert.ok(await without({ excludedPids: [process.pid] }));
      assert.ok(await without({ excludedPorts: [port] }));
    } finally {
      server.close();
    }
  });
});
