import type { Target } from "../target.ts";
import { tracks, typed } from "./capture.ts";
import { http1Client, http1Server } from "./http1.ts";
import { hpack, http2Client, http2Server } from "./http2.ts";
import { grpc, protobuf, websocket } from "./payloads.ts";

export const TARGETS: readonly Target[] = [
  http1Server,
  http1Client,
  http2Server,
  http2Client,
  hpack,
  websocket,
  grpc,
  protobuf,
  tracks,
  typed,
];
