import { startGrpc } from "./grpc/server.ts";
import { startHttp } from "./http/server.ts";
import { startWebSocket } from "./websocket.ts";
import type { RunningService } from "./service.ts";

export interface Sample {
  readonly grpc: RunningService;
  readonly websocket: RunningService;
  readonly http: RunningService;
  close(): Promise<void>;
}

export interface SampleOptions {
  /** 0 (the default): free ports. */
  readonly grpcPort?: number;
  readonly webSocketPort?: number;
  readonly httpPort?: number;
  /** See `GrpcOptions.log`. */
  readonly log?: (line: string) => void;
}

/** Starts all three services, or none: when one cannot start, those that did are closed and the error is thrown. */
export async function startSample(options: SampleOptions = {}): Promise<Sample> {
  const started: RunningService[] = [];
  const keep = (service: RunningService): RunningService => {
    started.push(service);
    return service;
  };
  const close = async (): Promise<void> => {
    await Promise.all(started.map((service) => service.close()));
  };
  try {
    const log = options.log === undefined ? {} : { log: options.log };
    const grpc = keep(await startGrpc({ port: options.grpcPort ?? 0, ...log }));
    const websocket = keep(await startWebSocket({ port: options.webSocketPort ?? 0 }));
    const http = keep(await startHttp({ port: options.httpPort ?? 0 }));
    return { grpc, websocket, http, close };
  } catch (error) {
    await close();
    throw error;
  }
}
