/** The messages of `grpc/testing/messages.proto` that the cases here need; only the fields they use. */
import protobuf from "protobufjs";

const { root } = protobuf.parse(
  `syntax = "proto3";
  message BoolValue { bool value = 1; }
  message Payload { int32 type = 1; bytes body = 2; }
  message SimpleRequest {
    int32 response_size = 2; Payload payload = 3;
    BoolValue response_compressed = 6; BoolValue expect_compressed = 8;
  }
  message SimpleResponse { Payload payload = 1; }
  message StreamingInputCallRequest { Payload payload = 1; BoolValue expect_compressed = 2; }
  message StreamingInputCallResponse { int32 aggregated_payload_size = 1; }
  message ResponseParameters { int32 size = 1; int32 interval_us = 2; BoolValue compressed = 3; }
  message StreamingOutputCallRequest { repeated ResponseParameters response_parameters = 2; Payload payload = 3; }
  message StreamingOutputCallResponse { Payload payload = 1; }`,
  { keepCase: false },
);

export interface BoolValue {
  readonly value?: boolean;
}

export interface Payload {
  readonly body?: Uint8Array;
}

export interface SimpleRequest {
  readonly responseSize?: number;
  readonly payload?: Payload | null;
  readonly responseCompressed?: BoolValue | null;
  readonly expectCompressed?: BoolValue | null;
}

export interface StreamingInputCallRequest {
  readonly payload?: Payload | null;
  readonly expectCompressed?: BoolValue | null;
}

export interface StreamingOutputCallRequest {
  readonly responseParameters?: readonly { readonly size?: number; readonly compressed?: BoolValue | null }[];
}

interface Messages {
  readonly SimpleRequest: SimpleRequest;
  readonly SimpleResponse: { readonly payload?: Payload | null };
  readonly StreamingInputCallRequest: StreamingInputCallRequest;
  readonly StreamingInputCallResponse: { readonly aggregatedPayloadSize?: number };
  readonly StreamingOutputCallRequest: StreamingOutputCallRequest;
  readonly StreamingOutputCallResponse: { readonly payload?: Payload | null };
}

export function encode<Name extends keyof Messages>(name: Name, message: Messages[Name]): Buffer {
  const type = root.lookupType(name);
  return Buffer.from(type.encode(type.create(message)).finish());
}

export function decode<Name extends keyof Messages>(name: Name, bytes: Uint8Array): Messages[Name] {
  return root.lookupType(name).decode(bytes);
}
