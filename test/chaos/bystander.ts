import http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { request } from "../support/http.ts";
import { within } from "../support/time.ts";

/** Slower than this it has noticed: nothing on its way takes longer than milliseconds, but the machine may have other work. */
const NOTICED_MS = 15_000;

const REST_MS = 100;

/** Makes exchanges beside a cell, and counts those that were touched. */
export interface Bystander {
  readonly answered: number;
  /** Why exchanges failed. */
  readonly touched: readonly string[];
  /** Makes no more exchanges. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** @param share makes the service at this port reachable; returns where. */
export async function startBystander(share: (port: number) => Promise<string>): Promise<Bystander> {
  const service = http.createServer((_request, response) => response.end("bystander"));
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  const address = await share((service.address() as AddressInfo).port);
  const touched: string[] = [];
  let answered = 0;
  const ending = new AbortController();
  const run = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      try {
        const { status, body } = await within(NOTICED_MS, "the bystander's answer", request(address, "/"));
        if (status === 200 && body === "bystander") answered++;
        else touched.push(`status ${status}: ${body.slice(0, 100)}`);
      } catch (error) {
        touched.push(String(error));
      }
      await pause(REST_MS, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  };
  const running = run();
  return {
    get answered() {
      return answered;
    },
    touched,
    async stop() {
      ending.abort();
      await running;
    },
    close: () =>
      new Promise((resolve) => {
        service.close(() => resolve());
        service.closeAllConnections();
      }),
  };
}
