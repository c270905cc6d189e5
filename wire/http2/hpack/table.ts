import type { Field } from "../../stream.ts";

/** Each entry counts 32 octets beside its name and value (RFC 7541 section 4.1). */
export const ENTRY_OVERHEAD = 32;

/**
 * A ring of fields, newest first. It grows by doubling, and never beyond capacity / 32 entries, since each counts at
 * least 32 octets.
 */
export class FieldRing {
  /** Entries now in the ring. */
  count = 0;
  #fields: (Field | undefined)[] = new Array<Field | undefined>(16).fill(undefined);
  #kinds = new Uint8Array(16);
  /** Where the next entry goes; always below the length, a power of two. */
  #next = 0;

  /** `age` 0 is the newest. */
  field(age: number): Field | undefined {
    return age < this.count ? this.#fields[(this.#next - 1 - age) & (this.#fields.length - 1)] : undefined;
  }

  kind(age: number): number {
    return this.#kinds[(this.#next - 1 - age) & (this.#fields.length - 1)] ?? 0;
  }

  add(field: Field, kind: number): void {
    if (this.count === this.#fields.length) this.#grow();
    this.#fields[this.#next] = field;
    this.#kinds[this.#next] = kind;
    this.#next = (this.#next + 1) & (this.#fields.length - 1);
    this.count++;
  }

  /** Takes the oldest entry out. */
  evict(): Field | undefined {
    if (this.count === 0) return undefined;
    const at = (this.#next - this.count) & (this.#fields.length - 1);
    const field = this.#fields[at];
    this.#fields[at] = undefined;
    this.count--;
    return field;
  }

  #grow(): void {
    const count = this.count;
    const fields: (Field | undefined)[] = [];
    const kinds = new Uint8Array(count * 2);
    for (let age = count - 1; age >= 0; age--) {
      kinds[fields.length] = this.kind(age);
      fields.push(this.field(age));
    }
    while (fields.length < count * 2) fields.push(undefined);
    this.#fields = fields;
    this.#kinds = kinds;
    this.#next = count;
  }
}

/** The dynamic table of a decoder (RFC 7541 section 4). */
export class DecoderTable {
  /** Octets the entries may count together. */
  capacity: number;
  /** The kind of the field that `field` returned last. */
  kind = 0;
  readonly #ring = new FieldRing();
  #size = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  field(age: number): Field | undefined {
    this.kind = this.#ring.kind(age);
    return this.#ring.field(age);
  }

  add(field: Field, kind: number, size: number): void {
    this.#shrink(this.capacity - size);
    // An entry larger than the table empties it and is not added; that is no error (section 4.4).
    if (size > this.capacity) return;
    this.#ring.add(field, kind);
    this.#size += size;
  }

  resize(capacity: number): void {
    this.capacity = capacity;
    this.#shrink(capacity);
  }

  #shrink(target: number): void {
    while (this.#size > target) {
      const field = this.#ring.evict();
      if (field === undefined) return;
      this.#size -= field.name.length + field.value.length + ENTRY_OVERHEAD;
    }
  }
}
