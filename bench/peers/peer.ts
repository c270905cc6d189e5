/** What is compared: a way from a public port to a port of a service. */
import type { PeerName as ProgramName } from "../../scripts/peers.ts";

/** Where the load goes. */
export interface Public {
  readonly port: number;
  /** `Host` or `:authority` by which the peer finds the service; any will do when absent. */
  readonly authority?: string;
  /** Visitors must speak HTTP/1.1, whatever the service speaks. */
  readonly http1Only?: boolean;
  /** Visitors must begin with an HTTP CONNECT to `authority`. */
  readonly connect?: boolean;
}

/** What the service speaks: a peer that understands it has to be told, one that moves bytes need not know. */
export type Protocol = "h2" | "h1" | "raw";

export interface Service {
  readonly port: number;
  readonly protocol: Protocol;
  /** The same over HTTP/1.1, for a peer that speaks nothing else to services. */
  readonly http1Port?: number;
}

/** A peer with all its processes. */
export interface Running extends Public {
  /** Of the two ends; several processes of one end, or one of both, are possible. */
  readonly pids: { readonly relay: readonly number[]; readonly agent: readonly number[] };
  stop(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** As it stands in the tables. */
  readonly title: string;
  /** Programs that must be there. */
  readonly needs: readonly ProgramName[];
  /** What visitors may speak to it. */
  readonly carries: readonly Protocol[];
  /** Starts every process; rejects with the reason. Whether the way is open is found out by the first load. */
  start(service: Service): Promise<Running>;
}

/** Stops the children in the order given, the outer end first. */
export function running(
  target: Public,
  relay: readonly { readonly pid: number; stop(): Promise<unknown> }[],
  agent: readonly { readonly pid: number; stop(): Promise<unknown> }[],
): Running {
  return {
    ...target,
    pids: { relay: relay.map(({ pid }) => pid), agent: agent.map(({ pid }) => pid) },
    async stop() {
      for (const child of [...agent, ...relay]) await child.stop();
    },
  };
}
