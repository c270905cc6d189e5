/** Everything that ends with its owner, ended in the reverse order of its making. */
export class DisposableList {
  readonly #items: { dispose(): unknown }[] = [];

  add<T extends { dispose(): unknown }>(item: T): T {
    this.#items.push(item);
    return item;
  }

  dispose(): void {
    while (this.#items.length > 0) this.#items.pop()?.dispose();
  }
}
