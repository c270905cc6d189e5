import type { Host } from "./host.ts";
import type { Row } from "./list-model.ts";
import { Observable } from "./observable.ts";
import { Pages } from "./pages.ts";
import type { InspectorNotifications, InspectorRequests } from "./protocol.ts";

export type Detail = NonNullable<InspectorRequests["exchange/detail"]["result"]>;
export type Head = Detail["heads"][number];
export type MessageSummary = NonNullable<InspectorRequests["exchange/messages"]["result"]>["messages"][number];

const PAGE_MESSAGES = 100;

/** The exchange that is looked at: its detail, and its messages by index. */
export class ExchangeModel extends Observable {
  id: number | undefined;
  detail: Detail | undefined;
  /** The exchange left the capture. What was already here stays on screen. */
  gone = false;
  total = 0;
  readonly #host: Host;
  readonly #messages: Pages<MessageSummary>;
  /** True values of masked fields that the user asked for, by head and index. Forgotten with the selection. */
  readonly #revealed = new Map<string, string>();
  #loading = false;
  /** `total` is the host's count of messages; until then it is a guess from the row. */
  #counted = false;
  #again = false;

  constructor(host: Host) {
    super();
    this.#host = host;
    this.#messages = new Pages<MessageSummary>({
      pageSize: PAGE_MESSAGES,
      fetch: async (index, count) => {
        const id = this.id ?? 0;
        const result = await host.request("exchange/messages", { id, index, count });
        if (result === null) {
          this.gone = true;
          return { position: index, items: [] };
        }
        // The first answer counts; afterwards an answer may be older than a change that was told meanwhile.
        if (id === this.id) this.total = this.#counted ? Math.max(this.total, result.total) : result.total;
        this.#counted = true;
        return { position: result.index, items: result.messages };
      },
      changed: () => this.changed(),
    });
    host.on("exchange/changed", (params) => this.#changed(params));
  }

  get row(): Row | undefined {
    return this.detail?.row;
  }

  message(index: number): MessageSummary | undefined {
    return this.#messages.get(index);
  }

  /** The message left the capture: a very long stream loses its beginning. */
  isAbsent(index: number): boolean {
    return this.#messages.isAbsent(index);
  }

  need(start: number, end: number): void {
    this.#messages.need(Math.max(0, start), Math.min(end, this.total));
  }

  async select(id: number | undefined): Promise<void> {
    if (id === this.id) return;
    const former = this.id;
    this.id = id;
    this.detail = undefined;
    this.gone = false;
    this.total = 0;
    this.#counted = false;
    this.#again = false;
    this.#loading = false;
    this.#messages.clear();
    this.#revealed.clear();
    this.changed();
    if (former !== undefined) this.#host.request("exchange/unwatch", { id: former }).catch(() => undefined);
    await this.load();
  }

  /** Asks for the detail again; while one request is under way, once more after it. */
  async load(): Promise<void> {
    const id = this.id;
    if (id === undefined) return;
    if (this.#loading) {
      this.#again = true;
      return;
    }
    this.#loading = true;
    try {
      const detail = await this.#host.request("exchange/detail", { id, watch: true });
      if (id !== this.id) return;
      if (detail === null) this.gone = true;
      else {
        this.detail = detail;
        if (!this.#counted) this.total = detail.row.visitorMessages + detail.row.serviceMessages;
      }
      this.changed();
    } catch {
      // The link was lost; everything is asked for again when it is back.
    } finally {
      if (id === this.id) {
        this.#loading = false;
        if (this.#again) {
          this.#again = false;
          void this.load();
        }
      }
    }
  }

  /** The schema or the link is new: what was read may be read otherwise now. */
  async refresh(): Promise<void> {
    this.#messages.invalidate();
    await this.load();
  }

  revealed(head: number, index: number): string | undefined {
    return this.#revealed.get(`${head}/${index}`);
  }

  async toggleSecret(head: number, index: number): Promise<void> {
    const key = `${head}/${index}`;
    const id = this.id;
    if (id === undefined) return;
    if (!this.#revealed.delete(key)) {
      const result = await this.#host.request("exchange/reveal", { id, head, index });
      if (result === null || id !== this.id) return;
      this.#revealed.set(key, result.value);
    }
    this.changed();
  }

  #changed({ id, row, messages }: InspectorNotifications["exchange/changed"]): void {
    if (id !== this.id) return;
    const former = this.detail?.row;
    if (this.detail !== undefined) this.detail = { ...this.detail, row };
    this.total = messages;
    this.#counted = true;
    for (const [index, message] of this.#messages.entries())
      if (message.state === "growing") this.#messages.invalidateAt(index);
    if (former === undefined || LATE_FIELDS.some((field) => former[field] !== row[field])) {
      // An ended exchange tells its messages' last words too: sizes, previews, "partial".
      if (row.state !== "open") this.#messages.invalidate();
      void this.load();
    }
    this.changed();
  }
}

/** When one of these is new, heads or notes of the detail are too. */
const LATE_FIELDS = ["state", "status", "grpcStatus", "headAt", "endedAt", "incomplete", "protocol"] as const;
