import type { Logger } from "../wire/logger.ts";
import { DecoderClient, DecoderError } from "./decoder/client.ts";
import type { LoadResult, MethodSchema, ProtobufDecoded, Sources } from "./decoder/jobs.ts";
import type { SchemaNote, SchemaStatus } from "./protocol.ts";
import { SchemaWatcher } from "./schema/watcher.ts";

/** Methods and types remembered between reloads: more than any workspace calls. */
const MAX_REMEMBERED = 2000;

export interface TypedBytes {
  readonly bytes: Uint8Array;
  /** Full name of the message type. */
  readonly type: string;
}

export interface SchemasOptions extends Sources {
  readonly workerFile: string;
  readonly log: Logger;
  readonly changed: (status: SchemaStatus) => void;
  readonly jobMs?: number;
}

/** The workspace's message types, kept up to date, and what is decoded with them: the capture's side of the worker. */
export class Schemas {
  readonly #client: DecoderClient;
  readonly #watcher: SchemaWatcher;
  readonly #options: SchemasOptions;
  #sources: Sources;
  #status: SchemaStatus = { state: "loading", files: 0, types: 0, services: 0, roots: [], problems: [], revision: 0 };
  #methods = new Map<string, Promise<MethodSchema>>();
  #notes = new Map<string, Promise<SchemaNote>>();
  #loading = false;
  #loadAgain = false;
  /**
   * Before anybody looks there is no worker: a thread of its own costs 20 MB, which an agent whose shares nobody inspects
   * need not have.
   */
  #wanted = false;
  /** Loading killed the worker: it is not tried again until something changes. */
  #loadDied = false;
  #closed = false;

  constructor(options: SchemasOptions) {
    this.#options = options;
    this.#sources = { workspaceFolders: options.workspaceFolders, protoRoots: options.protoRoots };
    this.#watcher = new SchemaWatcher(() => this.reload());
    this.#client = new DecoderClient({
      workerFile: options.workerFile,
      log: options.log,
      started: () => {
        this.#wanted = true;
        if (!this.#loading && !this.#loadDied) this.#load();
      },
      died: () => this.#setState("restarting"),
      ...(options.jobMs === undefined ? {} : { jobMs: options.jobMs }),
    });
  }

  get status(): SchemaStatus {
    return this.#status;
  }

  /** Somebody looks: from now on the files are read, and read again when they change. */
  want(): void {
    if (!this.#wanted) this.reload();
  }

  /** Reads all files again. */
  reload(): void {
    this.#wanted = true;
    this.#loadDied = false;
    if (this.#loading) this.#loadAgain = true;
    else this.#load();
  }

  setSources(sources: Sources): void {
    this.#sources = sources;
    if (this.#wanted) this.reload();
  }

  /** Never rejects: what cannot be known is a problem of the notes. */
  method(path: string): Promise<MethodSchema> {
    return this.#remembered(this.#methods, path, () =>
      this.#client.run("method", { path }).catch((error: unknown): MethodSchema => {
        const note = { problem: problemOf(error) };
        return { kind: "unknown", request: note, response: note };
      }),
    );
  }

  note(type: string): Promise<SchemaNote> {
    return this.#remembered(this.#notes, type, () =>
      this.#client.run("note", { type }).catch((error: unknown): SchemaNote => ({ problem: problemOf(error) })),
    );
  }

  types(query: string, limit: number): Promise<readonly string[]> {
    return this.#client.run("types", { query, limit }).catch(() => []);
  }

  /** Never rejects. `outputChars`: characters of values at most; above 1 MiB there is JSON only, and no tree. */
  async decode(bytes: Uint8Array, schema: SchemaNote, outputChars: number): Promise<ProtobufDecoded> {
    try {
      // A copy: a view would take its whole chunk along.
      return await this.#client.run("decode", { bytes: new Uint8Array(bytes), schema, outputChars });
    } catch (error) {
      return {
        view: "protobuf",
        schema,
        reading: "wire",
        tree: [],
        hasUnknownFields: false,
        truncated: true,
        problem: problemOf(error),
      };
    }
  }

  async previews(messages: readonly TypedBytes[]): Promise<readonly (string | null)[]> {
    if (messages.length === 0) return [];
    const copies = messages.map(({ bytes, type }) => ({ bytes: new Uint8Array(bytes), type }));
    return this.#client.run("previews", { messages: copies }).catch(() => messages.map(() => null));
  }

  /**
   * The JSON of many messages in one job; null for what does not fit its type. Never rejects: when the worker does not
   * survive them together, each is tried by itself.
   */
  async values(
    messages: readonly TypedBytes[],
    outputChars: number,
  ): Promise<readonly ({ readonly json: unknown } | null)[]> {
    if (messages.length === 0) return [];
    const bytes = new Uint8Array(messages.reduce((sum, message) => sum + message.bytes.length, 0));
    let offset = 0;
    for (const message of messages) {
      bytes.set(message.bytes, offset);
      offset += message.bytes.length;
    }
    const parts = messages.map(({ bytes: { length }, type }) => ({ length, type }));
    try {
      return await this.#client.run("values", { bytes, messages: parts, outputChars });
    } catch {
      if (messages.length === 1 || this.#closed) return messages.map(() => null);
      const values: ({ readonly json: unknown } | null)[] = [];
      for (const message of messages) values.push(...(await this.values([message], outputChars)));
      return values;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watcher.close();
    await this.#client.close();
  }

  #load(): void {
    if (this.#closed) return;
    this.#loading = true;
    this.#loadAgain = false;
    if (this.#status.state === "ready") this.#setState("loading");
    this.#client.run("load", this.#sources, true).then(
      (result) => this.#loaded(result),
      (error: unknown) => this.#loadFailed(error),
    );
  }

  #loaded({ status, folders }: LoadResult): void {
    this.#loading = false;
    this.#forget();
    this.#status = { ...status, state: "ready", revision: this.#status.revision + 1 };
    this.#watcher.watch(folders);
    this.#options.changed(this.#status);
    if (this.#loadAgain) this.#load();
  }

  #loadFailed(error: unknown): void {
    this.#loading = false;
    if (this.#closed) return;
    this.#loadDied = true;
    this.#forget();
    const problems = [{ file: ".", message: `The .proto files could not be read: ${problemOf(error)}` }];
    this.#status = {
      ...this.#status,
      state: "ready",
      files: 0,
      types: 0,
      services: 0,
      problems,
      revision: this.#status.revision + 1,
    };
    this.#options.changed(this.#status);
  }

  #forget(): void {
    this.#methods = new Map();
    this.#notes = new Map();
  }

  #setState(state: SchemaStatus["state"]): void {
    if (this.#closed || this.#status.state === state) return;
    this.#status = { ...this.#status, state };
    this.#options.changed(this.#status);
  }

  #remembered<T>(map: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
    let answer = map.get(key);
    if (answer === undefined) {
      if (map.size >= MAX_REMEMBERED) map.clear();
      answer = ask();
      map.set(key, answer);
    }
    return answer;
  }
}

function problemOf(error: unknown): string {
  return error instanceof DecoderError ? error.message : "The decoder failed.";
}
