import { LitElement } from "lit";
import type { Observable } from "./observable.ts";

/**
 * The base of all elements of the page. They render into the light DOM: one style sheet and one icon font serve them
 * all, and ids for ARIA references work across elements.
 */
export abstract class PortlightElement extends LitElement {
  #subscriptions: (() => void)[] = [];

  /** What this element is drawn from: it renders again when one of them changed. */
  protected observed(): readonly Observable[] {
    return [];
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#subscriptions = this.observed().map((source) => source.subscribe(() => this.requestUpdate()));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const unsubscribe of this.#subscriptions) unsubscribe();
    this.#subscriptions = [];
  }

  protected override createRenderRoot(): this {
    return this;
  }
}
