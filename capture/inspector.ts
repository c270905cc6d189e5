import { copyAs } from "./copy-as.ts";
import { detailOf } from "./detail.ts";
import type { Exchange } from "./exchange.ts";
import { exportExchanges } from "./export.ts";
import { FilterError } from "./filter.ts";
import { invalid, Parameters } from "./parameters.ts";
import { BATCH_MS, PAGE_BYTES, PAGE_ITEMS } from "./protocol.ts";
import type { InspectorNotifications, InspectorRequests } from "./protocol.ts";
import type { MessageReader } from "./reader.ts";
import type { Schemas } from "./schemas.ts";
import type { Store } from "./store.ts";
import type { TypeRules } from "./type-rules.ts";
import { View } from "./view.ts";

/** Views and watched exchanges of one connection: a page has one or two of each. */
const MAX_VIEWS = 20;
const MAX_WATCHED = 100;
const ID_LENGTH = 100;
/** Type names told to a picker. */
const MAX_TYPES = 100;

export interface InspectorParts {
  readonly store: Store;
  readonly schemas: Schemas;
  readonly reader: MessageReader;
  readonly rules: TypeRules;
}

type Send = <M extends keyof InspectorNotifications>(method: M, params: InspectorNotifications[M]) => void;

type Handlers = {
  readonly [M in keyof InspectorRequests]: (
    params: Parameters,
  ) => Promise<InspectorRequests[M]["result"]> | InspectorRequests[M]["result"];
};

/** Serves the inspector protocol to one looker: his views, what he watches, and what he is told. */
export class Inspector {
  readonly #parts: InspectorParts;
  readonly #send: Send;
  readonly #views = new Map<string, View>();
  readonly #watched = new Set<number>();
  readonly #dirtyWatched = new Map<number, Exchange>();
  readonly #subscription: { dispose(): void };
  #stateDirty = false;
  #timer: NodeJS.Timeout | undefined;
  #disposed = false;

  constructor(parts: InspectorParts, send: Send) {
    this.#parts = parts;
    this.#send = send;
    this.#subscription = parts.store.listen({
      changed: (exchange) => this.#changed(exchange),
      removed: (exchange) => this.#removed(exchange),
      ended: () => {},
      stateChanged: () => this.#stateChanged(),
    });
  }

  dispose(): void {
    this.#disposed = true;
    clearTimeout(this.#timer);
    this.#subscription.dispose();
    this.#views.clear();
  }

  /** Rejects with an InvalidParams error when the parameters are wrong. */
  async handle<M extends keyof InspectorRequests>(method: M, params: unknown): Promise<InspectorRequests[M]["result"]> {
    return this.#handlers[method](new Parameters(method, params));
  }

  static readonly methods: readonly (keyof InspectorRequests)[] = [
    "capture/state",
    "capture/pause",
    "capture/clear",
    "view/open",
    "view/rows",
    "view/close",
    "exchange/detail",
    "exchange/unwatch",
    "exchange/messages",
    "message/decode",
    "message/bytes",
    "exchange/reveal",
    "capture/export",
    "exchange/copyAs",
    "schema/status",
    "schema/reload",
    "schema/types",
    "websocket/setType",
  ];

  readonly #handlers: Handlers = {
    "capture/state": () => this.#parts.store.state,
    "capture/pause": (params) => {
      this.#parts.store.pause(params.boolean("paused"));
      return this.#parts.store.state;
    },
    "capture/clear": () => {
      this.#parts.store.clear();
      return this.#parts.store.state;
    },
    "view/open": (params) => this.#openView(params.string("view", ID_LENGTH), params.string("filter", 10_000)),
    "view/rows": (params) => this.#view(params).rows(params.natural("position"), params.natural("count")),
    "view/close": (params) => {
      this.#views.delete(params.string("view", ID_LENGTH));
      return null;
    },
    "exchange/detail": async (params) => {
      const exchange = this.#exchange(params);
      if (exchange === undefined) return null;
      if (params.has("watch") && params.boolean("watch")) this.#watch(exchange.id);
      return detailOf(exchange, this.#parts.schemas, this.#parts.rules);
    },
    "exchange/unwatch": (params) => {
      this.#watched.delete(params.natural("id"));
      return null;
    },
    "exchange/messages": (params) => this.#messages(params),
    "message/decode": async (params) => {
      const found = this.#message(params);
      const as = params.has("as") ? params.choice("as", ["auto", "text", "wire"]) : "auto";
      if (found === undefined) return null;
      return this.#parts.reader.decode(found.exchange, found.record, { as, showSecrets: true });
    },
    "message/bytes": (params) => this.#bytes(params),
    "exchange/reveal": (params) => {
      const head = this.#exchange(params)?.heads[params.natural("head")];
      const field = head?.fields[params.natural("index")];
      return field === undefined ? null : { value: field.value };
    },
    "capture/export": (params) => this.#export(params),
    "exchange/copyAs": async (params) => {
      const exchange = this.#exchange(params);
      const format = params.choice("format", ["curl", "grpcurl"]);
      const showSecrets = params.boolean("showSecrets");
      return exchange === undefined ? null : { text: await copyAs(exchange, format, showSecrets, this.#parts.reader) };
    },
    "schema/status": () => {
      this.#parts.schemas.want();
      return this.#parts.schemas.status;
    },
    "schema/reload": () => {
      this.#parts.schemas.reload();
      return null;
    },
    "schema/types": (params) => this.#parts.schemas.types(params.string("query", 500), MAX_TYPES),
    "websocket/setType": (params) => this.#setType(params),
  };

  #openView(id: string, filter: string): InspectorRequests["view/open"]["result"] {
    const { store } = this.#parts;
    if (!this.#views.has(id) && this.#views.size >= MAX_VIEWS)
      throw invalid(`view/open: more than ${MAX_VIEWS} views are open; close one first.`);
    try {
      const view = new View(filter, store.all());
      this.#views.set(id, view);
      return view.state(store.size);
    } catch (error) {
      if (error instanceof FilterError) throw invalid(error.message);
      throw error;
    }
  }

  #view(params: Parameters): View {
    const id = params.string("view", ID_LENGTH);
    const view = this.#views.get(id);
    if (view === undefined) throw invalid("This view is not open: open it with view/open first.");
    return view;
  }

  #exchange(params: Parameters): Exchange | undefined {
    return this.#parts.store.get(params.natural("id"));
  }

  #message(
    params: Parameters,
  ): { exchange: Exchange; record: NonNullable<ReturnType<Exchange["messages"]["get"]>> } | undefined {
    const exchange = this.#exchange(params);
    const record = exchange?.messages.get(params.natural("index"));
    return exchange === undefined || record === undefined ? undefined : { exchange, record };
  }

  async #messages(params: Parameters): Promise<InspectorRequests["exchange/messages"]["result"]> {
    const exchange = this.#exchange(params);
    const index = params.natural("index");
    const count = Math.min(params.natural("count"), PAGE_ITEMS);
    if (exchange === undefined) return null;
    const { messages } = exchange;
    // Records of a very long stream's beginning are gone: the page begins where they do.
    const first = Math.max(index, messages.first);
    const records = [];
    for (let at = first; at < Math.min(first + count, messages.total); at++) {
      const record = messages.get(at);
      if (record === undefined) break;
      records.push(record);
    }
    return { total: messages.total, index: first, messages: await this.#parts.reader.summaries(exchange, records) };
  }

  async #bytes(params: Parameters): Promise<InspectorRequests["message/bytes"]["result"]> {
    const found = this.#message(params);
    const offset = params.natural("offset");
    const count = Math.min(params.natural("count"), PAGE_BYTES);
    const decompressed = params.boolean("decompressed");
    if (found === undefined) return null;
    const bytes = await this.#parts.reader.bytes(found.exchange, found.record, decompressed);
    const page = bytes.subarray(Math.min(offset, bytes.length), Math.min(offset + count, bytes.length));
    return { base64: Buffer.from(page).toString("base64"), offset, total: bytes.length };
  }

  #export(params: Parameters): Promise<InspectorRequests["capture/export"]["result"]> {
    const { store, reader } = this.#parts;
    const format = params.choice("format", ["jsonl", "har"]);
    const showSecrets = params.boolean("showSecrets");
    const ids = params.has("ids")
      ? params.naturals("ids", 100_000)
      : params.has("view")
        ? this.#view(params).ids()
        : undefined;
    const exchanges = ids === undefined ? [...store.all()] : ids.flatMap((id) => store.get(id) ?? []);
    return exportExchanges(exchanges, format, showSecrets, reader);
  }

  async #setType(params: Parameters): Promise<null> {
    const exchange = this.#exchange(params);
    const from = params.choice("from", ["visitor", "service"]);
    const type = params.nullableString("type", 1000);
    if (exchange === undefined) throw invalid("This exchange is no longer in the capture.");
    if (exchange.protocol !== "websocket")
      throw invalid("Only the binary messages of a WebSocket can be given a type.");
    if (type !== null) {
      const { problem } = await this.#parts.schemas.note(type);
      if (problem !== undefined) throw invalid(problem);
    }
    this.#parts.rules.set(exchange, from, type ?? undefined);
    // What was shown without the type is to be asked for again, in every exchange of the kind.
    for (const other of this.#parts.store.all()) if (other.protocol === "websocket") this.#parts.store.changed(other);
    return null;
  }

  #watch(id: number): void {
    if (this.#watched.size >= MAX_WATCHED) {
      const [oldest] = this.#watched;
      if (oldest !== undefined) this.#watched.delete(oldest);
    }
    this.#watched.add(id);
  }

  #changed(exchange: Exchange): void {
    // Called for whatever passes, mostly while nobody looks.
    if (this.#views.size > 0) for (const view of this.#views.values()) view.changed(exchange);
    if (this.#watched.size > 0 && this.#watched.has(exchange.id)) this.#dirtyWatched.set(exchange.id, exchange);
    this.#stateChanged();
  }

  #removed(exchange: Exchange): void {
    if (this.#views.size > 0) for (const view of this.#views.values()) view.removed(exchange);
    this.#watched.delete(exchange.id);
    this.#dirtyWatched.delete(exchange.id);
    this.#stateChanged();
  }

  #stateChanged(): void {
    this.#stateDirty = true;
    if (this.#timer !== undefined || this.#disposed) return;
    this.#timer = setTimeout(() => this.#tell(), BATCH_MS);
    this.#timer.unref();
  }

  #tell(): void {
    this.#timer = undefined;
    const { store } = this.#parts;
    for (const [view, content] of this.#views) {
      const change = content.takeChange(store.size);
      if (change !== undefined) this.#send("view/changed", { view, ...change });
    }
    for (const [id, exchange] of this.#dirtyWatched) {
      this.#send("exchange/changed", { id, row: exchange.row(), messages: exchange.messages.total });
    }
    this.#dirtyWatched.clear();
    if (this.#stateDirty) this.#send("capture/changed", store.state);
    this.#stateDirty = false;
  }
}
