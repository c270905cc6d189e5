import type { Exchange } from "./exchange.ts";
import { Inspector } from "./inspector.ts";
import type { Capture, CaptureOptions, ExchangeRecord, InspectorConnection } from "./options.ts";
import type { InspectorNotifications, InspectorRequests, SchemaStatus } from "./protocol.ts";
import { Pace } from "./pace.ts";
import { MessageReader } from "./reader.ts";
import { recordOf } from "./record.ts";
import { Schemas } from "./schemas.ts";
import { DEFAULT_BYTES, DEFAULT_EXCHANGES, Store } from "./store.ts";
import { TypeRules } from "./type-rules.ts";

/** Ended exchanges that wait to be decoded for `onRecord`; above, the oldest go unrecorded, and the log says so. */
const MAX_PENDING = 10_000;

export function createCapture(options: CaptureOptions): Capture {
  return new TrafficCapture(options);
}

type Listener = (params: never) => void;

class TrafficCapture implements Capture {
  readonly #options: CaptureOptions;
  readonly #store: Store;
  readonly #schemas: Schemas;
  readonly #reader: MessageReader;
  readonly #rules = new TypeRules();
  readonly #own: Inspector;
  readonly #inspectors = new Set<{ readonly notify: (status: SchemaStatus) => void; dispose(): void }>();
  readonly #listeners = new Map<keyof InspectorNotifications, Set<Listener>>();
  readonly #recordListeners = new Set<{
    readonly showSecrets: boolean;
    readonly listener: (record: ExchangeRecord) => void;
  }>();
  readonly #pending: Exchange[] = [];
  #recording: Promise<void> | undefined;
  /** Ended exchanges that were to be recorded, and how many of them are dealt with: recorded, or left out. */
  #ended = 0;
  #settled = 0;
  #flushes: { readonly until: number; readonly resolve: () => void }[] = [];
  #closed = false;

  constructor(options: CaptureOptions) {
    this.#options = options;
    this.#store = new Store({
      maxBytes: options.maxBytes ?? DEFAULT_BYTES,
      maxExchanges: options.maxExchanges ?? DEFAULT_EXCHANGES,
      log: options.log,
    });
    this.#schemas = new Schemas({
      workspaceFolders: options.workspaceFolders,
      protoRoots: options.protoRoots,
      workerFile: options.workerFile,
      log: options.log,
      changed: (status) => this.#schemaChanged(status),
    });
    this.#reader = new MessageReader(this.#schemas, this.#rules);
    this.#own = new Inspector(this.#parts(), (method, params) => this.#emit(method, params));
    this.#store.listen({
      changed: () => {},
      removed: () => {},
      stateChanged: () => {},
      ended: (exchange) => this.#exchangeEnded(exchange),
    });
  }

  get tap(): Store {
    return this.#store;
  }

  get state(): Capture["state"] {
    return this.#store.state;
  }

  get schema(): SchemaStatus {
    this.#schemas.want();
    return this.#schemas.status;
  }

  serve(connection: InspectorConnection): { dispose(): void } {
    const send = (method: string, params: unknown): void => {
      // A looker who left must not disturb the others.
      Promise.resolve(connection.sendNotification(method, params)).catch(() => {});
    };
    const inspector = new Inspector(this.#parts(), send);
    const registrations = Inspector.methods.map((method) =>
      connection.onRequest(method, (params: unknown) => inspector.handle(method, params)),
    );
    const served = {
      notify: (status: SchemaStatus): void => send("schema/changed", status),
      dispose: (): void => {
        this.#inspectors.delete(served);
        for (const registration of registrations) registration.dispose();
        inspector.dispose();
      },
    };
    this.#inspectors.add(served);
    return served;
  }

  request<M extends keyof InspectorRequests>(
    method: M,
    params: InspectorRequests[M]["params"],
  ): Promise<InspectorRequests[M]["result"]> {
    return this.#own.handle(method, params);
  }

  onRecord(
    options: { readonly showSecrets: boolean },
    listener: (record: ExchangeRecord) => void,
  ): { dispose(): void } {
    const entry = { showSecrets: options.showSecrets, listener };
    this.#recordListeners.add(entry);
    return { dispose: () => void this.#recordListeners.delete(entry) };
  }

  onNotification<M extends keyof InspectorNotifications>(
    method: M,
    listener: (params: InspectorNotifications[M]) => void,
  ): { dispose(): void } {
    const listeners = this.#listeners.get(method) ?? new Set<Listener>();
    this.#listeners.set(method, listeners);
    listeners.add(listener);
    return { dispose: () => void listeners.delete(listener) };
  }

  setSources(workspaceFolders: readonly string[], protoRoots: readonly string[]): void {
    this.#schemas.setSources({ workspaceFolders, protoRoots });
  }

  setLimits(maxBytes: number, maxExchanges: number): void {
    this.#store.setLimits(maxBytes, maxExchanges);
  }

  flush(): Promise<void> {
    const until = this.#ended;
    if (this.#settled >= until) return Promise.resolve();
    return new Promise((resolve) => this.#flushes.push({ until, resolve }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#recordListeners.clear();
    this.#settle(this.#pending.splice(0).length);
    for (const inspector of [...this.#inspectors]) inspector.dispose();
    this.#own.dispose();
    await this.#schemas.close();
    await this.#recording;
  }

  #parts(): { store: Store; schemas: Schemas; reader: MessageReader; rules: TypeRules } {
    return { store: this.#store, schemas: this.#schemas, reader: this.#reader, rules: this.#rules };
  }

  #schemaChanged(status: SchemaStatus): void {
    this.#emit("schema/changed", status);
    for (const inspector of this.#inspectors) inspector.notify(status);
  }

  #emit<M extends keyof InspectorNotifications>(method: M, params: InspectorNotifications[M]): void {
    for (const listener of this.#listeners.get(method) ?? []) listener(params as never);
  }

  #exchangeEnded(exchange: Exchange): void {
    if (this.#recordListeners.size === 0) return;
    if (this.#pending.length >= MAX_PENDING) {
      this.#pending.shift();
      this.#settle(1);
      this.#options.log.warn(`More than ${MAX_PENDING} ended exchanges wait to be recorded: the oldest is left out.`);
    }
    this.#pending.push(exchange);
    this.#ended++;
    this.#recording ??= this.#record();
  }

  #settle(count: number): void {
    this.#settled += count;
    const settled = this.#flushes.filter(({ until }) => until <= this.#settled);
    this.#flushes = this.#flushes.filter(({ until }) => until > this.#settled);
    for (const { resolve } of settled) resolve();
  }

  /** One after another, so that records come in the order of ending. Never rejects. */
  async #record(): Promise<void> {
    // First let the caller, who is the data path, go on.
    await new Promise((resolve) => setImmediate(resolve));
    const pace = new Pace();
    for (let exchange = this.#pending.shift(); exchange !== undefined; exchange = this.#pending.shift()) {
      for (const showSecrets of new Set([...this.#recordListeners].map((entry) => entry.showSecrets)))
        await this.#give(exchange, showSecrets);
      this.#settle(1);
      await pace.rest();
    }
    this.#recording = undefined;
  }

  async #give(exchange: Exchange, showSecrets: boolean): Promise<void> {
    const listeners = [...this.#recordListeners].filter((entry) => entry.showSecrets === showSecrets);
    const listening = (): boolean => listeners.some((entry) => this.#recordListeners.has(entry));
    try {
      const record = await recordOf(exchange, this.#reader, showSecrets, listening);
      for (const entry of listeners) if (this.#recordListeners.has(entry)) entry.listener(record);
    } catch (error) {
      if (this.#closed) return;
      this.#options.log.error(
        `An exchange could not be recorded (${error instanceof Error ? error.name : "unknown"}).`,
      );
    }
  }
}
