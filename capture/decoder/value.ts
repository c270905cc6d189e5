import type { FieldType, MessageType } from "../schema/types.ts";

/** JSON as decoders make it: objects have no prototype, so that no key of a payload is special. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export function jsonObject(): Record<string, Json> {
  return Object.create(null) as Record<string, Json>;
}

/** What a singular field, or an element, holds after reading. */
export type FieldValue = Json | MessageValue;

/** Elements of a map in order of first appearance; a later entry with the same key replaces the value. */
export type Stored =
  { readonly single: FieldValue } | { readonly list: FieldValue[] } | { readonly map: Map<string, FieldValue> };

/** A message while it is read: protobuf lets its fields come in any order, in pieces and several times. */
export class MessageValue {
  readonly type: MessageType;
  readonly fields = new Map<FieldType, Stored>();

  constructor(type: MessageType) {
    this.type = type;
  }

  /** The last value of a singular field wins; of a oneof, the last member. */
  set(field: FieldType, value: FieldValue): void {
    if (field.oneof !== undefined) {
      for (const other of this.fields.keys())
        if (other.oneof === field.oneof && other !== field) this.fields.delete(other);
    }
    this.fields.set(field, { single: value });
  }

  append(field: FieldType, value: FieldValue): void {
    const stored = this.fields.get(field);
    if (stored !== undefined && "list" in stored) stored.list.push(value);
    else this.fields.set(field, { list: [value] });
  }

  put(field: FieldType, key: string, value: FieldValue): void {
    const stored = this.fields.get(field);
    if (stored !== undefined && "map" in stored) stored.map.set(key, value);
    else this.fields.set(field, { map: new Map([[key, value]]) });
  }

  /** The message to read into: a singular message field that comes again is merged. */
  child(field: FieldType, type: MessageType): MessageValue {
    const stored = field.repeated || field.mapKey !== undefined ? undefined : this.fields.get(field);
    if (stored !== undefined && "single" in stored && stored.single instanceof MessageValue) return stored.single;
    return new MessageValue(type);
  }

  /** The value of the singular field with this number. */
  get(number: number): FieldValue | undefined {
    for (const [field, stored] of this.fields) if (field.number === number && "single" in stored) return stored.single;
    return undefined;
  }

  list(number: number): readonly FieldValue[] {
    for (const [field, stored] of this.fields) if (field.number === number && "list" in stored) return stored.list;
    return [];
  }

  map(number: number): ReadonlyMap<string, FieldValue> {
    for (const [field, stored] of this.fields) if (field.number === number && "map" in stored) return stored.map;
    return new Map();
  }
}
