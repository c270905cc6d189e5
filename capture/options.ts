import type { Logger } from "../wire/logger.ts";
import type { CaptureState, InspectorNotifications, InspectorRequests, Protocol, SchemaStatus } from "./protocol.ts";
import type { Tap } from "./tap.ts";
import type { Failure, Side } from "../wire/stream.ts";

export interface CaptureOptions {
  /** Octets of payload and heads kept, default 64 MiB; the oldest bodies go first and are marked. */
  readonly maxBytes?: number;
  /** Exchanges kept, default 1 000; the oldest ended ones go first. */
  readonly maxExchanges?: number;
  /** Absolute paths. `.proto` files are read below these and nowhere else. Empty: only the bundled types. */
  readonly workspaceFolders: readonly string[];
  /** Additional import roots, each below a workspace folder. */
  readonly protoRoots: readonly string[];
  /** The worker's entry: `dist/decoder.cjs`, or `capture/decoder/worker.ts` when run from source. */
  readonly workerFile: string;
  readonly log: Logger;
}

/** The part of a JSON-RPC connection that the inspector needs; `MessageConnection` of `vscode-jsonrpc` satisfies it. */
export interface InspectorConnection {
  onRequest(method: string, handler: (params: never) => unknown): { dispose(): void };
  sendNotification(method: string, params: unknown): unknown;
}

/** What `portlight share --json` prints for each exchange as it ends, and `capture/export` as `jsonl`. A stable format: fields are added, never changed. */
export interface ExchangeRecord {
  readonly type: "exchange";
  readonly id: number;
  readonly port: number;
  readonly protocol: Protocol;
  readonly method: string;
  readonly path: string;
  readonly status: number | null;
  readonly grpcStatus?: number;
  readonly grpcMessage?: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly request: {
    readonly headers: readonly (readonly [name: string, value: string])[];
    readonly trailers?: readonly (readonly [string, string])[];
  };
  readonly response: {
    readonly headers: readonly (readonly [string, string])[];
    readonly trailers: readonly (readonly [string, string])[];
  };
  /** At most 100 000, with at most 16 MiB of decompressed octets, so that a record stays something that fits into memory. */
  readonly messages: readonly RecordedMessage[];
  /** Messages of the exchange that are not in `messages`: those after the bounds, and the first ones of an endless stream. */
  readonly messagesLeftOut?: number;
  readonly failure?: Failure;
}

export interface RecordedMessage {
  readonly from: Side;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Octets on the wire without framing. */
  readonly size: number;
  readonly compressed: boolean;
  /** `ping`, `pong`, `close`, `event`, … where it is not an ordinary message. */
  readonly kind?: string;
  readonly type?: string;
  /** proto3 JSON, or the parsed JSON of a JSON body or message. One of `value`, `text`, `base64`, unless dropped. */
  readonly value?: unknown;
  readonly text?: string;
  readonly base64?: string;
  /** Its octets are not, or not all, in the capture. */
  readonly dropped?: true;
}

/** `capture/capture.ts` exports `createCapture(options: CaptureOptions): Capture`. */
export interface Capture {
  readonly tap: Tap;
  readonly state: CaptureState;
  /** What is known of the workspace's types. They are read when somebody first asks for anything of them, this included. */
  readonly schema: SchemaStatus;
  /** Answers `InspectorRequests` on the connection and sends it `InspectorNotifications`, until disposed. Several at once are independent. */
  serve(connection: InspectorConnection): { dispose(): void };
  /** The same requests from within the process. */
  request<M extends keyof InspectorRequests>(
    method: M,
    params: InspectorRequests[M]["params"],
  ): Promise<InspectorRequests[M]["result"]>;
  /** Each exchange as it ends, decoded. Records come in the order of ending; slow decoding delays them, never the traffic. */
  onRecord(options: { readonly showSecrets: boolean }, listener: (record: ExchangeRecord) => void): { dispose(): void };
  onNotification<M extends keyof InspectorNotifications>(
    method: M,
    listener: (params: InspectorNotifications[M]) => void,
  ): { dispose(): void };
  setSources(workspaceFolders: readonly string[], protoRoots: readonly string[]): void;
  setLimits(maxBytes: number, maxExchanges: number): void;
  /** Resolves once every record of an exchange that has ended until now was given to `onRecord`, or when it is closed. */
  flush(): Promise<void>;
  /** Ends the worker and the file watchers at once. Records that were not given yet are lost: `flush` first. */
  close(): Promise<void>;
}
