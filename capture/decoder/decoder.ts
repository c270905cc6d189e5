import { readTree } from "../../wire/protobuf/tree.ts";
import { WireError } from "../../wire/protobuf/reader.ts";
import type { SchemaNote } from "../protocol.ts";
import { loadSchema } from "../schema/load.ts";
import { noteOf, Universe } from "../schema/universe.ts";
import type { MessageType } from "../schema/types.ts";
import type { JobName, Jobs, MethodSchema, ProtobufDecoded } from "./jobs.ts";
import { TREE_CHARACTERS, TREE_ELEMENTS } from "./limits.ts";
import { MisfitError } from "./scalar-reader.ts";
import type { ReadLimits } from "./scalar-reader.ts";
import { readTyped } from "./typed.ts";
import { wireNodes } from "./wire-nodes.ts";

/** Where only the JSON is wanted, a list of numbers may be longer; memory and time are bounded by the worker's. */
const JSON_ELEMENTS = 500_000;
/** Fields read for a line of preview. */
const PREVIEW = { elements: 60, characters: 400 };

/** What the worker does. Nothing here keeps a payload. */
export class Decoder {
  #universe: Universe | undefined;

  async run(name: JobName, params: unknown): Promise<unknown> {
    switch (name) {
      case "load":
        return this.#load(params as Jobs["load"]["params"]);
      case "method":
        return this.#method(params as Jobs["method"]["params"]);
      case "types": {
        const { query, limit } = params as Jobs["types"]["params"];
        return this.#universe?.typeNames(query, limit) ?? [];
      }
      case "note":
        return this.#note((params as Jobs["note"]["params"]).type);
      case "decode":
        return this.#decode(params as Jobs["decode"]["params"]);
      case "values":
        return this.#values(params as Jobs["values"]["params"]);
      case "previews":
        return (params as Jobs["previews"]["params"]).messages.map(({ bytes, type }) => this.#preview(bytes, type));
    }
  }

  async #load(sources: Jobs["load"]["params"]): Promise<Jobs["load"]["result"]> {
    const { universe, result } = await loadSchema(sources);
    this.#universe = universe;
    return result;
  }

  #note(type: string): SchemaNote {
    const message = this.#universe?.message(type);
    return message === undefined
      ? { problem: `No .proto file of the workspace defines a message ${type}.` }
      : noteOf(message);
  }

  #method({ path }: Jobs["method"]["params"]): MethodSchema {
    const method = this.#universe?.method(path);
    if (method === undefined) {
      const [, service = "", name = ""] = path.split("/");
      const problem =
        this.#universe?.hasService(service) === true
          ? `The service ${service} has no method ${name} in the .proto files of the workspace: are they up to date?`
          : `No .proto file of the workspace defines ${service}. Add its file to the workspace, or set portlight.protoRoots.`;
      return { kind: "unknown", request: { problem }, response: { problem } };
    }
    const { visitorStreams, serviceStreams } = method;
    const kind = visitorStreams
      ? serviceStreams
        ? "bidi-streaming"
        : "client-streaming"
      : serviceStreams
        ? "server-streaming"
        : "unary";
    return { kind, request: typeNote(method.input), response: typeNote(method.output) };
  }

  #decode({ bytes, schema, outputChars }: Jobs["decode"]["params"]): ProtobufDecoded {
    const type = schema.type === undefined ? undefined : this.#universe?.message(schema.type);
    if (type === undefined)
      return wireReading(
        bytes,
        schema.type === undefined ? schema : { problem: schema.problem ?? `The type ${schema.type} is not known.` },
      );
    const forProgram = outputChars > TREE_CHARACTERS;
    const limits = { elements: forProgram ? JSON_ELEMENTS : TREE_ELEMENTS, characters: outputChars };
    try {
      const reading = readTyped(bytes, type, (name) => this.#universe?.message(name), limits);
      const notes = reading.notes.join("; ");
      return {
        view: "protobuf",
        schema: { ...noteOf(type), ...(schema.problem === undefined ? {} : { problem: schema.problem }) },
        reading: "typed",
        tree: forProgram ? [] : reading.tree,
        json: reading.json,
        hasUnknownFields: reading.hasUnknownFields,
        truncated: reading.truncated,
        ...(notes === "" ? {} : { problem: `${notes.charAt(0).toUpperCase()}${notes.slice(1)}.` }),
      };
    } catch (error) {
      if (!(error instanceof WireError) && !(error instanceof MisfitError)) throw error;
      const problem = `The octets do not fit ${type.fullName}: ${error.message} Is the .proto file up to date?`;
      return wireReading(bytes, { ...noteOf(type), problem });
    }
  }

  #values({ bytes, messages, outputChars }: Jobs["values"]["params"]): Jobs["values"]["result"] {
    let offset = 0;
    return messages.map(({ length, type }) => {
      const message = bytes.subarray(offset, (offset += length));
      return this.#value(message, type, { elements: JSON_ELEMENTS, characters: outputChars });
    });
  }

  #value(bytes: Uint8Array, typeName: string, limits: ReadLimits): { readonly json: unknown } | null {
    const type = this.#universe?.message(typeName);
    if (type === undefined) return null;
    try {
      const { json, truncated } = readTyped(bytes, type, (name) => this.#universe?.message(name), limits);
      return truncated ? null : { json };
    } catch (error) {
      if (error instanceof WireError || error instanceof MisfitError) return null;
      throw error;
    }
  }

  #preview(bytes: Uint8Array, typeName: string): string | null {
    const type = this.#universe?.message(typeName);
    if (type === undefined) return null;
    try {
      const { json, truncated } = readTyped(bytes, type, (name) => this.#universe?.message(name), PREVIEW);
      return JSON.stringify(json) + (truncated ? "…" : "");
    } catch (error) {
      if (error instanceof WireError || error instanceof MisfitError) return null;
      throw error;
    }
  }
}

function typeNote(type: MessageType | string): SchemaNote {
  if (typeof type !== "string") return noteOf(type);
  return {
    problem: `The type ${type} is in no .proto file of the workspace. Add the file that defines it, or set portlight.protoRoots.`,
  };
}

/** Without a type: what the wire says, which is never shown as more. */
function wireReading(bytes: Uint8Array, schema: SchemaNote): ProtobufDecoded {
  const { nodes, truncated, problem } = readTree(bytes);
  return {
    view: "protobuf",
    schema,
    reading: "wire",
    tree: wireNodes(bytes, nodes),
    hasUnknownFields: nodes.length > 0,
    truncated,
    ...(problem === undefined ? {} : { problem: `Not a whole protobuf message: ${problem}` }),
  };
}
