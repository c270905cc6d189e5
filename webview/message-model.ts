import type { ExchangeModel, MessageSummary } from "./exchange-model.ts";
import { messageOf, type Host } from "./host.ts";
import { Observable } from "./observable.ts";
import type { InspectorRequests } from "./protocol.ts";

export type Decoded = NonNullable<InspectorRequests["message/decode"]["result"]>;
export type Mode = "tree" | "json" | "text" | "hex";

/** The message that is looked at, and its reading. */
export class MessageModel extends Observable {
  /** `status`: not a message but the end of the exchange. */
  index: number | "status" | undefined;
  /** What the user chose last, for all messages; a payload that cannot be shown so is shown in the nearest way. */
  mode: Mode = "tree";
  decoded: Decoded | undefined;
  problem: string | undefined;
  /** Range in the decoded message that a tree node stands for: highlighted in the hex view. */
  highlight: { readonly offset: number; readonly length: number } | undefined;
  readonly #host: Host;
  readonly #exchange: ExchangeModel;
  #asked = 0;
  #seen: MessageSummary | undefined;

  constructor(host: Host, exchange: ExchangeModel) {
    super();
    this.#host = host;
    this.#exchange = exchange;
    exchange.subscribe(() => this.#exchangeChanged());
  }

  select(index: number | "status" | undefined): void {
    if (index === this.index) return;
    this.index = index;
    this.decoded = undefined;
    this.problem = undefined;
    this.highlight = undefined;
    this.#seen = typeof index === "number" ? this.#exchange.message(index) : undefined;
    this.changed();
    void this.decode();
  }

  setMode(mode: Mode): void {
    const textual = (value: Mode): boolean => value === "text";
    const again = textual(mode) !== textual(this.mode);
    this.mode = mode;
    this.changed();
    if (again) void this.decode();
  }

  setHighlight(range: { readonly offset: number; readonly length: number } | undefined): void {
    this.highlight = range;
    this.changed();
  }

  async decode(): Promise<void> {
    const { id } = this.#exchange;
    const index = this.index;
    if (id === undefined || typeof index !== "number") return;
    const asked = ++this.#asked;
    try {
      const as = this.mode === "text" ? "text" : "auto";
      const decoded = await this.#host.request("message/decode", { id, index, as });
      if (asked !== this.#asked) return;
      this.decoded = decoded ?? undefined;
      this.problem = decoded === null ? "This message is no longer in the capture." : undefined;
    } catch (error) {
      if (asked !== this.#asked || this.#host.link !== "open") return;
      this.problem = messageOf(error);
    }
    this.changed();
  }

  /** A message that grew, or lost its bytes, is read again. */
  #exchangeChanged(): void {
    if (typeof this.index !== "number") return;
    const summary = this.#exchange.message(this.index);
    if (summary === undefined || summary === this.#seen) return;
    const former = this.#seen;
    this.#seen = summary;
    if (former?.state !== summary.state || former.size !== summary.size || former.type !== summary.type)
      void this.decode();
  }
}
