import protobuf from "protobufjs";
import { declarationLines, importLines } from "./positions.ts";
import type { Features, SourceFile } from "./types.ts";

/** Names that a definition may have; others cannot come from a legal file. */
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

export interface ParsedField {
  readonly number: number;
  readonly name: string;
  readonly jsonName: string | undefined;
  readonly typeReference: string;
  readonly mapKey: string | undefined;
  readonly repeated: boolean;
  readonly group: boolean;
  readonly oneof: string | undefined;
  readonly optionalKeyword: boolean;
  readonly features: Features;
  /** Full name of the message or package it is written in: where its type is looked up. */
  readonly scope: string;
  /** An extension: the message it extends. */
  readonly extendee: string | undefined;
}

export interface ParsedMessage {
  readonly fullName: string;
  readonly line: number | undefined;
  readonly fields: readonly ParsedField[];
}

export interface ParsedEnum {
  readonly fullName: string;
  readonly closed: boolean;
  readonly names: ReadonlyMap<number, string>;
}

export interface ParsedService {
  readonly fullName: string;
  readonly methods: ReadonlyMap<string, ParsedMethod>;
}

export interface ParsedMethod {
  readonly input: string;
  readonly output: string;
  readonly visitorStreams: boolean;
  readonly serviceStreams: boolean;
}

export interface ParsedFile {
  readonly source: SourceFile;
  readonly messages: readonly ParsedMessage[];
  readonly enums: readonly ParsedEnum[];
  readonly services: readonly ParsedService[];
  readonly extensions: readonly ParsedField[];
}

export interface ParseProblem {
  readonly message: string;
  readonly line: number | undefined;
  readonly column: number | undefined;
}

export type ParseResult = { readonly file: ParsedFile } | { readonly problem: ParseProblem };

/**
 * Reads one `.proto` text by itself: what is wrong in one file can harm no other. References stay names. Only
 * protobufjs' parser is used; nothing is compiled.
 */
export function parseProto(text: string, where: Pick<SourceFile, "id" | "shown" | "depth">): ParseResult {
  try {
    const parsed = protobuf.parse(text, new protobuf.Root(), { keepCase: true });
    return { file: new Collector(text, where, parsed).collect() };
  } catch (error) {
    return { problem: parseProblem(error, text) };
  }
}

function parseProblem(error: unknown, text: string): ParseProblem {
  const whole = error instanceof Error ? error.message : "not readable";
  const found = /^(.*?) \((?:[^()]*, )?line (\d+)\)$/s.exec(whole);
  const message = (found?.[1] ?? whole).replaceAll("'null'", "the end of the file").slice(0, 200);
  if (found?.[2] === undefined) {
    // "duplicate id 1 in Type A": the declaration is the best place there is.
    const name = / in (?:Type|Enum|Namespace|Service) \.?([\w.]+)/.exec(whole)?.[1];
    return { message, line: name === undefined ? undefined : declarationLines(text).get(name), column: undefined };
  }
  const line = Number(found[2]);
  const token = /'([^']+)'/.exec(message)?.[1];
  const at = token === undefined ? -1 : (text.split("\n")[line - 1] ?? "").lastIndexOf(token);
  return { message, line, column: at < 0 ? undefined : at + 1 };
}

const DEFAULTS: Readonly<Record<string, Features>> = {
  proto2: { presence: "explicit", closedEnums: true, packed: false, strictUtf8: false, delimited: false },
  proto3: { presence: "implicit", closedEnums: false, packed: true, strictUtf8: true, delimited: false },
  "2023": { presence: "explicit", closedEnums: false, packed: true, strictUtf8: true, delimited: false },
};

class Collector {
  readonly #messages: ParsedMessage[] = [];
  readonly #enums: ParsedEnum[] = [];
  readonly #services: ParsedService[] = [];
  readonly #extensions: ParsedField[] = [];
  readonly #lines: Map<string, number>;
  readonly #source: SourceFile;
  readonly #root: protobuf.Root;
  readonly #defaults: Features;

  constructor(text: string, where: Pick<SourceFile, "id" | "shown" | "depth">, parsed: protobuf.IParserResult) {
    const imports = importLines(text);
    const paths = [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])];
    this.#lines = declarationLines(text);
    this.#root = parsed.root;
    this.#source = {
      ...where,
      packageName: parsed.package ?? "",
      imports: paths.map((path) => ({ path, line: imports.get(path) })),
    };
    this.#defaults = editionDefaults(text);
  }

  collect(): ParsedFile {
    const scope = this.#source.packageName;
    const top = scope === "" ? this.#root : this.#root.lookup(scope);
    // The parser puts a file's own `features` options on each of its top-level objects.
    if (top instanceof protobuf.Namespace) this.#namespace(top, scope, "", this.#defaults);
    return {
      source: this.#source,
      messages: this.#messages,
      enums: this.#enums,
      services: this.#services,
      extensions: this.#extensions,
    };
  }

  #namespace(parent: protobuf.NamespaceBase, scope: string, local: string, inherited: Features): void {
    for (const object of parent.nestedArray) {
      if (!IDENTIFIER.test(object.name)) throw new Error("illegal name");
      const features = withOptions(inherited, object.options);
      const fullName = scope === "" ? object.name : `${scope}.${object.name}`;
      const localName = local === "" ? object.name : `${local}.${object.name}`;
      if (object instanceof protobuf.Type) this.#message(object, fullName, localName, features);
      else if (object instanceof protobuf.Enum) {
        const names = new Map<number, string>();
        for (const [name, number] of Object.entries(object.values)) if (!names.has(number)) names.set(number, name);
        this.#enums.push({ fullName, closed: features.closedEnums, names });
      } else if (object instanceof protobuf.Service) this.#service(object, fullName);
      else if (object instanceof protobuf.Field) this.#extension(object, scope, features);
    }
  }

  #message(type: protobuf.Type, fullName: string, local: string, features: Features): void {
    const fields: ParsedField[] = [];
    for (const field of type.fieldsArray) {
      // Extensions declared in the same file appear in the extended message, too.
      if (field.declaringField !== null || !IDENTIFIER.test(field.name)) continue;
      const oneof = field.partOf;
      const inherited = oneof === null ? features : withOptions(features, oneof.options);
      fields.push(this.#field(field, fullName, withOptions(inherited, field.options), isGroup(type, field)));
    }
    this.#messages.push({ fullName, line: this.#lines.get(local), fields });
    this.#namespace(type, fullName, local, features);
  }

  #extension(field: protobuf.Field, scope: string, features: Features): void {
    const parent = field.parent;
    const group = parent instanceof protobuf.Namespace && isGroup(parent, field);
    this.#extensions.push(this.#field(field, scope, features, group));
  }

  #field(field: protobuf.Field, scope: string, features: Features, group: boolean): ParsedField {
    const optionalKeyword = field.options?.["proto3_optional"] === true;
    const packed: unknown = field.options?.["packed"];
    return {
      number: field.id,
      // A group's field is named after its type in lower case; the parser lowers the first letter only.
      name: group ? field.type.toLowerCase() : field.name,
      jsonName: typeof field.jsonName === "string" ? field.jsonName : undefined,
      typeReference: field.type,
      mapKey: field instanceof protobuf.MapField ? field.keyType : undefined,
      repeated: field.repeated,
      group,
      oneof: optionalKeyword ? undefined : field.partOf?.name,
      optionalKeyword,
      features: {
        ...features,
        presence: field.rule === "required" ? "required" : features.presence,
        packed: typeof packed === "boolean" ? packed : features.packed,
        delimited: group || features.delimited,
      },
      scope,
      extendee: field.extend,
    };
  }

  #service(service: protobuf.Service, fullName: string): void {
    const methods = new Map<string, ParsedMethod>();
    for (const method of service.methodsArray) {
      methods.set(method.name, {
        input: method.requestType,
        output: method.responseType,
        visitorStreams: method.requestStream === true,
        serviceStreams: method.responseStream === true,
      });
    }
    this.#services.push({ fullName, methods });
  }
}

/** proto2's `group Result = 1 {…}` makes a nested type of this name; the parser marks it. */
function isGroup(parent: protobuf.NamespaceBase, field: protobuf.Field): boolean {
  const type = parent.nested?.[field.type];
  return type instanceof protobuf.Type && (type as { readonly group?: boolean }).group === true;
}

function editionDefaults(text: string): Features {
  const bare = text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "");
  const [, keyword, value] = /(?:^|[\s;])(syntax|edition)\s*=\s*["']([^"']+)["']/.exec(bare) ?? [];
  if (keyword === "edition") return defaults("2023");
  return defaults(value === "proto3" ? "proto3" : "proto2");
}

function defaults(edition: string): Features {
  const found = DEFAULTS[edition];
  if (found === undefined) throw new Error("unknown edition");
  return found;
}

/** Features as options of a file, message, field or enum change them. */
function withOptions(inherited: Features, options: Readonly<Record<string, unknown>> | undefined): Features {
  const changed: unknown = options?.["features"];
  if (typeof changed !== "object" || changed === null) return inherited;
  const { field_presence, enum_type, repeated_field_encoding, utf8_validation, message_encoding } = changed as Record<
    string,
    unknown
  >;
  return {
    presence:
      field_presence === "EXPLICIT"
        ? "explicit"
        : field_presence === "IMPLICIT"
          ? "implicit"
          : field_presence === "LEGACY_REQUIRED"
            ? "required"
            : inherited.presence,
    closedEnums: enum_type === undefined ? inherited.closedEnums : enum_type === "CLOSED",
    packed: repeated_field_encoding === undefined ? inherited.packed : repeated_field_encoding === "PACKED",
    strictUtf8: utf8_validation === undefined ? inherited.strictUtf8 : utf8_validation !== "NONE",
    delimited: message_encoding === undefined ? inherited.delimited : message_encoding === "DELIMITED",
  };
}
