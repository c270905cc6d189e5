/**
 * Extension ⇄ relay process: JSON-RPC over the IPC channel of `child_process.fork`. The token reaches the relay here,
 * never by argv or environment. When the channel closes, the relay exits.
 */
export interface RelayRequests {
  /** Starts the local relay. `token` is what agents must show. Ports of an earlier run are asked for again. */
  "relay/start": {
    params: { token: string; allowLan: boolean; port: number; tunnelPort: number };
    result: { publicUrl: string; tunnelUrl: string };
  };
  "relay/shutdown": { params: { drainMs: number }; result: null };
}

export interface RelayNotifications {
  "relay/log": { level: "debug" | "info" | "warn" | "error"; message: string };
}
