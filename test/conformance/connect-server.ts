/**
 * `node connect-server.ts REFERENCE_SERVER [--no-capture]`: the "server under test" of connectconformance. It is asked on
 * stdin for a server with certain properties; this starts the reference server, shares its port, and tells the address of
 * the share instead. With TLS the share is reached by TLS too, with the certificate that connectconformance made for it.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import protobuf from "protobufjs";
import { startPortlight } from "../support/process.ts";
import type { Program } from "../support/process.ts";
import { portOf } from "./lab.ts";

const { root } = protobuf.parse(`syntax = "proto3";
  message TLSCreds { bytes cert = 1; bytes key = 2; }
  message ServerCompatRequest { bool use_tls = 4; TLSCreds server_creds = 7; }
  message ServerCompatResponse { string host = 1; uint32 port = 2; bytes pem_cert = 3; }`);

interface ServerCompatRequest {
  readonly useTls: boolean;
  readonly serverCreds?: { readonly cert: Uint8Array; readonly key: Uint8Array } | null;
}

interface ServerCompatResponse {
  readonly port: number;
}

/** Messages are preceded by their length, 32 bits, big end first. */
async function readDelimited(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of stream) {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0))
      return bytes.subarray(4, 4 + bytes.readUInt32BE(0));
  }
  throw new Error("The input ended before the message.");
}

function delimited(message: Uint8Array): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(message.length);
  return Buffer.concat([size, message]);
}

const [program = "", ...more] = process.argv.slice(2);
const asked = await readDelimited(process.stdin);
const request = root.lookupType("ServerCompatRequest").decode(asked) as unknown as ServerCompatRequest;

const server = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
server.stdin.end(delimited(asked));
const answered = await readDelimited(server.stdout as AsyncIterable<Buffer>);
const { port } = root.lookupType("ServerCompatResponse").decode(answered) as unknown as ServerCompatResponse;

const folder = mkdtempSync(path.join(tmpdir(), "portlight-connect-"));
const programs: Program[] = [];
const start = (args: readonly string[]): Program => {
  const started = startPortlight(args, folder);
  programs.push(started);
  return started;
};

let relay: readonly string[] = [];
let certificate: Uint8Array = Buffer.alloc(0);
if (request.useTls) {
  const creds = request.serverCreds;
  if (creds === null || creds === undefined) throw new Error("connectconformance gave no certificate.");
  certificate = creds.cert;
  const [certFile, keyFile] = [path.join(folder, "cert.pem"), path.join(folder, "key.pem")];
  writeFileSync(certFile, creds.cert);
  writeFileSync(keyFile, creds.key, { mode: 0o600 });
  const listening = await start([
    ...["relay", "--json", "--listen", "127.0.0.1:0", "--tunnel-listen", "127.0.0.1:0"],
    ...["--cert", certFile, "--key", keyFile],
  ]).nextJson("listening");
  relay = ["--relay", `tcp://127.0.0.1:${portOf(String(listening["tunnel"]))}`];
}
const shared = await start(["share", String(port), "--json", ...relay, ...more]).nextJson("shared");
const response = root.lookupType("ServerCompatResponse");
const address = { host: "127.0.0.1", port: portOf(String(shared["url"])), pemCert: certificate };
process.stdout.write(delimited(response.encode(response.create(address)).finish()));

process.once("SIGTERM", () => {
  server.kill("SIGTERM");
  void Promise.allSettled([...programs].reverse().map((one) => one.stop("SIGTERM", 5_000))).then(() => {
    rmSync(folder, { recursive: true, force: true });
    process.exit(0);
  });
});
