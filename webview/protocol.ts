/**
 * Page ⇄ host. The page speaks JSON-RPC with its host: the inspector protocol (`capture/protocol.ts`), passed on to the
 * agent, and the few requests below that only a host can do. Hosts: the VS Code extension (`postMessage`), and the
 * agent's inspector server in a plain browser (WebSocket).
 */
export type { InspectorNotifications, InspectorRequests } from "../capture/protocol.ts";

/** A share as the page shows it in its header and empty state. */
export interface SharedPort {
  readonly id: string;
  readonly port: number;
  readonly kind: "http" | "tcp";
  readonly state: "connecting" | "online" | "reconnecting" | "refused";
  readonly url: string;
  readonly problem?: string;
}

export interface HostState {
  /** `vscode`: the host opens files and copies; `browser`: the page uses the browser's own clipboard, and cannot open files. */
  readonly host: "vscode" | "browser";
  /** The panel view offers "Open in Editor". */
  readonly placement: "panel" | "editor" | "browser";
  readonly agent: "starting" | "running" | "stopped";
  readonly shares: readonly SharedPort[];
}

export interface HostRequests {
  "host/state": { params: null; result: HostState };
  "host/copy": { params: { text: string }; result: null };
  /** Workspace-relative file as in `SchemaNote.file`; 1-based line. */
  "host/openSource": { params: { file: string; line: number }; result: null };
  "host/openUntitled": {
    params: { text: string; language: "json" | "jsonl" | "plaintext" | "shellscript" };
    result: null;
  };
  "host/save": { params: { name: string; base64: string }; result: null };
  "host/sharePort": { params: null; result: null };
  "host/openInEditor": { params: null; result: null };
}

export interface HostNotifications {
  "host/stateChanged": HostState;
  /** The user asked to look at one share or one exchange. */
  "host/reveal": { readonly filter?: string; readonly exchange?: number };
}
