/** What the typed reader needs to know of a `.proto` file. Names are full names without a leading dot. */
export type Scalar =
  | "double"
  | "float"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "sint32"
  | "sint64"
  | "fixed32"
  | "fixed64"
  | "sfixed32"
  | "sfixed64"
  | "bool"
  | "string"
  | "bytes";

export const SCALARS: ReadonlySet<string> = new Set<Scalar>([
  "double",
  "float",
  "int32",
  "int64",
  "uint32",
  "uint64",
  "sint32",
  "sint64",
  "fixed32",
  "fixed64",
  "sfixed32",
  "sfixed64",
  "bool",
  "string",
  "bytes",
]);

/** Features of Protobuf Editions that change how octets are read; proto2 and proto3 are two settings of them. */
export interface Features {
  readonly presence: "explicit" | "implicit" | "required";
  readonly closedEnums: boolean;
  readonly packed: boolean;
  readonly strictUtf8: boolean;
  readonly delimited: boolean;
}

export interface SourceFile {
  /** Absolute real path, or `bundled:google/…`. */
  readonly id: string;
  /** As shown: workspace-relative, or `bundled:google/…`. */
  readonly shown: string;
  /** Folders between a workspace folder (or import root) and the file: of two definitions the nearer one wins. */
  readonly depth: number;
  readonly packageName: string;
  readonly imports: readonly { readonly path: string; readonly line: number | undefined }[];
}

export type FieldShape =
  | { readonly kind: "scalar"; readonly scalar: Scalar }
  | { readonly kind: "message"; readonly message: MessageType }
  | { readonly kind: "enum"; readonly enumeration: EnumType }
  /** Its type was found in no file. */
  | { readonly kind: "unresolved"; readonly reference: string };

export interface FieldType {
  readonly number: number;
  /** proto name; `[full.name]` for an extension. */
  readonly name: string;
  readonly jsonName: string;
  readonly shape: FieldShape;
  readonly repeated: boolean;
  readonly packed: boolean;
  readonly required: boolean;
  /** Absent and default are different things. */
  readonly presence: boolean;
  readonly delimited: boolean;
  readonly strictUtf8: boolean;
  /** Index of the oneof within the message, when it is in one (not a proto3 `optional`). */
  readonly oneof: string | undefined;
  /** For a map: the type of its keys; `shape` is that of its values. */
  readonly mapKey: Scalar | undefined;
}

export interface EnumType {
  readonly fullName: string;
  readonly closed: boolean;
  readonly names: ReadonlyMap<number, string>;
}

export interface MessageType {
  readonly fullName: string;
  readonly file: SourceFile;
  readonly line: number | undefined;
  /** Resolved when first asked for. */
  readonly fields: ReadonlyMap<number, FieldType>;
}

export interface MethodType {
  readonly input: MessageType | string;
  readonly output: MessageType | string;
  readonly visitorStreams: boolean;
  readonly serviceStreams: boolean;
}
