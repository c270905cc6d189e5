import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

/** The `.proto` files of a user's workspace: one imports the other, from a folder that is no import root by name. */
const FILES: Readonly<Record<string, string>> = {
  "README.md": "# A workspace\n",
  "api/greeter/v1/greeter.proto": `syntax = "proto3";
package greeter.v1;
import "greeter/v1/person.proto";

service Greeter {
  rpc Hello(HelloRequest) returns (HelloReply);
  rpc Watch(HelloRequest) returns (stream HelloReply);
}
message HelloRequest { Person person = 1; int32 times = 2; }
message HelloReply { string text = 1; int32 number = 2; }
`,
  "api/greeter/v1/person.proto": `syntax = "proto3";
package greeter.v1;
enum Mood { MOOD_UNSPECIFIED = 0; MOOD_CHEERFUL = 1; }
message Person { string name = 1; Mood mood = 2; repeated string pets = 3; }
`,
};

export interface Workspace {
  readonly folder: string;
  remove(): Promise<void>;
}

export async function createWorkspace(files: Readonly<Record<string, string>> = {}): Promise<Workspace> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "portlight-workspace-"));
  for (const [name, text] of Object.entries({ ...FILES, ...files })) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

export interface WebService {
  readonly port: number;
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** An HTTP service on loopback that answers each path with a text. */
export async function startWebService(text: string): Promise<WebService> {
  const requests: string[] = [];
  const server = http.createServer((request, response) => {
    requests.push(`${request.method ?? ""} ${request.url ?? ""}`);
    response.writeHead(200, { "content-type": "text/plain" });
    response.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { port: (server.address() as AddressInfo).port, requests, close };
}

interface HelloRequest {
  readonly person: { readonly name: string } | null;
  readonly times: number;
}
interface HelloReply {
  readonly text: string;
  readonly number: number;
}

export interface GreeterService {
  readonly port: number;
  /** Sends one more reply on each open `Watch`. */
  say(text: string): void;
  /** Ends each open `Watch`. */
  finish(): void;
  readonly watchers: number;
  close(): void;
}

function greeterPackage(folder: string): grpc.ServiceClientConstructor {
  const definition = grpc.loadPackageDefinition(
    loadSync("greeter/v1/greeter.proto", { includeDirs: [path.join(folder, "api")], keepCase: true, defaults: true }),
  );
  const greeter = definition["greeter"] as grpc.GrpcObject;
  const version = greeter["v1"] as grpc.GrpcObject;
  return version["Greeter"] as grpc.ServiceClientConstructor;
}

/** The gRPC service of the workspace in `folder`, by grpc-js. */
export async function startGreeter(folder: string): Promise<GreeterService> {
  const server = new grpc.Server();
  const watches = new Set<grpc.ServerWritableStream<HelloRequest, HelloReply>>();
  let number = 0;
  server.addService(greeterPackage(folder).service, {
    Hello: (call: grpc.ServerUnaryCall<HelloRequest, HelloReply>, answer: grpc.sendUnaryData<HelloReply>) => {
      answer(null, { text: `Hello, ${call.request.person?.name ?? "nobody"}`, number: call.request.times });
    },
    Watch: (call: grpc.ServerWritableStream<HelloRequest, HelloReply>) => {
      watches.add(call);
      call.on("cancelled", () => watches.delete(call));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    port,
    say: (text) => {
      number++;
      for (const watch of watches) watch.write({ text, number });
    },
    finish: () => {
      for (const watch of watches) watch.end();
      watches.clear();
    },
    get watchers() {
      return watches.size;
    },
    close: () => server.forceShutdown(),
  };
}

export interface GreeterVisitor {
  hello(name: string, times: number): Promise<HelloReply>;
  /** Begins a `Watch`; replies are gathered. */
  watch(name: string): { readonly replies: readonly HelloReply[]; readonly ended: Promise<void> };
  close(): void;
}

/** A gRPC visitor of a share, at the host and port of its URL. */
export function visitGreeter(folder: string, url: string): GreeterVisitor {
  const client = new (greeterPackage(folder))(new URL(url).host, grpc.credentials.createInsecure());
  const request = (name: string, times: number): object => ({
    person: { name, mood: "MOOD_CHEERFUL", pets: ["Rex"] },
    times,
  });
  return {
    hello: (name, times) =>
      new Promise((resolve, reject) => {
        const call = client["Hello"] as (
          request: object,
          answer: (error: Error | null, reply: HelloReply) => void,
        ) => void;
        call.call(client, request(name, times), (error, reply) => {
          if (error === null) resolve(reply);
          else reject(error);
        });
      }),
    watch: (name) => {
      const begin = client["Watch"] as (request: object) => grpc.ClientReadableStream<HelloReply>;
      const stream = begin.call(client, request(name, 1));
      const replies: HelloReply[] = [];
      stream.on("data", (reply: HelloReply) => replies.push(reply));
      const ended = new Promise<void>((resolve, reject) => {
        stream.on("end", () => resolve());
        stream.on("error", reject);
      });
      ended.catch(() => {});
      return { replies, ended };
    },
    close: () => client.close(),
  };
}
