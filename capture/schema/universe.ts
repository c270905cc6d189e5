import type { SchemaNote, SchemaProblem } from "../protocol.ts";
import type { ParsedEnum, ParsedField, ParsedFile, ParsedMessage, ParsedMethod } from "./parse.ts";
import { SCALARS } from "./types.ts";
import type { EnumType, FieldShape, FieldType, MessageType, MethodType, Scalar, SourceFile } from "./types.ts";

/** Of duplicate definitions and missing imports this many are told: one wrong root makes hundreds. */
const MAX_TOLD = 100;

/** A definition and the file it is in. */
interface Definition<T> {
  readonly file: ParsedFile;
  readonly item: T;
}

/** Which file an import path means, seen from a file; undefined when there is none. */
export type ImportResolver = (path: string, from: SourceFile) => string | undefined;

/**
 * All that the files define, looked up by name. The same name may be defined in several files (vendored copies): a file
 * sees its own definition, then those it imports, then the nearest.
 */
export class Universe {
  readonly #files = new Map<string, ParsedFile>();
  readonly #messages = new Map<string, Definition<ParsedMessage>[]>();
  readonly #enums = new Map<string, Definition<ParsedEnum>[]>();
  readonly #methods = new Map<string, Definition<ParsedMethod>[]>();
  readonly #services = new Set<string>();
  /** By simple name of the extended message: resolving all references at once would cost more than all lookups. */
  readonly #extensions = new Map<string, Definition<ParsedField>[]>();
  readonly #resolved = new Map<ParsedMessage, Message>();
  readonly #closures = new Map<string, ReadonlySet<string>>();
  readonly #resolveImport: ImportResolver;
  readonly #problems: SchemaProblem[] = [];

  constructor(files: readonly ParsedFile[], resolveImport: ImportResolver) {
    this.#resolveImport = resolveImport;
    const sorted = [...files].sort(
      (one, other) => one.source.depth - other.source.depth || (one.source.id < other.source.id ? -1 : 1),
    );
    for (const file of sorted) this.#add(file);
  }

  /** Duplicates. */
  get problems(): readonly SchemaProblem[] {
    return this.#problems;
  }

  /** Messages and enums of the workspace; the bundled ones are not the user's. */
  get typeCount(): number {
    let count = 0;
    for (const definitions of [...this.#messages.values(), ...this.#enums.values()]) {
      if (definitions[0]?.file.source.id.startsWith("bundled:") === false) count++;
    }
    return count;
  }

  get serviceCount(): number {
    return this.#services.size;
  }

  /** Exactly this message. */
  message(fullName: string): MessageType | undefined {
    const definition = this.#messages.get(fullName)?.[0];
    return definition === undefined ? undefined : this.#message(definition);
  }

  /** `/pkg.Service/Method`. A type that is not found is given as its name. */
  method(path: string): MethodType | undefined {
    const definition = this.#methods.get(path)?.[0];
    if (definition === undefined) return undefined;
    const { file, item } = definition;
    const scope = file.source.packageName;
    const find = (reference: string): MessageType | string => {
      const shape = this.resolve(reference, scope, file);
      return shape.kind === "message" ? shape.message : reference;
    };
    return {
      input: find(item.input),
      output: find(item.output),
      visitorStreams: item.visitorStreams,
      serviceStreams: item.serviceStreams,
    };
  }

  hasService(fullName: string): boolean {
    return this.#services.has(fullName);
  }

  typeNames(query: string, limit: number): string[] {
    const wanted = query.toLowerCase();
    const names = [...this.#messages.keys()].filter((name) => name.toLowerCase().includes(wanted));
    // The workspace's own before google's.
    const own = (name: string): number =>
      this.#messages.get(name)?.[0]?.file.source.id.startsWith("bundled:") === true ? 1 : 0;
    return names.sort((one, other) => own(one) - own(other) || (one < other ? -1 : 1)).slice(0, limit);
  }

  /** A type reference as written at `scope` in `file` (protobuf's scoping: innermost first; a leading dot is absolute). */
  resolve(reference: string, scope: string, file: ParsedFile): FieldShape {
    if (reference.startsWith(".")) return this.#shape(reference.slice(1), file) ?? { kind: "unresolved", reference };
    for (let at = scope; ; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
      const shape = this.#shape(at === "" ? reference : `${at}.${reference}`, file);
      if (shape !== undefined) return shape;
      if (at === "") return { kind: "unresolved", reference };
    }
  }

  /** Extensions of this message, wherever they are declared. */
  extensionsOf(message: MessageType): Definition<ParsedField>[] {
    const simple = message.fullName.slice(message.fullName.lastIndexOf(".") + 1);
    return (this.#extensions.get(simple) ?? []).filter(({ file, item }) => {
      const shape = this.resolve(item.extendee ?? "", item.scope, file);
      return shape.kind === "message" && shape.message.fullName === message.fullName;
    });
  }

  #add(file: ParsedFile): void {
    this.#files.set(file.source.id, file);
    let told = false;
    const put = <T>(map: Map<string, Definition<T>[]>, name: string, item: T, line?: number): void => {
      const definitions = map.get(name);
      if (definitions === undefined) {
        map.set(name, [{ file, item }]);
        return;
      }
      definitions.push({ file, item });
      const used = definitions[0]?.file.source.shown;
      if (told || used === undefined || file.source.id.startsWith("bundled:") || this.#problems.length >= MAX_TOLD)
        return;
      told = true;
      const message = `${name} is defined in ${used}, too, which is nearer and is used where no import decides.`;
      this.#problems.push({ file: file.source.shown, ...(line === undefined ? {} : { line }), message });
    };
    for (const message of file.messages) put(this.#messages, message.fullName, message, message.line);
    for (const enumeration of file.enums) put(this.#enums, enumeration.fullName, enumeration);
    for (const service of file.services) {
      this.#services.add(service.fullName);
      for (const [name, method] of service.methods) put(this.#methods, `/${service.fullName}/${name}`, method);
    }
    for (const extension of file.extensions) {
      const simple = (extension.extendee ?? "").split(".").at(-1) ?? "";
      const list = this.#extensions.get(simple);
      if (list === undefined) this.#extensions.set(simple, [{ file, item: extension }]);
      else list.push({ file, item: extension });
    }
  }

  #shape(fullName: string, file: ParsedFile): FieldShape | undefined {
    const message = this.#choose(this.#messages.get(fullName), file);
    if (message !== undefined) return { kind: "message", message: this.#message(message) };
    const enumeration = this.#choose(this.#enums.get(fullName), file);
    return enumeration === undefined ? undefined : { kind: "enum", enumeration: enumeration.item satisfies EnumType };
  }

  #message(definition: Definition<ParsedMessage>): Message {
    let message = this.#resolved.get(definition.item);
    if (message === undefined) {
      message = new Message(this, definition.file, definition.item);
      this.#resolved.set(definition.item, message);
    }
    return message;
  }

  #choose<T>(definitions: readonly Definition<T>[] | undefined, file: ParsedFile): Definition<T> | undefined {
    if (definitions === undefined || definitions.length <= 1) return definitions?.[0];
    const own = definitions.find((definition) => definition.file === file);
    if (own !== undefined) return own;
    const visible = this.#closure(file);
    return definitions.find((definition) => visible.has(definition.file.source.id)) ?? definitions[0];
  }

  /** Ids of all files that this one imports, directly or not; cycles are no matter. */
  #closure(file: ParsedFile): ReadonlySet<string> {
    const known = this.#closures.get(file.source.id);
    if (known !== undefined) return known;
    const seen = new Set<string>();
    const open = [file];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const { path } of next.source.imports) {
        const id = this.#resolveImport(path, next.source);
        const target = id === undefined || seen.has(id) ? undefined : this.#files.get(id);
        if (target === undefined) continue;
        seen.add(target.source.id);
        open.push(target);
      }
    }
    this.#closures.set(file.source.id, seen);
    return seen;
  }
}

class Message implements MessageType {
  readonly fullName: string;
  readonly file: SourceFile;
  readonly line: number | undefined;
  readonly #universe: Universe;
  readonly #parsedFile: ParsedFile;
  readonly #parsed: ParsedMessage;
  #fields: Map<number, FieldType> | undefined;

  constructor(universe: Universe, file: ParsedFile, parsed: ParsedMessage) {
    this.#universe = universe;
    this.#parsedFile = file;
    this.#parsed = parsed;
    this.fullName = parsed.fullName;
    this.file = file.source;
    this.line = parsed.line;
  }

  get fields(): ReadonlyMap<number, FieldType> {
    if (this.#fields !== undefined) return this.#fields;
    this.#fields = new Map();
    for (const field of this.#parsed.fields)
      this.#fields.set(field.number, resolveField(this.#universe, this.#parsedFile, field));
    for (const { file, item } of this.#universe.extensionsOf(this)) {
      if (!this.#fields.has(item.number)) this.#fields.set(item.number, resolveField(this.#universe, file, item));
    }
    return this.#fields;
  }
}

function resolveField(universe: Universe, file: ParsedFile, field: ParsedField): FieldType {
  const shape: FieldShape = SCALARS.has(field.typeReference)
    ? { kind: "scalar", scalar: field.typeReference as Scalar }
    : universe.resolve(field.typeReference, field.scope, file);
  const extension = field.extendee !== undefined;
  const fullName = extension && field.scope !== "" ? `${field.scope}.${field.name}` : field.name;
  const isMap = field.mapKey !== undefined;
  const singular = !field.repeated && !isMap;
  const { features } = field;
  return {
    number: field.number,
    name: extension ? `[${fullName}]` : field.name,
    jsonName: extension ? `[${fullName}]` : (field.jsonName ?? jsonName(field.name)),
    shape,
    repeated: field.repeated,
    packed: features.packed,
    required: singular && features.presence === "required",
    presence:
      singular &&
      (extension ||
        field.oneof !== undefined ||
        field.optionalKeyword ||
        shape.kind === "message" ||
        features.presence !== "implicit"),
    delimited: features.delimited && shape.kind === "message" && !isMap,
    strictUtf8: features.strictUtf8,
    oneof: field.oneof,
    mapKey: field.mapKey as Scalar | undefined,
  };
}

/** protoc's ToJsonName: underscores go, and the letter behind one becomes upper case. */
export function jsonName(name: string): string {
  return name.replace(/_+([a-z0-9A-Z]?)/g, (_all, letter: string) => letter.toUpperCase());
}

/** Name and place of a type, as it is shown. */
export function noteOf(message: MessageType): SchemaNote {
  return {
    type: message.fullName,
    file: message.file.shown,
    ...(message.line === undefined ? {} : { line: message.line }),
  };
}
