/** Something that changes. Listeners read the new state from it; they are told only that there is one. */
export class Observable {
  readonly #listeners = new Set<() => void>();

  /** Returns the function that ends the subscription. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  protected changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
