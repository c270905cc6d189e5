import type { Failure, Fields, Side } from "../wire/stream.ts";

/** The share an exchange belongs to, as the inspector names it. */
export interface TappedShare {
  /** The agent's id of the share. */
  readonly id: string;
  /** The service's port. */
  readonly port: number;
  /** The name in the public URL. */
  readonly name: string;
}

/**
 * The place in the agent where passing bytes are reported to the capture. Every call is O(1), copies at most a few
 * hundred octets, never throws and never waits: the data path calls it in passing.
 */
export interface Tap {
  /** A visitor's request head arrived, as it came from the relay and without the reserved fields. The capture reads the clock itself. */
  opened(share: TappedShare, fields: Fields, end: boolean): ExchangeTap;
}

export interface ExchangeTap {
  /** A response head (`:status` 1xx are interim). The request head came with `opened`. */
  headReceived(fields: Fields, end: boolean): void;
  /** `bytes` passed from `side`; kept by reference or only counted. */
  dataReceived(side: Side, bytes: Uint8Array, end: boolean): void;
  trailersReceived(side: Side, fields: Fields): void;
  /** Both directions ended in order. */
  ended(): void;
  /** The exchange was cut: nothing more is reported. */
  failed(failure: Failure): void;
}
