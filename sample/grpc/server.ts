import grpc from "@grpc/grpc-js";
import { diagnostics } from "./diagnostics.ts";
import { orders } from "./orders.ts";
import { serviceDefinition } from "./schema.ts";
import type { RunningService, ServiceOptions } from "../service.ts";

/** 64 MiB instead of gRPC's 4 MiB: `diagnostics.v1` is there to try large messages. */
const MAX_MESSAGE = 64 * 1024 * 1024;

export interface GrpcOptions extends ServiceOptions {
  /** Told in one line each which call of `diagnostics.v1` began, and which was broken off. */
  readonly log?: (line: string) => void;
}

/** Serves `shop.v1.Orders` and `diagnostics.v1.Diagnostics` on loopback, cleartext HTTP/2. */
export async function startGrpc(options: GrpcOptions = {}): Promise<RunningService> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": MAX_MESSAGE,
    "grpc.max_send_message_length": MAX_MESSAGE,
  });
  server.addService(serviceDefinition("shop.v1.Orders"), orders);
  server.addService(serviceDefinition("diagnostics.v1.Diagnostics"), diagnostics(options.log ?? (() => undefined)));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${options.port ?? 0}`, grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.forceShutdown();
        // After `forceShutdown` there is nothing left to wait for but the listening socket.
        server.tryShutdown(() => resolve());
      }),
  };
}
