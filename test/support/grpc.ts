import grpc from "@grpc/grpc-js";
import { serviceDefinition } from "../../sample/grpc/schema.ts";

/** All that a caller can know about how a call ended, as plain values: two of them may be compared field by field. */
export interface CallResult {
  readonly code: string;
  readonly details: string;
  readonly initial: PlainMetadata;
  readonly trailing: PlainMetadata;
  readonly messages: readonly unknown[];
}

type PlainMetadata = Readonly<Record<string, readonly string[]>>;

export interface CallOptions {
  readonly metadata?: Readonly<Record<string, string | Buffer | readonly (string | Buffer)[]>>;
  readonly deadlineMs?: number;
}

function plainMetadata(metadata: grpc.Metadata | undefined): PlainMetadata {
  const plain: Record<string, string[]> = {};
  for (const name of Object.keys(metadata?.getMap() ?? {}).sort()) {
    // The time of the answer is the one field that differs between two equal calls.
    if (name === "date") continue;
    plain[name] = (metadata?.get(name) ?? []).map((value) =>
      typeof value === "string" ? value : `base64:${value.toString("base64")}`,
    );
  }
  return plain;
}

function toMetadata(values: CallOptions["metadata"] = {}): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(values))
    for (const item of Array.isArray(value) ? (value as readonly (string | Buffer)[]) : [value as string | Buffer])
      metadata.add(name, item);
  return metadata;
}

/** A call in progress, of any of the four modes: the caller writes, reads and ends as it likes. */
export class GrpcCall {
  readonly #call: grpc.ClientDuplexStream<unknown, unknown>;
  readonly #messages: unknown[] = [];
  readonly #wakers: (() => void)[] = [];
  #over = false;
  readonly result: Promise<CallResult>;

  constructor(call: grpc.ClientDuplexStream<unknown, unknown>) {
    this.#call = call;
    let initial: grpc.Metadata | undefined;
    call.on("metadata", (metadata: grpc.Metadata) => (initial = metadata));
    call.on("data", (message: unknown) => {
      this.#messages.push(message);
      this.#wake();
    });
    // The status says the same.
    call.on("error", () => undefined);
    this.result = new Promise((resolve) => {
      call.on("status", (status: grpc.StatusObject) => {
        this.#over = true;
        this.#wake();
        resolve({
          code: grpc.status[status.code],
          details: status.details,
          initial: plainMetadata(initial),
          trailing: plainMetadata(status.metadata),
          messages: this.#messages,
        });
      });
    });
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake();
  }

  write(message: unknown): void {
    this.#call.write(message);
  }

  end(): void {
    this.#call.end();
  }

  cancel(): void {
    this.#call.cancel();
  }

  /** The `index`-th message; throws when the call ends without it. */
  async message(index: number): Promise<unknown> {
    while (this.#messages.length <= index) {
      if (this.#over)
        throw new Error(`The call ended after ${this.#messages.length} messages: ${JSON.stringify(await this.result)}`);
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
    return this.#messages[index];
  }
}

/** A client of one gRPC service at `host:port`, cleartext. */
export class GrpcClient {
  readonly #client: grpc.Client;
  readonly #definition: grpc.ServiceDefinition;

  constructor(
    address: string,
    service: string,
    options: grpc.ClientOptions = {},
    credentials = grpc.credentials.createInsecure(),
  ) {
    this.#definition = serviceDefinition(service);
    this.#client = new grpc.Client(address, credentials, {
      "grpc.max_receive_message_length": 64 * 1024 * 1024,
      "grpc.max_send_message_length": 64 * 1024 * 1024,
      // Each client has a connection of its own: tests must not share one by accident.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      ...options,
    });
  }

  /** Begins a call. `request` is sent at once, and for methods that take one message the sending direction is ended. */
  start(method: string, options: CallOptions = {}): GrpcCall {
    const found = this.#definition[method];
    if (found === undefined) throw new Error(`No method ${method}.`);
    const call = this.#client.makeBidiStreamRequest(
      found.path,
      found.requestSerialize as (value: unknown) => Buffer,
      found.responseDeserialize,
      toMetadata(options.metadata),
      options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs },
    );
    return new GrpcCall(call);
  }

  /** A whole call: sends `requests`, ends, and waits for the status. Never rejects for a status. */
  async call(method: string, requests: readonly unknown[], options: CallOptions = {}): Promise<CallResult> {
    const call = this.start(method, options);
    for (const request of requests) call.write(request);
    call.end();
    return call.result;
  }

  close(): void {
    this.#client.close();
  }
}
