import path from "node:path";
import { createAgent } from "../../agent/agent.ts";
import type { Agent, GrantedShare, ShareOptions } from "../../agent/options.ts";
import { createCapture } from "../../capture/capture.ts";
import type { Capture, ExchangeRecord } from "../../capture/options.ts";
import { startRelay } from "../../relay/relay.ts";
import type { Relay, RelayOptions } from "../../relay/options.ts";
import { silentLogger } from "../../wire/logger.ts";
import { Arrivals } from "./time.ts";

export const root = path.join(import.meta.dirname, "../..");

/** A relay, an agent and a capture in this process: the whole path of an exchange, over real sockets. */
export interface Path {
  readonly relay: Relay;
  readonly agent: Agent;
  readonly capture: Capture;
  /** Every exchange that ended, decoded. */
  readonly records: Arrivals<ExchangeRecord>;
  share(port: number, options?: Partial<ShareOptions>): Promise<Shared>;
  /** The first record from `from` on that matches, once its exchange has ended. */
  record(matches: (record: ExchangeRecord) => boolean, from?: number): Promise<ExchangeRecord>;
  close(): Promise<void>;
}

export interface Shared extends GrantedShare {
  /** `http://127.0.0.1:41234` without a slash at the end. */
  readonly url: string;
  /** `127.0.0.1:41234` */
  readonly address: string;
}

export interface PathOptions {
  readonly relay?: Partial<RelayOptions>;
  /** False: the agent taps nothing. Default true. */
  readonly capture?: boolean;
}

/** Starts all three. Close it in `after`: it holds sockets and a worker thread. */
export async function startPath(options: PathOptions = {}): Promise<Path> {
  const capture = createCapture({
    workspaceFolders: [path.join(root, "sample")],
    protoRoots: [],
    workerFile: path.join(root, "capture/decoder/worker.ts"),
    log: silentLogger,
  });
  const records = new Arrivals<ExchangeRecord>();
  capture.onRecord({ showSecrets: true }, (record) => records.add(record));
  const relay = await startRelay({
    mode: "local",
    listen: { host: "127.0.0.1", port: 0 },
    tunnelListen: { host: "127.0.0.1", port: 0 },
    domain: "localhost",
    allowLan: false,
    // What is refused is refused at once.
    returnMs: 0,
    log: silentLogger,
    ...options.relay,
  });
  const agent = createAgent({ ...(options.capture === false ? {} : { tap: capture.tap }), log: silentLogger });
  return {
    relay,
    agent,
    capture,
    records,
    async share(port, shareOptions = {}) {
      const granted = await agent.share({ port, kind: "http", relay: { url: relay.tunnelUrl }, ...shareOptions });
      const { url } = granted.info;
      return { ...granted, url, address: new URL(url).host };
    },
    record: (matches, from = 0) => records.next(10_000, "the record of the exchange", matches, from),
    async close() {
      await agent.close();
      await relay.close(0);
      await capture.close();
    },
  };
}
