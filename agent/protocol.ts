/**
 * Extension ⇄ agent process: JSON-RPC (`vscode-jsonrpc`) over the IPC channel of `child_process.fork`. The same
 * connection carries the inspector protocol (`capture/protocol.ts`). When the channel closes, the agent exits.
 */
import type { ShareInfo, ShareOptions } from "./options.ts";

export interface AgentConfiguration {
  /** Bounds of the capture; see `capture/store.ts`. */
  readonly captureBytes: number;
  readonly captureExchanges: number;
  readonly capture: boolean;
  /** Absolute paths of the workspace folders: `.proto` files are read below these and nowhere else. */
  readonly workspaceFolders: readonly string[];
  /** Additional import roots, relative to a workspace folder or absolute below one. */
  readonly protoRoots: readonly string[];
  readonly forbiddenPorts: readonly number[];
}

/** A port on which something listens on this machine. */
export interface ListeningPort {
  readonly port: number;
  readonly address: string;
  readonly pid?: number;
  /** Name of the program, e.g. `node server.js`, cut at 80 characters. */
  readonly process?: string;
}

export interface AgentRequests {
  "agent/configure": { params: AgentConfiguration; result: null };
  /** The result carries the resume secret, for SecretStorage. */
  "agent/share": { params: ShareOptions; result: { share: ShareInfo; secret: string } };
  "agent/unshare": { params: { id: string }; result: null };
  "agent/shares": { params: null; result: readonly ShareInfo[] };
  "agent/listeningPorts": { params: null; result: readonly ListeningPort[] };
  /** Drains up to `drainMs` and exits. */
  "agent/shutdown": { params: { drainMs: number }; result: null };
}

export interface AgentNotifications {
  "agent/sharesChanged": readonly ShareInfo[];
  "agent/log": { level: "debug" | "info" | "warn" | "error"; message: string };
}
