import grpc from "@grpc/grpc-js";
import type { EchoRequest, EchoResponse, SpreadRequest } from "./schema.ts";

/** 64 MiB: more would only show how much memory the sample has. */
const MAX_RESPONSE = 64 * 1024 * 1024;

function milliseconds(delay: EchoRequest["delay"]): number {
  return Number(delay?.seconds ?? 0) * 1000 + (delay?.nanos ?? 0) / 1e6;
}

function respond(request: EchoRequest): EchoResponse {
  const payload = request.payload ?? Buffer.alloc(0);
  // With `oneofs: true` an optional field that is absent is absent, also with `defaults: true`.
  const size = request.responseSize;
  return {
    payload: size === undefined ? payload : Buffer.alloc(Math.min(size, MAX_RESPONSE), "x"),
    requestSize: payload.length,
  };
}

function failureOf(status: EchoRequest["status"]): Partial<grpc.StatusObject> | undefined {
  if (status === undefined || status === null || status.code === grpc.status.OK) return undefined;
  return { code: status.code, details: status.message };
}

/** Runs `action` after `delay`, unless the call is over by then. */
function after(
  delay: EchoRequest["delay"],
  call: { on(event: "cancelled", listener: () => void): unknown },
  action: () => void,
): void {
  const wait = milliseconds(delay);
  if (wait === 0) {
    action();
    return;
  }
  const timer = setTimeout(action, wait);
  call.on("cancelled", () => clearTimeout(timer));
}

/** `diagnostics.v1.Diagnostics` without `Missing`. `log` is told of calls: `called Converse`, `cancelled Converse`. */
export function diagnostics(log: (line: string) => void) {
  return {
    echo(call: grpc.ServerUnaryCall<EchoRequest, EchoResponse>, answer: grpc.sendUnaryData<EchoResponse>): void {
      log("called Echo");
      call.on("cancelled", () => log("cancelled Echo"));
      after(call.request.delay, call, () => {
        const failure = failureOf(call.request.status);
        if (failure === undefined) answer(null, respond(call.request));
        else answer(failure);
      });
    },

    converse(call: grpc.ServerDuplexStream<EchoRequest, EchoResponse>): void {
      log("called Converse");
      call.on("cancelled", () => log("cancelled Converse"));
      call.on("data", (request: EchoRequest) => {
        after(request.delay, call, () => {
          call.write(respond(request));
          const failure = failureOf(request.status);
          if (failure !== undefined) call.emit("error", failure);
        });
      });
      call.on("end", () => call.end());
    },

    collect(call: grpc.ServerReadableStream<EchoRequest, unknown>, answer: grpc.sendUnaryData<unknown>): void {
      let messages = 0;
      let octets = 0;
      let failed = false;
      log("called Collect");
      call.on("cancelled", () => log("cancelled Collect"));
      call.on("data", (request: EchoRequest) => {
        messages++;
        octets += request.payload?.length ?? 0;
        const failure = failureOf(request.status);
        if (failure === undefined || failed) return;
        failed = true;
        answer(failure);
      });
      call.on("end", () => {
        if (!failed) answer(null, { messages, octets });
      });
    },

    spread(call: grpc.ServerWritableStream<SpreadRequest, EchoResponse>): void {
      const { sizes, delay, status } = call.request;
      log("called Spread");
      call.on("cancelled", () => log("cancelled Spread"));
      let index = 0;
      const next = (): void => {
        const size = sizes[index];
        index++;
        if (size === undefined) {
          const failure = failureOf(status);
          if (failure === undefined) call.end();
          else call.emit("error", failure);
          return;
        }
        const more = call.write({ payload: Buffer.alloc(Math.min(size, MAX_RESPONSE), "x"), requestSize: 0 });
        if (more) after(delay, call, next);
        else call.once("drain", () => after(delay, call, next));
      };
      next();
    },
  };
}
