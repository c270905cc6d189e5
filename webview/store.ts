import { Clock } from "./clock.ts";
import { ExchangeModel } from "./exchange-model.ts";
import { messageOf, type Host } from "./host.ts";
import { ListModel } from "./list-model.ts";
import { readMemory, type Tab } from "./memory.ts";
import { MessageModel } from "./message-model.ts";
import { Observable } from "./observable.ts";
import type { HostState, InspectorRequests } from "./protocol.ts";

export type CaptureState = InspectorRequests["capture/state"]["result"];
export type SchemaStatus = InspectorRequests["schema/status"]["result"];

/** How long a notice such as "Copied" stays. */
const NOTICE_MS = 4000;

/**
 * The state of the page. Data flows one way: the host tells the models, elements draw what the models hold, and what the
 * user does becomes a call of a method here.
 */
export class Store extends Observable {
  readonly host: Host;
  readonly list: ListModel;
  readonly exchange: ExchangeModel;
  readonly message: MessageModel;
  readonly clock = new Clock();
  state: HostState | undefined;
  capture: CaptureState | undefined;
  schema: SchemaStatus | undefined;
  tab: Tab;
  /** Share of the width that the list has while a detail is open. */
  split: number;
  /** What just happened, in words: shown in the status bar and spoken. */
  notice: { readonly text: string; readonly failed: boolean } | undefined;
  #noticeTimer: number | undefined;

  constructor(host: Host) {
    super();
    this.host = host;
    this.list = new ListModel(host, this.clock);
    this.exchange = new ExchangeModel(host);
    this.message = new MessageModel(host, this.exchange);
    const memory = readMemory(host.recall());
    this.list.filter = memory.filter;
    this.tab = memory.tab;
    this.split = memory.split;
    this.message.mode = memory.mode;
    if (memory.exchange !== undefined) void this.exchange.select(memory.exchange);
    // Remembered from a former capture, or dropped just now: a pane without content would only be in the way.
    this.exchange.subscribe(() => {
      if (!this.exchange.gone || this.exchange.detail !== undefined) return;
      this.open(undefined);
      this.say("The exchange that was open is no longer in the capture.");
    });
    host.on("host/stateChanged", (state) => this.#set({ state }));
    host.on("capture/changed", (capture) => this.#set({ capture }));
    host.on("schema/changed", (schema) => {
      const again = schema.revision !== this.schema?.revision;
      this.#set({ schema });
      if (again) void this.exchange.refresh().then(() => this.message.decode());
    });
    host.on("host/reveal", ({ filter, exchange }) => {
      if (filter !== undefined) void this.filter(filter);
      if (exchange !== undefined) this.open(exchange);
    });
    host.subscribe(() => {
      if (host.link === "open") void this.#load();
      this.changed();
    });
  }

  /** Opens an exchange in the detail, or closes the detail. */
  open(id: number | undefined): void {
    this.message.select(undefined);
    void this.exchange.select(id);
    this.remember();
    this.changed();
  }

  async filter(text: string): Promise<void> {
    await this.list.open(text);
    this.remember();
  }

  setTab(tab: Tab): void {
    this.tab = tab;
    this.remember();
    this.changed();
  }

  setSplit(split: number): void {
    this.split = Math.min(0.85, Math.max(0.15, split));
    this.remember();
    this.changed();
  }

  async pause(paused: boolean): Promise<void> {
    await this.attempt(async () => this.#set({ capture: await this.host.request("capture/pause", { paused }) }));
  }

  async clear(): Promise<void> {
    await this.attempt(async () => {
      const capture = await this.host.request("capture/clear", null);
      this.open(undefined);
      this.#set({ capture });
      this.say("Cleared. Exchanges that are still open will be recorded from here on.");
    });
  }

  async copy(text: string, what: string): Promise<void> {
    await this.attempt(async () => {
      await this.host.copy(text);
      this.say(`Copied ${what}`);
    });
  }

  /** Does something that may fail, and says so if it does. */
  async attempt(action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.say(messageOf(error), true);
    }
  }

  say(text: string, failed = false): void {
    this.notice = { text, failed };
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = window.setTimeout(
      () => {
        this.notice = undefined;
        this.changed();
      },
      failed ? NOTICE_MS * 2 : NOTICE_MS,
    );
    this.changed();
  }

  remember(): void {
    const { tab, split } = this;
    const memory = { filter: this.list.filter, exchange: this.exchange.id, tab, split, mode: this.message.mode };
    this.host.remember(memory);
  }

  #set(part: Partial<Pick<Store, "state" | "capture" | "schema">>): void {
    Object.assign(this, part);
    this.changed();
  }

  async #load(): Promise<void> {
    const { host } = this;
    await Promise.all([
      this.list.reopen(),
      this.exchange.refresh(),
      this.attempt(async () => {
        const told = this.state;
        const state = await host.request("host/state", null);
        // What was told meanwhile is newer.
        if (this.state === told) this.#set({ state });
      }),
      this.attempt(async () => this.#set({ capture: await host.request("capture/state", null) })),
      // The decoder may still be starting: nobody else waits for it.
      this.attempt(async () => this.#set({ schema: await host.request("schema/status", null) })),
    ]);
  }
}
