import protobuf from "protobufjs";

/**
 * The parts of google/rpc/status.proto and error_details.proto that the sample uses. A workspace does not usually have
 * these files: whoever sends rich errors gets them from a library, and an inspector has to know them by itself.
 */
const definitions = protobuf.parse(
  `syntax = "proto3";
   package google.rpc;
   import "google/protobuf/any.proto";
   message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
   message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
   message BadRequest {
     message FieldViolation { string field = 1; string description = 2; }
     repeated FieldViolation field_violations = 1;
   }
   message ResourceInfo { string resource_type = 1; string resource_name = 2; string owner = 3; string description = 4; }`,
  { keepCase: true },
).root;
definitions.addJSON(protobuf.common.get("google/protobuf/any.proto")?.nested ?? {});

/** One entry of `google.rpc.Status.details`: the message's name below `google.rpc` and its fields. */
export interface ErrorDetail {
  readonly type: "ErrorInfo" | "BadRequest" | "ResourceInfo";
  readonly value: Readonly<Record<string, unknown>>;
}

/** `google.rpc.Status` as the octets of `grpc-status-details-bin`. */
export function encodeStatus(code: number, message: string, details: readonly ErrorDetail[]): Buffer {
  const status = definitions.lookupType("google.rpc.Status");
  const packed = details.map(({ type, value }) => ({
    type_url: `type.googleapis.com/google.rpc.${type}`,
    value: definitions.lookupType(`google.rpc.${type}`).encode(value).finish(),
  }));
  return Buffer.from(status.encode({ code, message, details: packed }).finish());
}

/** The reverse: each detail as a plain object with its `@type`. Throws when the octets are no `google.rpc.Status`. */
export function decodeStatus(bytes: Uint8Array): { code: number; message: string; details: Record<string, unknown>[] } {
  const status = definitions.lookupType("google.rpc.Status").decode(bytes) as unknown as {
    code: number;
    message: string;
    details: { type_url: string; value: Uint8Array }[];
  };
  return {
    code: status.code,
    message: status.message,
    details: status.details.map(({ type_url: url, value }) => ({
      "@type": url,
      ...definitions
        .lookupType(url.slice(url.lastIndexOf("/") + 1))
        .decode(value)
        .toJSON(),
    })),
  };
}
