import type { Decoded, SchemaNote, SchemaStatus } from "../protocol.ts";

/** What the capture asks of the decoder's worker. Everything is structured-cloneable. */
export interface Jobs {
  /** Finds and parses the `.proto` files; what was known before is forgotten. */
  load: { params: Sources; result: LoadResult };
  /** Types of the methods with these paths (`/pkg.Service/Method`). */
  method: { params: { path: string }; result: MethodSchema };
  /** Full names of message types that contain the query. */
  types: { params: { query: string; limit: number }; result: readonly string[] };
  /** Is there exactly this message type? */
  note: { params: { type: string }; result: SchemaNote };
  /** One message. `type` empty: the wire reading. */
  decode: { params: { bytes: Uint8Array; schema: SchemaNote; outputChars: number }; result: ProtobufDecoded };
  /**
   * The JSON of many messages, whose octets follow each other in `bytes`: one job, since a message takes far less time
   * than a job. Null: it does not fit its type, or has more than `outputChars` characters.
   */
  values: {
    params: {
      bytes: Uint8Array;
      messages: readonly { readonly length: number; readonly type: string }[];
      outputChars: number;
    };
    result: readonly ({ readonly json: unknown } | null)[];
  };
  /** First lines of many small messages. */
  previews: {
    params: { messages: readonly { bytes: Uint8Array; type: string }[] };
    result: readonly (string | null)[];
  };
}

export interface Sources {
  readonly workspaceFolders: readonly string[];
  readonly protoRoots: readonly string[];
}

export interface LoadResult {
  readonly status: Omit<SchemaStatus, "state" | "revision">;
  /** Absolute folders to watch: those in which a `.proto` file is, or could appear. */
  readonly folders: readonly string[];
}

export interface MethodSchema {
  readonly kind: "unary" | "client-streaming" | "server-streaming" | "bidi-streaming" | "unknown";
  readonly request: SchemaNote;
  readonly response: SchemaNote;
}

export type ProtobufDecoded = Extract<Decoded, { view: "protobuf" }>;

export type JobName = keyof Jobs;

export interface JobRequest {
  readonly id: number;
  readonly name: JobName;
  readonly params: unknown;
}

export type JobAnswer =
  | { readonly id: number; readonly result: unknown }
  /** `problem`: a sentence for people. */
  | { readonly id: number; readonly problem: string };
